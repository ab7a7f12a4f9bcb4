//! What a policy states and excepts, what a probe sees, and how both count in a run.

use std::fs;

use serde_json::{Value, json};

use crate::project::Project;
use crate::registry::package::Package;
use crate::registry::{On, Registry, What};
use crate::run::Run;

fn project() -> (Registry, Project) {
    let registry = Registry::start();
    registry.publish(&Package::new("minimist", "1.2.8"));
    let project = Project::locked(&registry, json!({ "minimist": "1.2.8" }));
    (registry, project)
}

/// A statement about the registry of a test.
fn fact(registry: &Registry, control: &str, holds: bool) -> String {
    format!(
        "[[facts]]\nrepository = '{}'\ncontrol = '{control}'\nholds = {holds}\n\
         statement = 'what the platform team stated'\nsource = 'review of 2026-10'\n\
         checked = '2026-10-01'\nexpires = '2027-03-30'\n",
        registry.base()
    )
}

fn exception(control: &str, expires: &str) -> String {
    format!(
        "[[exceptions]]\ncontrol = '{control}'\nowner = 'security team'\n\
         reason = 'digests are pinned'\nexpires = '{expires}'\n"
    )
}

/// The report of `v4run assess --format json` on a run.
fn assessed(project: &Project, run: &Run) -> Value {
    let folder = run.record().folder.clone();
    let arguments = ["assess", "--format", "json", &folder.to_string_lossy()];
    let run = project.v4run_plain(&arguments).run();
    serde_json::from_str(&run.succeeds().stdout).unwrap()
}

fn control<'a>(report: &'a Value, id: &str) -> &'a Value {
    let mut controls = report["controls"].as_array().unwrap().iter();
    controls.find(|control| control["id"] == id).unwrap()
}

#[test]
fn statements_and_exceptions_of_a_policy_count_and_are_loud() {
    let (registry, project) = project();
    let policy = [
        fact(&registry, "4.3", true),
        fact(&registry, "4.12", false),
        exception("4.12", "2999-12-31"),
    ];
    project.file("v4run.toml", &policy.concat());
    let run = project.v4run(&["npm", "ci"]).run();
    run.succeeds()
        .says("control 4.12: security team answers for it until 2999-12-31: digests are pinned")
        .says("exception-used");
    let report = assessed(&project, &run);
    assert_eq!(control(&report, "4.3")["status"], "declared");
    let waived = control(&report, "4.12");
    assert_eq!(waived["status"], "waived", "{waived}");
    assert_eq!(waived["modifiers"][0], "underlying violated");
    assert_eq!(waived["evidence"]["exception"]["owner"], "security team");
    assert!(report["policy"][0].as_str().unwrap().starts_with("sha256"));
    // The summary of the run has the same values.
    let summary = &run.record().summary["controls"];
    for entry in summary.as_array().unwrap() {
        let id = entry["id"].as_str().unwrap();
        assert_eq!(entry["status"], control(&report, id)["status"], "{id}");
    }
    let folder = run.record().folder.clone();
    let shown = project
        .v4run_plain(&["assess", &folder.to_string_lossy()])
        .run();
    for line in [
        "WAIVED 4.12: security team answers for it",
        "4.3   L2+  declared",
        "what the platform team stated (source: review of 2026-10; checked 2026-10-01",
        "what holds L2 up, beside what holds the lower level up:",
        "4.12  waived    Only the operator can demand signatures.",
    ] {
        assert!(shown.stdout.contains(line), "{line}\n{}", shown.told());
    }
}

#[test]
fn a_level_that_is_held_up_ends_with_121_and_names_the_controls() {
    let (registry, project) = project();
    project.file("v4run.toml", &fact(&registry, "4.12", false));
    project
        .v4run(&["--level", "L2", "npm", "ci"])
        .run()
        .exits(121)
        .says("L2 is not-met; it is held up by:")
        .says("4.12");
}

#[test]
fn a_policy_with_a_mistake_stops_the_run_with_its_line() {
    let (registry, project) = project();
    let start = "level = 'L1'\n";
    for (text, told) in [
        (exception("4.12", "2026-01-01"), "v4run.toml:6"),
        (
            exception("4.13", "2999-12-31"),
            "allowed are 4.1 to 4.12, 4.15 and 4.17",
        ),
        (
            fact(&registry, "4.3", true).replace("holds", "hold"),
            "expected one of `repository`",
        ),
        (
            fact(&registry, "4.3", true).replace("true", "'yes'"),
            "expected a boolean",
        ),
        ("level = 'L2'\n".to_owned(), "duplicate key"),
    ] {
        project.file("v4run.toml", &format!("{start}{text}"));
        let run = project.v4run(&["npm", "ci"]).run();
        run.exits(125).says("policy-invalid").says(told);
        assert!(registry.seen().is_empty(), "{}", run.told());
    }
}

