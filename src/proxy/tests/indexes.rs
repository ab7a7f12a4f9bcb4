//! Index documents, metadata and the calls that are not reads.

use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Request;
use http_body_util::Full;

use super::client::{get, request, send};
use super::registry::{Registry, Reply};
use super::run::{Run, packument};
use crate::model::Code;
use crate::model::Event;

#[tokio::test]
async fn a_malformed_or_foreign_index_is_refused() {
    let registry = Registry::new(|seen, _before| match seen.path.as_str() {
        "/npm/html" => Reply::ok("<html>"),
        "/npm/other" => Reply::ok(packument(
            "https://registry.invalid/",
            "left",
            "1.0.0",
            b"x",
        )),
        _ => Reply::ok("{}"),
    });
    let run = Run::against(&registry);
    for name in ["html", "other"] {
        let got = get(&run, &format!("{}{name}", registry.base())).await;
        assert_eq!(got.status, 403, "{name}");
        assert!(got.text().contains("index-malformed"), "{}", got.text());
    }
    run.finding(Code::IndexMalformed);
}

#[tokio::test]
async fn an_index_larger_than_its_bound_is_refused_unread() {
    let registry = Registry::new(|_seen, _before| Reply {
        claimed: Some(1 << 30),
        delay: Duration::from_secs(60),
        ..Reply::ok("{")
    });
    let run = Run::against(&registry);
    assert_eq!(
        get(&run, &format!("{}left", registry.base())).await.status,
        403
    );
    run.finding(Code::MetadataTooLarge);
    assert_eq!(registry.seen().len(), 1);
}

#[tokio::test]
async fn a_huge_index_passes_unchanged() {
    let entry = |number: usize| {
        format!(
            r#""1.0.{number}":{{"name":"left","version":"1.0.{number}","readme":"{}","dist":
            {{"tarball":"https://registry.invalid/left/-/left-1.0.{number}.tgz","shasum":
            "a9993e364706816aba3e25717850c26c9cd0d89d"}}}}"#,
            "x".repeat(1000)
        )
    };
    let versions: Vec<_> = (0..5000).map(entry).collect();
    let document = format!(r#"{{"name":"left","versions":{{{}}}}}"#, versions.join(","));
    let served = document.clone();
    let registry = Registry::new(move |_seen, _before| Reply::ok(served.clone()));
    let run = Run::against(&registry);
    assert_eq!(
        get(&run, &format!("{}left", registry.base())).await.body,
        document
    );
    let size = run.wait_event(|event| match event {
        Event::MetadataServed {
            size, status: 200, ..
        } => Some(*size),
        _ => None,
    });
    assert_eq!(size, document.len() as u64);
}

#[tokio::test]
async fn the_manager_sends_nothing_but_what_it_may() {
    let registry = Registry::new(|seen, _before| match seen.path.as_str() {
        "/npm/left" => Reply::ok(packument(
            "https://registry.invalid/",
            "left",
            "1.0.0",
            b"x",
        )),
        _ => Reply::ok("{}"),
    });
    let run = Run::against(&registry);
    for path in ["left", "-/npm/v1/keys", "-/package/left/dist-tags"] {
        let mut request = request("GET", &format!("{}{path}", registry.base()));
        for (name, value) in [
            ("accept", "application/json"),
            ("user-agent", "npm/x"),
            ("authorization", "Bearer stolen"),
            ("cookie", "a=b"),
            ("npm-otp", "123456"),
            ("if-none-match", "\"1\""),
            ("if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("accept-encoding", "gzip"),
            ("x-anything", "y"),
        ] {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        assert_eq!(send(&run, "http/1.1", request).await.status, 200);
    }
    for seen in registry.seen() {
        let mut names: Vec<_> = seen.headers.keys().map(http::HeaderName::as_str).collect();
        names.retain(|name| *name != "host");
        names.sort_unstable();
        assert_eq!(names, ["accept", "accept-encoding", "user-agent"]);
        assert_eq!(seen.header("accept"), Some("application/json"));
    }
}

#[tokio::test]
async fn a_compressed_index_is_read_and_given_in_plain() {
    let document = packument("https://registry.invalid/", "left", "1.0.0", b"x");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(document.as_bytes()).unwrap();
    let compressed = encoder.finish().unwrap();
    let registry = Registry::new(move |seen, _before| {
        assert_eq!(seen.header("accept-encoding"), Some("gzip"));
        let body = if seen.path.ends_with("left") {
            &compressed[..]
        } else {
            b"damaged"
        };
        Reply::ok(Bytes::copy_from_slice(body)).with("content-encoding", "gzip")
    });
    let run = Run::against(&registry);
    let got = get(&run, &format!("{}left", registry.base())).await;
    assert_eq!((got.status.as_u16(), got.text()), (200, document.as_str()));
    assert!(!got.headers.contains_key("content-encoding"));
    let got = get(&run, &format!("{}right", registry.base())).await;
    assert!(got.text().contains("index-malformed"), "{}", got.text());
}

#[tokio::test]
async fn an_unknown_encoding_is_a_failure() {
    let registry = Registry::new(|_seen, _before| Reply::ok("x").with("content-encoding", "br"));
    let run = Run::against(&registry);
    assert_eq!(
        get(&run, &format!("{}left", registry.base())).await.status,
        502
    );
    run.finding(Code::UpstreamFailed);
}

#[tokio::test]
async fn changes_are_refused_and_never_sent() {
    let registry = Registry::new(|_seen, _before| Reply::ok("{}"));
    let run = Run::planned(&registry, |plan| plan.audit = true);
    for (method, path) in [
        ("PUT", "left"),
        ("POST", "left"),
        ("DELETE", "left/-/left-1.0.0.tgz/-rev/1"),
        ("PUT", "-/user/org.couchdb.user:me"),
        ("GET", "-/v1/search?text=x"),
        ("GET", "-/whoami"),
        ("POST", "-/npm/v1/tokens"),
    ] {
        let got = send(
            &run,
            "http/1.1",
            request(method, &format!("{}{path}", registry.base())),
        )
        .await;
        assert_eq!(got.status, 403, "{method} {path}");
    }
    let outside = format!("https://localhost:{}/other/left", registry.port);
    assert_eq!(get(&run, &outside).await.status, 403);
    run.finding(Code::RequestRefused);
    assert!(registry.seen().is_empty());
}

#[tokio::test]
async fn audit_calls_pass_only_where_the_plan_says_so() {
    for audit in [true, false] {
        let registry = Registry::new(|_seen, _before| Reply::ok("{}"));
        let run = Run::planned(&registry, |plan| plan.audit = audit);
        let request = Request::builder()
            .method("POST")
            .uri(format!(
                "{}-/npm/v1/security/advisories/bulk",
                registry.base()
            ))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from_static(b"{\"left\":[\"1.0.0\"]}")))
            .unwrap();
        let got = send(&run, "http/1.1", request).await;
        assert_eq!(got.status, if audit { 200 } else { 403 });
        let seen = registry.seen();
        assert_eq!(seen.len(), usize::from(audit));
        if let Some(seen) = seen.first() {
            assert_eq!(seen.method, "POST");
            assert_eq!(seen.body, "{\"left\":[\"1.0.0\"]}");
            assert_eq!(seen.header("content-type"), Some("application/json"));
        }
        assert!(
            !run.end()
                .iter()
                .any(|event| matches!(event, Event::Found(_)))
        );
    }
}
