//! Entry points of the fuzz targets for what the proxy reads from a connection.
//!
//! Compiled for tests and for the fuzz build only. Each takes any bytes and must come back. The
//! connection is one in memory; the settings of the server and of the client are the real ones.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::runtime::Builder;
use url::Url;

use super::gzip;
use super::target::{self, Endpoint};
use super::tunnel::http1_server;
use super::upstream::{http1_client, retry_after};
use crate::protocol;

/// Bytes of a body that are read.
const BODY: usize = 1 << 20;

/// What a manager sends in its tunnel: framing, host, path, and what each protocol says of it.
pub fn requests(bytes: &[u8]) {
    block(async {
        let (mut far, near) = duplex(bytes.len() + 1);
        if far.write_all(bytes).await.is_err() || far.shutdown().await.is_err() {
            return;
        }
        let reader = tokio::spawn(drain(far));
        let service = service_fn(|request| async move {
            asked(&request);
            let _ = Limited::new(request.into_body(), BODY).collect().await;
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
        });
        let _ = http1_server()
            .serve_connection(TokioIo::new(near), service)
            .await;
        let _ = reader.await;
    });
}

fn asked(request: &Request<Incoming>) {
    let tunnel = Endpoint::read("r.invalid:443");
    let base = Url::parse("https://r.invalid/base/");
    if let (Some(tunnel), Ok(base)) = (tunnel, base)
        && let Ok(url) = target::read(&tunnel, request)
    {
        for protocol in protocol::ALL {
            let _ = protocol.classify(request.method(), &base, &url);
            let _ = protocol.kept(url.path());
            let _ = protocol.side_files(&url);
        }
    }
}

async fn drain(mut stream: DuplexStream) {
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

/// What a repository sends: framing, lengths, what is compressed.
pub fn answers(bytes: &[u8]) {
    block(async {
        let (mut far, near) = duplex(bytes.len() + 4096);
        if far.write_all(bytes).await.is_err() || far.shutdown().await.is_err() {
            return;
        }
        let reader = tokio::spawn(drain(far));
        if let Ok((mut sender, connection)) = http1_client().handshake(TokioIo::new(near)).await {
            let connection = tokio::spawn(connection);
            let mut request = Request::new(Full::new(Bytes::new()));
            *request.method_mut() = Method::GET;
            if let Ok(response) = sender.send_request(request).await {
                let _ = retry_after(response.headers());
                if let Ok(body) = Limited::new(response.into_body(), BODY).collect().await {
                    compressed(&body.to_bytes());
                }
            }
            connection.abort();
        }
        reader.abort();
    });
}

/// A compressed document.
pub fn compressed(bytes: &[u8]) {
    let _ = gzip::plain(bytes, 1 << 20);
}

/// The target of a tunnel.
pub fn targets(bytes: &[u8]) {
    if let Some(endpoint) = Endpoint::read(&String::from_utf8_lossy(bytes)) {
        let _ = (endpoint.is_literal(), endpoint.to_string());
    }
}

fn block(work: impl Future<Output = ()>) {
    if let Ok(runtime) = Builder::new_current_thread().enable_time().build() {
        runtime.block_on(work);
    }
}
