//! Looking back: log, find and diff over records of real runs.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::project::Project;
use crate::registry::Registry;
use crate::registry::package::Package;
use crate::run::{Invocation, Run};

/// Runs v4run so that its record is in the default place.
fn plain(project: &Project, words: &[&str]) -> Invocation {
    let state = project.outside("state");
    project.v4run_plain(words).env("XDG_STATE_HOME", state)
}

fn records(project: &Project) -> Vec<PathBuf> {
    let entries = fs::read_dir(project.outside("state/v4run/records")).unwrap();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with(".index"))
        .collect();
    found.sort();
    found
}

fn answer(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}", run.told()))
}

#[test]
fn installs_are_logged_found_and_compared() {
    let registry = Registry::start();
    let project = Project::new(&registry);
    registry.publish(&Package::new("oak", "1.0.0"));
    registry.publish(&Package::new("oak", "2.0.0").script("postinstall", "true"));
    registry.publish(&Package::new("elm", "1.0.0"));
    let lock = |oak: &str| {
        let dependencies = json!({ "oak": oak, "elm": "1.0.0" });
        let manifest = json!({ "name": "p", "version": "1.0.0", "dependencies": dependencies });
        project.lock(&registry, &manifest);
    };
    let none = plain(&project, &["find", "oak"]).run();
    none.exits(1);
    lock("1.0.0");
    plain(&project, &["npm", "ci"]).run().succeeds();
    lock("2.0.0");
    plain(&project, &["npm", "ci"]).run().succeeds();
    plain(&project, &["npm", "run", "x"]).run().exits(126);
    let made = records(&project);
    let (first, second) = (made[0].display().to_string(), made[1].display().to_string());

    let log = plain(&project, &["log"]).run();
    log.succeeds();
    let lines: Vec<&str> = log.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{}", log.told());
    assert!(
        lines[0].contains("exit 126") && lines[0].contains("command-runs-code"),
        "{}",
        log.told()
    );
    assert!(
        lines[1].contains("exit 0") && lines[1].contains("npm ci"),
        "{}",
        log.told()
    );
    let log = answer(&plain(&project, &["log", "--json", "-n", "1"]).run());
    assert_eq!(log.as_array().unwrap().len(), 1);
    assert_eq!(log[0]["exit_code"], 126);

    let summary: Value =
        serde_json::from_slice(&fs::read(made[0].join("record.cdx.json")).unwrap()).unwrap();
    let digest = summary["components"]
        .as_array()
        .unwrap()
        .iter()
        .find(|component| component["name"] == "oak")
        .and_then(|component| component["hashes"][0]["content"].as_str())
        .unwrap();
    for (question, count) in [
        ("oak", 2),
        ("oak@1.0.0", 1),
        ("pkg:npm/oak@2.0.0", 1),
        ("pkg:npm/elm", 2),
        (digest, 1),
    ] {
        let run = plain(&project, &["find", "--json", question]).run();
        run.succeeds();
        let found = answer(&run);
        assert_eq!(
            found["hits"].as_array().unwrap().len(),
            count,
            "{question} {found}"
        );
        assert_eq!(found["work"]["records"], 3);
        assert_eq!(found["work"]["read"], 0, "the index was not used");
    }

    let diff = |one: &str, other: &str| plain(&project, &["diff", one, other]).run();
    diff(&first, &first).exits(0);
    let run = diff(&first, &second);
    run.exits(1);
    assert!(
        run.stdout.contains("version  pkg:npm/oak: 1.0.0 -> 2.0.0"),
        "{}",
        run.told()
    );
    assert!(
        run.stdout
            .contains("script   pkg:npm/oak: nothing -> postinstall: true"),
        "{}",
        run.told()
    );
    assert!(!run.stdout.contains("elm"), "{}", run.told());
    // A project stands for its newest install.
    let own = project.directory().display().to_string();
    diff(&own, &second).exits(0).says("v4run: ");
    diff(&own, &made[2].display().to_string())
        .exits(125)
        .says("installed nothing");
    diff(&own, "/nowhere")
        .exits(125)
        .says("is neither a record nor a project");

    // A record that was changed answers nothing, is named, and says so by the status.
    let journal = made[0].join("events.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, text.replace("1.0.0", "1.0.1")).unwrap();
    let run = plain(&project, &["find", "oak@1.0.0"]).run();
    run.exits(125).says("skipped: ").says(&first);
    assert!(run.stdout.is_empty(), "{}", run.told());
    plain(&project, &["find", "oak@2.0.0"]).run().exits(125);
    diff(&first, &second)
        .exits(125)
        .says("no intact and sealed record");
    plain(&project, &["find", " "]).run().exits(125);
    let elsewhere = ["find", "oak", "--records", "/nowhere"];
    plain(&project, &elsewhere)
        .run()
        .exits(125)
        .says("is no folder of records");
}
