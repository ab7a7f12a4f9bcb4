//! Certificates, addresses, redirects, credentials and the caller's own proxy.

use std::net::TcpListener;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Instant;

use super::client::get;
use super::registry::{Closed, Identity, Registry, Reply};
use super::run::{Run, locked, repository};
use crate::model::Code;
use crate::model::Credential;
use crate::model::Secret;

const CONTENT: &[u8] = b"bytes of a package";

fn url(registry: &Registry) -> String {
    format!("{}left/-/left-1.0.0.tgz", registry.base())
}

fn expecting(registry: &Registry) -> Run {
    Run::planned(registry, |plan| {
        plan.expected = vec![locked("left", "1.0.0", CONTENT)]
    })
}

#[tokio::test]
async fn certificates_that_do_not_verify_are_refused_with_the_reason() {
    for (identity, reason) in [
        (Identity::Expired, "expired"),
        (Identity::OtherName, "another name"),
        (Identity::Stranger, "unknown issuer"),
    ] {
        let registry = Registry::with(identity, &["h2"], |_seen, _before| Reply::ok(CONTENT));
        let run = expecting(&registry);
        let got = get(&run, &url(&registry)).await;
        assert_eq!(got.status, 403);
        assert!(got.text().contains(reason), "{}", got.text());
        let finding = run.finding(Code::TlsInvalid);
        assert_eq!(finding.hint.is_some(), identity != Identity::OtherName);
        assert_eq!(registry.handshakes.load(Ordering::Relaxed), 0);
    }
}

