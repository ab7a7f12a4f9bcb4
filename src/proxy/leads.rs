//! Following what an artifact leads to.
//!
//! Some managers read one description after the other, each of which names the next, and then fetch what
//! was described. Where the protocol can tell what a verified artifact leads to, that is fetched and
//! compared here while the manager still reads, and waits until it is asked for; then it becomes an
//! answer like any other, with every check. Nothing here promises, releases or reports, and what fails
//! here fails again, aloud, when it is asked for. Only addresses within the repository that the artifact
//! came from are followed, each once, and only so many at a time; the end of the run ends them.
//!
//! Descriptions are followed at once: they are small. What they describe is larger, and of many
//! descriptions a manager wants no more (a parent, a version that lost against another, a goal that
//! only lists). So it is foreseen only where the manager itself asked for the description, which is so
//! for what the goal's scope wants, and fetched when an anchor of the run names it, or for each such
//! artifact that the manager asks for a few more.

use std::collections::{HashSet, VecDeque};
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use super::ahead::Slots;
use super::beside::Compared;
use super::limits;
use super::lock;
use super::pipeline::Pipeline;
use super::upstream::{Fetched, headers};
use crate::store::Content;

/// Who came upon an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// It was asked for.
    Manager,
    /// It was followed.
    Lead,
}

/// What was followed and not asked for yet.
#[derive(Debug)]
pub(super) struct Leads {
    plans: Mutex<Plans>,
    compared: Slots<Compared>,
    descriptions: Lane,
    described: Lane,
}

/// What is to be followed.
#[derive(Debug, Default)]
struct Plans {
    /// What the manager asked for.
    asked: HashSet<String>,
    /// What following came upon, asked for or not.
    met: HashSet<String>,
    descriptions: VecDeque<Url>,
    /// Described, and named by an anchor.
    named: VecDeque<Url>,
    /// Described, and nothing more.
    described: VecDeque<Url>,
    /// All that was foreseen as described.
    foreseen: HashSet<String>,
    /// How many of those that no anchor names may be fetched.
    credit: usize,
}

/// How much may be under way, and how much may wait.
#[derive(Debug)]
struct Lane {
    /// Room for what nobody asked for yet.
    room: Arc<Semaphore>,
    together: Arc<Semaphore>,
}

/// Leave to follow one address.
struct Leave {
    url: Url,
    room: Arc<OwnedSemaphorePermit>,
    turn: OwnedSemaphorePermit,
}

impl Default for Leads {
    fn default() -> Self {
        Self {
            plans: Mutex::default(),
            compared: Slots::default(),
            descriptions: Lane::new(limits::LEADS, limits::LEADS_TOGETHER),
            described: Lane::new(limits::DESCRIBED, limits::DESCRIBED_TOGETHER),
        }
    }
}

impl Lane {
    fn new(room: usize, together: usize) -> Self {
        Self {
            room: Arc::new(Semaphore::new(room)),
            together: Arc::new(Semaphore::new(together)),
        }
    }

    /// Leave for the next address that `next` gives, if there is room for one more.
    fn leave(&self, next: impl FnOnce() -> Option<Url>) -> Option<Leave> {
        let turn = Arc::clone(&self.together).try_acquire_owned().ok()?;
        let room = Arc::clone(&self.room).try_acquire_owned().ok()?;
        let url = next()?;
        let room = Arc::new(room);
        Some(Leave { url, room, turn })
    }
}

impl Plans {
    /// The manager asks. What was foreseen speaks for the rest of it.
    fn ask(&mut self, url: &Url) {
        self.asked.insert(url.as_str().to_owned());
        if self.foreseen.remove(url.as_str()) {
            let more = self.credit.saturating_add(limits::DESCRIBED_EACH);
            self.credit = more.min(limits::DESCRIBED);
        }
    }

    /// Whether an address is come upon for the first time, and nobody asked for it.
    fn meet(&mut self, url: &Url) -> bool {
        self.met.insert(url.as_str().to_owned()) && !self.is_asked(url)
    }

    fn is_asked(&self, url: &Url) -> bool {
        self.asked.contains(url.as_str())
    }

    fn next_description(&mut self) -> Option<Url> {
        let asked = &self.asked;
        next(&mut self.descriptions, asked)
    }

    fn next_described(&mut self) -> Option<Url> {
        let asked = &self.asked;
        let named = next(&mut self.named, asked);
        if named.is_some() || self.credit == 0 {
            return named;
        }
        let described = next(&mut self.described, asked)?;
        self.credit = self.credit.saturating_sub(1);
        Some(described)
    }
}

