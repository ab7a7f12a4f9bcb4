//! Signatures and origin of what is released: asked and verified beside the artifact path.
//!
//! An artifact that is released is noted here, and a task of its own asks the repository what it has
//! beside the digest: what it says of the version, its signatures, attestations, the origin's digest where
//! it is a mirror. Nothing waits for that. Only what contradicts is a refusal: before the release where the
//! index said it already, else as soon as it is known. A repository without any of it is an ordinary
//! result. Requests, bytes and time are bounded; when the manager has ended, a small part of the run's time
//! is waited for what is under way, and the rest is recorded as not answered.
//!
//! Keys count as verified only when they came with the plan. A repository's own list of keys comes
//! through the channel that is checked: what holds by it is observed.

mod ask;
mod detached;
mod judge;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, OnceCell, Semaphore, mpsc};
use tokio::time::timeout;
use url::Url;

use self::judge::Judge;
use super::artifact::last_segment;
use super::expect::Named;
use super::limits;
use super::lock;
use super::pipeline::Pipeline;
use crate::model::{Check, Event, Finding, Repository, Signing, Vouched};
use crate::protocol::{About, Protocol, Published};
use crate::verify::Digests;
use crate::verify::signatures::{KeyError, Keys, PublisherError, RootsError};

/// Why keys or roots of the plan cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// A key.
    #[error("a signing key cannot be used ({stated_in}): {source}")]
    Key {
        /// Where it is written.
        stated_in: String,
        /// What is wrong.
        #[source]
        source: KeyError,
    },
    /// A publisher's key.
    #[error("a publisher's key cannot be used ({stated_in}): {source}")]
    Publisher {
        /// Where it is written.
        stated_in: String,
        /// What is wrong.
        #[source]
        source: PublisherError,
    },
    /// The trust root.
    #[error(transparent)]
    Roots(RootsError),
}

/// What is asked about one artifact.
#[derive(Clone, Debug)]
struct Job {
    repository: String,
    named: Named,
    url: Url,
    digests: Digests,
    seen_before: bool,
}

impl Job {
    fn about(&self) -> About<'_> {
        let file = self.named.file.as_deref();
        About {
            name: &self.named.name,
            version: &self.named.version,
            file: Some(file.unwrap_or_else(|| last_segment(&self.url))),
        }
    }

    fn vouched(&self) -> Vouched {
        Vouched {
            repository: self.repository.clone(),
            name: self.named.name.clone(),
            version: self.named.version.clone(),
            sha256: self.digests.sha256.clone(),
            checks: Vec::new(),
            built: None,
            grade: None,
            published: None,
            claimed: None,
            seen_before: self.seen_before,
            recalled: None,
            unasked: None,
        }
    }
}

/// What is known of one repository in this matter.
#[derive(Debug, Default)]
struct Offer {
    /// Its own list of keys, once it was asked for; `None` where there is none.
    keys: OnceCell<Option<Keys>>,
    barren: AtomicU32,
    failures: AtomicU32,
    /// How often it was asked for the times of a package.
    histories: AtomicU32,
}

/// Files of a package that an index spoke of, by version.
type Known = HashMap<(String, String), HashMap<String, Vec<Published>>>;

/// The state of all this.
#[derive(Debug)]
pub(super) struct Vouching {
    judge: Judge,
    known: Mutex<Known>,
    offers: Mutex<HashMap<String, Arc<Offer>>>,
    queue: mpsc::UnboundedSender<u64>,
    waiting: Mutex<Option<mpsc::UnboundedReceiver<u64>>>,
    jobs: Mutex<Jobs>,
    settled: Notify,
    requests: AtomicU32,
    together: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Jobs {
    next: u64,
    open: HashMap<u64, Arc<Job>>,
    /// What turned out to contradict after it was released: it is not released again.
    refused: HashMap<Named, Finding>,
}

impl Vouching {
    pub(super) fn new(
        protocol: &'static dyn Protocol,
        signing: Signing,
        repositories: &[Repository],
    ) -> Result<Self, SigningError> {
        let (queue, waiting) = mpsc::unbounded_channel();
        Ok(Self {
            judge: Judge::new(protocol, signing, repositories)?,
            known: Mutex::default(),
            offers: Mutex::default(),
            queue,
            waiting: Mutex::new(Some(waiting)),
            jobs: Mutex::default(),
            settled: Notify::new(),
            requests: AtomicU32::new(0),
            together: Arc::new(Semaphore::new(limits::SIDE_TOGETHER)),
        })
    }

    /// Keeps what an index says of the versions of a package.
    pub(super) fn note(&self, repository: &str, name: &str, published: Vec<Published>) {
        if published.is_empty() {
            return;
        }
        let mut known = lock(&self.known);
        let of = known.entry((repository.to_owned(), name.to_owned()));
        let versions = of.or_default();
        for one in published {
            let files = versions.entry(one.version.clone()).or_default();
            // The last document that passed is the one that the manager works with.
            files.retain(|old| old.file != one.file);
            files.push(one);
        }
    }

    fn known(&self, repository: &str, about: About<'_>) -> Option<Published> {
        let known = lock(&self.known);
        let of = known.get(&(repository.to_owned(), about.name.to_owned()))?;
        let files = of.get(about.version)?;
        let fits = |one: &&Published| one.file.is_none() || one.file.as_deref() == about.file;
        files.iter().find(fits).cloned()
    }

