//! Who may speak to the proxy, and where a tunnel leads.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::client::{basic, connect, exchange, get, raw, request, secure, tunnel};
use super::registry::{Registry, Reply};
use super::run::{Run, TOKEN, network};
use crate::model::Code;
use crate::model::Event;
use crate::proxy::ProxyError;

fn registry() -> Registry {
    Registry::new(|_seen, _before| Reply::ok(r#"{"name":"left"}"#))
}

fn authority(registry: &Registry) -> String {
    format!("localhost:{}", registry.port)
}

#[tokio::test]
async fn without_the_token_there_is_no_answer() {
    let registry = registry();
    let run = Run::against(&registry);
    let target = authority(&registry);
    for request in [
        format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"),
        connect(&target, "other"),
        connect(&target, &format!("{TOKEN}x")),
        connect(&target, ""),
        connect(&target, TOKEN).replace("Basic", "Bearer"),
        "GET http://registry.invalid/ HTTP/1.1\r\nHost: registry.invalid\r\n\r\n".to_owned(),
    ] {
        let (mut stream, head) = raw(&run, &request).await;
        assert!(head.starts_with("HTTP/1.1 407"), "{head}");
        assert!(head.contains("proxy-authenticate: Basic"), "{head}");
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
    }
    let events = run.end();
    assert!(
        !events.iter().any(|event| matches!(event, Event::Found(_))),
        "{events:?}"
    );
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Counted { repeated: 6, .. }))
    );
}

#[tokio::test]
async fn requests_without_tls_are_refused() {
    let run = Run::against(&registry());
    let request = format!(
        "GET http://u:p@registry.invalid/left?x HTTP/1.1\r\nHost: registry.invalid\r\n\
         Proxy-Authorization: {}\r\n\r\n",
        basic(TOKEN)
    );
    let (_, head) = raw(&run, &request).await;
    assert!(head.starts_with("HTTP/1.1 403"), "{head}");
    assert_eq!(
        run.finding(Code::PlainHttp).subject,
        "http://registry.invalid/left"
    );
}

#[tokio::test]
async fn tunnels_lead_to_repositories_only() {
    let registry = registry();
    let run = Run::against(&registry);
    for target in [
        "registry.invalid:443".to_owned(),
        "127.0.0.1:22".to_owned(),
        "169.254.169.254:80".to_owned(),
        "[::1]:443".to_owned(),
        format!("127.0.0.1:{}", registry.port),
        "localhost:1".to_owned(),
    ] {
        let (_, head) = raw(&run, &connect(&target, TOKEN)).await;
        assert!(head.starts_with("HTTP/1.1 403"), "{target}: {head}");
        let found = run.wait_event(|event| match event {
            Event::Found(finding) if finding.subject == target => Some(finding.code),
            _ => None,
        });
        assert_eq!(found, Code::RepositoryRefused);
    }
}

#[tokio::test]
async fn what_follows_a_tunnel_is_tls_or_nothing() {
    let registry = registry();
    let run = Run::against(&registry);
    let mut stream = tunnel(&run, &authority(&registry)).await;
    stream
        .write_all(b"GET /npm/left HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"));
    run.finding(Code::PlainHttp);
    assert!(registry.seen().is_empty());
}

#[tokio::test]
async fn bytes_before_the_grant_end_the_connection() {
    let registry = registry();
    let run = Run::against(&registry);
    let early = format!("{}\x16\x03\x01", connect(&authority(&registry), TOKEN));
    let (mut stream, _) = raw(&run, &early).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty());
    run.finding(Code::RequestRefused);
}

#[tokio::test]
async fn tls_asks_for_the_tunnels_name() {
    let registry = registry();
    let run = Run::against(&registry);
    for name in ["registry.invalid", "127.0.0.1"] {
        let stream = tunnel(&run, &authority(&registry)).await;
        assert!(secure(&run, stream, name, "http/1.1").await.is_err());
    }
    run.finding(Code::RequestRefused);
}