/// The next that nobody asked for meanwhile.
fn next(waiting: &mut VecDeque<Url>, asked: &HashSet<String>) -> Option<Url> {
    loop {
        let url = waiting.pop_front()?;
        if !asked.contains(url.as_str()) {
            return Some(url);
        }
    }
}

impl Leads {
    /// What was fetched from there and compared with what lies beside it.
    pub(super) async fn compared(&self, url: &Url) -> Option<Compared> {
        self.compared.take(url).await
    }
}

impl Pipeline {
    /// Notes that the manager asks for that artifact itself.
    pub(super) fn ask(self: &Arc<Self>, url: &Url) {
        lock(&self.leads.plans).ask(url);
        self.go_on();
    }

    /// That content was come upon there; what it leads to is followed.
    pub(super) fn follow(self: &Arc<Self>, url: &Url, content: &Content, asker: Asker) {
        self.note(url, content, asker);
        self.go_on();
    }

    fn note(&self, url: &Url, content: &Content, asker: Asker) {
        let Some(repository) = self.repositories.of(url) else {
            return;
        };
        if !self.states_beside(url) {
            return;
        }
        let Some(body) = small(content) else {
            return;
        };
        let within = |next: &Url| {
            let other = self.repositories.of(next);
            other.is_some_and(|other| other.id == repository.id)
        };
        let leads = self.protocol.leads(&repository.base, url, &body);
        let described = leads.described.filter(within);
        let described = described.filter(|_| asker == Asker::Manager);
        let is_named = described.as_ref().is_some_and(|url| self.is_named(url));
        let mut plans = lock(&self.leads.plans);
        for lead in leads.descriptions.into_iter().filter(within) {
            if plans.meet(&lead) {
                plans.descriptions.push_back(lead);
            }
        }
        if let Some(described) = described
            && plans.meet(&described)
        {
            plans.foreseen.insert(described.as_str().to_owned());
            match is_named {
                true => plans.named.push_back(described),
                false => plans.described.push_back(described),
            }
        }
    }

    /// Begins with as much as there is room for.
    fn go_on(self: &Arc<Self>) {
        let leads = &self.leads;
        let description = || lock(&leads.plans).next_description();
        let described = || lock(&leads.plans).next_described();
        while let Some(leave) = leads.descriptions.leave(description) {
            self.begin(leave);
        }
        while let Some(leave) = leads.described.leave(described) {
            self.begin(leave);
        }
    }

    fn begin(self: &Arc<Self>, leave: Leave) {
        let pipeline = Arc::clone(self);
        tokio::spawn(async move {
            let Leave { url, room, turn } = leave;
            let content = pipeline.lead(&url, &room).await;
            drop((room, turn));
            match content {
                Some(content) => pipeline.follow(&url, &content, Asker::Lead),
                None => pipeline.go_on(),
            }
        });
    }

    /// Whether an anchor of the run names an artifact.
    fn is_named(&self, url: &Url) -> bool {
        let named = self.named(&Method::GET, url);
        named.is_some_and(|named| self.expectations.promise(url, Some(&named)).is_ok())
    }

    /// Fetches and compares one, and keeps it until it is asked for; nothing where anything speaks
    /// against it.
    async fn lead(&self, url: &Url, room: &Arc<OwnedSemaphorePermit>) -> Option<Content> {
        let named = self.named(&Method::GET, url)?;
        // From here to the slot nothing waits, so that nobody can ask in between.
        if lock(&self.leads.plans).is_asked(url) || self.withheld(&named, url).ok()?.is_some() {
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

/// A content that may be a description, as a whole.
fn small(content: &Content) -> Option<Vec<u8>> {
    match content {
        Content::Memory(pieces) => {
            let size: usize = pieces.iter().map(Bytes::len).sum();
            (size <= limits::DESCRIPTION).then(|| pieces.concat())
        }
        Content::File(file, size) => {
            let size = usize::try_from(*size).ok()?;
            let mut body = vec![0; Some(size).filter(|size| *size <= limits::DESCRIPTION)?];
            file.read_exact_at(&mut body, 0).ok()?;
            Some(body)
        }
    }
}

fn complete<T>(fetched: Fetched<T>) -> Option<T> {
    match fetched {
        Fetched::Complete { body, .. } => Some(body),
        Fetched::Failed { .. } => None,
    }
}