#[tokio::test]
async fn private_addresses_need_a_repository_that_the_user_named() {
    let registry = Registry::new(|_seen, _before| Reply::ok(CONTENT));
    let run = Run::planned(&registry, |plan| {
        plan.expected = vec![locked("left", "1.0.0", CONTENT)];
        plan.repositories[0].may_be_private = false;
    });
    assert_eq!(get(&run, &url(&registry)).await.status, 403);
    run.finding(Code::AddressRefused);
    assert_eq!(registry.handshakes.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_host_that_only_the_lock_names_is_reached_for_that_address_only() {
    let registry = Registry::new(|_seen, _before| Reply::ok(CONTENT));
    let files = Registry::new(|_seen, _before| Reply::ok(CONTENT));
    let named = format!("https://localhost:{}/files/left.tgz", files.port);
    let run = Run::planned(&registry, |plan| {
        plan.extra_anchors.push(files.authority.clone());
        let mut expected = locked("left", "1.0.0", CONTENT);
        expected.url = Some(named.parse().unwrap());
        plan.expected = vec![expected];
    });
    // Loopback is refused even there: the lockfile is no permission.
    assert_eq!(get(&run, &named).await.status, 403);
    run.finding(Code::AddressRefused);
    let other = format!("https://localhost:{}/files/other.tgz", files.port);
    assert!(get(&run, &other).await.text().contains("request-refused"));
    assert!(files.seen().is_empty());
}

#[tokio::test]
async fn redirects_are_followed_within_the_repository_only() {
    let registry = Registry::new(|seen, _before| {
        let own = format!("https://{}", seen.host);
        match seen.path.rsplit('/').next().unwrap() {
            "left-1.0.0.tgz" => Reply::redirect("/npm/left/-/left-1.0.1.tgz"),
            "left-1.0.1.tgz" => Reply::ok(CONTENT),
            "left-2.0.0.tgz" => Reply::redirect("http://registry.invalid/left.tgz"),
            "left-3.0.0.tgz" => Reply::redirect("https://registry.invalid/left.tgz"),
            "left-4.0.0.tgz" => Reply::redirect(format!("{own}/elsewhere/left.tgz")),
            "left-5.0.0.tgz" => Reply::redirect("left-5.0.0.tgz"),
            _ => Reply::redirect("https://"),
        }
    });
    let run = Run::planned(&registry, |plan| {
        plan.expected = vec![locked("left", "1.0.0", CONTENT)];
        plan.expected
            .extend((2..7).map(|major| locked("left", &format!("{major}.0.0"), b"x")));
    });
    let at = |major: u32| format!("{}left/-/left-{major}.0.0.tgz", registry.base());
    assert_eq!(get(&run, &at(1)).await.body, CONTENT);
    for (major, code) in [
        (2, Code::PlainHttp),
        (3, Code::RedirectRefused),
        (4, Code::RedirectRefused),
        (5, Code::RedirectRefused),
        (6, Code::RedirectRefused),
    ] {
        let got = get(&run, &at(major)).await;
        assert_eq!(got.status, 403, "{major}");
        assert!(got.text().contains(code.name()), "{major}: {}", got.text());
    }
    assert_eq!(registry.count("/npm/left/-/left-5.0.0.tgz"), 4);
}

#[tokio::test]
async fn credentials_go_to_their_base_only() {
    let registry = Registry::new(|_seen, _before| Reply::ok(CONTENT));
    let open = format!("https://localhost:{}/open/", registry.port);
    let run = Run::planned(&registry, |plan| {
        plan.expected = vec![
            locked("left", "1.0.0", CONTENT),
            locked("right", "1.0.0", CONTENT),
        ];
        plan.repositories[0].credential = Some(Credential::Bearer(Secret::new("secret".into())));
        plan.repositories.push(repository("open", &open));
    });
    assert_eq!(get(&run, &url(&registry)).await.status, 200);
    assert_eq!(
        get(&run, &format!("{open}right/-/right-1.0.0.tgz"))
            .await
            .status,
        200
    );
    // What v4run asks beside the artifacts comes when it comes.
    let seen = |ending: &str| {
        let mut seen = registry.seen();
        seen.retain(|seen| seen.path.ends_with(ending));
        seen
    };
    let sent: Vec<_> = seen(".tgz")
        .iter()
        .map(|seen| {
            (
                seen.path.clone(),
                seen.header("authorization").map(str::to_owned),
            )
        })
        .collect();
    assert_eq!(sent[0].1.as_deref(), Some("Bearer secret"));
    // The second artifact has the same bytes and comes from the store.
    assert_eq!(sent.len(), 1);
    assert_eq!(get(&run, &format!("{open}-/npm/v1/keys")).await.status, 200);
    let asked = seen("/open/-/npm/v1/keys");
    assert_eq!(asked[0].header("authorization"), None);
    assert!(!format!("{:?}", run.end()).contains("secret"));
}

#[tokio::test]
async fn passing_troubles_are_tried_again() {
    let registry = Registry::new(|_seen, before| match before {
        0 => Reply::status(503),
        1 => Reply::status(429).with("retry-after", "1"),
        _ => Reply::ok(CONTENT),
    });
    let run = expecting(&registry);
    let start = Instant::now();
    assert_eq!(get(&run, &url(&registry)).await.body, CONTENT);
    // What v4run asks beside the artifact comes when it comes.
    let asked = registry.seen();
    let asked = asked.iter().filter(|seen| seen.path.ends_with(".tgz"));
    assert_eq!(asked.count(), 3);
    assert!(start.elapsed().as_millis() >= 1000);
}

#[tokio::test]
async fn a_long_retry_after_is_the_managers_to_wait_for() {
    let registry = Registry::new(|_seen, _before| Reply::status(429).with("retry-after", "3600"));
    let run = expecting(&registry);
    let got = get(&run, &url(&registry)).await;
    assert_eq!((got.status.as_u16(), registry.seen().len()), (429, 1));
    assert_eq!(got.headers["retry-after"], "3600");
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_a_failure() {
    let registry = Registry::new(|_seen, _before| Reply::ok(CONTENT));
    let closed = Closed::port();
    let base = format!("https://localhost:{}/", closed.number());
    let run = Run::planned(&registry, |plan| {
        plan.repositories = vec![repository("gone", &base)]
    });
    assert_eq!(get(&run, &format!("{base}left")).await.status, 502);
    assert!(
        run.finding(Code::UpstreamFailed)
            .message
            .contains("cannot be reached")
    );
}

#[tokio::test]
async fn requests_at_once_share_one_connection_where_the_repository_speaks_http2() {
    let registry = Registry::new(|_seen, _before| Reply {
        delay: std::time::Duration::from_millis(50),
        ..Reply::ok("{}")
    });
    let run = Run::against(&registry);
    let keys: Vec<_> = (0..15)
        .map(|number| format!("{}-/package/left{number}/dist-tags", registry.base()))
        .collect();
    let mut all = tokio::task::JoinSet::new();
    let run = std::sync::Arc::new(run);
    for url in keys {
        let run = std::sync::Arc::clone(&run);
        all.spawn(async move { get(&run, &url).await.status });
    }
    while let Some(status) = all.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
    assert_eq!(registry.handshakes.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn http1_connections_are_kept_and_replaced_when_the_server_closes_them() {
    for (close, handshakes) in [(false, 1), (true, 5)] {
        let registry = Registry::with(Identity::Good, &["http/1.1"], move |_seen, _before| {
            let reply = Reply::ok("{}");
            if close {
                reply.with("connection", "close")
            } else {
                reply
            }
        });
        let run = Run::planned(&registry, |plan| {
            plan.expected = vec![locked("left", "1.0.0", CONTENT)];
        });
        while registry.handshakes.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        for number in 0..5 {
            let url = format!("{}-/package/left{number}/dist-tags", registry.base());
            assert_eq!(get(&run, &url).await.status, 200);
        }
        assert_eq!(registry.handshakes.load(Ordering::Relaxed), handshakes);
    }
}

#[tokio::test]
async fn the_callers_proxy_carries_the_connection() {
    let registry = Registry::new(|_seen, _before| Reply::ok(CONTENT));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let port = registry.port;
    let head = thread::spawn(move || relay(&listener, port));
    let run = Run::planned(&registry, |plan| {
        plan.expected = vec![locked("left", "1.0.0", CONTENT)];
        plan.upstream_proxy = Some(Secret::new(format!("http://user:pass@{address}")));
    });
    assert_eq!(get(&run, &url(&registry)).await.body, CONTENT);
    let head = head.join().unwrap();
    assert!(
        head.starts_with(&format!("CONNECT localhost:{port} HTTP/1.1\r\n")),
        "{head}"
    );
    assert!(
        head.contains("Proxy-Authorization: Basic dXNlcjpwYXNz"),
        "{head}"
    );
}

/// Serves one tunnel to the registry; gives the head of its request.
fn relay(listener: &TcpListener, port: u16) -> String {
    use std::io::{Read as _, Write as _};

    let (mut near, _) = listener.accept().unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        near.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        .unwrap();
    let far = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (mut near_read, mut far_write) = (near.try_clone().unwrap(), far.try_clone().unwrap());
    let (mut far_read, mut near_write) = (far, near);
    thread::spawn(move || std::io::copy(&mut near_read, &mut far_write));
    thread::spawn(move || std::io::copy(&mut far_read, &mut near_write));
    String::from_utf8(head).unwrap()
}
