//! Artifacts: from what is promised to bytes that may be given out.
//!
//! Called by the [pipeline](super::pipeline) for what an address or an anchor says is an artifact.
//! The body reaches the manager only as [`crate::verify::Verified`] content that was looked into:
//! digest first, then first-seen ledger, then the form of the content and whose files it would
//! write. A file that only describes another is held to its digest and is no component.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use url::Url;

use super::answer::Answer;
use super::chain;
use super::expect::{Named, Promise};
use super::limits;
use super::pipeline::Pipeline;
use super::upstream::{Collect, Fetched};
use crate::model::Code;
use crate::model::Event;
use crate::model::Finding;
use crate::model::Released;
use crate::model::Source;
use crate::model::redact_url;
use crate::protocol::Artifact as Look;
use crate::protocol::ReadAt;
use crate::store::Content;
use crate::store::FirstSeen;
use crate::store::Item;
use crate::store::Spool;
use crate::store::StoreError;
use crate::verify::Digests;
use crate::verify::Hashing;
use crate::verify::Mismatch;

impl Pipeline {
    pub(super) async fn artifact(
        &self,
        named: Option<&Named>,
        url: &Url,
        headers: HeaderMap,
    ) -> Result<Answer, Finding> {
        if let Some(named) = named
            && let Some(answer) = self.withheld(named, url)?
        {
            return Ok(answer);
        }
        let promise = match self.expectations.promise(url, named) {
            Ok(promise) => promise,
            Err(missing) => return self.unpromised(missing, named, url, headers).await,
        };
        let promise = self.confirm(promise, named, url).await?;
        if !promise.describes {
            self.old_enough(&promise.named, url).await?;
        }
        let (content, digests, source) = match self.at_hand(&promise, url).await? {
            Some(found) => found,
            None => match self.download(&promise, url, headers).await? {
                Fetched::Complete { body, .. } => (body.0, body.1, Source::Network),
                Fetched::Failed {
                    status,
                    headers,
                    body,
                } => {
                    // Of several repositories one is asked after the other.
                    if self.states_beside(url) {
                        return Ok(self.failed(url, status, &headers, body));
                    }
                    let message = format!("the repository answered {status}");
                    self.events.found(&Finding::new(
                        Code::UpstreamFailed,
                        redact_url(url),
                        message,
                    ));
                    return Ok(Answer::passed(status, &headers, vec![body]));
                }
            },
        };
        self.release(promise, url, content, digests, source).await
    }

    /// Gives verified bytes out, if nothing else speaks against them.
    pub(super) async fn release(
        &self,
        promise: Promise,
        url: &Url,
        content: Content,
        digests: Digests,
        source: Source,
    ) -> Result<Answer, Finding> {
        let repository = self.origin(&promise, url);
        if promise.describes {
            self.events.event(Event::MetadataServed {
                repository,
                url: redact_url(url),
                status: StatusCode::OK.as_u16(),
                size: digests.size,
                sha256: None,
                serial: None,
            });
            return Ok(Answer::artifact(content));
        }
        let seen_before = !self.protocol.is_changing(&promise.named.version)
            && self.first_seen(&promise, url, &digests)?;
        self.contradicted(&repository, &promise.named, &digests)?;
        self.look_into(&promise.named, url, &content, &digests)
            .await?;
        self.vouch(url, &digests)?;
        let answer = self.give_out(url, &content, digests.clone());
        let answer = answer.map_err(|error| unwritten(&error))?;
        self.vouch_for(&repository, &promise.named, url, &digests, seen_before);
        self.remark(&promise.named);
        self.events.event(Event::Released(Released {
            repository,
            name: promise.named.name,
            version: promise.named.version,
            url: redact_url(url),
            size: digests.size,
            sha256: digests.sha256,
            sha512: digests.sha512,
            anchor: promise.anchor,
            source,
        }));
        Ok(answer)
    }

    /// Whose artifact it is: the repository it lies in, or else the one whose index named it.
    fn origin(&self, promise: &Promise, url: &Url) -> String {
        match (self.repositories.of(url), &promise.repository) {
            (None, Some(repository)) => repository.to_string(),
            (Some(_), _) | (None, None) => self.repository(url),
        }
    }

    /// What was fetched ahead and keeps every promise that is known by now, or is in the store.
    async fn at_hand(
        &self,
        promise: &Promise,
        url: &Url,
    ) -> Result<Option<(Content, Digests, Source)>, Finding> {
        if let Some((content, digests)) = self.ahead.artifact(url).await
            && promise.integrities.iter().all(|one| digests.keep(one))
        {
            return Ok(Some((content, digests, Source::Network)));
        }
        let stored = self.blobs.find(&promise.integrities);
        let stored = stored.map_err(|error| store(&error))?;
        Ok(stored.map(|(content, digests)| (content, digests, Source::Store)))
    }

    /// Fetches, hashes, compares and keeps.
    pub(super) async fn download(
        &self,
        promise: &Promise,
        url: &Url,
        headers: HeaderMap,
    ) -> Result<Fetched<(Content, Digests)>, Finding> {
        let limit = self.protocol.artifact_limit();
        let start = || {
            Artifact(Hashing::new(
                Spool::new(self.blobs.directory()),
                &promise.integrities,
            ))
        };
        let fetched = self.fetch(url, headers, limit, false, start).await?;
        let (url, headers, Artifact(hashing)) = match fetched.complete() {
            ControlFlow::Continue(complete) => complete,
            ControlFlow::Break(failed) => return Ok(failed),
        };
        let verified = hashing
            .finish()
            .verify(&promise.integrities)
            .map_err(|mismatch| differs(promise, &url, &mismatch))?;
        let kept = self.blobs.keep(verified, &promise.integrities);
        let body = kept.map_err(|error| store(&error))?;
        Ok(Fetched::Complete { url, headers, body })
    }

