//! The side requests about one artifact, and what comes of them.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::header::{ACCEPT, HeaderValue};
use http::{HeaderMap, StatusCode};
use tokio::time::timeout;
use url::Url;

use super::judge::both;
use super::{Job, Offer, limits, unknown};
use crate::model::{
    Check, Code, Finding, Grade, Integrity, Proof, Repository, Standing, Vouched, redact_url,
};
use crate::protocol::{Document, Published, Sources};
use crate::proxy::pipeline::Pipeline;
use crate::proxy::upstream::{self, Fetched};
use crate::store::Item;
use crate::verify::signatures::Keys;

/// What is said about one artifact, in this run or an earlier one.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    /// The answers of an earlier run, which stand in the place of questions: then nobody is asked.
    recalled: Option<BTreeMap<String, String>>,
    /// The answers of this run; an empty one says that it was not there.
    heard: BTreeMap<String, String>,
    /// Whether there was a question that the earlier run had no answer to.
    open: bool,
}

impl Hearing {
    fn recalling(recalled: BTreeMap<String, String>) -> Self {
        Self {
            recalled: Some(recalled),
            ..Self::default()
        }
    }
}

/// Whether something holds by what lies outside the repository.
fn is_shown(vouched: &Vouched) -> bool {
    let mut checks = vouched.checks.iter();
    checks.any(|check| check.standing == Standing::Verified)
}

/// An answer to a side request.
pub(super) enum Answer {
    Body(Bytes),
    /// It is not there, which is ordinary.
    Absent,
    /// Why there is none.
    Failed(String),
}

impl Pipeline {
    /// Says what there is to know about an artifact: by what was heard of these bytes in an earlier run,
    /// if that still verifies, or else by asking.
    pub(super) async fn learn_of(&self, job: &Job) -> (Vouched, Vec<Finding>) {
        let origin = self.repositories.all().iter();
        let mut origin = origin.filter(|one| one.id == job.repository);
        let origin = origin.next().map(|one| redact_url(&one.origin));
        let about = job.about();
        let item = Item {
            protocol: self.protocol.name(),
            origin: &origin.unwrap_or_default(),
            name: about.name,
            version: about.version,
            file: about.file.unwrap_or_default(),
        };
        let sha256 = &job.digests.sha256;
        let kept = self.ledger.recall(item, sha256, limits::HEARD_AGE);
        if let Some(heard) = kept.ok().flatten() {
            let mut hearing = Hearing::recalling(heard.answers);
            let (mut vouched, findings) = self.ask_about(job, &mut hearing).await;
            if findings.is_empty() && is_shown(&vouched) && !hearing.open {
                vouched.recalled = Some(heard.time);
                return (vouched, findings);
            }
        }
        let mut hearing = Hearing::default();
        let (vouched, findings) = self.ask_about(job, &mut hearing).await;
        if findings.is_empty() && is_shown(&vouched) && vouched.unasked.is_none() {
            // It only spares requests: a run does not fail because it could not be kept.
            let _ = self.ledger.keep_heard(item, sha256, hearing.heard);
        }
        (vouched, findings)
    }

    /// Asks what there is to know about an artifact.
    async fn ask_about(&self, job: &Job, hearing: &mut Hearing) -> (Vouched, Vec<Finding>) {
        let mut vouched = job.vouched();
        let mut findings = Vec::new();
        let known = self.by_index(job, &mut vouched);
        let mut repositories = self.repositories.all().iter();
        let Some(repository) = repositories.find(|one| one.id == job.repository) else {
            return (vouched, findings);
        };
        let offer = self.vouching.offer(&repository.id);
        let own = self.own_keys(repository, &offer).await;
        let published = self
            .published(job, repository, &offer, own, known, &mut vouched, hearing)
            .await;
        if let Some(published) = &published {
            if vouched.published.is_none() {
                vouched.published.clone_from(&published.time);
            }
            self.signatures(job, published, own, &mut vouched, &mut findings);
            if let Some(url) = &published.attestations {
                self.attestations(
                    job,
                    repository,
                    &offer,
                    own,
                    url,
                    &mut vouched,
                    &mut findings,
                    hearing,
                )
                .await;
            }
        }
        self.detached(job, &offer, &mut vouched, &mut findings, hearing)
            .await;
        self.compare_origin(job, repository, &mut vouched, &mut findings)
            .await;
        if vouched.published.is_none() {
            vouched.published = self.history(job, repository, &offer).await;
        }
        let proven = vouched.standing(Proof::Provenance) == Some(Standing::Verified);
        vouched.grade = match vouched.grade {
            // A workload's identity is one only when it is proven.
            Some(Grade::Workload) if !proven => Some(Grade::Unmarked),
            None if proven => Some(Grade::Workload),
            grade => grade,
        };
        findings.extend(self.downgraded(job, repository, &vouched));
        (vouched, findings)
    }

