//! Digests, store and ledger as the manager meets them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use bytes::Bytes;

use super::client::{get, request, send};
use super::registry::{Registry, Reply};
use super::run::{Run, locked, network, packument, sri};
use crate::model::Anchor;
use crate::model::AnchorClass;
use crate::model::Code;
use crate::model::Event;
use crate::model::Expected;
use crate::model::Integrity;
use crate::model::Source;
use crate::store::Directory;
use crate::store::Store as _;
use crate::verify::hash::sha256;

const CONTENT: &[u8] = b"bytes of a package";
const TARBALL: &str = "/npm/left/-/left-1.0.0.tgz";

fn url(registry: &Registry) -> String {
    format!("{}left/-/left-1.0.0.tgz", registry.base())
}

/// Answers every request with the content.
fn serving(content: &'static [u8]) -> Registry {
    Registry::new(move |_seen, _before| Reply::ok(content))
}

/// Index and artifact of one package, where the index lies at the base.
fn complete(protocols: &[&str]) -> Registry {
    Registry::with(
        super::registry::Identity::Good,
        protocols,
        |seen, _before| {
            let base = format!("https://{}/npm/", seen.host);
            match seen.path.as_str() {
                "/npm/left" => Reply::ok(packument(&base, "left", "1.0.0", CONTENT))
                    .with("content-type", "application/json")
                    .with("etag", "\"1\"")
                    .with("set-cookie", "a=b"),
                TARBALL => Reply::ok(CONTENT),
                _ => Reply::status(404),
            }
        },
    )
}

