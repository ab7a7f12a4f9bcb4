//! Artifacts whose digest lies beside them: what passes, what is refused, what is answered here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::client::{Got, get, request, send};
use super::registry::{Registry, Reply};
use super::run::{Run, network, repository};
use crate::model::Algorithm;
use crate::model::Anchor;
use crate::model::Code;
use crate::model::Digest;
use crate::model::Event;
use crate::model::Expected;
use crate::model::Integrity;
use crate::model::Network;
use crate::model::Pin;
use crate::model::Source;
use crate::verify::Hashing;

pub(super) const JAR: &[u8] = b"bytes of a jar";
pub(super) const PATH: &str = "g/x/1/x-1.jar";

/// What lies where below the base; changed while the run goes on.
pub(super) type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

pub(super) fn hex(content: &[u8], algorithm: Algorithm) -> String {
    let mut hashing = Hashing::new((), []).complete();
    hashing
        .push(bytes::Bytes::copy_from_slice(content))
        .unwrap();
    let hashed = hashing.finish();
    let digest = match algorithm {
        Algorithm::Sha1 => hashed.digests().sha1.as_ref(),
        other => hashed.digests().under(other),
    };
    digest.unwrap().hex()
}

pub(super) fn files(all: &[(&str, &[u8])]) -> Files {
    let named = |(path, content): &(&str, &[u8])| ((*path).to_owned(), content.to_vec());
    Arc::new(Mutex::new(all.iter().map(named).collect()))
}

/// A jar with the side files of these algorithms.
pub(super) fn jar(path: &str, content: &[u8], algorithms: &[Algorithm]) -> Files {
    let files = files(&[(path, content)]);
    for algorithm in algorithms {
        let side = format!("{path}.{}", algorithm.name());
        let text = format!("{}  x\n", hex(content, *algorithm));
        files.lock().unwrap().insert(side, text.into_bytes());
    }
    files
}

pub(super) fn serving(files: &Files) -> Registry {
    let files = Arc::clone(files);
    Registry::new(move |seen, _before| {
        let path = seen.path.strip_prefix("/npm/").unwrap_or_default();
        match files.lock().unwrap().get(path) {
            Some(content) => Reply::ok(content.clone()),
            None => Reply::status(404),
        }
    })
}

pub(super) fn against(registry: &Registry, change: impl FnOnce(&mut Network)) -> Run {
    Run::planned(registry, |network| {
        network.protocol = "maven".into();
        change(network);
    })
}

pub(super) async fn ask(run: &Run, registry: &Registry, path: &str) -> Got {
    get(run, &format!("{}{path}", registry.base())).await
}

fn locked(content: &[u8]) -> Expected {
    let digest = Digest::from_hex(Algorithm::Sha256, &hex(content, Algorithm::Sha256));
    Expected {
        name: "g:x".into(),
        version: "1".into(),
        file: Some("x-1.jar".into()),
        url: None,
        integrity: Some(Integrity::of(digest.unwrap())),
        anchor: Anchor::Lockfile,
        stated_in: "checksums.sha256:1".into(),
    }
}

#[tokio::test]
async fn an_artifact_passes_when_what_lies_beside_it_agrees() {
    for (algorithms, anchor) in [
        (&[Algorithm::Sha1][..], Anchor::WeakSideFile),
        (&[Algorithm::Sha256], Anchor::SideFile),
        (&[Algorithm::Sha512, Algorithm::Sha1], Anchor::SideFile),
    ] {
        let registry = serving(&jar(PATH, JAR, algorithms));
        let run = against(&registry, |_network| {});
        let got = ask(&run, &registry, PATH).await;
        assert_eq!((got.status.as_u16(), &got.body[..]), (200, JAR));
        let sha1 = hex(JAR, Algorithm::Sha1);
        assert_eq!(got.headers["x-checksum-sha1"], sha1.as_str());
        let released = run.released("g:x");
        assert_eq!((released.version.as_str(), released.anchor), ("1", anchor));
        assert_eq!(released.source, Source::Network);

        // The manager's own questions need no repository.
        let before = registry.seen().len();
        for algorithm in [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512] {
            let path = format!("{PATH}.{}", algorithm.name());
            assert_eq!(
                ask(&run, &registry, &path).await.text(),
                hex(JAR, algorithm)
            );
        }
        assert_eq!(
            ask(&run, &registry, &format!("{PATH}.md5")).await.status,
            404
        );
        // Nor does the same artifact a second time.
        assert_eq!(ask(&run, &registry, PATH).await.status, 200);
        assert_eq!(registry.seen().len(), before);
        run.end();
    }
}

