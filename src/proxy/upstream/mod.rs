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

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, LOCATION, RETRY_AFTER, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{sleep, timeout};
use url::Url;

pub(super) use connector::Connector;
pub(super) use forward::{Forward, ForwardError};

use super::limits;
use super::repositories::Repositories;
use crate::model::Code;
use crate::model::Finding;
use crate::model::redact_url;

/// Flow control of HTTP/2: one artifact may fill the line without waiting for the proxy.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 32 * 1024 * 1024;
/// Idle connections are dropped after this time.
const IDLE: Duration = Duration::from_secs(60);

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

/// The client.
#[derive(Debug)]
pub(super) struct Upstream {
    client: Client<Connector, Full<Bytes>>,
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
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http1_max_headers(limits::HEADERS)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .build(connector);
        Self {
            client,
            repositories,
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

    async fn once<C: Collect>(
        &self,
        ask: &Ask,
        allowed: &impl Fn(&Url) -> bool,
        start: &impl Fn() -> C,
        last: bool,
    ) -> Result<Fetched<C>, Trouble> {
        let mut url = ask.url.clone();
        let mut hops = 0;
        let response = loop {
            let response = self.send(ask, &url).await?;
            let Some(location) = redirect(&response) else {
                break response;
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
            if let Some(encoding) = foreign_encoding(&parts.headers) {
                return Err(Trouble::Final(failed(
                    &url,
                    &format!("the answer has an encoding that was not asked for: {encoding}"),
                )));
            }
            let body = collect(&url, body, ask.limit, start()).await?;
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
        let body = beginning(body).await;
        Ok(Fetched::Failed {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    }

    async fn send(&self, ask: &Ask, url: &Url) -> Result<Response<Incoming>, Trouble> {
        let mut request = Request::new(Full::new(ask.body.clone()));
        *request.method_mut() = ask.method.clone();
        *request.uri_mut() = url
            .as_str()
            .parse()
            .map_err(|_invalid| Trouble::Final(failed(url, "the address cannot be sent")))?;
        *request.headers_mut() = ask.headers.clone();
        request
            .headers_mut()
            .insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(credential) = self.repositories.credential(url) {
            request.headers_mut().insert(AUTHORIZATION, credential);
        }
        match timeout(limits::REACH + limits::ANSWER, self.client.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(trouble(url, &error)),
            Err(_elapsed) => Err(Trouble::Passing(
                failed(url, "the repository did not answer in time"),
                None,
            )),
        }
    }
}

/// The manager's headers that are sent on.
pub(super) fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in [ACCEPT, USER_AGENT] {
        let value = headers
            .get(&name)
            .filter(|value| value.len() <= limits::HEADER_VALUE);
        if let Some(value) = value {
            kept.insert(name, value.clone());
        }
    }
    kept
}

fn failed(url: &Url, message: &str) -> Finding {
    Finding::new(Code::UpstreamFailed, redact_url(url), message)
}

/// The library's error, or the connector's own finding inside it.
fn trouble(url: &Url, error: &hyper_util::client::legacy::Error) -> Trouble {
    let mut reasons = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(current) = cause {
        if let Some(connect) = current.downcast_ref::<connector::ConnectError>() {
            let finding = connect.finding(url);
            return if connect.is_passing() {
                Trouble::Passing(finding, None)
            } else {
                Trouble::Final(finding)
            };
        }
        reasons.push(current.to_string());
        cause = current.source();
    }
    Trouble::Passing(failed(url, &reasons.join(": ")), None)
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

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

fn foreign_encoding(headers: &HeaderMap) -> Option<String> {
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
                let reason = error.source().map(ToString::to_string).unwrap_or_default();
                let message = format!("the answer broke off after {size} bytes: {error}: {reason}");
                let message = message.trim_end_matches(": ");
                return Err(Trouble::Passing(failed(url, message), None));
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

/// As much of an error answer as is shown; a broken one is shown as far as it came.
async fn beginning(mut body: Incoming) -> Bytes {
    let mut text = Vec::new();
    while let Ok(Some(Ok(frame))) = timeout(limits::PIECE, body.frame()).await {
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        let room = limits::FAILURE.saturating_sub(text.len());
        text.extend(piece.iter().take(room));
        if piece.len() >= room {
            break;
        }
    }
    text.into()
}