    /// The repository's own list of keys, where no other keys speak for it.
    async fn own_keys<'a>(&self, repository: &Repository, offer: &'a Offer) -> Option<&'a Keys> {
        let judge = &self.vouching.judge;
        if judge.has_keys(&repository.id) {
            return None;
        }
        let url = judge.signs.keys_address(&repository.base)?;
        let keys = offer.keys.get_or_init(|| async {
            match self
                .side_question(&url, "application/json", limits::SIDE_DOCUMENT, offer)
                .await
            {
                Answer::Body(body) => {
                    let stated = judge.signs.keys(&body).unwrap_or_default();
                    // One that is no key of a kind that is understood does not spoil the others.
                    Keys::read(&stated).ok().filter(|keys| !keys.is_empty())
                }
                Answer::Absent | Answer::Failed(_) => None,
            }
        });
        keys.await.as_ref()
    }

    /// What the repository says of that version: from the index that passed and, where that is worth a
    /// question, from the version's own document.
    #[expect(
        clippy::too_many_arguments,
        reason = "one question with all that it needs"
    )]
    async fn published(
        &self,
        job: &Job,
        repository: &Repository,
        offer: &Offer,
        own: Option<&Keys>,
        known: Option<Published>,
        vouched: &mut Vouched,
        hearing: &mut Hearing,
    ) -> Option<Published> {
        let judge = &self.vouching.judge;
        let signs = judge.has_keys(&repository.id) || own.is_some();
        let url = judge.signs.version_address(&repository.base, job.about());
        let Some(url) = url.filter(|_| signs) else {
            return known;
        };
        if offer.barren.load(Ordering::Relaxed) >= limits::SIDE_BARREN {
            vouched.unasked = Some("the repository marks none of its versions".to_owned());
            return known;
        }
        match self
            .question(
                hearing,
                &url,
                "application/json",
                limits::SIDE_DOCUMENT,
                offer,
            )
            .await
        {
            Answer::Body(body) => {
                let Some(read) = judge.signs.version(job.about(), &body) else {
                    vouched.unasked = Some("the version's document cannot be read".to_owned());
                    return known;
                };
                let marked = !read.signatures.is_empty()
                    || read.attestations.is_some()
                    || read.grade.is_some_and(|grade| grade > Grade::Unmarked);
                match marked {
                    true => offer.barren.store(0, Ordering::Relaxed),
                    false => {
                        offer.barren.fetch_add(1, Ordering::Relaxed);
                    }
                }
                vouched.grade = read.grade;
                vouched.claimed.clone_from(&read.source);
                Some(Published {
                    time: known.and_then(|known| known.time).or(read.time.clone()),
                    ..read
                })
            }
            Answer::Absent => {
                offer.barren.fetch_add(1, Ordering::Relaxed);
                known
            }
            Answer::Failed(reason) => {
                vouched.unasked = Some(reason);
                known
            }
        }
    }

    fn signatures(
        &self,
        job: &Job,
        published: &Published,
        own: Option<&Keys>,
        vouched: &mut Vouched,
        findings: &mut Vec<Finding>,
    ) {
        vouched.checks.clear();
        let (about, digests) = (job.about(), &job.digests);
        let judge = &self.vouching.judge;
        match judge.signature(&job.repository, about, published, own, digests) {
            Some(Ok(check)) => vouched.checks.push(check),
            Some(Err(finding)) => {
                vouched.checks.push(Check {
                    proof: Proof::RegistrySignature,
                    standing: Standing::Invalid,
                    signer: None,
                    time: None,
                    reason: Some(finding.message.clone()),
                });
                findings.push(finding);
            }
            None => {}
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one question with all that it needs"
    )]
    async fn attestations(
        &self,
        job: &Job,
        repository: &Repository,
        offer: &Offer,
        own: Option<&Keys>,
        stated: &Url,
        vouched: &mut Vouched,
        findings: &mut Vec<Finding>,
        hearing: &mut Hearing,
    ) {
        // Whatever host an index names, only the repository itself is asked, as its managers do.
        let mut url = repository.base.clone();
        url.set_path(stated.path());
        let judge = &self.vouching.judge;
        let kinds = judge.signs.attestation_kinds();
        let body = match self
            .question(hearing, &url, kinds, limits::ATTESTATIONS, offer)
            .await
        {
            Answer::Body(body) => body,
            Answer::Absent => {
                let reason = "the repository names an attestation and has none".to_owned();
                vouched.checks.push(unknown(Proof::Provenance, reason));
                return;
            }
            Answer::Failed(reason) => {
                vouched.checks.push(unknown(Proof::Provenance, reason));
                return;
            }
        };
        let Some(all) = judge.signs.attestations(&body) else {
            let reason = "the document of attestations cannot be read".to_owned();
            vouched.checks.push(unknown(Proof::Provenance, reason));
            return;
        };
        let claimed = vouched.claimed.clone();
        for attestation in &all {
            let (check, built, finding) = judge.attestation(
                &job.repository,
                job.about(),
                attestation,
                claimed.as_deref(),
                own,
                &job.digests,
            );
            vouched.checks.push(check);
            vouched.built = built.or(vouched.built.take());
            findings.extend(finding);
            // Each takes some time of the one thread that also serves artifacts.
            tokio::task::yield_now().await;
        }
    }

    /// A mirror's digests are those of its origin, unless a signature of the origin says so already.
    async fn compare_origin(
        &self,
        job: &Job,
        repository: &Repository,
        vouched: &mut Vouched,
        findings: &mut Vec<Finding>,
    ) {
        let signed = [
            Proof::RegistrySignature,
            Proof::PublishAttestation,
            Proof::PublisherSignature,
        ];
        let signed = signed.into_iter();
        let mut signed = signed.filter_map(|proof| vouched.standing(proof));
        if repository.origin == repository.base || signed.any(|it| it == Standing::Verified) {
            return;
        }
        let stated = match self.stated_by_origin(job, repository).await {
            Ok(Some(stated)) => stated,
            Ok(None) => {
                let reason = "the origin names no digest of it".to_owned();
                vouched.checks.push(unknown(Proof::Origin, reason));
                return;
            }
            Err(reason) => {
                vouched.checks.push(unknown(Proof::Origin, reason));
                return;
            }
        };
        let origin = redact_url(&repository.origin);
        let same = both(&job.digests).any(|digest| stated.accepts(digest));
        vouched.checks.push(Check {
            proof: Proof::Origin,
            standing: match same {
                true => Standing::Verified,
                false => Standing::Invalid,
            },
            signer: Some(origin.clone()),
            time: None,
            reason: None,
        });
        if !same {
            let named = &job.named;
            let message = format!(
                "the mirror `{}` serves other bytes than its origin states\n  {origin} states \
                 {stated}\n  the mirror sent {}",
                repository.id, job.digests.sha256
            );
            let subject = format!("{}@{}", named.name, named.version);
            let finding = Finding::new(Code::OriginDiffers, subject, message);
            findings.push(finding.with_hint(Code::OriginDiffers.remedy()));
        }
    }

    async fn stated_by_origin(
        &self,
        job: &Job,
        repository: &Repository,
    ) -> Result<Option<Integrity>, String> {
        let offer = self.vouching.offer(&format!("origin of {}", repository.id));
        let origin = &repository.origin;
        let signs = self.vouching.judge.signs;
        if let Some(url) = signs.version_address(origin, job.about()) {
            let kinds = "application/json";
            return match self
                .side_question(&url, kinds, limits::SIDE_DOCUMENT, &offer)
                .await
            {
                Answer::Body(body) => {
                    let read = signs.version(job.about(), &body);
                    let text = read.and_then(|read| read.integrity);
                    Ok(text.and_then(|text| Integrity::parse(&text).ok()))
                }
                Answer::Absent => Ok(None),
                Answer::Failed(reason) => Err(reason),
            };
        }
        let name = &job.named.name;
        let Some(url) = self.protocol.index_address(origin, name) else {
            return Err("the protocol has no comparison with an origin".to_owned());
        };
        let kinds = self.protocol.index_kinds();
        let body = match self
            .side_question(&url, kinds, self.protocol.index_limit(), &offer)
            .await
        {
            Answer::Body(body) => body,
            Answer::Absent => return Ok(None),
            Answer::Failed(reason) => return Err(reason),
        };
        let document = Document {
            name,
            url: &url,
            kind: self.protocol.index_kind(&body),
            body: &body,
            sources: Sources::Withheld,
        };
        let index = self
            .protocol
            .index(&document)
            .map_err(|error| error.to_string())?;
        let about = job.about();
        let mut all = index.expected.into_iter();
        let found = all.find(|one| one.file.as_deref() == about.file);
        Ok(found.and_then(|found| found.integrity))
    }

    /// When a version was published, where no index said so: asked of a few packages of a repository,
    /// because such documents are large.
    async fn history(&self, job: &Job, repository: &Repository, offer: &Offer) -> Option<String> {
        let signs = self.vouching.judge.signs;
        let url = signs.history_address(&repository.base, job.about())?;
        if offer.histories.fetch_add(1, Ordering::Relaxed) >= limits::SIDE_HISTORIES {
            return None;
        }
        match self
            .side_question(&url, "application/json", limits::SIDE_DOCUMENT, offer)
            .await
        {
            Answer::Body(body) => signs.history(job.about(), &body),
            Answer::Absent | Answer::Failed(_) => None,
        }
    }

    /// One question about an artifact, unless its answer is known.
    pub(super) async fn question(
        &self,
        hearing: &mut Hearing,
        url: &Url,
        kinds: &'static str,
        limit: u64,
        offer: &Offer,
    ) -> Answer {
        if let Some(recalled) = &hearing.recalled {
            return match recalled.get(url.as_str()).map(String::as_str) {
                Some("") => Answer::Absent,
                Some(answer) => Answer::Body(answer.to_owned().into()),
                None => {
                    hearing.open = true;
                    Answer::Failed("nothing was heard of it in an earlier run".to_owned())
                }
            };
        }
        let answer = self.side_question(url, kinds, limit, offer).await;
        let text = match &answer {
            Answer::Body(body) => std::str::from_utf8(body).ok(),
            Answer::Absent => Some(""),
            Answer::Failed(_) => None,
        };
        let address = url.to_string();
        hearing
            .heard
            .extend(text.map(|text| (address, text.to_owned())));
        answer
    }

    /// One side request within the bounds of the run.
    pub(super) async fn side_question(
        &self,
        url: &Url,
        kinds: &'static str,
        limit: u64,
        offer: &Offer,
    ) -> Answer {
        if let Err(reason) = self.vouching.may_ask(offer) {
            return Answer::Failed(reason);
        }
        let mut headers = upstream::headers(self.protocol, &HeaderMap::new());
        headers.insert(ACCEPT, HeaderValue::from_static(kinds));
        match timeout(limits::SIDE_TIME, self.document(url, headers, limit)).await {
            Ok(Ok(Fetched::Complete { body, .. })) => Answer::Body(body),
            Ok(Ok(Fetched::Failed { status, .. })) => {
                let passing = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
                if !passing {
                    return Answer::Absent;
                }
                offer.failures.fetch_add(1, Ordering::Relaxed);
                Answer::Failed(format!("the repository answered {status}"))
            }
            Ok(Err(finding)) => {
                if finding.code != Code::MetadataTooLarge {
                    offer.failures.fetch_add(1, Ordering::Relaxed);
                }
                let message = finding.message.lines().next().unwrap_or_default();
                Answer::Failed(format!("it could not be asked: {message}"))
            }
            Err(_elapsed) => {
                offer.failures.fetch_add(1, Ordering::Relaxed);
                Answer::Failed("the repository did not answer in time".to_owned())
            }
        }
    }

    /// An alarm where a version was published with less than an earlier one of the package.
    fn downgraded(&self, job: &Job, repository: &Repository, vouched: &Vouched) -> Option<Finding> {
        let grade = vouched.grade?;
        let item = crate::store::Graded {
            protocol: self.protocol.name(),
            origin: &redact_url(&repository.origin),
            name: &job.named.name,
            version: &job.named.version,
            published: vouched.published.as_deref(),
        };
        let stronger = match self.ledger.grade(item, grade) {
            Ok(stronger) => stronger?,
            Err(error) => return Some(crate::proxy::artifact::store(&error)),
        };
        let message = format!(
            "it is {}, while version {} was {} (noted at {})",
            grade.name(),
            stronger.version,
            stronger.grade.name(),
            stronger.time
        );
        let subject = format!("{}@{}", job.named.name, job.named.version);
        Some(
            Finding::new(Code::TrustDowngraded, subject, message)
                .with_hint(Code::TrustDowngraded.remedy()),
        )
    }
}