    fn offer(&self, repository: &str) -> Arc<Offer> {
        let mut offers = lock(&self.offers);
        Arc::clone(offers.entry(repository.to_owned()).or_default())
    }

    /// Takes one of the requests that a run may make.
    fn may_ask(&self, offer: &Offer) -> Result<(), String> {
        if offer.failures.load(Ordering::Relaxed) >= limits::SIDE_FAILURES {
            return Err("the repository did not answer earlier questions".to_owned());
        }
        if self.requests.fetch_add(1, Ordering::Relaxed) >= limits::SIDE_REQUESTS {
            return Err("the run asked as much as a run may ask".to_owned());
        }
        Ok(())
    }

    fn end(&self, id: u64) -> Option<Arc<Job>> {
        let job = lock(&self.jobs).open.remove(&id);
        self.settled.notify_waiters();
        job
    }
}

impl Pipeline {
    /// Refuses what is known to contradict, as far as that is known without asking.
    pub(super) fn contradicted(
        &self,
        repository: &str,
        named: &Named,
        digests: &Digests,
    ) -> Result<(), Finding> {
        if let Some(finding) = lock(&self.vouching.jobs).refused.get(named) {
            return Err(finding.clone());
        }
        let about = About {
            name: &named.name,
            version: &named.version,
            file: named.file.as_deref(),
        };
        let Some(published) = self.vouching.known(repository, about) else {
            return Ok(());
        };
        let own = self.vouching.offer(repository);
        let own = own.keys.get().and_then(Option::as_ref);
        let judge = &self.vouching.judge;
        match judge.signature(repository, about, &published, own, digests) {
            Some(Err(finding)) => Err(finding),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    /// Notes a released artifact; what is asked about it does not hold it up.
    pub(super) fn vouch_for(
        &self,
        repository: &str,
        named: &Named,
        url: &Url,
        digests: &Digests,
        seen_before: bool,
    ) {
        let job = Job {
            repository: repository.to_owned(),
            named: named.clone(),
            url: url.clone(),
            digests: digests.clone(),
            seen_before,
        };
        let id = {
            let mut jobs = lock(&self.vouching.jobs);
            let id = jobs.next;
            jobs.next = id.wrapping_add(1);
            jobs.open.insert(id, Arc::new(job));
            id
        };
        // The receiver lives as long as the proxy serves.
        let _ = self.vouching.queue.send(id);
    }

    async fn settle(&self, id: u64, job: &Job) {
        let (vouched, findings) = self.learn_of(job).await;
        // What was given up at the end of the run has been reported.
        if self.vouching.end(id).is_none() {
            return;
        }
        self.events.event(Event::Vouched(vouched));
        for finding in findings {
            if finding.code.severity() == crate::model::Severity::Violation {
                let mut jobs = lock(&self.vouching.jobs);
                jobs.refused.insert(job.named.clone(), finding.clone());
            }
            self.events.found(&finding);
        }
    }

    /// The manager has ended: waits a little for what is under way, and says what was not answered.
    pub(super) async fn conclude(&self, run: Duration) {
        let (least, most) = limits::SIDE_GRACE;
        let grace = run / limits::SIDE_SHARE;
        let idle = async {
            loop {
                let settled = self.vouching.settled.notified();
                if lock(&self.vouching.jobs).open.is_empty() {
                    return;
                }
                settled.await;
            }
        };
        let _ = timeout(grace.clamp(least, most), idle).await;
        let left = std::mem::take(&mut lock(&self.vouching.jobs).open);
        for job in left.into_values() {
            let mut vouched = job.vouched();
            self.by_index(&job, &mut vouched);
            vouched.unasked = Some("the repository did not answer before the run ended".to_owned());
            self.events.event(Event::Vouched(vouched));
        }
    }

    /// What is known of an artifact without asking.
    fn by_index(&self, job: &Job, vouched: &mut Vouched) -> Option<Published> {
        let published = self.vouching.known(&job.repository, job.about())?;
        vouched.published.clone_from(&published.time);
        let judge = &self.vouching.judge;
        let about = job.about();
        let judged = judge.signature(&job.repository, about, &published, None, &job.digests);
        if let Some(Ok(check)) = judged {
            vouched.checks.push(check);
        }
        Some(published)
    }
}

/// Works off what was released, as long as the proxy serves.
pub(super) async fn work(pipeline: Arc<Pipeline>) {
    let Some(mut waiting) = lock(&pipeline.vouching.waiting).take() else {
        return;
    };
    while let Some(id) = waiting.recv().await {
        let Some(job) = lock(&pipeline.vouching.jobs).open.get(&id).cloned() else {
            continue;
        };
        let Ok(room) = Arc::clone(&pipeline.vouching.together)
            .acquire_owned()
            .await
        else {
            return;
        };
        let pipeline = Arc::clone(&pipeline);
        tokio::spawn(async move {
            pipeline.settle(id, &job).await;
            drop(room);
        });
    }
}

/// A check that could not be made.
fn unknown(proof: crate::model::Proof, reason: String) -> Check {
    Check {
        proof,
        standing: crate::model::Standing::Unknown,
        signer: None,
        time: None,
        reason: Some(reason),
    }
}
