//! From a request to its answer, in named phases.
//!
//! classify → expected digest → merge → store → fetch → hash → compare → keep → ledger → answer.
//! Called by the tunnel with an address that has one reading. The body of an artifact reaches the
//! manager only as [`crate::verify::Verified`] content; an index document passes unchanged, after
//! the digests that it names were read. Whatever no phase knows is refused.

use std::io;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;
use url::Url;

use super::answer::Answer;
use super::chain;
use super::events::Events;
use super::expect::{Expectations, Promise};
use super::gzip::{self, GzipError};
use super::limits;
use super::merge::Merge;
use super::repositories::Repositories;
use super::upstream::{Ask, Collect, Fetched, Upstream, headers, is_gzip};
use crate::model::Code;
use crate::model::Event;
use crate::model::Finding;
use crate::model::Released;
use crate::model::Source;
use crate::model::redact_url;
use crate::protocol::Class;
use crate::protocol::Protocol;
use crate::store::Blobs;
use crate::store::Content;
use crate::store::FirstSeen;
use crate::store::Item;
use crate::store::Ledger;
use crate::store::Spool;
use crate::store::StoreError;
use crate::verify::Digests;
use crate::verify::Hashing;
use crate::verify::Mismatch;

/// Everything that the phases need.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) protocol: &'static dyn Protocol,
    pub(super) repositories: Repositories,
    pub(super) expectations: Expectations,
    pub(super) upstream: Upstream,
    pub(super) blobs: Blobs,
    pub(super) ledger: Ledger,
    pub(super) events: Events,
    pub(super) audit: bool,
    pub(super) under_way: Merge<Result<Answer, Finding>>,
}

/// What a request turned out to be.
#[derive(Debug)]
enum Task {
    Index(String),
    Metadata,
    Artifact(Option<(String, String)>),
    Audit,
}

impl Pipeline {
    /// Answers a request. Every refusal and failure is also a finding.
    pub(super) async fn answer(&self, url: Url, request: Request<Incoming>) -> Answer {
        let outcome = match self.classify(request.method(), &url) {
            Ok(Task::Audit) => self.audit(&url, request).await,
            Ok(task) => {
                let headers = headers(self.protocol, request.headers());
                let key = format!("{:?} {url}", headers.get(ACCEPT));
                self.under_way
                    .run(key, || self.read(task, &url, headers))
                    .await
            }
            Err(finding) => Err(finding),
        };
        outcome.unwrap_or_else(|finding| {
            self.events.found(&finding);
            Answer::finding(&finding)
        })
    }

    /// Whether a tunnel to that host and port may be made.
    pub(super) fn may_reach(&self, host: &str, port: u16) -> bool {
        self.repositories.at_host(host, port) || self.expectations.names_host(host, port)
    }

    fn classify(&self, method: &Method, url: &Url) -> Result<Task, Finding> {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        if reads {
            // Before the grammar: what an anchor names by address is held to its digest.
            if let Some(named) = self.expectations.at(url) {
                // Where the address says whose it is, no index of another package does.
                let own = self.repositories.of(url).and_then(|repository| {
                    match self.protocol.classify(method, &repository.base, url) {
                        Class::Artifact { name, version } => Some((name, version?)),
                        Class::Index { .. }
                        | Class::Metadata
                        | Class::Audit
                        | Class::Refused(_) => None,
                    }
                });
                return Ok(Task::Artifact(Some(own.unwrap_or(named))));
            }
        }
        let refused = |reason: &str| {
            let message = format!("`{method}` is refused: {reason}");
            Finding::new(Code::RequestRefused, redact_url(url), message)
        };
        let Some(repository) = self.repositories.of(url) else {
            return Err(refused(
                "the address is not below a repository, and no anchor names it",
            ));
        };
        match self.protocol.classify(method, &repository.base, url) {
            Class::Index { name } if reads => Ok(Task::Index(name)),
            Class::Metadata if reads => Ok(Task::Metadata),
            Class::Artifact { name, version } if reads => {
                Ok(Task::Artifact(version.map(|version| (name, version))))
            }
            Class::Audit => Ok(Task::Audit),
            Class::Refused(reason) => Err(refused(&reason)),
            Class::Index { .. } | Class::Metadata | Class::Artifact { .. } => {
                Err(refused("an install reads packages and changes none"))
            }
        }
    }

