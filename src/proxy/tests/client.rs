//! A package manager's side: tunnel, TLS with the run's CA, requests.

use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::run::{Run, TOKEN};

pub(super) struct Got {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Got {
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

pub(super) fn basic(token: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("v4run:{token}")))
}

/// Sends raw bytes to the proxy and reads the head of its answer.
pub(super) async fn raw(run: &Run, request: &str) -> (TcpStream, String) {
    let stream = run.connect();
    stream.set_nonblocking(true).unwrap();
    let mut stream = TcpStream::from_std(stream).unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_closed) => break,
        }
    }
    (stream, String::from_utf8(head).unwrap())
}

/// A granted tunnel.
pub(super) async fn tunnel(run: &Run, authority: &str) -> TcpStream {
    let (stream, head) = raw(run, &connect(authority, TOKEN)).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(
        !head.contains("content-length") && !head.contains("transfer-encoding"),
        "{head}"
    );
    stream
}

pub(super) fn connect(authority: &str, token: &str) -> String {
    format!(
        "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nProxy-Authorization: {}\r\n\r\n",
        basic(token)
    )
}

pub(super) async fn secure(
    run: &Run,
    stream: TcpStream,
    name: &str,
    protocol: &str,
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(run.authority.as_bytes()).unwrap())
        .unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

/// One request over a tunnel of its own, HTTP/1.1 or HTTP/2.
pub(super) async fn send(run: &Run, protocol: &str, request: Request<Full<Bytes>>) -> Got {
    let authority = request.uri().authority().unwrap().clone();
    let port = authority.port_u16().unwrap_or(443);
    let stream = tunnel(run, &format!("{}:{port}", authority.host())).await;
    let tls = secure(run, stream, authority.host(), protocol)
        .await
        .unwrap();
    exchange(tls, protocol, request).await.unwrap()
}

/// One request over an existing TLS connection.
pub(super) async fn exchange(
    tls: TlsStream<TcpStream>,
    protocol: &str,
    mut request: Request<Full<Bytes>>,
) -> hyper::Result<Got> {
    let response = if protocol == "h2" {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await?;
        tokio::spawn(connection);
        sender.send_request(request).await?
    } else {
        if !request.headers().contains_key("host") {
            let host = request.uri().authority().unwrap().to_string();
            request.headers_mut().insert("host", host.parse().unwrap());
        }
        *request.uri_mut() = request
            .uri()
            .path_and_query()
            .unwrap()
            .as_str()
            .parse()
            .unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(tls)).await?;
        tokio::spawn(connection);
        sender.send_request(request).await?
    };
    let (parts, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Got {
        status: parts.status,
        headers: parts.headers,
        body,
    })
}

pub(super) fn request(method: &str, url: &str) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(url)
        .body(Full::default())
        .unwrap()
}

/// `GET` as npm does it.
pub(super) async fn get(run: &Run, url: &str) -> Got {
    send(run, "http/1.1", request("GET", url)).await
}