    /// What the manager waits for, while the proxy's own thread goes on serving.
    async fn look_into(
        &self,
        named: &Named,
        url: &Url,
        content: &Content,
        digests: &Digests,
    ) -> Result<(), Finding> {
        self.examine(named, url, content, digests).await?;
        let artifact = look(named, url);
        let tell = &mut |event| {
            if let Event::Found(finding) = &event {
                self.events.found(finding);
            } else {
                self.events.event(event);
            }
        };
        let sha256 = &digests.sha256;
        let found = read(content, |content| {
            self.inspector.look(&artifact, content, sha256, tell)
        });
        found.map_err(|finding| *finding)
    }

    /// Reads what is in an artifact ahead of that look, which then has nothing left to read. What is
    /// small is not worth the way to the other thread.
    pub(super) async fn examine(
        &self,
        named: &Named,
        url: &Url,
        content: &Content,
        digests: &Digests,
    ) -> Result<(), Finding> {
        let has_content = self.protocol.inspects(look(named, url).file);
        if !has_content || digests.size < limits::READ_HERE {
            return Ok(());
        }
        let (inspector, content) = (Arc::clone(&self.inspector), content.clone());
        let (sha256, named, at) = (digests.sha256.clone(), named.clone(), url.clone());
        let read = self.reading.of(move || {
            read(&content, |content| {
                inspector.examine(&look(&named, &at), content, &sha256);
            });
        });
        read.await.ok_or_else(|| {
            let subject = redact_url(url);
            Finding::new(Code::Internal, subject, "the look into it was lost")
        })
    }

    /// Whether it was seen before. That something else was is a refusal.
    fn first_seen(&self, promise: &Promise, url: &Url, digests: &Digests) -> Result<bool, Finding> {
        let named = &promise.named;
        let by_index = || {
            let id = promise.repository.as_deref()?;
            let mut all = self.repositories.all().iter();
            all.find(|repository| repository.id == id)
        };
        let origin = match self.repositories.of(url).or_else(by_index) {
            Some(repository) => redact_url(&repository.origin),
            None => url.origin().ascii_serialization(),
        };
        let item = Item {
            protocol: self.protocol.name(),
            origin: &origin,
            name: &named.name,
            version: &named.version,
            file: named.file.as_deref().unwrap_or_else(|| last_segment(url)),
        };
        match self
            .ledger
            .check(item, digests)
            .map_err(|error| store(&error))?
        {
            FirstSeen::New => Ok(false),
            FirstSeen::Same => Ok(true),
            FirstSeen::Changed(entry) => Err(Finding::new(
                Code::DigestChanged,
                format!("{}@{}", named.name, named.version),
                format!(
                    "the digest is another than when it was first seen at {} by run {}\n  \
                     first seen {}\n  now {}",
                    entry.time, entry.first_seen_by, entry.digest, digests.sha256
                ),
            )
            .with_hint(Code::DigestChanged.remedy())),
        }
    }
}

fn look<'a>(named: &'a Named, url: &'a Url) -> Look<'a> {
    Look {
        name: Some(&named.name),
        version: Some(&named.version),
        file: named.file.as_deref().unwrap_or_else(|| last_segment(url)),
    }
}

fn read<T>(content: &Content, look: impl FnOnce(&dyn ReadAt) -> T) -> T {
    match content {
        // Content in memory is small.
        Content::Memory(pieces) => look(&pieces.concat()),
        Content::File(file, _) => look(file.as_ref()),
    }
}

pub(super) fn last_segment(url: &Url) -> &str {
    url.path().rsplit('/').next().unwrap_or_default()
}

/// One try at an artifact.
pub(super) struct Artifact(pub(super) Hashing<Spool>);

impl Collect for Artifact {
    fn piece(&mut self, piece: Bytes) -> Result<(), Finding> {
        self.0.push(piece).map_err(|error| unwritten(&error))
    }
}

fn unwritten(error: &io::Error) -> Finding {
    let reason = format!("cannot write to the store: {}", chain(error));
    Finding::new(Code::StoreFailed, "store", reason).with_hint(Code::StoreFailed.remedy())
}

fn differs(promise: &Promise, url: &Url, mismatch: &Mismatch) -> Finding {
    let expected = mismatch
        .promised
        .as_ref()
        .map_or_else(|| "nothing".to_owned(), ToString::to_string);
    let computed = mismatch
        .computed
        .as_ref()
        .map_or_else(|| "nothing".to_owned(), ToString::to_string);
    Finding::new(
        Code::IntegrityMismatch,
        format!("{}@{}", promise.named.name, promise.named.version),
        format!(
            "{} sent {} bytes that are not what was promised by {}\n  expected {expected}\n  \
             computed {computed}",
            redact_url(url),
            mismatch.size,
            promise.stated
        ),
    )
    .with_hint(Code::IntegrityMismatch.remedy())
}

pub(super) fn store(error: &StoreError) -> Finding {
    Finding::new(
        Code::StoreFailed,
        "store",
        format!("cannot write to the store: {}", chain(error)),
    )
    .with_hint(Code::StoreFailed.remedy())
}
