//! What is asked of a repository, and when: each thing once, and nothing that nobody will want.

use super::maven::{Files, JAR, PATH, against, ask, hex, jar, serving};
use super::registry::Registry;
use crate::model::Algorithm;
use crate::model::Anchor;
use crate::model::Code;
use crate::model::Digest;
use crate::model::Event;
use crate::model::Expected;
use crate::model::Integrity;

#[tokio::test]
async fn what_a_pom_leads_to_waits_until_it_is_asked_for() {
    let pom = |artifact: &str, needed: &str| {
        let path = format!("g/{artifact}/1/{artifact}-1.pom");
        let needed = match needed {
            "" => String::new(),
            name => format!(
                "<dependency><groupId>g</groupId><artifactId>{name}</artifactId>\
                 <version>1</version></dependency>"
            ),
        };
        let text = format!("<project><dependencies>{needed}</dependencies></project>");
        (path, text.into_bytes())
    };
    let all = Files::default();
    // The last one is not what its side file says.
    for (artifact, needed, right) in [("x", "y", true), ("y", "z", true), ("z", "", false)] {
        let (path, text) = pom(artifact, needed);
        let stated = if right { text.as_slice() } else { b"other" };
        let side = format!("{path}.sha1");
        let mut files = all.lock().unwrap();
        files.insert(side, hex(stated, Algorithm::Sha1).into_bytes());
        files.insert(path, text);
    }
    let registry = serving(&all);
    let run = against(&registry, |_network| {});
    assert_eq!(ask(&run, &registry, "g/x/1/x-1.pom").await.status, 200);
    for _ in 0..500 {
        // Each is asked for with three side files.
        if registry.seen().len() >= 12 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(registry.seen().len(), 12);
    // Asked for, it is an answer like any other, without another request.
    assert_eq!(ask(&run, &registry, "g/y/1/y-1.pom").await.status, 200);
    assert_eq!(registry.seen().len(), 12);
    assert_eq!(run.released("g:y").anchor, Anchor::WeakSideFile);
    // What did not fit is refused aloud, and only now.
    assert_eq!(ask(&run, &registry, "g/z/1/z-1.pom").await.status, 403);
    run.finding(Code::IntegrityMismatch);
    let events = run.end();
    let found = events
        .iter()
        .filter(|event| matches!(event, Event::Found(_)));
    assert_eq!(found.count(), 1);
}

/// Adds an artifact with side files of these kinds.
fn add(files: &Files, path: &str, content: &[u8], algorithms: &[Algorithm]) {
    let more = jar(path, content, algorithms);
    files
        .lock()
        .unwrap()
        .append(&mut more.lock().unwrap().clone());
}

fn place(artifact: &str, ending: &str) -> String {
    format!("g/{artifact}/1/{artifact}-1.{ending}")
}

#[tokio::test]
async fn kinds_of_side_files_that_are_not_there_are_not_asked_for_again() {
    let files = Files::default();
    for number in 0..10 {
        let path = place(&format!("x{number}"), "jar");
        add(&files, &path, JAR, &[Algorithm::Sha1]);
    }
    add(&files, &place("late", "jar"), JAR, &[Algorithm::Sha512]);
    let both = [Algorithm::Sha512, Algorithm::Sha1];
    add(&files, &place("both", "jar"), JAR, &both);
    add(&files, &place("none", "jar"), JAR, &[]);
    add(&files, &place("wrong", "jar"), JAR, &[Algorithm::Sha1]);
    let wrong = format!("{}.sha512", place("wrong", "jar"));
    files
        .lock()
        .unwrap()
        .insert(wrong, "00".repeat(64).into_bytes());
    let registry = serving(&files);
    let run = against(&registry, |_network| {});
    let mut before = 0;
    let mut requests = || {
        let all = registry.seen().len();
        let more = all - before;
        before = all;
        more
    };
    for number in 0..10 {
        let path = place(&format!("x{number}"), "jar");
        assert_eq!(ask(&run, &registry, &path).await.status, 200);
        // All three kinds while that is not clear, then the one that is there.
        let expected = if number < 3 { 4 } else { 2 };
        assert_eq!(requests(), expected, "{number}");
    }
    // Where that one is missing, the others are asked for before anything is refused.
    let status = ask(&run, &registry, &place("late", "jar")).await.status;
    assert_eq!((status.as_u16(), requests()), (200, 4));
    assert_eq!(run.released("g:late").anchor, Anchor::SideFile);
    // A kind that was there is asked for from then on, and must match.
    let status = ask(&run, &registry, &place("both", "jar")).await.status;
    assert_eq!((status.as_u16(), requests()), (200, 3));
    let status = ask(&run, &registry, &place("wrong", "jar")).await.status;
    assert_eq!(status, 403);
    run.finding(Code::IntegrityMismatch);
    requests();
    // Nothing passes without any.
    let status = ask(&run, &registry, &place("none", "jar")).await.status;
    assert_eq!((status.as_u16(), requests()), (403, 4));
    run.finding(Code::IntegrityMissing);
    run.end();
}

#[tokio::test]
async fn what_is_not_there_teaches_nothing() {
    let registry = serving(&jar(PATH, JAR, &[Algorithm::Sha1]));
    let run = against(&registry, |_network| {});
    for number in 0..5 {
        let path = place(&format!("absent{number}"), "jar");
        assert_eq!(ask(&run, &registry, &path).await.status, 404);
    }
    let before = registry.seen().len();
    assert_eq!(ask(&run, &registry, PATH).await.status, 200);
    assert_eq!(registry.seen().len() - before, 4);
    run.end();
}

/// POMs of jars that need nothing, each with its jar.
fn described(names: &[String]) -> Files {
    let files = Files::default();
    for name in names {
        add(
            &files,
            &place(name, "pom"),
            b"<project/>",
            &[Algorithm::Sha256],
        );
        add(&files, &place(name, "jar"), JAR, &[Algorithm::Sha256]);
    }
    files
}

/// Paths of jars that were asked for, in order.
fn jars(registry: &Registry) -> Vec<String> {
    let paths = registry.seen().into_iter().map(|seen| seen.path);
    let names = paths.filter_map(|path| Some(path.strip_prefix("/npm/")?.to_owned()));
    names.filter(|path| path.ends_with(".jar")).collect()
}

async fn until(holds: impl Fn() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it did not come to that");
}

#[tokio::test]
async fn jars_are_foreseen_when_the_manager_begins_to_ask_for_them() {
    let names: Vec<String> = (0..8).map(|number| format!("x{number}")).collect();
    let registry = serving(&described(&names));
    let run = against(&registry, |_network| {});
    for name in &names {
        let status = ask(&run, &registry, &place(name, "pom")).await.status;
        assert_eq!(status, 200);
    }
    // A goal that only lists wants no jar.
    assert!(jars(&registry).is_empty());
    assert_eq!(ask(&run, &registry, &place("x0", "jar")).await.status, 200);
    until(|| jars(&registry).len() == 5).await;
    for name in &names {
        let status = ask(&run, &registry, &place(name, "jar")).await.status;
        assert_eq!(status, 200);
    }
    let mut asked = jars(&registry);
    asked.sort();
    let expected: Vec<String> = names.iter().map(|name| place(name, "jar")).collect();
    assert_eq!(asked, expected, "each once");
    run.end();
}

#[tokio::test]
async fn what_a_lock_names_is_fetched_as_soon_as_it_is_described() {
    let names: Vec<String> = ["x", "y"].map(str::to_owned).into();
    let registry = serving(&described(&names));
    let locked = |name: &str, ending: &str, content: &[u8]| {
        let digest = Digest::from_hex(Algorithm::Sha256, &hex(content, Algorithm::Sha256));
        Expected {
            name: format!("g:{name}"),
            version: "1".into(),
            file: Some(format!("{name}-1.{ending}")),
            url: None,
            integrity: Some(Integrity::of(digest.unwrap())),
            anchor: Anchor::Lockfile,
            stated_in: "checksums.sha256:1".into(),
        }
    };
    let run = against(&registry, |network| {
        network.closed = true;
        network.expected = vec![
            locked("x", "pom", b"<project/>"),
            locked("x", "jar", JAR),
            locked("y", "pom", b"<project/>"),
        ];
    });
    assert_eq!(ask(&run, &registry, &place("y", "pom")).await.status, 200);
    assert_eq!(ask(&run, &registry, &place("x", "pom")).await.status, 200);
    until(|| !jars(&registry).is_empty()).await;
    assert_eq!(ask(&run, &registry, &place("x", "jar")).await.status, 200);
    // No side file of what the lock names, no jar that it does not name, and nothing twice.
    let paths: Vec<String> = registry.seen().into_iter().map(|seen| seen.path).collect();
    let expected = [place("y", "pom"), place("x", "jar")].map(|path| format!("/npm/{path}"));
    // The second POM has the bytes of the first and comes from the store.
    assert_eq!(paths, expected);
    assert_eq!(run.released("g:x").anchor, Anchor::Lockfile);
    run.end();
}
