//! Repositories that reset, cut, lie about lengths, send without end, or become somebody else.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, json};

use super::raw::{Raw, Script, Step, head};
use super::{redirected, score, store_is_whole};
use crate::project::Project;
use crate::registry::authority::{Authority, Identity};
use crate::registry::package::{Package, Published, tampered};
use crate::registry::{Registry, Setup};
use crate::run::Run;

/// An answer that is wrong in one way, made of the right body.
type Wrong = fn(&[u8]) -> Vec<Step>;

/// Breaks that an honest network makes: they are noticed as such and tried again.
const BREAKS: [(&str, Wrong); 12] = [
    ("reset-at-once", |_| vec![Step::Reset]),
    ("reset-in-the-middle", |body| {
        vec![
            Step::Send(with_length(body.len(), &body[..body.len() / 2])),
            Step::Reset,
        ]
    }),
    ("cut-in-the-middle", |body| {
        vec![
            Step::Send(with_length(body.len(), &body[..body.len() / 2])),
            Step::Cut,
        ]
    }),
    ("too-short-for-its-length", |body| {
        vec![Step::Send(with_length(body.len() + 100, body))]
    }),
    ("chunk-cut", |body| {
        let mut answer = head("transfer-encoding: chunked\r\n");
        answer.extend_from_slice(format!("{:x}\r\n", body.len() + 9).as_bytes());
        answer.extend_from_slice(body);
        vec![Step::Send(answer)]
    }),
    ("chunk-size-overflows", |body| {
        let mut answer = head("transfer-encoding: chunked\r\n");
        answer.extend_from_slice(b"fffffffffffffffff1\r\n");
        answer.extend_from_slice(body);
        vec![Step::Send(answer)]
    }),
    ("chunk-without-end-mark", |body| {
        let mut answer = head("transfer-encoding: chunked\r\n");
        answer.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
        answer.extend_from_slice(body);
        vec![Step::Send(answer), Step::Cut]
    }),
    ("two-lengths", |body| {
        let lines = format!("content-length: {}\r\ncontent-length: 3\r\n", body.len());
        vec![Step::Send([head(&lines), body.to_vec()].concat())]
    }),
    ("a-length-that-is-none", |body| {
        vec![Step::Send(
            [head("content-length: -1\r\n"), body.to_vec()].concat(),
        )]
    }),
    ("no-http", |_| {
        vec![Step::Send(b"\x00\x01\x02 hello\r\n\r\n".to_vec())]
    }),
    ("head-without-end", |_| {
        let line = format!("x: {}\r\n", "y".repeat(1000)).into_bytes();
        vec![
            Step::Send(b"HTTP/1.1 200 OK\r\n".to_vec()),
            Step::Repeat(line, 100_000),
        ]
    }),
    ("chunk-mark-without-end", |_| {
        let start = [head("transfer-encoding: chunked\r\n"), b"5;".to_vec()].concat();
        vec![Step::Send(start), Step::Repeat(vec![b'z'; 4096], 25_000)]
    }),
];

/// Lies that end in other bytes than the promised ones: whatever HTTP says of them, they are refused.
const LIES: [(&str, Wrong); 6] = [
    ("shorter-length", |body| {
        vec![Step::Send(with_length(body.len() - 10, body))]
    }),
    ("cut-without-a-length", |body| {
        let half = &body[..body.len() / 2];
        vec![Step::Send([head(""), half.to_vec()].concat())]
    }),
    ("a-part-only", |body| {
        let range = format!("bytes 0-9/{}", body.len());
        let text = format!(
            "HTTP/1.1 206 Partial Content\r\nconnection: close\r\ncontent-range: {range}\r\ncontent-length: 10\r\n\r\n"
        );
        vec![Step::Send(
            [text.into_bytes(), body[..10].to_vec()].concat(),
        )]
    }),
    ("nothing", |_| vec![Step::Send(with_length(0, b""))]),
    ("twice", |body| {
        vec![Step::Send(with_length(body.len() * 2, &body.repeat(2)))]
    }),
    ("old-http-cut", |body| {
        let half = &body[..body.len() / 2];
        vec![Step::Send(
            [b"HTTP/1.0 200 OK\r\n\r\n".to_vec(), half.to_vec()].concat(),
        )]
    }),
];

fn with_length(length: usize, body: &[u8]) -> Vec<u8> {
    [
        head(&format!("content-length: {length}\r\n")),
        body.to_vec(),
    ]
    .concat()
}