#[tokio::test]
async fn a_wrong_missing_or_unreadable_checksum_is_refused() {
    let sha1 = format!("{PATH}.sha1");
    for (sides, code) in [
        (vec![], Code::IntegrityMissing),
        (vec![("sha1", "00".repeat(20))], Code::IntegrityMismatch),
        (vec![("sha1", "<html>".to_owned())], Code::IntegrityMissing),
        (
            vec![
                ("sha1", hex(JAR, Algorithm::Sha1)),
                ("sha512", "00".repeat(64)),
            ],
            Code::IntegrityMismatch,
        ),
    ] {
        let files = files(&[(PATH, JAR)]);
        for (name, text) in &sides {
            let path = format!("{PATH}.{name}");
            files
                .lock()
                .unwrap()
                .insert(path, text.clone().into_bytes());
        }
        let registry = serving(&files);
        let run = against(&registry, |_network| {});
        let got = ask(&run, &registry, PATH).await;
        assert_eq!(got.status, 403, "{sides:?}");
        assert!(!got.text().contains("bytes of a jar"));
        let subject = run.finding(code).subject;
        assert!(subject == "g:x@1" || subject.ends_with(&sha1), "{subject}");
        // Nothing of it was given out, so nothing is known of it.
        assert_eq!(ask(&run, &registry, &sha1).await.status, 404);
        let events = run.end();
        assert!(
            !events
                .iter()
                .any(|event| matches!(event, Event::Released(_)))
        );
    }
}

#[tokio::test]
async fn what_is_not_there_is_an_ordinary_answer() {
    let registry = serving(&files(&[]));
    let run = against(&registry, |_network| {});
    for path in [PATH, "g/x/maven-metadata.xml", "g/x/1/x-1.jar.asc"] {
        assert_eq!(ask(&run, &registry, path).await.status, 404, "{path}");
    }
    let url = format!("{}{PATH}", registry.base());
    let head = send(&run, "http/1.1", request("HEAD", &url)).await;
    assert_eq!(head.status, 404);
    let events = run.end();
    assert!(
        !events.iter().any(|event| matches!(event, Event::Found(_))),
        "{events:?}"
    );
}

#[tokio::test]
async fn the_lock_speaks_before_any_side_file() {
    let files = jar(PATH, JAR, &[Algorithm::Sha1]);
    let registry = serving(&files);
    let run = against(&registry, |network| network.expected = vec![locked(JAR)]);
    assert_eq!(ask(&run, &registry, PATH).await.status, 200);
    assert_eq!(run.released("g:x").anchor, Anchor::Lockfile);
    let sha1 = ask(&run, &registry, &format!("{PATH}.sha1")).await;
    assert_eq!(sha1.text(), hex(JAR, Algorithm::Sha1));
    assert_eq!(registry.seen().len(), 1);
    run.end();

    // A checksum that fits the bytes does not help when the lock names others.
    let run = against(&registry, |network| {
        network.expected = vec![locked(b"other")]
    });
    assert_eq!(ask(&run, &registry, PATH).await.status, 403);
    run.finding(Code::IntegrityMismatch);
    run.end();

    let run = against(&registry, |network| network.closed = true);
    assert_eq!(ask(&run, &registry, PATH).await.status, 403);
    run.finding(Code::IntegrityMissing);
    // What nobody has is not there, lock or not.
    assert_eq!(ask(&run, &registry, "g/x/2/x-2.jar").await.status, 404);
    run.end();
    assert!(
        registry
            .seen()
            .iter()
            .all(|seen| seen.method == "HEAD" || !seen.path.ends_with("x-2.jar"))
    );
}

