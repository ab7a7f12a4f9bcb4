//! One request without TLS, to see whether a repository refuses it.
//!
//! The only place where v4run speaks without TLS, and only for `v4run probe`: it sends a path and no
//! credential, follows nothing, and what comes back is looked at as evidence and used for nothing else.
//! Where an HTTP proxy stands in between, its answer would be about the proxy: then nothing is asked.

use std::io;

use bytes::Bytes;
use http::header::{HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use url::Url;

use super::connector::{ConnectError, Connector};
use super::{AGENT, beginning};
use crate::proxy::limits;

/// What a request without TLS met.
#[derive(Debug)]
pub(in crate::proxy) enum Unprotected {
    /// Nobody listens.
    Refused,
    /// Somebody listens and closed without an answer.
    Closed,
    /// An answer, with the beginning of its body.
    Answered(StatusCode, HeaderMap, Bytes),
    /// Nothing that says anything.
    Unclear(String),
}

/// Asks for an address of the scheme http. `private` is whether it may lead inside.
pub(in crate::proxy) async fn unprotected(
    connector: &Connector,
    url: &Url,
    private: bool,
) -> Unprotected {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Unprotected::Unclear("the address has no host".to_owned());
    };
    let stream = match connector.unprotected(host, port, private).await {
        Ok(stream) => stream,
        Err(ConnectError::Unreachable { source, .. })
            if source.kind() == io::ErrorKind::ConnectionRefused =>
        {
            return Unprotected::Refused;
        }
        Err(error) => return Unprotected::Unclear(error.to_string()),
    };
    let asked = timeout(limits::PIECE, async {
        let (mut sender, connection) = http1::Builder::new()
            .max_headers(limits::HEADERS)
            .max_header_size(limits::HEAD)
            .handshake(TokioIo::new(stream))
            .await?;
        let task = tokio::spawn(connection);
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.uri_mut() = url.path().parse().unwrap_or_default();
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        if let Ok(value) = HeaderValue::from_str(&authority) {
            request.headers_mut().insert(HOST, value);
        }
        request
            .headers_mut()
            .insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let response = sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        let (body, _complete) = beginning(body).await;
        task.abort();
        Ok::<_, hyper::Error>((parts, body))
    });
    match asked.await {
        Ok(Ok((parts, body))) => Unprotected::Answered(parts.status, parts.headers, body),
        // A server that expects TLS sees no greeting: it closes, or answers with an alert.
        Ok(Err(_not_http)) => Unprotected::Closed,
        Err(_elapsed) => Unprotected::Unclear("there was no answer in time".to_owned()),
    }
}
