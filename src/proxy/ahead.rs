//! Fetching ahead: what the anchors promise is fetched before the manager asks for it.
//!
//! A manager that asks for one package after the other waits for each index document, each artifact
//! and its verification. This fetches, in the order of the plan, the documents of the names that are
//! still to come, and of each the one file that the plan's digests allow, or of several the one that
//! suits the platform best. It begins while the manager starts, with what is not installed yet; the
//! rest, which the manager may well leave alone, with its first question for an index. What was
//! fetched waits here until it is asked for, and only then becomes an answer, with every check that it
//! would have had: nothing here promises, releases or reports. What fails here is dropped in silence
//! and fails again, aloud, when it is asked for.
//!
//! Where more than one repository could have a name nothing is guessed. A wrong guess at a file costs
//! its fetch and nothing else.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};

use globset::{Glob, GlobMatcher};
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use url::Url;

use super::expect::Promise;
use super::index::Page;
use super::limits;
use super::lock;
use super::pipeline::Pipeline;
use super::upstream::{self, Fetched};
use crate::model::{Expected, Layout};
use crate::store::Content;
use crate::verify::Digests;

/// What was fetched and not asked for yet.
#[derive(Debug)]
pub(super) struct Ahead {
    /// What is not installed yet where the run installs.
    missing: Mutex<VecDeque<String>>,
    rest: Mutex<VecDeque<String>>,
    asked: Mutex<HashSet<String>>,
    fitting: Vec<GlobMatcher>,
    pages: Slots<Page>,
    pub(super) artifacts: Slots<(Content, Digests)>,
    lead: Arc<Semaphore>,
}

impl Ahead {
    /// For what a plan expects, in its order, and the place that it is for.
    pub(super) fn new(expected: &[Expected], layout: &Layout) -> Self {
        let mut seen = HashSet::new();
        let names = expected.iter().map(|one| &one.name);
        let names = names.filter(|name| seen.insert(*name)).cloned();
        let owners = layout.occupied.iter().map(|file| &file.owner);
        let owners: HashSet<&String> = owners.collect();
        let installs = !layout.places.is_empty();
        let (missing, rest) = names.partition(|name| installs && !owners.contains(name));
        // A pattern that is none is a guess less.
        let fitting = layout.fitting.iter();
        let fitting = fitting.filter_map(|text| Glob::new(text).ok());
        Self {
            missing: Mutex::new(missing),
            rest: Mutex::new(rest),
            asked: Mutex::default(),
            fitting: fitting.map(|glob| glob.compile_matcher()).collect(),
            pages: Slots::default(),
            artifacts: Slots::default(),
            lead: Arc::new(Semaphore::new(limits::AHEAD)),
        }
    }

    /// Notes that the manager asks for a name itself.
    fn ask(&self, name: &str) {
        lock(&self.asked).insert(name.to_owned());
    }

    fn is_asked(&self, name: &str) -> bool {
        lock(&self.asked).contains(name)
    }

    /// The file that the manager will take, most likely: the only one, or the one with the last name
    /// (the newest platform) of those that fit best.
    fn likely(&self, mut allowed: Vec<(Url, Promise)>) -> Option<(Url, Promise)> {
        if allowed.len() < 2 {
            return allowed.pop();
        }
        let file = |one: &(Url, Promise)| one.1.named.file.clone().unwrap_or_default();
        self.fitting.iter().find_map(|fitting| {
            let fit = allowed.iter().filter(|one| fitting.is_match(file(one)));
            fit.max_by_key(|one| file(one)).cloned()
        })
    }

    /// The document that was fetched from there.
    pub(super) async fn page(&self, url: &Url) -> Option<Page> {
        self.pages.take(url).await
    }

    /// The artifact that was fetched from there, with the digests of its content.
    pub(super) async fn artifact(&self, url: &Url) -> Option<(Content, Digests)> {
        self.artifacts.take(url).await
    }
}

impl Pipeline {
    /// The manager starts: what it is going to ask for is fetched ahead.
    pub(super) fn begin_ahead(self: &Arc<Self>) {
        let kinds = HeaderValue::from_static(self.protocol.index_kinds());
        let asked = HeaderMap::from_iter([(ACCEPT, kinds)]);
        self.fetch_ahead(
            &self.ahead.missing,
            &upstream::headers(self.protocol, &asked),
        );
    }

    /// The manager asks for the index of a name. The first time, what comes next is fetched ahead.
    pub(super) fn look_ahead(self: &Arc<Self>, name: &str, headers: &HeaderMap) {
        self.ahead.ask(name);
        self.fetch_ahead(&self.ahead.rest, headers);
    }