/// A project that needs packages of these names from a server that is to be made.
fn project(registry: &Registry, names: &[&str]) -> (Project, Vec<Published>) {
    let mut dependencies = Map::new();
    let mut published = Vec::new();
    for name in names {
        let package = Package::new(name, "1.0.0").file("text", name.repeat(300).as_bytes());
        published.push(registry.publish(&package));
        dependencies.insert((*name).into(), "1.0.0".into());
    }
    (Project::locked(registry, dependencies.into()), published)
}

fn good(registry: &Registry) -> Vec<Arc<rustls::ServerConfig>> {
    vec![registry.authority().server(Identity::Good, false, false)]
}

fn cached(project: &Project) -> usize {
    store_is_whole(&project.home().join(".cache"))
}

/// The published body of a path.
fn body<'a>(published: &'a [Published], path: &str) -> Option<&'a [u8]> {
    let found = published.iter().find(|one| path.ends_with(&one.path()));
    found.map(|one| one.tarball.as_slice())
}

#[test]
fn breaks_are_tried_again_and_nothing_is_lost() {
    let registry = Registry::start();
    let names: Vec<&str> = BREAKS.iter().map(|(name, _)| *name).collect();
    let (project, published) = project(&registry, &names);
    let raw = Raw::start(good(&registry), move |path, before| {
        let Some(body) = body(&published, path) else {
            return Script::honest(b"{}");
        };
        let broken = BREAKS
            .iter()
            .find(|(name, _)| path.contains(&format!("/{name}-1.0.0")));
        match broken {
            Some((_, wrong)) if before == 0 => Script::fault(wrong(body)),
            _ => Script::honest(body),
        }
    });
    redirected(&project, &registry, &raw.host());
    project.v4run(&["npm", "ci"]).run().succeeds();
    assert_eq!(raw.injected(), BREAKS.len());
    for name in names {
        assert_eq!(project.installed(&format!("{name}/text")), name.repeat(300));
    }
    assert_eq!(cached(&project), BREAKS.len());
    score(raw.injected());
}

/// A run against a server that always answers for the archive of `thing` with this.
fn always(wrong: impl Fn(&[u8]) -> Vec<Step> + Send + Sync + 'static) -> (Project, Run, usize) {
    let registry = Registry::start();
    let (project, published) = project(&registry, &["thing"]);
    let raw = Raw::start(good(&registry), move |path, _| {
        match body(&published, path) {
            Some(body) => Script::fault(wrong(body)),
            None => Script::honest(b"{}"),
        }
    });
    redirected(&project, &registry, &raw.host());
    let run = project.v4run(&["npm", "ci"]).run();
    assert!(
        !project.path("node_modules/thing").exists(),
        "{}",
        run.told()
    );
    assert_eq!(cached(&project), 0, "{}", run.told());
    (project, run, raw.injected())
}

#[test]
fn lies_are_refused_and_nothing_is_released() {
    let mut injected = 0;
    for (name, wrong) in LIES {
        let (_project, run, count) = always(wrong);
        assert!(count > 0, "{name}: nothing was injected");
        run.refuses(120, "integrity-mismatch", "4.13");
        injected += count;
    }
    score(injected);
}

#[test]
fn breaks_that_stay_are_the_manager_s_failure() {
    let mut injected = 0;
    for (name, wrong) in BREAKS.iter().filter(|(name, _)| {
        ["reset-in-the-middle", "two-lengths", "head-without-end"].contains(name)
    }) {
        let (_project, run, count) = always(wrong);
        assert!(count >= 3, "{name}: tried {count} times\n{}", run.told());
        assert!(
            run.code() != 0 && run.code() < 120,
            "{name}\n{}",
            run.told()
        );
        run.says("upstream-failed");
        injected += count;
    }
    score(injected);
}

#[test]
fn an_encoding_that_was_not_asked_for_is_not_unpacked() {
    // A gigabyte in a megabyte, three times over.
    let bomb = {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let zeros = vec![0_u8; 1 << 20];
        for _ in 0..256 {
            encoder.write_all(&zeros).unwrap();
        }
        encoder.finish().unwrap()
    };
    let kept = bomb.clone();
    let (_project, run, count) = always(move |_| {
        let lines = format!(
            "content-encoding: gzip\r\ncontent-length: {}\r\n",
            kept.len()
        );
        vec![Step::Send([head(&lines), kept.clone()].concat())]
    });
    assert!(count > 0 && run.code() != 0, "{}", run.told());
    run.says("encoding");
    // An index may be compressed: it is unpacked up to its bound and no further.
    let registry = Registry::start();
    let project = Project::new(&registry);
    let raw = Raw::start(good(&registry), move |_, _| {
        let lines = format!(
            "content-encoding: gzip\r\ncontent-length: {}\r\n",
            bomb.len()
        );
        Script::fault([Step::Send([head(&lines), bomb.clone()].concat())])
    });
    redirected(&project, &registry, &raw.host());
    let run = project.v4run(&["npm", "install", "thing"]).run();
    run.exits(120);
    let codes = run
        .record()
        .violations()
        .iter()
        .map(|one| one["code"].clone());
    let codes: Vec<_> = codes.collect();
    assert!(
        codes.contains(&json!("metadata-too-large")) || codes.contains(&json!("index-malformed")),
        "{codes:?}"
    );
    score(count + raw.injected());
}