#[test]
fn the_effective_policy_is_shown_with_its_places() {
    let (registry, project) = project();
    project.file(
        "v4run.toml",
        &format!("level = 'L1'\n{}", fact(&registry, "4.3", true)),
    );
    let run = project.v4run_plain(&["profile", "show"]).run();
    for line in [
        "level = L1    # ",
        "v4run.toml:1",
        "store = below XDG_CACHE_HOME    # default",
        "fact 4.3 holds",
    ] {
        assert!(
            run.succeeds().stdout.contains(line),
            "{line}\n{}",
            run.told()
        );
    }
    let run = project.v4run_plain(&["profile", "show", "npm"]).run();
    for line in [
        "name = \"npm\"",
        "[[facts]]",
        "control = \"4.12\"",
        "expires = \"",
    ] {
        assert!(run.succeeds().stdout.contains(line), "{line}");
    }
    let named = project.outside("other.toml");
    fs::write(&named, "level = 'L3'\n").unwrap();
    let arguments = ["--policy", &named.to_string_lossy(), "profile", "show"];
    let run = project.v4run_plain(&arguments).run();
    assert!(
        run.succeeds().stdout.contains("level = L3"),
        "{}",
        run.told()
    );
    fs::write(&named, "levl = 'L3'\n").unwrap();
    project
        .v4run_plain(&arguments)
        .run()
        .exits(125)
        .says("other.toml:1");
}

/// The repository of `v4run probe --format json npm ci`.
fn probe(project: &Project) -> Value {
    let run = project
        .v4run_plain(&["probe", "--format", "json", "npm", "ci"])
        .run();
    let all: Value = serde_json::from_str(&run.succeeds().stdout).unwrap();
    all[0].clone()
}

fn outcome(probe: &Value, id: &str) -> String {
    let mut all = probe["probes"].as_array().unwrap().iter();
    let found = all.find(|one| one["control"] == id).unwrap();
    format!(
        "{}: {}",
        found["outcome"].as_str().unwrap(),
        found["detail"].as_str().unwrap()
    )
}

fn good(registry: &Registry) {
    let advisory = json!([{ "id": 1, "url": "u", "vulnerable_versions": "<2", "severity": "low" }]);
    registry.advise(&json!({ "minimist": advisory }));
    registry.fault(
        On::Path("/security.txt"),
        What::Page(
            "text/plain",
            "Contact: mailto:s@r.invalid\nExpires: 2999-01-01T00:00:00Z\n".into(),
        ),
    );
    registry.fault(On::Path("/-/whoami"), What::Status(401));
}

#[test]
fn what_a_probe_saw_counts_in_later_runs_and_is_asked_once_a_day() {
    let (registry, project) = project();
    good(&registry);
    let first = probe(&project);
    assert!(
        outcome(&first, "4.6").starts_with("supports: security.txt"),
        "{first}"
    );
    assert!(outcome(&first, "4.3").starts_with("supports"), "{first}");
    let advisories = outcome(&first, "4.9");
    assert!(
        advisories.contains("names minimist@0.0.8")
            && advisories.contains("of 1 versions of this project 1 have known issues: minimist"),
        "{advisories}"
    );
    // The registry's certificate is not one of the public web.
    assert!(
        outcome(&first, "4.15").starts_with("cannot-tell"),
        "{first}"
    );
    let seen = registry.seen();
    assert!(
        seen.len() <= 10 && first["requests"].as_u64().unwrap() <= 10,
        "{seen:?}"
    );
    assert!(
        seen.iter()
            .all(|one| one.method == "GET" || one.path.ends_with("/advisories/bulk")),
        "{seen:?}"
    );
    let again = probe(&project);
    assert_eq!(
        (&again["kept"], &again["probes"]),
        (&json!(true), &first["probes"])
    );
    assert_eq!(registry.seen().len(), seen.len());

    let run = project.v4run(&["npm", "ci"]).run();
    run.succeeds();
    let report = assessed(&project, &run);
    for id in ["4.3", "4.6", "4.9"] {
        assert_eq!(control(&report, id)["status"], "observed", "{id}");
    }
    run.record()
        .event("probed", |event| event["control"] == "4.9");
}

#[test]
fn a_probe_that_contradicts_wins_over_a_statement() {
    let (registry, project) = project();
    project.file("v4run.toml", &fact(&registry, "4.9", true));
    // The channel answers and does not know the canary.
    let seen = probe(&project);
    assert!(outcome(&seen, "4.9").starts_with("contradicts"), "{seen}");
    let run = project.v4run(&["npm", "ci"]).run();
    let report = assessed(&project, &run);
    assert_eq!(control(&report, "4.9")["status"], "violated");
}

#[test]
fn a_captive_portal_is_no_evidence() {
    let (registry, project) = project();
    registry.fault(
        On::All,
        What::Page("text/html", "<html>please log in</html>".into()),
    );
    let seen = probe(&project);
    for one in seen["probes"].as_array().unwrap() {
        assert_eq!(one["outcome"], "cannot-tell", "{one}");
        assert!(
            one["detail"].as_str().unwrap().contains("captive portal"),
            "{one}"
        );
    }
}

#[test]
fn a_probe_holds_to_tls_and_needs_a_project() {
    let stranger = Registry::start();
    let (registry, project) = project();
    // Another authority than the one that issued the registry's certificate.
    fs::write(project.authority_file(), stranger.authority().pem()).unwrap();
    let seen = probe(&project);
    for one in seen["probes"].as_array().unwrap() {
        assert_eq!(one["outcome"], "cannot-tell", "{one}");
    }
    assert!(registry.seen().is_empty());
    project
        .v4run_plain(&["probe", "cargo"])
        .run()
        .exits(125)
        .says("known: npm");
    project
        .v4run_plain(&["probe", "npm", "run", "x"])
        .run()
        .exits(125)
        .says("command-runs-code");
}
