//! Questions that v4run itself has to a repository: a client without a manager behind it.
//!
//! Used by `v4run probe`, in a process that is confined like the proxy. It asks through the same
//! verifying client as an install (trust anchors, allowed addresses, HTTP proxy, credentials), each
//! question once: no second try, no redirect. One kind of question goes without TLS and without
//! credentials, to see it refused. What an answer means is decided by who asks.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{
    ACCEPT, CONTENT_TYPE, LOCATION, STRICT_TRANSPORT_SECURITY, USER_AGENT, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Runtime;
use url::Url;

use super::events::Events;
use super::repositories::Repositories;
use super::upstream::{
    AGENT, Ask, Collect, Connector, Fetched, Older, Unprotected, Upstream, older, unprotected,
};
use super::{ProxyError, forward};
use crate::model::{Algorithm, Digest, Finding, Network};
use crate::verify::tls::self_test;

/// Beginning of a body that is looked at.
const HEAD: usize = 256 * 1024;
/// Most of a body that is read.
const BODY: u64 = 4 * 1024 * 1024;

/// One question.
#[derive(Clone, Debug)]
pub struct Question {
    /// Address, https or, to see it refused, http.
    pub url: Url,
    /// Body of a `POST`; a `GET` without one.
    pub body: Option<Vec<u8>>,
    /// Whether the credentials of the repository stay at home.
    pub anonymous: bool,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Status, where there was an answer.
    pub status: Option<u16>,
    /// `Content-Type`.
    pub kind: String,
    /// `Location`.
    pub location: String,
    /// Whether it asked for a credential.
    pub challenged: bool,
    /// Whether it said that it wants TLS always.
    pub strict: bool,
    /// The beginning of the body.
    pub body: Vec<u8>,
    /// SHA-256 of as much of the body as was read.
    pub sha256: Option<Digest>,
    /// Nobody listens for requests without TLS, or closes at once.
    pub closed: bool,
    /// Why there is no answer.
    pub trouble: Option<String>,
}

/// A client for questions.
#[derive(Debug)]
pub struct Inquiry {
    runtime: Runtime,
    repositories: Repositories,
    connector: Connector,
    own: Upstream,
    anonymous: Upstream,
}

/// The beginning of a body, also of one that is too long.
#[derive(Clone, Debug, Default)]
struct Head(Arc<Mutex<(Vec<u8>, Sha256)>>);

impl Collect for Head {
    fn piece(&mut self, piece: Bytes) -> Result<(), Finding> {
        let mut head = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = HEAD.saturating_sub(head.0.len());
        head.0.extend(piece.iter().take(room));
        head.1.update(&piece);
        Ok(())
    }
}

impl Head {
    fn take(&self) -> (Vec<u8>, Option<Digest>) {
        let head = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = Digest::new(Algorithm::Sha256, head.1.clone().finalize().to_vec());
        (head.0.clone(), digest.ok())
    }
}

impl Inquiry {
    /// For the repositories of a plan. Proves the certificate checks first.
    pub fn new(network: &Network) -> Result<Self, ProxyError> {
        self_test().map_err(ProxyError::SelfTest)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(ProxyError::Io)?;
        let forward = forward(network)?;
        let repositories = Repositories::new(network.repositories.clone());
        let mut nameless = network.repositories.clone();
        for repository in &mut nameless {
            repository.credential = None;
        }
        let connector = Connector::new(
            repositories.clone(),
            forward,
            network.extra_anchors.clone(),
            Events::unheard(),
        );
        Ok(Self {
            own: Upstream::new(connector.clone(), repositories.clone()),
            anonymous: Upstream::new(connector.clone(), Repositories::new(nameless)),
            runtime,
            repositories,
            connector,
        })
    }

    /// Asks once.
    pub fn ask(&self, question: &Question) -> Answer {
        self.runtime.block_on(async {
            match question.url.scheme() {
                "https" => self.protected(question).await,
                _ => self.unprotected(&question.url).await,
            }
        })
    }

    async fn protected(&self, question: &Question) -> Answer {
        let mut headers = HeaderMap::from_iter([
            (ACCEPT, HeaderValue::from_static("*/*")),
            (USER_AGENT, HeaderValue::from_static(AGENT)),
        ]);
        if question.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let ask = Ask {
            method: match question.body {
                Some(_) => Method::POST,
                None => Method::GET,
            },
            url: question.url.clone(),
            headers,
            body: question.body.clone().unwrap_or_default().into(),
            limit: BODY,
            gzip: false,
        };
        let client = match question.anonymous {
            true => &self.anonymous,
            false => &self.own,
        };
        let head = Head::default();
        match client.try_once(&ask, || head.clone()).await {
            Ok(Fetched::Complete { headers, body, .. }) => {
                let (body, sha256) = body.take();
                Answer {
                    body,
                    sha256,
                    ..answer(StatusCode::OK, &headers)
                }
            }
            Ok(Fetched::Failed {
                status,
                headers,
                body,
            }) => with_body(answer(status, &headers), &body),
            Err(finding) => Answer {
                body: head.take().0,
                trouble: Some(finding.message),
                ..Answer::default()
            },
        }
    }

    /// Greets the repository with a version of TLS below 1.2. What was chosen, nothing where it was
    /// refused, or why that cannot be told.
    pub fn older(&self, url: &Url) -> Result<Option<String>, String> {
        let private = self.may_be_private(url);
        match self.runtime.block_on(older(&self.connector, url, private)) {
            Older::Taken(version) => Ok(Some(version)),
            Older::Refused => Ok(None),
            Older::Unclear(reason) => Err(reason),
        }
    }

    /// Whether an address is on the host of a repository that may lie inside: another port of it too.
    fn may_be_private(&self, url: &Url) -> bool {
        self.repositories.all().iter().any(|repository| {
            repository.may_be_private && repository.base.host_str() == url.host_str()
        })
    }

    async fn unprotected(&self, url: &Url) -> Answer {
        let private = self.may_be_private(url);
        match unprotected(&self.connector, url, private).await {
            Unprotected::Refused | Unprotected::Closed => Answer {
                closed: true,
                ..Answer::default()
            },
            Unprotected::Answered(status, headers, body) => {
                with_body(answer(status, &headers), &body)
            }
            Unprotected::Unclear(trouble) => Answer {
                trouble: Some(trouble),
                ..Answer::default()
            },
        }
    }

    /// Whether every certificate so far led to an anchor of the public web.
    pub fn is_public(&self) -> bool {
        self.connector.is_public()
    }
}

fn answer(status: StatusCode, headers: &HeaderMap) -> Answer {
    let text = |name: HeaderName| {
        let value = headers.get(name);
        let text = value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        text.unwrap_or_default()
    };
    Answer {
        status: Some(status.as_u16()),
        kind: text(CONTENT_TYPE),
        location: text(LOCATION),
        challenged: headers.contains_key(WWW_AUTHENTICATE),
        strict: headers.contains_key(STRICT_TRANSPORT_SECURITY),
        ..Answer::default()
    }
}

fn with_body(answer: Answer, body: &[u8]) -> Answer {
    Answer {
        body: body.to_vec(),
        sha256: Digest::new(Algorithm::Sha256, Sha256::digest(body).to_vec()).ok(),
        ..answer
    }
}
