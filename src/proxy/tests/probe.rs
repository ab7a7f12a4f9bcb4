//! The client for questions: what goes out without TLS, and what is made of what comes back.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use url::Url;

use super::registry::Closed;
use crate::model::{Credential, Network, Repository, Secret};
use crate::proxy::{Inquiry, ProbeAnswer, Question};

fn inquiry(private: bool) -> Inquiry {
    let base = Url::parse("https://127.0.0.1:9/npm/").unwrap();
    let repository = Repository {
        id: "one".into(),
        origin: base.clone(),
        base,
        configured_in: "here".into(),
        may_be_private: private,
        credential: Some(Credential::Bearer(Secret::new("secret".into()))),
    };
    Inquiry::new(&Network::of(&repository)).unwrap()
}

/// Asks a server of one answer without TLS; gives what it got, too.
fn plain(answer: &'static str) -> (ProbeAnswer, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0_u8; 4096];
        let count = stream.read(&mut request).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&request[..count]).into_owned()
    });
    let url = Url::parse(&format!("http://127.0.0.1:{port}/npm/")).unwrap();
    let question = Question {
        url,
        body: None,
        anonymous: false,
    };
    let answer = inquiry(true).ask(&question);
    (answer, server.join().unwrap())
}

#[test]
fn a_request_without_tls_carries_no_credential_and_follows_nothing() {
    let (answer, request) =
        plain("HTTP/1.1 301 Moved\r\nLocation: https://r.invalid/\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(
        (answer.status, answer.location.as_str()),
        (Some(301), "https://r.invalid/")
    );
    assert!(request.starts_with("GET /npm/ HTTP/1.1\r\n"), "{request}");
    assert!(
        !request.to_ascii_lowercase().contains("authorization"),
        "{request}"
    );
}

#[test]
fn content_without_tls_is_seen_and_bounded() {
    let (answer, _) = plain("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (Some(200), &b"hello"[..])
    );
    assert!(answer.sha256.is_some());
    // A server that expects TLS.
    let (closed, _) = plain("\u{15}\u{3}\u{1}");
    assert!(closed.closed && closed.status.is_none(), "{closed:?}");
}

#[test]
fn nobody_listening_is_seen_and_a_private_address_is_not_reached() {
    let closed = Closed::port();
    let question = Question {
        url: Url::parse(&format!("http://127.0.0.1:{}/", closed.number())).unwrap(),
        body: None,
        anonymous: true,
    };
    let refused = inquiry(false).ask(&question);
    assert!(!refused.closed && refused.trouble.is_some(), "{refused:?}");
    assert!(inquiry(true).ask(&question).closed);
}

#[test]
fn trouble_with_tls_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
    });
    let base = Url::parse(&format!("https://127.0.0.1:{port}/")).unwrap();
    let repository = Repository {
        id: "one".into(),
        origin: base.clone(),
        base: base.clone(),
        configured_in: "here".into(),
        may_be_private: true,
        credential: None,
    };
    let inquiry = Inquiry::new(&Network::of(&repository)).unwrap();
    let answer = inquiry.ask(&Question {
        url: base,
        body: None,
        anonymous: true,
    });
    assert!(
        answer.status.is_none() && answer.trouble.is_some(),
        "{answer:?}"
    );
    assert!(!inquiry.is_public());
    server.join().unwrap();
}