    async fn read(&self, task: Task, url: &Url, headers: HeaderMap) -> Result<Answer, Finding> {
        match task {
            Task::Index(name) => self.index(&name, url, headers).await,
            Task::Metadata => self.metadata(url, headers).await,
            Task::Artifact(named) => self.artifact(named, url, headers).await,
            Task::Audit => Err(Finding::new(Code::Internal, redact_url(url), "not a read")),
        }
    }

    async fn index(&self, name: &str, url: &Url, headers: HeaderMap) -> Result<Answer, Finding> {
        match self
            .document(url, headers, self.protocol.index_limit())
            .await?
        {
            Fetched::Failed {
                status,
                headers,
                body,
            } => Ok(self.failed(url, status, &headers, body)),
            Fetched::Complete { url, headers, body } => {
                self.learn(name, &url, &body)?;
                self.served(&url, StatusCode::OK, &body);
                Ok(Answer::passed(StatusCode::OK, &headers, vec![body]))
            }
        }
    }

    /// Takes the digests that an index document names into the expectations.
    fn learn(&self, name: &str, url: &Url, body: &[u8]) -> Result<(), Finding> {
        let malformed = |message: String| {
            Finding::new(Code::IndexMalformed, redact_url(url), message)
                .with_hint(Code::IndexMalformed.remedy())
        };
        let expected = self
            .protocol
            .expectations(url, body)
            .map_err(|error| malformed(error.to_string()))?;
        if let Some(other) = expected.iter().find(|expected| expected.name != name) {
            return Err(malformed(format!(
                "the index of `{name}` is one of `{}`",
                other.name
            )));
        }
        if let Some(conflict) = self.expectations.conflict(&expected) {
            return Err(conflict);
        }
        self.expectations.add(expected);
        Ok(())
    }

    async fn metadata(&self, url: &Url, headers: HeaderMap) -> Result<Answer, Finding> {
        match self.document(url, headers, limits::METADATA).await? {
            Fetched::Failed {
                status,
                headers,
                body,
            } => Ok(self.failed(url, status, &headers, body)),
            Fetched::Complete { url, headers, body } => {
                self.served(&url, StatusCode::OK, &body);
                Ok(Answer::passed(StatusCode::OK, &headers, vec![body]))
            }
        }
    }

    async fn artifact(
        &self,
        named: Option<(String, String)>,
        url: &Url,
        headers: HeaderMap,
    ) -> Result<Answer, Finding> {
        let named = named
            .as_ref()
            .map(|(name, version)| (name.as_str(), version.as_str()));
        let promise = self.expectations.promise(url, named)?;
        let stored = self
            .blobs
            .find(&promise.integrities)
            .map_err(|error| store(&error))?;
        let (content, digests, source) = match stored {
            Some((content, digests)) => (content, digests, Source::Store),
            None => match self.download(&promise, url, headers).await? {
                Ok((content, digests)) => (content, digests, Source::Network),
                Err(failed) => return Ok(failed),
            },
        };
        self.first_seen(&promise, url, &digests)?;
        self.events.event(Event::Released(Released {
            repository: self.repository(url),
            name: promise.name,
            version: promise.version,
            url: redact_url(url),
            size: digests.size,
            sha256: digests.sha256,
            sha512: digests.sha512,
            anchor: promise.anchor,
            source,
        }));
        Ok(Answer::artifact(content))
    }

