//! One connection of the manager: token, tunnel, TLS, requests.
//!
//! The manager speaks to a proxy: only `CONNECT` with the run's token is answered, and what follows
//! must be TLS for that very name. Anything else is closed and recorded, never passed through as a
//! blind tunnel. Requests inside go to the [pipeline](super::pipeline).
//!
//! RFC 9110 section 9.3.6, RFC 7617, RFC 6066 section 3.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::server::Acceptor;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::answer::{Answer, AnswerBody};
use super::authority::Authority;
use super::limits;
use super::pipeline::Pipeline;
use super::target::{self, Endpoint};
use crate::model::Code;
use crate::model::Finding;
use crate::model::Secret;

/// User name that goes with the token.
const USER: &str = "v4run";

/// What all connections share.
#[derive(Debug)]
pub(super) struct Tunnels {
    pipeline: Arc<Pipeline>,
    authority: Authority,
    /// The credentials as they stand after `Basic `.
    credentials: Secret,
}

impl Tunnels {
    /// For connections that present `token`.
    pub(super) fn new(pipeline: Arc<Pipeline>, authority: Authority, token: &Secret) -> Self {
        let credentials = STANDARD.encode(format!("{USER}:{}", token.expose()));
        Self {
            pipeline,
            authority,
            credentials: Secret::new(credentials),
        }
    }

    /// Connects to the default repository.
    pub(super) async fn warm(&self) {
        self.pipeline.upstream.warm().await;
    }

    /// Serves one connection to its end.
    pub(super) async fn serve(self: Arc<Self>, stream: TcpStream) {
        // Small answers must not wait for acknowledgements; harmless if it fails.
        let _ = stream.set_nodelay(true);
        if let Some((stream, endpoint)) = self.accept(stream).await
            && let Some(stream) = self.secure(stream, &endpoint).await
        {
            self.requests(stream, endpoint).await;
        }
    }

    /// The proxy half: until a tunnel is granted.
    async fn accept(&self, stream: TcpStream) -> Option<(TcpStream, Endpoint)> {
        let granted = Mutex::new(None);
        let service = service_fn(|request: Request<Incoming>| {
            let answer = match self.grant(&request) {
                Ok(endpoint) => {
                    *granted.lock().unwrap_or_else(PoisonError::into_inner) = Some(endpoint);
                    Answer::passed(StatusCode::OK, &HeaderMap::new(), Vec::new())
                }
                Err(answer) => answer.with(CONNECTION, HeaderValue::from_static("close")),
            };
            async move { Ok::<_, Infallible>(answer.response()) }
        });
        let parts = http1_server()
            .serve_connection(TokioIo::new(stream), service)
            .without_shutdown()
            .await
            .ok()?;
        let endpoint = granted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()?;
        if !parts.read_buf.is_empty() {
            let message = "bytes came before the tunnel was granted";
            self.found(Code::RequestRefused, &endpoint, message);
            return None;
        }
        Some((parts.io.into_inner(), endpoint))
    }

    fn grant<B>(&self, request: &Request<B>) -> Result<Endpoint, Box<Answer>> {
        if !self.is_ours(request.headers()) {
            self.pipeline.events.stranger();
            let text = "v4run: this proxy serves one run only\n".to_owned();
            let challenge = HeaderValue::from_static("Basic realm=\"v4run\"");
            let answer = Answer::text(StatusCode::PROXY_AUTHENTICATION_REQUIRED, text);
            return Err(Box::new(answer.with(PROXY_AUTHENTICATE, challenge)));
        }
        let refuse = |finding: Finding| {
            self.pipeline.events.found(&finding);
            Box::new(Answer::finding(&finding))
        };
        if *request.method() != Method::CONNECT {
            let subject = match (request.uri().scheme_str(), request.uri().authority()) {
                (Some(scheme), Some(authority)) => {
                    let host = authority.as_str().rsplit('@').next().unwrap_or_default();
                    format!("{scheme}://{host}{}", request.uri().path())
                }
                _ => request.uri().path().to_owned(),
            };
            let message = format!("`{}` without TLS is refused", request.method());
            return Err(refuse(
                Finding::new(Code::PlainHttp, subject, message).with_hint(Code::PlainHttp.remedy()),
            ));
        }
        let authority = request.uri().authority().map(http::uri::Authority::as_str);
        let Some(endpoint) = authority.and_then(Endpoint::read) else {
            let subject: String = request
                .uri()
                .to_string()
                .escape_debug()
                .take(limits::HEADER_VALUE)
                .collect();
            let message = "the tunnel's target is not a host and port";
            return Err(refuse(Finding::new(
                Code::RepositoryRefused,
                subject,
                message,
            )));
        };
        if !self.pipeline.may_reach(&endpoint.host, endpoint.port) {
            let message = "no allowed repository is there, and no lockfile or index of this run \
                           names an artifact there with its digest";
            return Err(refuse(
                Finding::new(Code::RepositoryRefused, endpoint.to_string(), message)
                    .with_hint(Code::RepositoryRefused.remedy()),
            ));
        }
        Ok(endpoint)
    }

