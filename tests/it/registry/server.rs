//! Accept loop of the loopback registry: TLS, HTTP/1.1 or HTTP/2 by ALPN, the log of requests.

use std::io;
use std::net::TcpListener as StdListener;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use nix::sys::socket::{Shutdown, setsockopt, shutdown, sockopt};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::answer::{Answer, answer};
use super::body::Reply;
use super::{Seen, Shared};

/// Serves until told to stop; runs on a thread of its own.
pub(super) fn run(
    listener: StdListener,
    tls: Option<Arc<ServerConfig>>,
    shared: Arc<Shared>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async move {
        let listener = TcpListener::from_std(listener).unwrap();
        tokio::select! {
            () = accept(listener, tls, shared) => {}
            _ = stopped => {}
        }
    });
    runtime.shutdown_background();
}

async fn accept(listener: TcpListener, tls: Option<Arc<ServerConfig>>, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        shared.log.lock().unwrap().connections += 1;
        let Ok(socket) = stream.as_fd().try_clone_to_owned() else {
            continue;
        };
        let shared = Arc::clone(&shared);
        let tls = tls.clone();
        tokio::spawn(async move {
            match tls {
                None => serve(stream, false, shared, socket).await,
                Some(config) => {
                    let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else {
                        shared.log.lock().unwrap().failed_handshakes += 1;
                        return;
                    };
                    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    serve(stream, http2, shared, socket).await;
                }
            }
        });
    }
}

async fn serve<S>(stream: S, http2: bool, shared: Arc<Shared>, socket: OwnedFd)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let socket = Arc::new(socket);
    let service =
        service_fn(move |request| respond(request, Arc::clone(&shared), Arc::clone(&socket)));
    let io = TokioIo::new(stream);
    // A failed connection is what several tests ask for.
    if http2 {
        let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(io, service)
            .await;
    } else {
        let _ = hyper::server::conn::http1::Builder::new()
            .serve_connection(io, service)
            .await;
    }
}

async fn respond(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    socket: Arc<OwnedFd>,
) -> Result<Response<Reply>, io::Error> {
    let (head, body) = request.into_parts();
    let collected = Limited::new(body, 1 << 20).collect().await;
    let body = collected
        .map(|body| body.to_bytes().to_vec())
        .unwrap_or_default();
    let host = head.uri.authority().map(ToString::to_string).or_else(|| {
        head.headers
            .get("host")
            .and_then(|value| value.to_str().ok())
            .map(ToString::to_string)
    });
    let path = head
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_string();
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    let seen = Seen {
        method: head.method.to_string(),
        path,
        headers,
        body,
        version: format!("{:?}", head.version),
    };
    {
        let mut log = shared.log.lock().unwrap();
        log.seen.push(seen.clone());
        shared.changed.notify_all();
    }
    match answer(&shared, &seen, host.as_deref().unwrap_or("localhost")) {
        Answer::Response(response) => Ok(response),
        Answer::Hangup => {
            let _ = shutdown(socket.as_raw_fd(), Shutdown::Both);
            Err(io::Error::other("told to hang up"))
        }
        Answer::Reset => {
            let _ = setsockopt(
                &socket,
                sockopt::Linger,
                &libc::linger {
                    l_onoff: 1,
                    l_linger: 0,
                },
            );
            Err(io::Error::other("told to reset"))
        }
    }
}

/// Sends one request over an already opened plain connection; for the harness's own tests.
pub(super) async fn fetch(
    port: u16,
    authority_pem: &str,
    http2: bool,
    path: &str,
) -> Result<(u16, Bytes), String> {
    use rustls::pki_types::pem::PemObject as _;
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let mut roots = rustls::RootCertStore::empty();
    let anchor = rustls::pki_types::CertificateDer::from_pem_slice(authority_pem.as_bytes());
    roots.add(anchor.unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![if http2 {
        b"h2".to_vec()
    } else {
        b"http/1.1".to_vec()
    }];
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .map_err(|e| text(&e))?;
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .map_err(|e| text(&e))?;
    let io = TokioIo::new(stream);
    let host = format!("localhost:{port}");
    let empty = || Full::<Bytes>::new(Bytes::new());
    let response = if http2 {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
                .await
                .map_err(|e| text(&e))?;
        tokio::spawn(connection);
        let uri = format!("https://{host}{path}");
        let request = Request::get(uri).body(empty()).unwrap();
        sender.send_request(request).await.map_err(|e| text(&e))?
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io)
            .await
            .map_err(|e| text(&e))?;
        tokio::spawn(connection);
        let request = Request::get(path)
            .header("host", host)
            .body(empty())
            .unwrap();
        sender.send_request(request).await.map_err(|e| text(&e))?
    };
    let status = response.status().as_u16();
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(|e| text(&e))?
        .to_bytes();
    Ok((status, body))
}
