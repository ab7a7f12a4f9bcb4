//! A registry on loopback: TLS with a CA of its own, answers by a function, requests recorded.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

/// A port on which nobody listens, held so that no other test gets it meanwhile.
pub(super) struct Closed(TcpSocket);

impl Closed {
    pub(super) fn port() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self(socket)
    }

    pub(super) fn number(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }
}

/// What the registry was asked.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) host: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// What it answers.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) pieces: Vec<Bytes>,
    /// Waits before each piece.
    pub(super) delay: Duration,
    /// Length that is claimed, when it is not the true one.
    pub(super) claimed: Option<usize>,
}

impl Reply {
    pub(super) fn ok(body: impl Into<Bytes>) -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            pieces: vec![body.into()],
            delay: Duration::ZERO,
            claimed: None,
        }
    }

    pub(super) fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::ok(format!("status {status}"))
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn redirect(to: impl Into<String>) -> Self {
        Self::status(302).with("location", to)
    }
}

type Answer = dyn Fn(&Seen, usize) -> Reply + Send + Sync;

/// Its certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    Good,
    Expired,
    OtherName,
    /// Correct, but of an authority that nobody was told of.
    Stranger,
}

pub(super) struct Registry {
    pub(super) port: u16,
    /// The certificate of its authority, PEM.
    pub(super) authority: String,
    pub(super) handshakes: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Registry {
    /// One that speaks both HTTP versions. `answer` gets the request and how many with the same
    /// path came before.
    pub(super) fn new(answer: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::with(Identity::Good, &["h2", "http/1.1"], answer)
    }

    pub(super) fn with(
        identity: Identity,
        protocols: &[&str],
        answer: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let (mut config, authority) = certificates(identity);
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let handshakes = Arc::new(AtomicUsize::new(0));
        let (counted, recorded) = (Arc::clone(&handshakes), Arc::clone(&seen));
        let answer: Arc<Answer> = Arc::new(answer);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let (acceptor, answer) = (acceptor.clone(), Arc::clone(&answer));
                    let (counted, seen) = (Arc::clone(&counted), Arc::clone(&recorded));
                    tokio::spawn(async move {
                        let Ok(tls) = acceptor.accept(stream).await else {
                            return;
                        };
                        counted.fetch_add(1, Ordering::Relaxed);
                        let http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
                        let service = service_fn(move |request| {
                            respond(Arc::clone(&answer), Arc::clone(&seen), request)
                        });
                        let io = TokioIo::new(tls);
                        if http2 {
                            let builder = http2::Builder::new(TokioExecutor::new());
                            let _ = builder.serve_connection(io, service).await;
                        } else {
                            let _ = http1::Builder::new().serve_connection(io, service).await;
                        }
                    });
                }
            });
        });
        Self {
            port,
            authority,
            handshakes,
            seen,
        }
    }

    pub(super) fn base(&self) -> String {
        format!("https://localhost:{}/npm/", self.port)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How often that path was asked for.
    pub(super) fn count(&self, path: &str) -> usize {
        self.seen().iter().filter(|seen| seen.path == path).count()
    }
}

async fn respond(
    answer: Arc<Answer>,
    recorded: Arc<Mutex<Vec<Seen>>>,
    request: Request<Incoming>,
) -> Result<Response<Pieces>, Infallible> {
    let (parts, body) = request.into_parts();
    let host = parts
        .headers
        .get(HOST)
        .map(|host| host.to_str().unwrap().to_owned());
    let authority = parts.uri.authority().map(ToString::to_string);
    let seen = Seen {
        host: authority.or(host).unwrap(),
        method: parts.method,
        path: parts.uri.path_and_query().unwrap().to_string(),
        headers: parts.headers,
        body: body.collect().await.unwrap().to_bytes(),
    };
    let before = {
        let mut recorded = recorded.lock().unwrap();
        let before = recorded
            .iter()
            .filter(|earlier| earlier.path == seen.path)
            .count();
        recorded.push(seen.clone());
        before
    };
    let reply = answer(&seen, before);
    let length: usize = reply.pieces.iter().map(Bytes::len).sum();
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap();
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, reply.claimed.unwrap_or(length).into());
    for (name, value) in reply.headers {
        headers.append(
            HeaderName::from_static(name),
            HeaderValue::from_str(&value).unwrap(),
        );
    }
    let pieces = Pieces {
        broken: reply.claimed.is_some_and(|claimed| claimed > length),
        left: match seen.method == Method::HEAD {
            true => Vec::new(),
            false => reply.pieces.into_iter().rev().collect(),
        },
        delay: reply.delay,
        wait: None,
    };
    Ok(response.map(|()| pieces))
}

/// A body that comes in pieces and may break off.
struct Pieces {
    left: Vec<Bytes>,
    delay: Duration,
    broken: bool,
    wait: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if !self.delay.is_zero() {
            let delay = self.delay;
            let wait = self.wait.get_or_insert_with(|| Box::pin(sleep(delay)));
            if wait.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.wait = None;
        }
        Poll::Ready(match self.left.pop() {
            Some(piece) => Some(Ok(Frame::data(piece))),
            None if self.broken => Some(Err(io::ErrorKind::ConnectionReset.into())),
            None => None,
        })
    }
}

fn certificates(identity: Identity) -> (ServerConfig, String) {
    let authority = |name: &str| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        (certificate.pem(), Issuer::new(params, key))
    };
    let (pem, issuer) = authority("registry test authority");
    let (_, stranger) = authority("somebody else");
    let name = if identity == Identity::OtherName {
        "other.invalid"
    } else {
        "localhost"
    };
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    if identity == Identity::Expired {
        params.not_after = date_time_ymd(2001, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let issuer = if identity == Identity::Stranger {
        &stranger
    } else {
        &issuer
    };
    let leaf = params.signed_by(&key, issuer).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    (config, pem)
}