#[tokio::test]
async fn metadata_is_compared_and_may_change_under_the_reader() {
    const XML: &[u8] = b"<metadata><groupId>g</groupId><artifactId>x</artifactId></metadata>";
    let path = "g/x/maven-metadata.xml";
    let good = hex(XML, Algorithm::Sha1);
    let stale = "00".repeat(20);
    // The first checksum belongs to the document before this one.
    let registry = Registry::new(move |seen, before| match seen.path.as_str() {
        "/npm/g/x/maven-metadata.xml" => Reply::ok(XML),
        "/npm/g/x/maven-metadata.xml.sha1" if before == 0 => Reply::ok(stale.clone()),
        "/npm/g/x/maven-metadata.xml.sha1" => Reply::ok(good.clone()),
        _ => Reply::status(404),
    });
    let run = against(&registry, |_network| {});
    assert_eq!(ask(&run, &registry, path).await.body, XML);
    let sha1 = ask(&run, &registry, &format!("{path}.sha1")).await;
    assert_eq!(sha1.text(), hex(XML, Algorithm::Sha1));
    let served = run.wait_event(|event| match event {
        Event::MetadataServed { sha256, .. } => sha256.clone(),
        _ => None,
    });
    assert_eq!(served.hex(), hex(XML, Algorithm::Sha256));
    run.end();

    for (body, sha1, code) in [
        (XML, "00".repeat(20), Code::IntegrityMismatch),
        (XML, String::new(), Code::IntegrityMissing),
        (
            b"<metadata><version>../..</version></metadata>",
            hex(
                b"<metadata><version>../..</version></metadata>",
                Algorithm::Sha1,
            ),
            Code::IndexMalformed,
        ),
    ] {
        let files = files(&[(path, body)]);
        if !sha1.is_empty() {
            let side = format!("{path}.sha1");
            files.lock().unwrap().insert(side, sha1.into_bytes());
        }
        let registry = serving(&files);
        let run = against(&registry, |_network| {});
        assert_eq!(ask(&run, &registry, path).await.status, 403);
        run.finding(code);
        run.end();
    }
}

#[tokio::test]
async fn a_release_keeps_its_digest_across_runs_and_a_snapshot_need_not() {
    let store = tempfile::tempdir().unwrap();
    for (path, version, changed) in [
        (PATH, "1", 403),
        ("g/x/1-SNAPSHOT/x-1-SNAPSHOT.jar", "1-SNAPSHOT", 200),
    ] {
        let files = jar(path, JAR, &[Algorithm::Sha1]);
        let registry = serving(&files);
        let plan = || {
            let mut plan = network(&registry, store.path());
            plan.protocol = "maven".into();
            plan
        };
        let run = Run::start(&plan());
        assert_eq!(ask(&run, &registry, path).await.status, 200);
        assert_eq!(run.released("g:x").version, version);
        run.end();

        let other = jar(path, b"other bytes", &[Algorithm::Sha1]);
        *files.lock().unwrap() = other.lock().unwrap().clone();
        let run = Run::start(&plan());
        assert_eq!(ask(&run, &registry, path).await.status, changed, "{path}");
        if changed == 403 {
            run.finding(Code::DigestChanged);
        }
        run.end();
    }
}

#[tokio::test]
async fn a_name_that_belongs_elsewhere_is_not_there() {
    let registry = serving(&jar(PATH, JAR, &[Algorithm::Sha1]));
    let other = serving(&files(&[]));
    let pinned = |to: &'static str| {
        against(&registry, |network| {
            network.extra_anchors.push(other.authority.clone());
            network
                .repositories
                .push(repository("other", &other.base()));
            network.pins = vec![Pin {
                name: "g:*".into(),
                repository: to.into(),
                stated_in: "v4run.toml:3".into(),
            }];
        })
    };
    let run = pinned("other");
    assert_eq!(ask(&run, &registry, PATH).await.status, 404);
    assert_eq!(registry.seen().len(), 0);
    run.end();
    let run = pinned("default");
    assert_eq!(ask(&run, &registry, PATH).await.status, 200);
    run.end();
    let run = pinned("absent");
    assert_eq!(ask(&run, &registry, PATH).await.status, 403);
    run.finding(Code::RepositoryRefused);
    run.end();
}