    /// Fetches, hashes, compares and keeps. The inner error is the repository's own refusal.
    async fn download(
        &self,
        promise: &Promise,
        url: &Url,
        headers: HeaderMap,
    ) -> Result<Result<(Content, Digests), Answer>, Finding> {
        let limit = self.protocol.artifact_limit();
        let start = || {
            Artifact(Hashing::new(
                Spool::new(self.blobs.directory()),
                &promise.integrities,
            ))
        };
        match self.fetch(url, headers, limit, false, start).await? {
            Fetched::Failed {
                status,
                headers,
                body,
            } => {
                let message = format!("the repository answered {status}");
                self.events.found(&Finding::new(
                    Code::UpstreamFailed,
                    redact_url(url),
                    message,
                ));
                Ok(Err(Answer::passed(status, &headers, vec![body])))
            }
            Fetched::Complete {
                url,
                body: Artifact(hashing),
                ..
            } => {
                let verified = hashing
                    .finish()
                    .verify(&promise.integrities)
                    .map_err(|mismatch| differs(promise, &url, &mismatch))?;
                let kept = self.blobs.keep(verified, &promise.integrities);
                kept.map(Ok).map_err(|error| store(&error))
            }
        }
    }

    fn first_seen(&self, promise: &Promise, url: &Url, digests: &Digests) -> Result<(), Finding> {
        let repository = self.repositories.of(url);
        let origin = match repository {
            Some(repository) => redact_url(&repository.origin),
            None => url.origin().ascii_serialization(),
        };
        let item = Item {
            protocol: self.protocol.name(),
            origin: &origin,
            name: &promise.name,
            version: &promise.version,
            file: url.path().rsplit('/').next().unwrap_or_default(),
        };
        match self
            .ledger
            .check(item, digests)
            .map_err(|error| store(&error))?
        {
            FirstSeen::New | FirstSeen::Same => Ok(()),
            FirstSeen::Changed(entry) => Err(Finding::new(
                Code::DigestChanged,
                format!("{}@{}", promise.name, promise.version),
                format!(
                    "the digest is another than when it was first seen at {} by run {}\n  \
                     first seen {}\n  now {}",
                    entry.time, entry.first_seen_by, entry.digest, digests.sha512
                ),
            )
            .with_hint(Code::DigestChanged.remedy())),
        }
    }

