//! Connections that are kept: one with HTTP/2 for each host, or as many as there are requests.
//!
//! Until a host's protocol is known, one connection is opened and everybody waits for it: a
//! manager begins with some fifteen requests at once, and fourteen handshakes would be for
//! nothing. Where the host has no HTTP/2, or the first connection failed, the others go side by
//! side. A request is repeated here only when it provably was not sent.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::timeout;

use super::connector::{ConnectError, Connector};
use crate::proxy::limits;

/// Flow control of HTTP/2: one artifact may fill the line without waiting for the proxy.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 32 * 1024 * 1024;
/// Idle HTTP/1.1 connections are not used after this time: servers close them about then.
const IDLE: Duration = Duration::from_secs(50);

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum SendError {
    Connect(ConnectError),
    Http(hyper::Error),
    Late,
}

/// One request, as often as it must be made.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a Bytes,
}

/// The connections of a run.
#[derive(Debug)]
pub(super) struct Pool {
    connector: Connector,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

#[derive(Debug, Default)]
struct Host {
    /// Held by who opens the first connection.
    gate: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    http2: Option<http2::SendRequest<Full<Bytes>>>,
    idle: Vec<(http1::SendRequest<Full<Bytes>>, Instant)>,
    /// Connections are opened side by side.
    parallel: bool,
}

/// An open connection.
enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// The connection that an answer comes over; given back when its body was read to the end.
pub(super) struct Lease {
    host: Arc<Host>,
    sender: Sender,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").finish_non_exhaustive()
    }
}

impl Pool {
    /// Without connections yet.
    pub(super) fn new(connector: Connector) -> Self {
        Self {
            connector,
            hosts: Mutex::default(),
        }
    }

    /// Opens the first connection to a host before it is needed. A failure is told when it is.
    pub(super) async fn warm(&self, uri: &Uri) {
        let host = self.host(uri);
        if let Ok((sender, _fresh)) = self.open(&host, uri).await {
            Lease { host, sender }.release();
        }
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(
        &self,
        message: &Message<'_>,
    ) -> Result<(Response<Incoming>, Lease), SendError> {
        let host = self.host(message.uri);
        loop {
            let (mut sender, fresh) = match host.existing() {
                Some(sender) => (sender, false),
                None => self
                    .open(&host, message.uri)
                    .await
                    .map_err(SendError::Connect)?,
            };
            let sent = timeout(limits::ANSWER, sender.send(message)).await;
            match sent.map_err(|_elapsed| SendError::Late)? {
                Ok(response) => return Ok((response, Lease { host, sender })),
                Err(mut error) => {
                    let unsent = error.take_message().is_some();
                    if fresh || !unsent {
                        return Err(SendError::Http(error.into_error()));
                    }
                    // A kept connection had ended before the request went out.
                    host.forget(&sender);
                }
            }
        }
    }

    fn host(&self, uri: &Uri) -> Arc<Host> {
        let key = uri.authority().map(ToString::to_string).unwrap_or_default();
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(hosts.entry(key).or_default())
    }

    /// A connection, and whether it is a new one.
    async fn open(&self, host: &Host, uri: &Uri) -> Result<(Sender, bool), ConnectError> {
        let gate = if host.state().parallel {
            None
        } else {
            Some(host.gate.lock().await)
        };
        if let Some(sender) = host.existing() {
            return Ok((sender, false));
        }
        let opened = self.connect(uri).await;
        let mut state = host.state();
        match &opened {
            Ok(Sender::Http2(sender)) => state.http2 = Some(sender.clone()),
            Ok(Sender::Http1(_)) | Err(_) => state.parallel = true,
        }
        drop(state);
        drop(gate);
        opened.map(|sender| (sender, true))
    }

    async fn connect(&self, uri: &Uri) -> Result<Sender, ConnectError> {
        let stream = self.connector.connect(uri).await?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let stream = TokioIo::new(stream);
        // The tasks end with their connection; what went wrong reaches the requests on it.
        if http2 {
            let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_header_list_size(u32::try_from(limits::HEAD).unwrap_or(u32::MAX))
                .keep_alive_interval(limits::PIECE)
                .handshake(stream)
                .await
                .map_err(ConnectError::Http)?;
            tokio::spawn(connection);
            Ok(Sender::Http2(sender))
        } else {
            let (sender, connection) = http1_client()
                .handshake(stream)
                .await
                .map_err(ConnectError::Http)?;
            tokio::spawn(connection);
            Ok(Sender::Http1(sender))
        }
    }
}

/// How an answer of a repository is read.
pub(in crate::proxy) fn http1_client() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .max_headers(limits::HEADERS)
        .max_header_size(limits::HEAD);
    builder
}

impl Host {
    fn existing(&self) -> Option<Sender> {
        let mut state = self.state();
        match &state.http2 {
            Some(sender) if !sender.is_closed() => return Some(Sender::Http2(sender.clone())),
            Some(_closed) => state.http2 = None,
            None => {}
        }
        state
            .idle
            .retain(|(sender, since)| !sender.is_closed() && since.elapsed() < IDLE);
        // The youngest is the least likely to be closed by the server at this moment.
        let ready = state
            .idle
            .iter()
            .rposition(|(sender, _)| sender.is_ready())?;
        Some(Sender::Http1(state.idle.remove(ready).0))
    }

    /// Forgets a connection that turned out to be closed.
    fn forget(&self, sender: &Sender) {
        if matches!(sender, Sender::Http2(_)) {
            self.state().http2 = None;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sender {
    async fn send(
        &mut self,
        message: &Message<'_>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        let mut request = Request::new(Full::new(message.body.clone()));
        *request.method_mut() = message.method.clone();
        *request.headers_mut() = message.headers.clone();
        match self {
            Self::Http1(sender) => {
                let path = message.uri.path_and_query().map(ToString::to_string);
                *request.uri_mut() = path.and_then(|path| path.parse().ok()).unwrap_or_default();
                let host = message.uri.authority().map(http::uri::Authority::as_str);
                if let Some(host) = host.and_then(|host| HeaderValue::from_str(host).ok()) {
                    request.headers_mut().insert(HOST, host);
                }
                sender.try_send_request(request).await
            }
            Self::Http2(sender) => {
                *request.uri_mut() = message.uri.clone();
                sender.try_send_request(request).await
            }
        }
    }
}

impl Lease {
    /// The body was read to its end: the connection can carry the next request.
    pub(super) fn release(self) {
        if let Sender::Http1(sender) = self.sender {
            self.host.state().idle.push((sender, Instant::now()));
        }
    }
}