    fn fetch_ahead(self: &Arc<Self>, names: &Mutex<VecDeque<String>>, headers: &HeaderMap) {
        let names = std::mem::take(&mut *lock(names));
        if names.is_empty() {
            return;
        }
        let names = Arc::new(Mutex::new(names));
        for _ in 0..limits::AHEAD_TOGETHER {
            let (pipeline, headers) = (Arc::clone(self), headers.clone());
            let names = Arc::clone(&names);
            tokio::spawn(async move {
                while let Ok(room) = Arc::clone(&pipeline.ahead.lead).acquire_owned().await {
                    let Some(name) = lock(&names).pop_front() else {
                        return;
                    };
                    pipeline.foresee(&name, &headers, room).await;
                }
            });
        }
    }

    async fn foresee(&self, name: &str, headers: &HeaderMap, room: OwnedSemaphorePermit) {
        let Some(url) = self.only_index(name) else {
            return;
        };
        if self.ahead.is_asked(name) {
            return;
        }
        let room = Arc::new(room);
        let mut foreseen = None;
        let fill = async {
            let page = self.page(name, &url, headers.clone()).await.ok()?;
            if let Page::Document { index, .. } = &page {
                foreseen = self
                    .ahead
                    .likely(self.expectations.foreseen(&index.expected));
            }
            Some(page)
        };
        self.ahead.pages.fill(&url, &room, fill).await;
        let Some((url, promise)) = foreseen else {
            return;
        };
        let headers = upstream::headers(self.protocol, &HeaderMap::new());
        let fill = async {
            if let Ok(Some(_stored)) = self.blobs.find(&promise.integrities) {
                return None;
            }
            let fetched = self.download(&promise, &url, headers).await;
            let (content, digests) = match fetched {
                Ok(Fetched::Complete { body, .. }) => body,
                Ok(Fetched::Failed { .. }) | Err(_) => return None,
            };
            let read = self.examine(&promise.named, &url, &content, &digests);
            read.await.ok()?;
            Some((content, digests))
        };
        self.ahead.artifacts.fill(&url, &room, fill).await;
    }
}

/// Things by address, each of them once. A thing holds room for what is fetched ahead as long as
/// nobody took it.
#[derive(Debug)]
pub(super) struct Slots<T>(Mutex<HashMap<String, Arc<Slot<T>>>>);

type Slot<T> = OnceCell<Mutex<Option<(T, Arc<OwnedSemaphorePermit>)>>>;

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Slots<T> {
    /// Fills the slot of that address, unless it is there.
    pub(super) async fn fill(
        &self,
        url: &Url,
        room: &Arc<OwnedSemaphorePermit>,
        fetch: impl Future<Output = Option<T>>,
    ) {
        let slot = Arc::new(OnceCell::new());
        {
            let mut slots = lock(&self.0);
            if slots.contains_key(url.as_str()) {
                return;
            }
            slots.insert(url.as_str().to_owned(), Arc::clone(&slot));
        }
        slot.get_or_init(|| async {
            let fetched = fetch.await;
            Mutex::new(fetched.map(|thing| (thing, Arc::clone(room))))
        })
        .await;
    }

    /// Takes what is there, or will be in a moment.
    pub(super) async fn take(&self, url: &Url) -> Option<T> {
        let slot = lock(&self.0).remove(url.as_str())?;
        let filled = slot.get_or_init(|| async { Mutex::new(None) }).await;
        lock(filled).take().map(|(thing, _room)| thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_taken_makes_room_and_is_gone() {
        let lead = Arc::new(Semaphore::new(1));
        let slots = Slots::default();
        let url = Url::parse("https://index.invalid/left/").unwrap();
        let room = Arc::new(Arc::clone(&lead).acquire_owned().await.unwrap());
        slots.fill(&url, &room, async { Some(7) }).await;
        drop(room);
        assert_eq!(lead.available_permits(), 0);
        assert_eq!(slots.take(&url).await, Some(7));
        assert_eq!(lead.available_permits(), 1);
        assert_eq!(slots.take(&url).await, None);
    }

    #[tokio::test]
    async fn whoever_asks_meanwhile_waits_for_it() {
        let lead = Arc::new(Semaphore::new(1));
        let slots = Slots::default();
        let url = Url::parse("https://index.invalid/left/").unwrap();
        let room = Arc::new(lead.acquire_owned().await.unwrap());
        let fetch = async {
            tokio::task::yield_now().await;
            Some(7)
        };
        let (_, taken) = tokio::join!(slots.fill(&url, &room, fetch), slots.take(&url));
        assert_eq!(taken, Some(7));
    }
}