    async fn audit(&self, url: &Url, request: Request<Incoming>) -> Result<Answer, Finding> {
        if !self.audit {
            let text = "v4run: audit calls are switched off for this run\n".to_owned();
            return Ok(Answer::text(StatusCode::FORBIDDEN, text));
        }
        let (parts, body) = request.into_parts();
        let body = timeout(
            limits::AUDIT_TIME,
            Limited::new(body, limits::AUDIT).collect(),
        )
        .await;
        let Ok(Ok(body)) = body else {
            let message = "the audit request is too large or did not come in time";
            return Err(Finding::new(Code::RequestRefused, redact_url(url), message));
        };
        let mut headers = headers(self.protocol, &parts.headers);
        for name in [CONTENT_TYPE, CONTENT_ENCODING] {
            if let Some(value) = parts.headers.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        let ask = Ask {
            method: Method::POST,
            url: url.clone(),
            headers,
            body: body.to_bytes(),
            limit: limits::METADATA,
            gzip: false,
        };
        let fetched = self
            .upstream
            .fetch(&ask, |target| self.may_follow(url, target), Vec::new)
            .await?;
        match fetched {
            Fetched::Failed {
                status,
                headers,
                body,
            } => Ok(Answer::passed(status, &headers, vec![body])),
            Fetched::Complete { headers, body, .. } => {
                Ok(Answer::passed(StatusCode::OK, &headers, body))
            }
        }
    }

    /// Fetches a document as a whole, in plain.
    async fn document(
        &self,
        url: &Url,
        headers: HeaderMap,
        limit: u64,
    ) -> Result<Fetched<Bytes>, Finding> {
        let fetched = self.fetch(url, headers, limit, true, Vec::new).await?;
        let (url, mut headers, body) = match fetched {
            Fetched::Complete { url, headers, body } => (url, headers, joined(body)),
            Fetched::Failed {
                status,
                headers,
                body,
            } => {
                return Ok(Fetched::Failed {
                    status,
                    headers,
                    body,
                });
            }
        };
        let body = if is_gzip(&headers) {
            headers.remove(CONTENT_ENCODING);
            gzip::plain(&body, limit).map_err(|error| {
                let code = match error {
                    GzipError::TooLarge(_) => Code::MetadataTooLarge,
                    GzipError::Damaged(_) => Code::IndexMalformed,
                };
                Finding::new(code, redact_url(&url), chain(&error))
            })?
        } else {
            body
        };
        Ok(Fetched::Complete { url, headers, body })
    }

    async fn fetch<C: Collect>(
        &self,
        url: &Url,
        headers: HeaderMap,
        limit: u64,
        gzip: bool,
        start: impl Fn() -> C,
    ) -> Result<Fetched<C>, Finding> {
        let (method, url) = (Method::GET, url.clone());
        let ask = Ask {
            method,
            url,
            headers,
            body: Bytes::new(),
            limit,
            gzip,
        };
        self.upstream
            .fetch(&ask, |target| self.may_follow(&ask.url, target), start)
            .await
    }

    /// Within one repository on one host, or to an address that an anchor names.
    fn may_follow(&self, from: &Url, target: &Url) -> bool {
        let within = match (self.repositories.of(from), self.repositories.of(target)) {
            (Some(one), Some(other)) => one.id == other.id,
            _ => false,
        };
        within || self.expectations.at(target).is_some()
    }

    fn failed(&self, url: &Url, status: StatusCode, headers: &HeaderMap, body: Bytes) -> Answer {
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            let message = format!("the repository answered {status}");
            self.events.found(&Finding::new(
                Code::UpstreamFailed,
                redact_url(url),
                message,
            ));
        }
        self.served(url, status, &body);
        Answer::passed(status, headers, vec![body])
    }

    fn served(&self, url: &Url, status: StatusCode, body: &Bytes) {
        self.events.event(Event::MetadataServed {
            repository: self.repository(url),
            url: redact_url(url),
            status: status.as_u16(),
            size: body.len() as u64,
        });
    }

    /// The repository's short name; the host for what only an anchor names.
    fn repository(&self, url: &Url) -> String {
        match self.repositories.of(url) {
            Some(repository) => repository.id.clone(),
            None => url.host_str().unwrap_or_default().to_owned(),
        }
    }
}

/// One try at an artifact.
struct Artifact(Hashing<Spool>);

impl Collect for Artifact {
    fn piece(&mut self, piece: Bytes) -> Result<(), Finding> {
        self.0.push(piece).map_err(|error: io::Error| {
            let reason = format!("cannot write to the store: {}", chain(&error));
            Finding::new(Code::StoreFailed, "store", reason).with_hint(Code::StoreFailed.remedy())
        })
    }
}

fn joined(pieces: Vec<Bytes>) -> Bytes {
    let mut pieces = pieces.into_iter();
    match (pieces.next(), pieces.as_slice()) {
        (None, _) => Bytes::new(),
        (Some(only), []) => only,
        (Some(first), rest) => {
            let size = rest
                .iter()
                .map(Bytes::len)
                .sum::<usize>()
                .saturating_add(first.len());
            let mut whole = BytesMut::with_capacity(size);
            whole.extend_from_slice(&first);
            for piece in rest {
                whole.extend_from_slice(piece);
            }
            whole.freeze()
        }
    }
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
        format!("{}@{}", promise.name, promise.version),
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

fn store(error: &StoreError) -> Finding {
    Finding::new(
        Code::StoreFailed,
        "store",
        format!("cannot write to the store: {}", chain(error)),
    )
    .with_hint(Code::StoreFailed.remedy())
}
