//! Towards the repositories: fetching with bounds, retries and the redirect rules.
//!
//! Called by the pipeline with an address that is already allowed. Sends two headers of the
//! manager's request and the credential of the repository that the address belongs to, nothing
//! else. A body is complete or it is an error. What the bytes are worth is decided elsewhere.
//!
//! RFC 9110 (retries of idempotent requests, `Retry-After`, redirects).

mod address;
mod connector;
mod forward;
mod names;
mod older;
mod plain;
mod pool;

use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, LOCATION, RETRY_AFTER, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::time::{sleep, timeout};
use url::Url;

pub(super) use connector::Connector;
pub(super) use forward::{Forward, ForwardError};
pub(super) use older::{Older, older};
pub(super) use plain::{Unprotected, unprotected};

#[cfg(any(test, feature = "fuzz"))]
pub(super) use self::pool::http1_client;
use self::pool::{Lease, Message, Pool, SendError};
use super::chain;
use super::limits;
use super::repositories::Repositories;
use crate::model::Code;
use crate::model::Finding;
use crate::model::redact_url;
use crate::protocol::Protocol;

/// How v4run names itself to a repository.
pub(super) const AGENT: &str = concat!("v4run/", env!("CARGO_PKG_VERSION"));

/// One request.
#[derive(Debug)]
pub(super) struct Ask {
    /// Method; only `GET` is ever repeated.
    pub(super) method: Method,
    /// Address.
    pub(super) url: Url,
    /// Headers to send: already reduced to what may pass.
    pub(super) headers: HeaderMap,
    /// Body of an audit request.
    pub(super) body: Bytes,
    /// Most bytes of a successful answer's body.
    pub(super) limit: u64,
    /// Whether the body may come compressed; the caller then reads `content-encoding`.
    pub(super) gzip: bool,
}

/// Takes the pieces of one try's body.
pub(super) trait Collect: Sized {
    /// Takes the next piece.
    fn piece(&mut self, piece: Bytes) -> Result<(), Finding>;
}

/// Pieces in memory.
impl Collect for Vec<Bytes> {
    fn piece(&mut self, piece: Bytes) -> Result<(), Finding> {
        self.push(piece);
        Ok(())
    }
}

/// What came back.
#[derive(Debug)]
pub(super) enum Fetched<C> {
    /// A complete successful answer, from this address.
    Complete {
        url: Url,
        headers: HeaderMap,
        body: C,
    },
    /// Another status, with a bounded body for the manager to show.
    Failed {
        status: StatusCode,
        headers: HeaderMap,
        body: Bytes,
    },
}

impl<C> Fetched<C> {
    /// The parts of a complete answer; another one as it came.
    pub(super) fn complete<D>(self) -> ControlFlow<Fetched<D>, (Url, HeaderMap, C)> {
        match self {
            Self::Complete { url, headers, body } => ControlFlow::Continue((url, headers, body)),
            Self::Failed {
                status,
                headers,
                body,
            } => ControlFlow::Break(Fetched::Failed {
                status,
                headers,
                body,
            }),
        }
    }
}

/// The client.
#[derive(Debug)]
pub(super) struct Upstream {
    pool: Pool,
    repositories: Repositories,
}

enum Trouble {
    /// Worth another try, after this time at least.
    Passing(Finding, Option<Duration>),
    /// Another try would give the same.
    Final(Finding),
}

impl Upstream {
    /// A client that reaches the network through `connector`.
    pub(super) fn new(connector: Connector, repositories: Repositories) -> Self {
        Self {
            pool: Pool::new(connector),
            repositories,
        }
    }

    /// Connects to the first repository before the manager asks for it.
    pub(super) async fn warm(&self) {
        let base = self
            .repositories
            .first()
            .and_then(|base| base.as_str().parse().ok());
        if let Some(uri) = base {
            self.pool.warm(&uri).await;
        }
    }

    /// Fetches, following redirects that stay within `allowed`, and trying again where that is
    /// safe. `start` makes the empty collection of each try.
    pub(super) async fn fetch<C: Collect>(
        &self,
        ask: &Ask,
        allowed: impl Fn(&Url) -> bool,
        start: impl Fn() -> C,
    ) -> Result<Fetched<C>, Finding> {
        let tries = if ask.method == Method::GET {
            limits::TRIES
        } else {
            1
        };
        let work = async {
            let mut number = 1;
            loop {
                let last = number >= tries;
                match self.once(ask, &allowed, &start, last).await {
                    Ok(fetched) => return Ok(fetched),
                    Err(Trouble::Final(finding)) => return Err(finding),
                    Err(Trouble::Passing(finding, _)) if last => return Err(finding),
                    Err(Trouble::Passing(_, after)) => {
                        let backoff = limits::BACKOFF.saturating_mul(4_u32.pow(number - 1));
                        sleep(after.unwrap_or(backoff)).await;
                    }
                }
                number += 1;
            }
        };
        timeout(limits::FETCH, work)
            .await
            .unwrap_or_else(|_elapsed| Err(failed(&ask.url, "it took too long")))
    }

