//! Fetching ahead end to end: what is fetched, what is not, and that nothing is released by it.

use std::time::{Duration, Instant};

use super::python::{ask, digest, good, page, planned, serving, wheel};
use super::registry::{Registry, Reply};
use super::run::Run;
use crate::model::Anchor;
use crate::model::Code;
use crate::model::Event;
use crate::model::Expected;
use crate::model::Integrity;
use crate::model::Occupied;
use crate::model::Source;

const NAMES: [&str; 3] = ["left", "oak", "fern"];

fn place(name: &str) -> String {
    format!("/simple/{name}/{name}-1.0-py3-none-any.whl")
}

fn content(name: &str) -> Vec<u8> {
    wheel(name, &[(&format!("{name}.py"), b"x = 1\n")])
}

fn locked(name: &str, contents: &[&[u8]]) -> Expected {
    let digests: Vec<String> = contents.iter().map(|one| digest(one).to_string()).collect();
    Expected {
        name: name.into(),
        version: "1.0".into(),
        file: None,
        url: None,
        integrity: Some(Integrity::parse(&digests.join(" ")).unwrap()),
        anchor: Anchor::Lockfile,
        stated_in: "requirements.txt:1".into(),
    }
}

/// Pages and wheels of all names; `change` may replace answers.
fn registry(change: impl FnOnce(&mut Vec<(&'static str, Reply)>)) -> Registry {
    let mut replies = Vec::new();
    for name in NAMES {
        let wheel = content(name);
        let path = place(name);
        let index = page(name, &[good(&path, &wheel)]);
        replies.push((&*format!("/simple/{name}/").leak(), index));
        replies.push((&*path.leak(), Reply::ok(wheel)));
    }
    change(&mut replies);
    serving(replies)
}

fn run(registry: &Registry) -> Run {
    planned(registry, |plan| {
        plan.expected = NAMES.map(|name| locked(name, &[&content(name)])).to_vec();
    })
}

/// Waits until the registry was asked for that.
fn wait(registry: &Registry, path: &str) {
    let end = Instant::now() + Duration::from_secs(10);
    while registry.count(path) == 0 {
        assert!(Instant::now() < end, "{path} was not fetched");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[tokio::test]
async fn what_the_lockfile_names_is_fetched_once_and_released_when_asked_for() {
    let registry = registry(|_replies| {});
    let run = run(&registry);
    ask(&run, &registry, "/simple/left/").await;
    for name in ["oak", "fern"] {
        wait(&registry, &place(name));
    }
    // Only the first name was asked for, and nothing was given out.
    for name in NAMES {
        if name != "left" {
            ask(&run, &registry, &format!("/simple/{name}/")).await;
        }
        let got = ask(&run, &registry, &place(name)).await;
        assert_eq!(got.body, content(name), "{name}");
        assert_eq!(run.released(name).source, Source::Network);
        assert_eq!(run.released(name).anchor, Anchor::Lockfile);
    }
    for name in NAMES {
        assert_eq!(registry.count(&format!("/simple/{name}/")), 1, "{name}");
        assert_eq!(registry.count(&place(name)), 1, "{name}");
    }
    let events = run.end();
    let looks = events.iter().filter(|e| matches!(e, Event::Examined(_)));
    assert_eq!(looks.count(), 3);
}

#[tokio::test]
async fn what_is_not_installed_yet_is_fetched_before_the_first_question() {
    let registry = registry(|_replies| {});
    let run = planned(&registry, |plan| {
        plan.expected = NAMES.map(|name| locked(name, &[&content(name)])).to_vec();
        plan.layout.places = [("purelib".to_owned(), "lib".to_owned())].into();
        plan.layout.occupied = vec![Occupied {
            path: "lib/oak.py".to_owned(),
            owner: "oak".to_owned(),
            digest: None,
        }];
    });
    for name in ["left", "fern"] {
        wait(&registry, &place(name));
    }
    assert_eq!(registry.count("/simple/oak/"), 0, "it is there");
    ask(&run, &registry, "/simple/left/").await;
    wait(&registry, &place("oak"));
    let got = ask(&run, &registry, &place("left")).await;
    assert_eq!(got.body, content("left"));
    assert_eq!(registry.count("/simple/left/"), 1);
    assert_eq!(registry.count(&place("left")), 1);
    run.end();
}

#[tokio::test]
async fn what_nobody_asks_for_is_neither_released_nor_told() {
    let registry = registry(|replies| {
        replies.retain(|(path, _)| *path != place("fern"));
        replies.push((&*place("fern").leak(), Reply::ok("other bytes")));
    });
    let run = run(&registry);
    ask(&run, &registry, "/simple/left/").await;
    for name in ["oak", "fern"] {
        wait(&registry, &place(name));
    }
    let told = |event: &Event| {
        matches!(
            event,
            Event::Released(_) | Event::Examined(_) | Event::Found(_)
        )
    };
    let events = run.end();
    assert!(!events.iter().any(told), "{events:?}");
}

#[tokio::test]
async fn what_failed_ahead_fails_again_when_it_is_asked_for() {
    let registry = registry(|replies| {
        replies.retain(|(path, _)| *path != place("oak"));
        replies.push((&*place("oak").leak(), Reply::ok("other bytes")));
    });
    let run = run(&registry);
    ask(&run, &registry, "/simple/left/").await;
    wait(&registry, &place("oak"));
    ask(&run, &registry, "/simple/oak/").await;
    assert_eq!(ask(&run, &registry, &place("oak")).await.status, 403);
    assert_eq!(run.finding(Code::IntegrityMismatch).subject, "oak@1.0");
    run.end();
}

#[tokio::test]
async fn an_index_that_contradicts_the_lockfile_is_refused_when_it_is_asked_for() {
    let registry = registry(|replies| {
        replies.retain(|(path, _)| *path != "/simple/oak/");
        let other = wheel("oak", &[("evil.py", b"")]);
        replies.push(("/simple/oak/", page("oak", &[good(&place("oak"), &other)])));
    });
    let run = run(&registry);
    ask(&run, &registry, "/simple/left/").await;
    wait(&registry, &place("fern"));
    assert_eq!(registry.count(&place("oak")), 0);
    ask(&run, &registry, "/simple/oak/").await;
    assert_eq!(ask(&run, &registry, &place("oak")).await.status, 403);
    run.finding(Code::AnchorConflict);
    run.end();
}

#[tokio::test]
async fn of_several_files_the_one_that_suits_the_platform_is_fetched() {
    let (pure, other, old, new) = (
        content("oak"),
        wheel("oak", &[("other.py", b"")]),
        wheel("oak", &[("old.py", b"")]),
        wheel("oak", &[("new.py", b"")]),
    );
    let all = [
        ("py3-none-any", &pure),
        ("cp311-cp311-manylinux_2_17_aarch64", &other),
        ("cp311-cp311-manylinux_2_17_x86_64", &old),
        ("cp311-cp311-manylinux_2_28_x86_64", &new),
    ];
    let path = |tags: &str| format!("/simple/oak/oak-1.0-{tags}.whl");
    let registry = registry(|replies| {
        replies.retain(|(path, _)| *path != "/simple/oak/");
        let files = all.map(|(tags, wheel)| good(&path(tags), wheel));
        replies.push(("/simple/oak/", page("oak", &files)));
        for (tags, wheel) in all {
            replies.push((&*path(tags).leak(), Reply::ok(wheel.clone())));
        }
    });
    let run = planned(&registry, |plan| {
        plan.expected = vec![locked("oak", &all.map(|(_, wheel)| wheel.as_slice()))];
        plan.layout.fitting = vec![
            "*-cp311-cp311-*manylinux*_x86_64*.whl".to_owned(),
            "*-*py3-none-any.whl".to_owned(),
        ];
    });
    ask(&run, &registry, "/simple/left/").await;
    wait(&registry, &path(all[3].0));
    let counts = all.map(|(tags, _)| registry.count(&path(tags)));
    assert_eq!(counts, [0, 0, 0, 1]);
    // Taken or not, it is judged when it is asked for, and so is any other.
    ask(&run, &registry, "/simple/oak/").await;
    for tags in [all[3].0, all[0].0] {
        assert_eq!(
            ask(&run, &registry, &path(tags)).await.status,
            200,
            "{tags}"
        );
        assert_eq!(registry.count(&path(tags)), 1, "{tags}");
    }
    run.end();
}

#[tokio::test]
async fn nothing_is_guessed_among_several_files_that_fit_nowhere() {
    let both = [content("oak"), wheel("oak", &[("native.py", b"")])];
    let native = "/simple/oak/oak-1.0-cp311-cp311-linux_x86_64.whl";
    let served = both.clone();
    let registry = registry(|replies| {
        replies.retain(|(path, _)| *path != "/simple/oak/");
        let files = [good(&place("oak"), &served[0]), good(native, &served[1])];
        replies.push(("/simple/oak/", page("oak", &files)));
    });
    let run = planned(&registry, |plan| {
        plan.expected = vec![
            locked("oak", &[&both[0], &both[1]]),
            locked("fern", &[&content("fern")]),
        ];
    });
    ask(&run, &registry, "/simple/left/").await;
    wait(&registry, &place("fern"));
    ask(&run, &registry, "/simple/oak/").await;
    assert_eq!(registry.count("/simple/oak/"), 1);
    assert_eq!(
        (registry.count(&place("oak")), registry.count(native)),
        (0, 0)
    );
    run.end();
}