    /// Whether the request presents the run's token. Takes the same time wherever they differ.
    fn is_ours(&self, headers: &HeaderMap) -> bool {
        let Some(value) = headers.get(PROXY_AUTHORIZATION) else {
            return false;
        };
        let Some((scheme, given)) = value.to_str().ok().and_then(|text| text.split_once(' '))
        else {
            return false;
        };
        let (given, own) = (
            given.trim().as_bytes(),
            self.credentials.expose().as_bytes(),
        );
        let difference = given
            .iter()
            .zip(own)
            .fold(0_u8, |found, (one, other)| found | (one ^ other));
        scheme.eq_ignore_ascii_case("basic") && given.len() == own.len() && difference == 0
    }

    /// The TLS half: a handshake for the tunnel's own name.
    async fn secure(&self, stream: TcpStream, endpoint: &Endpoint) -> Option<TlsStream<TcpStream>> {
        let handshake = async {
            let start = match LazyConfigAcceptor::new(Acceptor::default(), stream).await {
                Ok(start) => start,
                Err(error) => {
                    if is_not_tls(&error) {
                        let message = "what follows the tunnel is not TLS";
                        self.found(Code::PlainHttp, endpoint, message);
                    }
                    return None;
                }
            };
            let name = start
                .client_hello()
                .server_name()
                .map(str::to_ascii_lowercase);
            let matches = match &name {
                Some(name) => *name == endpoint.host,
                // Java names no host without a dot; the certificate is for the tunnel's name anyway.
                None => endpoint.is_literal() || !endpoint.host.contains('.'),
            };
            if !matches {
                let name = name.as_deref().unwrap_or("no name");
                let message = format!("TLS asks for `{name}` in this tunnel");
                self.found(Code::RequestRefused, endpoint, &message);
                return None;
            }
            match self.authority.server(&endpoint.host) {
                Ok(config) => start.into_stream(config).await.ok(),
                Err(error) => {
                    self.found(Code::Internal, endpoint, &error.to_string());
                    None
                }
            }
        };
        timeout(limits::HANDSHAKE, handshake).await.ok().flatten()
    }

    /// The requests inside. Errors of the connection end it and are the manager's to tell.
    async fn requests(self: Arc<Self>, stream: TlsStream<TcpStream>, endpoint: Endpoint) {
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let service = service_fn(move |request: Request<Incoming>| {
            let (tunnels, endpoint) = (Arc::clone(&self), endpoint.clone());
            async move { Ok::<_, Infallible>(tunnels.request(&endpoint, request).await) }
        });
        let stream = TokioIo::new(stream);
        if http2 {
            let served = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .keep_alive_interval(limits::IDLE)
                .max_concurrent_streams(limits::STREAMS)
                .max_header_list_size(u32::try_from(limits::HEAD).unwrap_or(u32::MAX))
                .serve_connection(stream, service)
                .await;
            drop(served);
        } else {
            drop(http1_server().serve_connection(stream, service).await);
        }
    }

    async fn request(
        &self,
        endpoint: &Endpoint,
        request: Request<Incoming>,
    ) -> Response<AnswerBody> {
        let head = *request.method() == Method::HEAD;
        let answer = match target::read(endpoint, &request) {
            Ok(url) => self.pipeline.answer(url, request).await,
            Err(message) => {
                let finding = Finding::new(Code::RequestRefused, endpoint.to_string(), message);
                self.pipeline.events.found(&finding);
                Answer::finding(&finding)
            }
        };
        if head {
            answer.without_body().response()
        } else {
            answer.response()
        }
    }

    fn found(&self, code: Code, endpoint: &Endpoint, message: &str) {
        self.pipeline
            .events
            .found(&Finding::new(code, endpoint.to_string(), message));
    }
}

/// How a request of the manager is read.
pub(super) fn http1_server() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits::IDLE)
        .max_headers(limits::HEADERS)
        .max_header_size(limits::HEAD);
    builder
}

/// Bytes that are no TLS record, as opposed to a client that went away or refused.
fn is_not_tls(error: &io::Error) -> bool {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::InvalidMessage(_)))
}