#[tokio::test]
async fn requests_are_for_the_tunnels_host() {
    let registry = registry();
    let run = Run::against(&registry);
    let own = authority(&registry);
    for (protocol, host, url) in [
        (
            "http/1.1",
            Some("registry.invalid"),
            format!("https://{own}/npm/left"),
        ),
        (
            "http/1.1",
            Some("localhost:1"),
            format!("https://{own}/npm/left"),
        ),
        ("h2", None, "https://registry.invalid/npm/left".to_owned()),
        (
            "h2",
            Some("registry.invalid"),
            format!("https://{own}/npm/left"),
        ),
        ("http/1.1", None, format!("https://{own}/npm/../npm/left")),
    ] {
        let stream = tunnel(&run, &own).await;
        let tls = secure(&run, stream, "localhost", protocol).await.unwrap();
        let mut request = request("GET", &url);
        if let Some(host) = host {
            request.headers_mut().insert("host", host.parse().unwrap());
        }
        let got = exchange(tls, protocol, request).await.unwrap();
        assert_eq!(got.status, 403, "{protocol} {host:?} {url}");
    }
    run.finding(Code::RequestRefused);
    assert!(registry.seen().is_empty());
}

#[tokio::test]
async fn the_run_ends_with_its_control_socket() {
    let registry = Registry::new(|_seen, _before| Reply {
        delay: std::time::Duration::from_secs(60),
        ..Reply::ok("x")
    });
    let run = Run::against(&registry);
    let stream = tunnel(&run, &authority(&registry)).await;
    let tls = secure(&run, stream, "localhost", "h2").await.unwrap();
    let url = format!("{}left", registry.base());
    let pending =
        tokio::spawn(async move { exchange(tls, "h2", request("GET", &url)).await.is_err() });
    while registry.seen().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let start = std::time::Instant::now();
    let events = tokio::task::spawn_blocking(move || run.end())
        .await
        .unwrap();
    assert!(start.elapsed().as_secs() < 5);
    assert!(matches!(events.first(), Some(Event::ProxyReady { .. })));
    assert!(pending.await.unwrap());
}

#[tokio::test]
async fn many_connections_at_once_are_served() {
    let registry = registry();
    let run = Run::against(&registry);
    let url = format!("{}left", registry.base());
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(run.connect());
    }
    assert_eq!(get(&run, &url).await.status, 200);
    drop(idle);
    assert_eq!(get(&run, &url).await.status, 200);
}

#[test]
fn a_plan_that_cannot_be_used_is_an_error() {
    assert!(matches!(Run::failure(b""), ProxyError::NoPlan));
    assert!(matches!(Run::failure(b"{}\n"), ProxyError::Plan(_)));
    let registry = registry();
    let store = tempfile::tempdir().unwrap();
    let failure = |change: &dyn Fn(&mut crate::model::Network)| {
        let mut plan = network(&registry, store.path());
        change(&mut plan);
        let mut line = serde_json::to_vec(&plan).unwrap();
        line.push(b'\n');
        Run::failure(&line)
    };
    let file = store.path().join("file");
    std::fs::write(&file, b"").unwrap();
    assert!(matches!(
        failure(&|plan| plan.store = file.clone().into()),
        ProxyError::Store(_)
    ));
    assert!(matches!(
        failure(&|plan| plan.protocol = "x".into()),
        ProxyError::Protocol(_)
    ));
    assert!(matches!(
        failure(&|plan| plan.extra_anchors = vec!["x".into()]),
        ProxyError::Trust(_)
    ));
    let clear = "http://registry.invalid/".parse::<url::Url>().unwrap();
    assert!(matches!(
        failure(&|plan| plan.repositories[0].base = clear.clone()),
        ProxyError::Repository { .. }
    ));
    let socks = crate::model::Secret::new("socks5://x:1".into());
    assert!(matches!(
        failure(&|plan| plan.upstream_proxy = Some(socks.clone())),
        ProxyError::Forward(_)
    ));
}
