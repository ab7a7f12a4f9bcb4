//! From a request to its answer, in named phases.
//!
//! classify → expected digest → merge → store → fetch → hash → compare → keep → ledger → look into
//! → answer. Called by the tunnel with an address that has one reading. The phases of
//! [artifacts](super::artifact) and [index documents](super::index) stand apart; here is what
//! chooses between them and what both need. Whatever no phase knows is refused.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;
use url::Url;

use super::ahead::Ahead;
use super::answer::Answer;
use super::beside::GivenOut;
use super::chain;
use super::events::Events;
use super::expect::{Expectations, Named};
use super::gzip::{self, GzipError};
use super::index::Belonging;
use super::leads::{Asker, Leads};
use super::lifecycle::Lives;
use super::limits;
use super::merge::Merge;
use super::reading::Reading;
use super::repositories::Repositories;
use super::sides::Kinds;
use super::upstream::{Ask, Collect, Fetched, Upstream, headers, is_gzip};
use super::vouching::Vouching;
use crate::model::Algorithm;
use crate::model::Code;
use crate::model::Event;
use crate::model::Finding;
use crate::model::redact_url;
use crate::protocol::Class;
use crate::protocol::Inspector;
use crate::protocol::Protocol;
use crate::protocol::Sources;
use crate::store::Blobs;
use crate::store::Ledger;

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
    /// Whether nothing but what the plan names may be released.
    pub(super) closed: bool,
    /// Whether indexes show sources.
    pub(super) sources: bool,
    /// Names of packages that were built of theirs.
    pub(super) built: Vec<String>,
    pub(super) given_out: GivenOut,
    pub(super) kinds: Kinds,
    pub(super) under_way: Merge<Result<Answer, Finding>>,
    pub(super) ahead: Ahead,
    pub(super) leads: Leads,
    pub(super) belonging: Belonging,
    pub(super) lives: Lives,
    pub(super) inspector: Arc<Inspector>,
    pub(super) reading: Reading,
    pub(super) vouching: Vouching,
}

/// What a request turned out to be.
#[derive(Debug)]
enum Task {
    Index(String),
    Metadata,
    Artifact(Option<Named>),
    SideFile(Url, Algorithm),
    Audit,
}

impl Pipeline {
    /// Answers a request. Every refusal and failure is also a finding.
    pub(super) async fn answer(self: &Arc<Self>, url: Url, request: Request<Incoming>) -> Answer {
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
                    identity(self.protocol.classify(method, &repository.base, url))
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
            class @ Class::Artifact { .. } if reads => Ok(Task::Artifact(identity(class))),
            Class::SideFile { of, algorithm } if reads => Ok(Task::SideFile(of, algorithm)),
            Class::Audit => Ok(Task::Audit),
            Class::Refused(reason) => Err(refused(&reason)),
            Class::Index { .. }
            | Class::Metadata
            | Class::Artifact { .. }
            | Class::SideFile { .. } => Err(refused("an install reads packages and changes none")),
        }
    }

    /// What is done about the sources of a package.
    pub(super) fn sources(&self, name: &str) -> Sources {
        match self.sources {
            true => Sources::Shown,
            false if self.built.iter().any(|built| built == name) => Sources::Built,
            false => Sources::Withheld,
        }
    }

    /// Which artifact an address names by itself.
    pub(super) fn named(&self, method: &Method, url: &Url) -> Option<Named> {
        let repository = self.repositories.of(url)?;
        identity(self.protocol.classify(method, &repository.base, url))
    }

    async fn read(
        self: &Arc<Self>,
        task: Task,
        url: &Url,
        headers: HeaderMap,
    ) -> Result<Answer, Finding> {
        match task {
            Task::Index(name) => {
                self.look_ahead(&name, &headers);
                self.index(&name, url, headers).await
            }
            Task::Metadata => self.metadata(url, headers).await,
            Task::Artifact(named) => {
                self.ask(url);
                let answer = self.artifact(named.as_ref(), url, headers).await?;
                if let Some(content) = answer.given() {
                    self.follow(url, content, Asker::Manager);
                }
                Ok(answer)
            }
            Task::SideFile(of, algorithm) => Ok(self.side_file(&of, algorithm)),
            Task::Audit => Err(Finding::new(Code::Internal, redact_url(url), "not a read")),
        }
    }

    async fn metadata(&self, url: &Url, headers: HeaderMap) -> Result<Answer, Finding> {
        match self.document(url, headers, limits::METADATA).await? {
            Fetched::Failed {
                status,
                headers,
                body,
            } => Ok(self.failed(url, status, &headers, body)),
            Fetched::Complete {
                url: from,
                headers,
                body,
            } => {
                self.give_out_plain(url, &body);
                self.served(&from, StatusCode::OK, &body);
                Ok(Answer::passed(StatusCode::OK, &headers, vec![body]))
            }
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
    pub(super) async fn document(
        &self,
        url: &Url,
        headers: HeaderMap,
        limit: u64,
    ) -> Result<Fetched<Bytes>, Finding> {
        let fetched = self.fetch(url, headers, limit, true, Vec::new).await?;
        let (url, mut headers, body) = match fetched.complete() {
            ControlFlow::Continue((url, headers, body)) => (url, headers, joined(body)),
            ControlFlow::Break(failed) => return Ok(failed),
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

    pub(super) async fn fetch<C: Collect>(
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
    pub(super) fn may_follow(&self, from: &Url, target: &Url) -> bool {
        let within = match (self.repositories.of(from), self.repositories.of(target)) {
            (Some(one), Some(other)) => one.id == other.id,
            _ => false,
        };
        within || self.expectations.at(target).is_some()
    }

    pub(super) fn failed(
        &self,
        url: &Url,
        status: StatusCode,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Answer {
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

    pub(super) fn served(&self, url: &Url, status: StatusCode, body: &Bytes) {
        self.served_at(url, status, body, None);
    }

    /// The same, with the repository's count of changes.
    pub(super) fn served_at(
        &self,
        url: &Url,
        status: StatusCode,
        body: &Bytes,
        serial: Option<String>,
    ) {
        self.events.event(Event::MetadataServed {
            repository: self.repository(url),
            url: redact_url(url),
            status: status.as_u16(),
            size: body.len() as u64,
            sha256: match status {
                StatusCode::OK => self.given_out.compared(url),
                _ => None,
            },
            serial,
        });
    }

    /// The repository's short name; the host for what only an anchor names.
    pub(super) fn repository(&self, url: &Url) -> String {
        match self.repositories.of(url) {
            Some(repository) => repository.id.clone(),
            None => url.host_str().unwrap_or_default().to_owned(),
        }
    }
}

/// Which artifact an address names by its own grammar, version included.
fn identity(class: Class) -> Option<Named> {
    let Class::Artifact {
        name,
        version,
        file,
    } = class
    else {
        return None;
    };
    let version = version?;
    Some(Named {
        name,
        version,
        file,
    })
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