#[tokio::test]
async fn index_and_artifact_pass_with_either_http_version() {
    for upstream in ["h2", "http/1.1"] {
        for client in ["h2", "http/1.1"] {
            let registry = complete(&[upstream]);
            let run = Run::against(&registry);
            let index = send(
                &run,
                client,
                request("GET", &format!("{}left", registry.base())),
            )
            .await;
            assert_eq!(index.status, 200, "{}", index.text());
            assert_eq!(index.headers["content-type"], "application/json");
            assert_eq!(index.headers["etag"], "\"1\"");
            assert!(!index.headers.contains_key("set-cookie"));
            let artifact = send(&run, client, request("GET", &url(&registry))).await;
            assert_eq!(
                (artifact.status.as_u16(), &artifact.body[..]),
                (200, CONTENT)
            );
            let head = send(&run, client, request("HEAD", &url(&registry))).await;
            assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));

            let released = run.released("left");
            assert_eq!(released.anchor, Anchor::Index);
            assert_eq!(released.source, Source::Network);
            assert_eq!(released.sha512.unwrap().to_string(), sri(CONTENT));
            assert_eq!(released.repository, "default");
            let peer = run.wait_event(|event| match event {
                Event::Connected { tls, .. } => Some(tls.clone()),
                _ => None,
            });
            assert_eq!(peer.version, "TLSv1.3");
            assert_eq!(peer.anchor_class, Some(AnchorClass::UserConfigured));
            assert_eq!(peer.anchor_subject.unwrap(), "CN=registry test authority");
            let events = run.end();
            assert!(
                !events.iter().any(|event| matches!(event, Event::Found(_))),
                "{events:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_lockfile_is_enough() {
    let registry = serving(CONTENT);
    let run = Run::planned(&registry, |plan| {
        plan.expected = vec![locked("left", "1.0.0", CONTENT)]
    });
    assert_eq!(get(&run, &url(&registry)).await.body, CONTENT);
    assert_eq!(run.released("left").anchor, Anchor::Lockfile);
}

#[tokio::test]
async fn other_bytes_never_arrive() {
    let registry = serving(b"other bytes");
    let run = Run::planned(&registry, |plan| {
        plan.expected = vec![locked("left", "1.0.0", CONTENT)]
    });
    let got = get(&run, &url(&registry)).await;
    assert_eq!(got.status, 403);
    assert!(got.text().starts_with("v4run: integrity-mismatch: "));
    let finding = run.finding(Code::IntegrityMismatch);
    assert_eq!(finding.subject, "left@1.0.0");
    for part in [
        &sri(CONTENT),
        &sri(b"other bytes"),
        "package-lock.json: node_modules/left",
    ] {
        assert!(
            finding.message.contains(part),
            "{part} in {}",
            finding.message
        );
    }
    let store = Directory::open(run.store.as_ref().unwrap().path()).unwrap();
    for prefix in ["v1/blob", "v1/seen", "v1/tmp"] {
        assert!(store.list(prefix).unwrap().is_empty());
    }
}

#[tokio::test]
async fn missing_weak_and_conflicting_digests_are_refused_before_a_fetch() {
    let weak = Expected {
        integrity: Some(Integrity::parse("sha1-qZk+NkcGgWq6PiVxeFDCbJzQ2J0=").unwrap()),
        ..locked("weak", "1.0.0", CONTENT)
    };
    let conflict = Expected {
        anchor: Anchor::Index,
        ..locked("torn", "1.0.0", b"x")
    };
    let registry = serving(CONTENT);
    let run = Run::planned(&registry, |plan| {
        plan.expected = vec![weak, conflict, locked("torn", "1.0.0", CONTENT)];
    });
    for (name, code) in [
        ("none", Code::IntegrityMissing),
        ("weak", Code::IntegrityWeak),
        ("torn", Code::AnchorConflict),
    ] {
        let got = get(
            &run,
            &format!("{}{name}/-/{name}-1.0.0.tgz", registry.base()),
        )
        .await;
        assert_eq!(got.status, 403);
        assert!(got.text().contains(code.name()), "{}", got.text());
    }
    let message = run.finding(Code::AnchorConflict).message;
    assert!(
        message.contains(&sri(CONTENT)) && message.contains(&sri(b"x")),
        "{message}"
    );
    assert!(registry.seen().is_empty());
}

#[tokio::test]
async fn lock_and_index_of_the_run_are_compared() {
    let registry = complete(&["h2"]);
    let run = Run::planned(&registry, |plan| {
        plan.expected = vec![locked("left", "1.0.0", b"x")]
    });
    // An index that contradicts the lockfile is not passed on, so the manager cannot act on it.
    assert_eq!(
        get(&run, &format!("{}left", registry.base())).await.status,
        403
    );
    run.finding(Code::AnchorConflict);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_fetched_again() {
    for protocol in ["h2", "http/1.1"] {
        let registry = Registry::with(
            super::registry::Identity::Good,
            &[protocol],
            |_seen, before| {
                let claimed = (before == 0).then_some(CONTENT.len() + 10);
                Reply {
                    claimed,
                    ..Reply::ok(CONTENT)
                }
            },
        );
        let run = Run::planned(&registry, |plan| {
            plan.expected = vec![locked("left", "1.0.0", CONTENT)]
        });
        assert_eq!(get(&run, &url(&registry)).await.body, CONTENT);
        assert_eq!(registry.count(TARBALL), 2);
    }
}

#[tokio::test]
async fn an_answer_that_always_breaks_off_is_a_failure() {
    let registry = Registry::new(|_seen, _before| Reply {
        claimed: Some(99),
        ..Reply::ok(CONTENT)
    });
    let run = Run::planned(&registry, |plan| {
        plan.expected = vec![locked("left", "1.0.0", CONTENT)]
    });
    assert_eq!(get(&run, &url(&registry)).await.status, 502);
    assert_eq!(registry.count(TARBALL), 3);
    run.finding(Code::UpstreamFailed);
}

#[tokio::test]
async fn equal_requests_are_one_fetch() {
    let registry = Registry::new(|_seen, _before| Reply {
        delay: Duration::from_millis(300),
        ..Reply::ok(CONTENT)
    });
    let run = Run::planned(&registry, |plan| {
        plan.expected = vec![locked("left", "1.0.0", CONTENT)]
    });
    let address = url(&registry);
    let all = tokio::join!(
        get(&run, &address),
        get(&run, &address),
        send(&run, "h2", request("GET", &address)),
        get(&run, &address),
    );
    for got in [all.0, all.1, all.2, all.3] {
        assert_eq!(got.body, CONTENT);
    }
    assert_eq!(registry.count(TARBALL), 1);
}

#[tokio::test]
async fn a_large_artifact_in_slow_pieces_arrives_whole() {
    let piece = Bytes::from(vec![7_u8; 400_000]);
    let content: Vec<u8> = piece.repeat(6);
    let registry = Registry::new(move |_seen, _before| Reply {
        pieces: vec![piece.clone(); 6],
        delay: Duration::from_millis(20),
        ..Reply::ok("")
    });
    let run = Run::planned(&registry, |plan| {
        plan.expected = vec![locked("left", "1.0.0", &content)]
    });
    assert_eq!(get(&run, &url(&registry)).await.body, content);
    assert_eq!(get(&run, &url(&registry)).await.body, content);
    assert_eq!(registry.count(TARBALL), 1);
}

#[tokio::test]
async fn the_store_serves_later_runs_and_a_corrupt_blob_is_fetched_again() {
    let registry = serving(CONTENT);
    let store = tempfile::tempdir().unwrap();
    let mut plan = network(&registry, store.path());
    plan.expected = vec![locked("left", "1.0.0", CONTENT)];
    for (round, source) in [Source::Network, Source::Store, Source::Network]
        .iter()
        .enumerate()
    {
        let run = Run::start(&plan);
        assert_eq!(get(&run, &url(&registry)).await.body, CONTENT);
        assert_eq!(run.released("left").source, *source, "round {round}");
        run.end();
        if round == 1 {
            let key = Directory::open(store.path())
                .unwrap()
                .list("v1/blob")
                .unwrap()
                .remove(0);
            let path = store.path().join(key);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            fs::write(path, b"something else").unwrap();
        }
    }
    assert_eq!(registry.count(TARBALL), 2);
}

#[tokio::test]
async fn a_version_with_another_digest_than_before_is_refused() {
    let store = tempfile::tempdir().unwrap();
    for (content, status) in [(CONTENT, 200), (b"changed", 403), (CONTENT, 200)] {
        let registry = serving(content);
        let mut plan = network(&registry, store.path());
        plan.expected = vec![locked("left", "1.0.0", content)];
        // Mirrors of one origin: the port differs, what they serve must not.
        plan.repositories[0].origin = "https://registry.invalid/".parse().unwrap();
        let run = Run::start(&plan);
        assert_eq!(get(&run, &url(&registry)).await.status, status);
        if status == 403 {
            let message = run.finding(Code::DigestChanged).message;
            assert!(
                [CONTENT, content]
                    .iter()
                    .all(|one| message.contains(&sha256(one).to_string()))
            );
        }
        run.end();
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_written_fails_the_artifact() {
    let registry = serving(CONTENT);
    let run = Run::planned(&registry, |plan| {
        plan.expected = vec![locked("left", "1.0.0", CONTENT)]
    });
    let root = run.store.as_ref().unwrap().path();
    fs::remove_dir_all(root.join("v1")).unwrap();
    fs::write(root.join("v1"), b"in the way").unwrap();
    assert_eq!(get(&run, &url(&registry)).await.status, 502);
    run.finding(Code::StoreFailed);
}

#[tokio::test]
async fn what_the_repository_refuses_is_shown_to_the_manager() {
    let registry = Registry::new(|seen, _before| {
        Reply::status(seen.path.rsplit('/').next().unwrap()[5..8].parse().unwrap())
    });
    let run = Run::planned(&registry, |plan| {
        plan.expected = [401_u16, 403, 404, 410, 503]
            .map(|status| locked("left", &status.to_string(), CONTENT))
            .to_vec();
    });
    for status in [401, 403, 404, 410, 503] {
        let got = get(
            &run,
            &format!("{}left/-/left-{status}.tgz", registry.base()),
        )
        .await;
        assert_eq!(got.status, status);
        assert_eq!(got.text(), format!("status {status}"));
    }
    assert_eq!(registry.seen().len(), 4 + 3);
    run.finding(Code::UpstreamFailed);
}
