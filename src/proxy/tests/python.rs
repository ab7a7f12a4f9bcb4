//! The Python index protocol end to end: pages, wheels, metadata files, several indexes.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::client::{connect, get, raw, request, send};
use super::registry::{Registry, Reply};
use super::run::{Run, TOKEN, repository};
use crate::model::Algorithm;
use crate::model::Anchor;
use crate::model::Code;
use crate::model::Digest;
use crate::model::Event;
use crate::model::Expected;
use crate::model::Integrity;
use crate::model::Network;
use crate::model::Occupied;
use crate::model::Pin;
use crate::model::Source;
use crate::protocol::pypi::wheel::fixture;

const JSON: &str = "application/vnd.pypi.simple.v1+json";
const WHEEL: &str = "left-1.0-py3-none-any.whl";

pub(super) fn digest(content: &[u8]) -> Digest {
    Digest::new(Algorithm::Sha256, Sha256::digest(content).to_vec()).unwrap()
}

fn sha256(content: &[u8]) -> String {
    digest(content).hex()
}

pub(super) fn wheel(name: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    fixture::wheel(name, "1.0", files)
}

pub(super) fn left() -> Vec<u8> {
    wheel("left", &[("left/__init__.py", b"x = 1\n")])
}

/// One file of a page; `hash` as in a fragment.
fn file(url: &str, hash: &str) -> String {
    let hashes = hash
        .split_once('=')
        .map_or_else(String::new, |(name, value)| {
            format!(r#""{name}":"{value}""#)
        });
    let name = url.rsplit('/').next().unwrap();
    format!(r#"{{"filename":"{name}","url":"{url}","hashes":{{{hashes}}}}}"#)
}

pub(super) fn good(url: &str, content: &[u8]) -> String {
    file(url, &format!("sha256={}", sha256(content)))
}

pub(super) fn page(name: &str, files: &[String]) -> Reply {
    let files = files.join(",");
    let body = format!(r#"{{"meta":{{"api-version":"1.1"}},"name":"{name}","files":[{files}]}}"#);
    Reply::ok(body)
        .with("content-type", JSON)
        .with("etag", "\"1\"")
}

/// Answers by path, everything else with 404.
pub(super) fn serving(replies: Vec<(&'static str, Reply)>) -> Registry {
    let replies: BTreeMap<&str, Reply> = replies.into_iter().collect();
    Registry::new(move |seen, _before| {
        let reply = replies.get(seen.path.as_str());
        reply.cloned().unwrap_or_else(|| Reply::status(404))
    })
}

fn base(registry: &Registry) -> String {
    format!("https://localhost:{}/simple/", registry.port)
}

pub(super) fn planned(registry: &Registry, change: impl FnOnce(&mut Network)) -> Run {
    Run::planned(registry, |plan| {
        plan.protocol = "pypi".into();
        plan.repositories = vec![repository("default", &base(registry))];
        change(plan);
    })
}

pub(super) async fn ask(run: &Run, registry: &Registry, path: &str) -> super::client::Got {
    let mut request = request("GET", &format!("https://localhost:{}{path}", registry.port));
    let accept = format!("{JSON}, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01");
    request
        .headers_mut()
        .insert("accept", accept.parse().unwrap());
    send(run, "http/1.1", request).await
}

/// An index with one file, and what it serves for that file.
fn simple(entry: String, content: Vec<u8>) -> Registry {
    serving(vec![
        ("/simple/left/", page("left", &[entry])),
        ("/simple/left/left-1.0-py3-none-any.whl", Reply::ok(content)),
    ])
}

const FILE: &str = "/simple/left/left-1.0-py3-none-any.whl";

#[tokio::test]
async fn an_index_on_one_host_and_its_files_on_another() {
    let content = left();
    let served = content.clone();
    let files = Registry::new(move |_seen, _before| Reply::ok(served.clone()));
    let url = format!("https://localhost:{}/p/{WHEEL}", files.port);
    let registry = serving(vec![(
        "/simple/left/",
        page("left", &[good(&url, &content)]),
    )]);
    let run = planned(&registry, |plan| {
        plan.extra_anchors.push(files.authority.clone());
    });
    // Before the index named it there is no way to that host.
    let target = format!("localhost:{}", files.port);
    let (_, head) = raw(&run, &connect(&target, TOKEN)).await;
    assert!(head.starts_with("HTTP/1.1 403"), "{head}");
    let index = ask(&run, &registry, "/simple/left/").await;
    assert_eq!(index.status, 200, "{}", index.text());
    assert_eq!(index.headers["content-type"], JSON);
    assert!(!index.headers.contains_key("etag"));
    assert!(index.text().contains(&url));
    let accept = registry.seen()[0].header("accept").unwrap().to_owned();
    assert!(accept.starts_with(JSON), "{accept}");
    let artifact = get(&run, &url).await;
    assert_eq!(
        (artifact.status.as_u16(), &artifact.body[..]),
        (200, &content[..])
    );
    // No other address of that host.
    assert_eq!(ask(&run, &files, "/p/other.whl").await.status, 403);
    assert_eq!(files.seen().len(), 1);
    let released = run.released("left");
    assert_eq!(
        (released.version.as_str(), released.repository.as_str()),
        ("1.0", "default")
    );
    assert_eq!(
        (released.anchor, released.source),
        (Anchor::Index, Source::Network)
    );
    let examined = run.wait_event(|event| match event {
        Event::Examined(examined) => Some(examined.clone()),
        _ => None,
    });
    assert_eq!((examined.file.as_str(), examined.files), (WHEEL, 4));
    assert_eq!(examined.sha256.unwrap().hex(), sha256(&content));
    let again = get(&run, &url).await;
    assert_eq!(again.body, content);
    let looks = run
        .end()
        .iter()
        .filter(|e| matches!(e, Event::Examined(_)))
        .count();
    assert_eq!(looks, 1);
}

#[tokio::test]
async fn digests_that_do_not_suffice_are_not_given_out() {
    let content = left();
    for (hash, code) in [
        (String::new(), Code::IntegrityMissing),
        (format!("md5={}", "0".repeat(32)), Code::IntegrityWeak),
        (format!("sha1={}", "0".repeat(40)), Code::IntegrityWeak),
        ("blake2b=00".to_owned(), Code::IntegrityMissing),
    ] {
        let registry = simple(file(WHEEL, &hash), content.clone());
        let run = planned(&registry, |_plan| {});
        let index = ask(&run, &registry, "/simple/left/").await;
        assert_eq!(index.status, 200);
        assert!(!index.text().contains(WHEEL), "{}", index.text());
        assert_eq!(run.finding(code).subject, "left");
        let got = ask(&run, &registry, FILE).await;
        assert_eq!(got.status, 403);
        assert!(got.text().contains(code.name()), "{}", got.text());
        assert_eq!(registry.count(FILE), 0);
    }
}

#[tokio::test]
async fn other_bytes_than_the_index_or_the_lock_promised_never_arrive() {
    let registry = simple(good(WHEEL, &left()), wheel("left", &[("left.py", b"evil")]));
    let run = planned(&registry, |_plan| {});
    ask(&run, &registry, "/simple/left/").await;
    assert_eq!(ask(&run, &registry, FILE).await.status, 403);
    assert_eq!(run.finding(Code::IntegrityMismatch).subject, "left@1.0");

    let locked = |content: &[u8]| {
        let other = fixture::wheel("left", "1.0", &[("other.py", b"")]);
        let both = [other.as_slice(), content].map(|content| digest(content).to_string());
        Expected {
            name: "left".into(),
            version: "1.0.0".into(),
            file: None,
            url: None,
            integrity: Some(Integrity::parse(&both.join(" ")).unwrap()),
            anchor: Anchor::Lockfile,
            stated_in: "requirements.txt:1".into(),
        }
    };
    let registry = simple(good(WHEEL, &left()), left());
    let run = planned(&registry, |plan| plan.expected = vec![locked(&left())]);
    assert_eq!(ask(&run, &registry, "/simple/left/").await.status, 200);
    assert_eq!(ask(&run, &registry, FILE).await.body, left());
    assert_eq!(run.released("left").anchor, Anchor::Lockfile);
    let run = planned(&registry, |plan| plan.expected = vec![locked(b"others")]);
    // The index may list other platforms' files, so only the file itself is in conflict.
    assert_eq!(ask(&run, &registry, "/simple/left/").await.status, 200);
    assert_eq!(ask(&run, &registry, FILE).await.status, 403);
    let message = run.finding(Code::AnchorConflict).message;
    assert!(message.contains("requirements.txt:1"), "{message}");
}

#[tokio::test]
async fn metadata_files_are_verified_and_are_no_components() {
    let metadata = b"Name: left\nVersion: 1.0\n";
    let entry = |digest: &str| {
        let stated = format!(r#","core-metadata":{{"sha256":"{digest}"}}}}"#);
        let entry = good(WHEEL, &left());
        format!("{}{stated}", entry.strip_suffix('}').unwrap())
    };
    for (promised, status) in [(sha256(metadata), 200), (sha256(b"other"), 403)] {
        let entry = entry(&promised);
        let registry = serving(vec![
            ("/simple/left/", page("left", &[entry])),
            (
                "/simple/left/left-1.0-py3-none-any.whl.metadata",
                Reply::ok(&metadata[..]),
            ),
        ]);
        let run = planned(&registry, |plan| {
            // What a lockfile says of the version is about its wheels.
            plan.expected = vec![Expected {
                name: "left".into(),
                version: "1.0".into(),
                file: None,
                url: None,
                integrity: Some(Integrity::of(digest(&left()))),
                anchor: Anchor::Lockfile,
                stated_in: "lock".into(),
            }];
        });
        let path = format!("{FILE}.metadata");
        assert_eq!(ask(&run, &registry, &path).await.status, 403);
        let index = ask(&run, &registry, "/simple/left/").await;
        assert!(index.text().contains("core-metadata"));
        let got = ask(&run, &registry, &path).await;
        assert_eq!(got.status.as_u16(), status, "{}", got.text());
        let events = run.end();
        assert!(
            !events
                .iter()
                .any(|event| matches!(event, Event::Released(_)))
        );
        let served = |event: &&Event| matches!(event, Event::MetadataServed { url, status: 200, .. } if url.ends_with(".metadata"));
        assert_eq!(
            events.iter().filter(served).count(),
            usize::from(status == 200)
        );
    }
}

#[tokio::test]
async fn source_is_taken_off_the_page_and_refused() {
    let registry = serving(vec![(
        "/simple/left/",
        page("left", &[good("left-1.0.tar.gz", b"source")]),
    )]);
    let run = planned(&registry, |_plan| {});
    let index = ask(&run, &registry, "/simple/left/").await;
    assert!(!index.text().contains("tar.gz"), "{}", index.text());
    let finding = run.finding(Code::SourceWithheld);
    assert_eq!(finding.subject, "left");
    assert!(finding.hint.is_some());
    let got = ask(&run, &registry, "/simple/left/left-1.0.tar.gz").await;
    assert!(got.text().contains("build code"), "{}", got.text());
    assert_eq!(registry.seen().len(), 1);
}

#[tokio::test]
async fn redirects_stay_within_the_index() {
    let content = left();
    let registry = serving(vec![
        ("/simple/Left/", Reply::redirect("/simple/left/")),
        (
            "/simple/away/",
            Reply::redirect("https://files.invalid/simple/away/"),
        ),
        (
            "/simple/clear/",
            Reply::redirect("http://localhost/simple/clear/"),
        ),
        ("/simple/left/", page("left", &[good(WHEEL, &content)])),
    ]);
    let run = planned(&registry, |_plan| {});
    let index = ask(&run, &registry, "/simple/Left/").await;
    assert_eq!(index.status, 200);
    let full = format!("{}left/{WHEEL}", base(&registry));
    assert!(index.text().contains(&full), "{}", index.text());
    assert_eq!(ask(&run, &registry, "/simple/away/").await.status, 403);
    assert_eq!(ask(&run, &registry, "/simple/clear/").await.status, 403);
    run.finding(Code::RedirectRefused);
    run.finding(Code::PlainHttp);
}

#[tokio::test]
async fn pages_that_are_none_are_refused() {
    let entry = good(&format!("http://localhost/{WHEEL}"), b"x");
    let registry = serving(vec![
        ("/simple/broken/", Reply::ok("{").with("content-type", JSON)),
        (
            "/simple/login/",
            Reply::ok("{}").with("content-type", "application/json"),
        ),
        ("/simple/bare/", Reply::ok("<a href=x>x</a>")),
        ("/simple/other/", page("left", &[])),
        (
            "/simple/huge/",
            Reply {
                claimed: Some(50 << 20),
                delay: std::time::Duration::from_secs(60),
                ..Reply::ok("<html>").with("content-type", "text/html")
            },
        ),
        ("/simple/left/", page("left", &[entry])),
    ]);
    let run = planned(&registry, |_plan| {});
    for (name, code) in [
        ("broken", Code::IndexMalformed),
        ("login", Code::IndexMalformed),
        ("bare", Code::IndexMalformed),
        ("other", Code::IndexMalformed),
        ("huge", Code::MetadataTooLarge),
    ] {
        let got = ask(&run, &registry, &format!("/simple/{name}/")).await;
        assert_eq!(got.status, 403, "{name}");
        assert!(got.text().contains(code.name()), "{}", got.text());
    }
    let index = ask(&run, &registry, "/simple/left/").await;
    assert!(!index.text().contains("http://"), "{}", index.text());
    run.finding(Code::PlainHttp);
    for path in ["/simple/", "/simple/left/x/", "/other/left/"] {
        assert_eq!(ask(&run, &registry, path).await.status, 403, "{path}");
    }
}

/// Two indexes; `left` is where the flags say, at the second with another content.
fn two(first: bool, second: bool) -> (Registry, Registry) {
    let index = |has: bool, content: Vec<u8>| match has {
        true => simple(good(WHEEL, &content), content),
        false => serving(Vec::new()),
    };
    let evil = wheel("left", &[("left.py", b"evil")]);
    (index(first, left()), index(second, evil))
}

fn both(one: &Registry, other: &Registry, change: impl FnOnce(&mut Network)) -> Run {
    planned(one, |plan| {
        plan.repositories.push(repository("extra", &base(other)));
        plan.extra_anchors.push(other.authority.clone());
        change(plan);
    })
}

fn pin(name: &str, repository: &str) -> Pin {
    Pin {
        name: name.into(),
        repository: repository.into(),
        stated_in: "v4run.toml:3".into(),
    }
}

#[tokio::test]
async fn a_name_on_two_indexes_is_refused_whichever_is_asked_first() {
    for swapped in [false, true] {
        let (one, other) = two(true, true);
        let run = both(&one, &other, |_plan| {});
        let order = if swapped {
            [&other, &one]
        } else {
            [&one, &other]
        };
        for registry in order {
            let got = ask(&run, registry, "/simple/left/").await;
            assert_eq!(got.status, 403);
            assert!(got.text().contains("name-ambiguous"), "{}", got.text());
        }
        let finding = run.finding(Code::NameAmbiguous);
        assert!(finding.message.contains("`default`") && finding.message.contains("`extra`"));
        assert_eq!(ask(&run, &one, FILE).await.status, 403);
    }
}

#[tokio::test]
async fn a_name_on_one_of_two_indexes_comes_from_there() {
    for (first, second) in [(true, false), (false, true)] {
        let (one, other) = two(first, second);
        let run = both(&one, &other, |_plan| {});
        for (registry, has) in [(&one, first), (&other, second)] {
            let got = ask(&run, registry, "/simple/left/").await;
            assert_eq!(got.status.as_u16(), if has { 200 } else { 404 });
            // Each was asked once, for both questions.
            assert_eq!(registry.count("/simple/left/"), 1);
        }
        let from = if first { &one } else { &other };
        assert_eq!(ask(&run, from, FILE).await.status, 200);
    }
}

#[tokio::test]
async fn a_pin_says_which_index_speaks() {
    for (name, repository) in [("left", "default"), ("le*", "extra")] {
        let (one, other) = two(true, true);
        let run = both(&one, &other, |plan| plan.pins = vec![pin(name, repository)]);
        for (registry, id) in [(&one, "default"), (&other, "extra")] {
            let got = ask(&run, registry, "/simple/left/").await;
            let pinned = id == repository;
            assert_eq!(got.status.as_u16(), if pinned { 200 } else { 404 });
            assert_eq!(registry.seen().len(), usize::from(pinned));
        }
    }
}

#[tokio::test]
async fn a_pin_to_an_index_that_the_run_lacks_stops_the_name() {
    let registry = simple(good(WHEEL, &left()), left());
    let run = planned(&registry, |plan| {
        plan.pins = vec![pin("le*", "https://internal.invalid/simple/")];
    });
    let got = ask(&run, &registry, "/simple/left/").await;
    assert_eq!(got.status, 403);
    let finding = run.finding(Code::RepositoryRefused);
    assert_eq!(finding.subject, "left");
    assert!(finding.message.contains("internal.invalid"));
    assert_eq!(ask(&run, &registry, FILE).await.status, 403);
    assert!(registry.seen().is_empty());
}

#[tokio::test]
async fn an_index_that_cannot_tell_stops_the_name() {
    for status in [401, 403, 500] {
        let one = simple(good(WHEEL, &left()), left());
        let other = Registry::new(move |_seen, _before| Reply::status(status));
        let run = both(&one, &other, |_plan| {});
        let got = ask(&run, &one, "/simple/left/").await;
        assert_eq!(got.status, 502, "{status}");
        assert!(got.text().contains("cannot be told"), "{}", got.text());
    }
}

#[tokio::test]
async fn an_index_that_says_it_follows_another_is_no_rival() {
    let origin = simple(good(WHEEL, &left()), left());
    let tracked = format!("{}left/", base(&origin));
    let body = format!(
        r#"{{"meta":{{"api-version":"1.2","tracks":["{tracked}"]}},"name":"left","files":[]}}"#
    );
    let mirror = serving(vec![(
        "/simple/left/",
        Reply::ok(body).with("content-type", JSON),
    )]);
    let run = both(&origin, &mirror, |_plan| {});
    assert_eq!(ask(&run, &mirror, "/simple/left/").await.status, 200);
    assert_eq!(ask(&run, &origin, "/simple/left/").await.status, 200);
}

/// The answer for a wheel of these bytes in an environment.
async fn released(content: Vec<u8>) -> (u16, Run) {
    let registry = simple(good(WHEEL, &content), content);
    let run = planned(&registry, |plan| {
        let places = [
            ("purelib", "lib"),
            ("platlib", "lib"),
            ("scripts", "bin"),
            ("data", ""),
        ];
        plan.layout.places = places
            .map(|(kind, place)| (kind.into(), place.into()))
            .into();
        plan.layout.occupied = vec![Occupied {
            path: "lib/right/__init__.py".into(),
            owner: "right".into(),
            digest: Some(digest(b"right")),
        }];
        plan.layout.reserved = vec![("lib/pip".into(), "pip".into())];
        plan.layout.programs = vec!["ls".into()];
    });
    ask(&run, &registry, "/simple/left/").await;
    let got = ask(&run, &registry, FILE).await;
    assert_eq!(registry.count(FILE), 1);
    (got.status.as_u16(), run)
}

#[tokio::test]
async fn wheels_that_contradict_themselves_are_refused() {
    let files = fixture::files("left", "1.0", &[("left.py", b"x = 1\n")]);
    let lie = fixture::record(&files).replacen("left.py,sha256=", "left.py,sha256=A", 1);
    let mut link = fixture::Zip::default();
    let odd = fixture::Odd {
        mode: 0o120_777,
        ..fixture::Odd::default()
    };
    link.odd("left.py", b"/etc/passwd", &odd);
    for content in [
        fixture::packed("left", "1.0", &files, &lie),
        fixture::packed("left", "1.0", &files, ""),
        wheel("left", &[("../../evil.py", b"x")]),
        wheel("right", &[]),
        wheel("left", &[("zeros", &vec![0; 90 << 20])]),
        link.finish(),
        b"no zip".to_vec(),
    ] {
        let (status, run) = released(content).await;
        assert_eq!(status, 403);
        assert_eq!(run.finding(Code::ArtifactInvalid).subject, "left@1.0");
        let events = run.end();
        assert!(
            !events
                .iter()
                .any(|event| matches!(event, Event::Released(_)))
        );
    }
}

#[tokio::test]
async fn files_of_others_are_not_overwritten() {
    for path in [
        "right/__init__.py",
        "pip/_internal/cli/main.py",
        "left-1.0.data/data/lib/pip/__init__.py",
        "left-1.0.data/platlib/right/__init__.py",
    ] {
        let (status, run) = released(wheel("left", &[(path, b"evil")])).await;
        assert_eq!(status, 403, "{path}");
        run.finding(Code::OverwriteRefused);
    }
    let (status, run) = released(wheel("left", &[("right/__init__.py", b"right")])).await;
    assert_eq!(status, 200);
    run.released("left");
}

#[tokio::test]
async fn what_a_wheel_brings_is_told() {
    let entry = b"[console_scripts]\nls = left:main\n";
    let (status, run) = released(wheel(
        "left",
        &[
            ("left.pth", b"import left\n"),
            ("left.so", b"\x7fELF"),
            ("left-1.0.dist-info/entry_points.txt", entry),
        ],
    ))
    .await;
    assert_eq!(status, 200);
    assert!(
        run.finding(Code::StartupCode)
            .message
            .contains("import left")
    );
    let examined = run.wait_event(|event| match event {
        Event::Examined(examined) => Some(examined.clone()),
        _ => None,
    });
    assert_eq!(examined.shadows, ["ls"]);
    assert_eq!(examined.native, ["left.so"]);
    assert_eq!(examined.startup, ["left.pth"]);
}