    /// Fetches once: nothing is tried again and no redirect followed.
    pub(super) async fn try_once<C: Collect>(
        &self,
        ask: &Ask,
        start: impl Fn() -> C,
    ) -> Result<Fetched<C>, Finding> {
        let once = self.once(ask, &|_url: &Url| false, &start, true);
        match timeout(limits::ANSWER, once).await {
            Ok(Ok(fetched)) => Ok(fetched),
            Ok(Err(Trouble::Final(finding) | Trouble::Passing(finding, _))) => Err(finding),
            Err(_elapsed) => Err(failed(&ask.url, "it took too long")),
        }
    }

    async fn once<C: Collect>(
        &self,
        ask: &Ask,
        allowed: &impl Fn(&Url) -> bool,
        start: &impl Fn() -> C,
        last: bool,
    ) -> Result<Fetched<C>, Trouble> {
        let mut url = ask.url.clone();
        let mut hops = 0;
        let (response, lease) = loop {
            let (response, lease) = self.send(ask, &url).await?;
            let Some(location) = redirect(&response) else {
                break (response, lease);
            };
            let next = judge(&url, location, allowed).map_err(Trouble::Final)?;
            hops += 1;
            if hops > limits::HOPS {
                let finding = Finding::new(
                    Code::RedirectRefused,
                    redact_url(&ask.url),
                    "too many redirects",
                );
                return Err(Trouble::Final(finding));
            }
            url = next;
        };
        let (parts, body) = response.into_parts();
        if parts.status.is_success() {
            if let Some(encoding) = foreign_encoding(&parts.headers, ask.gzip) {
                return Err(Trouble::Final(failed(
                    &url,
                    &format!("the answer has an encoding that was not asked for: {encoding}"),
                )));
            }
            let body = collect(&url, body, ask.limit, start()).await?;
            lease.release();
            return Ok(Fetched::Complete {
                url,
                headers: parts.headers,
                body,
            });
        }
        if !last && passing(parts.status) {
            let after = retry_after(&parts.headers);
            if after.is_none_or(|after| after <= limits::RETRY_AFTER) {
                let finding = failed(&url, &format!("the repository answered {}", parts.status));
                return Err(Trouble::Passing(finding, after));
            }
        }
        // Only an error may be passed on unverified: the manager takes anything below 400 for
        // content.
        if !parts.status.is_client_error() && !parts.status.is_server_error() {
            let message = format!("the repository answered {}", parts.status);
            return Err(Trouble::Final(failed(&url, &message)));
        }
        let (body, complete) = beginning(body).await;
        if complete {
            lease.release();
        }
        Ok(Fetched::Failed {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    }

    async fn send(&self, ask: &Ask, url: &Url) -> Result<(Response<Incoming>, Lease), Trouble> {
        let uri = url
            .as_str()
            .parse()
            .map_err(|_invalid| Trouble::Final(failed(url, "the address cannot be sent")))?;
        let mut headers = ask.headers.clone();
        headers.insert(
            ACCEPT_ENCODING,
            HeaderValue::from_static(if ask.gzip { "gzip" } else { "identity" }),
        );
        if let Some(credential) = self.repositories.credential(url) {
            headers.insert(AUTHORIZATION, credential);
        }
        let message = Message {
            method: &ask.method,
            uri: &uri,
            headers: &headers,
            body: &ask.body,
        };
        self.pool
            .send(&message)
            .await
            .map_err(|error| trouble(url, &error))
    }
}

/// The headers of a request to the repository: made here, never copied from the manager's.
pub(super) fn headers(protocol: &dyn Protocol, asked: &HeaderMap) -> HeaderMap {
    let asked = asked.get(ACCEPT).and_then(|value| value.to_str().ok());
    let accept = protocol.accept(asked.unwrap_or_default());
    HeaderMap::from_iter([
        (ACCEPT, HeaderValue::from_static(accept)),
        (USER_AGENT, HeaderValue::from_static(AGENT)),
    ])
}

fn failed(url: &Url, message: &str) -> Finding {
    Finding::new(Code::UpstreamFailed, redact_url(url), message)
}

fn trouble(url: &Url, error: &SendError) -> Trouble {
    match error {
        SendError::Connect(error) if error.is_passing() => {
            Trouble::Passing(error.finding(url), None)
        }
        SendError::Connect(error) => Trouble::Final(error.finding(url)),
        SendError::Http(error) => Trouble::Passing(failed(url, &chain(error)), None),
        SendError::Late => {
            Trouble::Passing(failed(url, "the repository did not answer in time"), None)
        }
    }
}

fn passing(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::INTERNAL_SERVER_ERROR
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

fn foreign_encoding(headers: &HeaderMap, gzip: bool) -> Option<String> {
    if gzip && is_gzip(headers) {
        return None;
    }
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .find(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
        .map(|value| {
            String::from_utf8_lossy(value.as_bytes())
                .escape_debug()
                .to_string()
        })
}

/// Whether the body is compressed once, with gzip.
pub(super) fn is_gzip(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    let only = encodings.next().filter(|_| encodings.next().is_none());
    only.is_some_and(|encoding| {
        encoding.as_bytes().eq_ignore_ascii_case(b"gzip")
            || encoding.as_bytes().eq_ignore_ascii_case(b"x-gzip")
    })
}

fn redirect(response: &Response<Incoming>) -> Option<&HeaderValue> {
    response
        .headers()
        .get(LOCATION)
        .filter(|_| response.status().is_redirection())
}

/// Where a redirect leads, if it may be followed.
fn judge(
    from: &Url,
    location: &HeaderValue,
    allowed: &impl Fn(&Url) -> bool,
) -> Result<Url, Finding> {
    let refuse = |code: Code, message: String| Finding::new(code, redact_url(from), message);
    let target = location.to_str().ok().and_then(|text| from.join(text).ok());
    let Some(target) = target else {
        let message = "the repository redirected to something that is no address".to_owned();
        return Err(refuse(Code::RedirectRefused, message));
    };
    let shown = redact_url(&target);
    if target.scheme() != "https" {
        let message = format!("the repository redirected to an address without TLS: {shown}");
        return Err(refuse(Code::PlainHttp, message));
    }
    if allowed(&target) {
        return Ok(target);
    }
    Err(refuse(
        Code::RedirectRefused,
        format!("the repository redirected to: {shown}"),
    )
    .with_hint(Code::RedirectRefused.remedy()))
}

async fn collect<C: Collect>(
    url: &Url,
    mut body: Incoming,
    limit: u64,
    mut into: C,
) -> Result<C, Trouble> {
    let too_large = |size: &str| {
        let message = format!("{size} bytes are more than the bound of {limit}");
        Trouble::Final(Finding::new(
            Code::MetadataTooLarge,
            redact_url(url),
            message,
        ))
    };
    if let Some(size) = body.size_hint().exact().filter(|size| *size > limit) {
        return Err(too_large(&size.to_string()));
    }
    let mut size = 0_u64;
    loop {
        let frame = match timeout(limits::PIECE, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => return Ok(into),
            Ok(Some(Err(error))) => {
                let reason = chain(&error);
                let message = format!("the answer broke off after {size} bytes: {reason}");
                return Err(Trouble::Passing(failed(url, &message), None));
            }
            Err(_elapsed) => {
                let message = format!("the answer stopped after {size} bytes");
                return Err(Trouble::Passing(failed(url, &message), None));
            }
        };
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        size = size.saturating_add(piece.len() as u64);
        if size > limit {
            return Err(too_large(&size.to_string()));
        }
        into.piece(piece).map_err(Trouble::Final)?;
    }
}

/// As much of an error answer as is shown, and whether that is all of it. A broken one is shown as
/// far as it came.
async fn beginning(mut body: Incoming) -> (Bytes, bool) {
    let mut text = Vec::new();
    loop {
        match timeout(limits::PIECE, body.frame()).await {
            Ok(Some(Ok(frame))) => {
                let Ok(piece) = frame.into_data() else {
                    continue;
                };
                let room = limits::FAILURE.saturating_sub(text.len());
                text.extend(piece.iter().take(room));
                if piece.len() > room {
                    return (text.into(), false);
                }
            }
            Ok(None) => return (text.into(), true),
            Ok(Some(Err(_))) | Err(_) => return (text.into(), false),
        }
    }
}