#[test]
fn bytes_that_change_between_two_tries_are_refused() {
    let registry = Registry::start();
    let (project, published) = project(&registry, &["thing"]);
    let other = tampered(&Package::new("thing", "1.0.0"));
    let raw = Raw::start(good(&registry), move |path, before| {
        let Some(body) = body(&published, path) else {
            return Script::honest(b"{}");
        };
        Script::fault(if before == 0 {
            vec![
                Step::Send(with_length(body.len(), &body[..body.len() / 2])),
                Step::Reset,
            ]
        } else {
            vec![Step::Send(with_length(other.len(), &other))]
        })
    });
    redirected(&project, &registry, &raw.host());
    let run = project.v4run(&["npm", "ci"]).run();
    run.refuses(120, "integrity-mismatch", "4.13");
    assert_eq!(raw.injected(), 2);
    assert!(!project.path("node_modules/thing").exists());
    assert_eq!(cached(&project), 0);
    score(2);
}

#[test]
fn a_certificate_that_changes_during_a_run() {
    for (second, succeeds) in [(Identity::UnknownIssuer, false), (Identity::Good, true)] {
        let registry = Registry::start();
        let names = ["one", "two", "three", "four"];
        let (project, published) = project(&registry, &names);
        let first = registry.authority().server(Identity::Good, false, false);
        // A new key and a new certificate each.
        let next = registry.authority().server(second, false, false);
        let raw = Raw::start(vec![first, next], move |path, _| {
            body(&published, path).map_or_else(|| Script::honest(b"{}"), Script::honest)
        });
        redirected(&project, &registry, &raw.host());
        let run = project.v4run(&["npm", "ci"]).run();
        assert!(raw.connections() >= 2, "{}", raw.connections());
        if succeeds {
            run.succeeds();
        } else {
            run.refuses(120, "tls-invalid", "4.16");
            let missing = names
                .iter()
                .filter(|name| !project.path("node_modules").join(name).exists());
            assert!(missing.count() > 0, "{}", run.told());
        }
        store_is_whole(&project.home().join(".cache"));
        score(1);
    }
}

#[test]
fn an_authority_that_takes_over_the_name_is_refused() {
    // The same name, a certificate that is good in itself, of an authority of the attacker.
    let registry = Registry::start();
    let (project, published) = project(&registry, &["thing"]);
    let attacker = Authority::new().server(Identity::Good, false, false);
    let raw = Raw::start(vec![attacker], move |path, _| {
        body(&published, path).map_or_else(|| Script::honest(b"{}"), Script::honest)
    });
    redirected(&project, &registry, &raw.host());
    let run = project.v4run(&["npm", "ci"]).run();
    run.refuses(120, "tls-invalid", "4.16");
    assert!(raw.connections() > 0);
    score(1);
}

/// Long: an answer that stops is given up after 30 s and asked for again.
#[test]
fn an_answer_that_stalls_is_given_up_and_asked_for_again() {
    let registry = Registry::with(Setup::default());
    let (project, published) = project(&registry, &["head", "body", "handshake"]);
    let raw = Raw::start(good(&registry), move |path, before| {
        let Some(body) = body(&published, path) else {
            return Script::honest(b"{}");
        };
        let half = with_length(body.len(), &body[..body.len() / 2]);
        let stall = Step::Wait(Duration::from_secs(100));
        match before {
            0 if path.contains("/body-") => Script::fault([Step::Send(half), stall]),
            0 if path.contains("/head-") => {
                Script::fault([Step::Send(b"HTTP/1.1 200".to_vec()), stall])
            }
            // Interim answers without end.
            0 => Script::fault([Step::Repeat(
                b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(),
                50_000_000,
            )]),
            _ => Script::honest(body),
        }
    });
    redirected(&project, &registry, &raw.host());
    project.v4run(&["npm", "ci"]).run().succeeds();
    assert_eq!(raw.injected(), 3);
    assert!(fs::exists(project.path("node_modules/body/text")).unwrap());
    score(raw.injected());
}
