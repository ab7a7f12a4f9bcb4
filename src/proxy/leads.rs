//! Following what an artifact leads to.
//!
//! Some managers read one description after the other, each of which names the next. Where the protocol
//! can tell what a verified artifact leads to, that is fetched and compared here while the manager still
//! reads, and waits until it is asked for; then it becomes an answer like any other, with every check.
//! Nothing here promises, releases or reports, and what fails here fails again, aloud, when it is asked
//! for. Only addresses within the repository that the artifact came from are followed, each once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, Method};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use super::ahead::Slots;
use super::beside::Compared;
use super::limits;
use super::pipeline::Pipeline;
use super::upstream::{Fetched, headers};
use crate::store::Content;

/// What was followed and not asked for yet.
#[derive(Debug)]
pub(super) struct Leads {
    /// Addresses that were asked for or followed.
    seen: Mutex<HashSet<String>>,
    compared: Slots<Compared>,
    /// Room for what nobody asked for yet.
    lead: Arc<Semaphore>,
    together: Semaphore,
}

impl Default for Leads {
    fn default() -> Self {
        Self {
            seen: Mutex::default(),
            compared: Slots::default(),
            lead: Arc::new(Semaphore::new(limits::LEADS)),
            together: Semaphore::new(limits::LEADS_TOGETHER),
        }
    }
}

impl Leads {
    /// Whether that address is met for the first time.
    fn is_new(&self, url: &Url) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(url.as_str().to_owned())
    }

    /// Notes that the manager asks for it itself.
    pub(super) fn ask(&self, url: &Url) {
        self.is_new(url);
    }

    /// What was fetched from there and compared with what lies beside it.
    pub(super) async fn compared(&self, url: &Url) -> Option<Compared> {
        self.compared.take(url).await
    }
}

impl Pipeline {
    /// The manager was given that content from there; what it leads to is followed.
    pub(super) fn follow(self: &Arc<Self>, url: &Url, content: &Content) {
        let Some(repository) = self.repositories.of(url) else {
            return;
        };
        let Content::Memory(pieces) = content else {
            return;
        };
        if self.protocol.side_files(url).is_empty() {
            return;
        }
        let leads = self.protocol.leads(&repository.base, url, &pieces.concat());
        for next in leads {
            let within = self.repositories.of(&next);
            if !within.is_some_and(|other| other.id == repository.id) || !self.leads.is_new(&next) {
                continue;
            }
            // No room: the manager is asked for none of what was guessed.
            let Ok(room) = Arc::clone(&self.leads.lead).try_acquire_owned() else {
                return;
            };
            let pipeline = Arc::clone(self);
            tokio::spawn(async move {
                if let Some(content) = pipeline.lead(&next, &Arc::new(room)).await {
                    pipeline.follow(&next, &content);
                }
            });
        }
    }

    /// Fetches and compares one, and keeps it until it is asked for; nothing where anything speaks
    /// against it.
    async fn lead(&self, url: &Url, room: &Arc<OwnedSemaphorePermit>) -> Option<Content> {
        let named = self.named(&Method::GET, url)?;
        if self.withheld(&named, url).ok()?.is_some() {
            return None;
        }
        let headers = headers(self.protocol, &HeaderMap::new());
        let mut content = None;
        match self.expectations.promise(url, Some(&named)) {
            Ok(promise) => {
                if let Ok(Some((stored, _))) = self.blobs.find(&promise.integrities) {
                    return Some(stored);
                }
                let fill = async {
                    let _turn = self.leads.together.acquire().await.ok()?;
                    let fetched = self.download(&promise, url, headers).await.ok()?;
                    let body = complete(fetched)?;
                    content = Some(body.0.clone());
                    Some(body)
                };
                self.ahead.artifacts.fill(url, room, fill).await;
            }
            Err(_) if self.closed => {}
            Err(_) => {
                let fill = async {
                    let _turn = self.leads.together.acquire().await.ok()?;
                    let fetched = self.compared(&named, url, headers).await.ok()?;
                    let body = complete(fetched)?;
                    content = Some(body.content.clone());
                    Some(body)
                };
                self.leads.compared.fill(url, room, fill).await;
            }
        }
        content
    }
}

fn complete<T>(fetched: Fetched<T>) -> Option<T> {
    match fetched {
        Fetched::Complete { body, .. } => Some(body),
        Fetched::Failed { .. } => None,
    }
}
