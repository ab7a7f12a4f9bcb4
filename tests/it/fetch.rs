//! What the network does wrong: status codes, broken bodies, redirects, certificates, size.
//!
//! Failures of a repository are the manager's own status and a finding that names the cause; what
//! an attacker on the path could do is a refusal. Rows N22, P06.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::project::Project;
use crate::registry::authority::Identity;
use crate::registry::package::Package;
use crate::registry::{On, Registry, Setup, What};
use crate::run::Run;

fn one(registry: &Registry) -> Project {
    registry.publish(&Package::new("thing", "1.0.0"));
    Project::locked(registry, json!({ "thing": "1.0.0" }))
}

/// The run ends with npm's own failure, names the host and the cause, and refuses nothing.
#[track_caller]
fn failed(run: &Run, registry: &Registry) {
    assert!(run.code() != 0 && run.code() < 120, "{}", run.told());
    let found = run
        .record()
        .event("found", |event| event["code"] == "upstream-failed");
    let text = format!("{} {}", found["subject"], found["message"]);
    assert!(text.contains(&registry.host()), "{text}");
    run.says("upstream-failed");
}

#[test]
fn an_answer_that_stays_bad_is_npm_s_failure_with_a_cause() {
    for status in [401, 403, 404, 429, 500, 503] {
        let registry = Registry::start();
        let project = one(&registry);
        registry.fault(On::Tarball("thing"), What::Status(status));
        let run = project.v4run(&["npm", "ci"]).run();
        failed(&run, &registry);
        run.says(&status.to_string());
        assert!(!project.path("node_modules/thing").exists());
    }
}

#[test]
fn an_answer_that_gets_better_is_tried_again() {
    for what in [
        What::Status(429),
        What::Status(503),
        What::Truncated,
        What::Reset,
    ] {
        let registry = Registry::start();
        let project = one(&registry);
        registry.fault_times(On::Tarball("thing"), what.clone(), 0, 1);
        let run = project.v4run(&["npm", "ci"]).run();
        run.succeeds();
        assert_eq!(registry.tarballs().len(), 2, "{what:?}");
        assert!(project.path("node_modules/thing/index.js").exists());
    }
}

#[test]
fn a_body_that_always_breaks_is_no_package() {
    for what in [What::Truncated, What::Reset] {
        for http2 in [true, false] {
            let registry = Registry::with(Setup {
                http2,
                ..Setup::default()
            });
            let project = one(&registry);
            registry.fault(On::Tarball("thing"), what.clone());
            let run = project.v4run(&["npm", "ci"]).run();
            failed(&run, &registry);
            assert!(!project.path("node_modules/thing").exists());
        }
    }
}

#[test]
fn a_slow_body_is_waited_for() {
    let registry = Registry::start();
    let project = one(&registry);
    registry.fault(
        On::Tarball("thing"),
        What::Slow(5, Duration::from_millis(100)),
    );
    project.v4run(&["npm", "ci"]).run().succeeds();
}

#[test]
fn n22_a_redirect_to_another_host_is_not_followed() {
    let registry = Registry::start();
    let elsewhere = Registry::issued_by(Arc::clone(registry.authority()), Setup::default());
    let project = one(&registry);
    elsewhere.publish(&Package::new("thing", "1.0.0"));
    registry.fault(On::Tarball("thing"), What::Redirect(elsewhere.base()));
    project.npm(&["ci"]).run().succeeds();
    assert_eq!(elsewhere.tarballs().len(), 1, "the control does not fire");
    let before = elsewhere.connections();
    let run = project.v4run(&["npm", "ci"]).run();
    run.refuses(120, "redirect-refused", "4.1")
        .says(&elsewhere.host());
    assert_eq!(elsewhere.connections(), before);
}

#[test]
fn n22_a_redirect_of_the_index_is_not_followed() {
    let registry = Registry::start();
    let elsewhere = Registry::issued_by(Arc::clone(registry.authority()), Setup::default());
    registry.publish(&Package::new("thing", "1.0.0"));
    elsewhere.publish(&Package::new("thing", "1.0.0"));
    registry.fault(On::Packument("thing"), What::Redirect(elsewhere.base()));
    let project = Project::new(&registry);
    let run = project.v4run(&["npm", "install", "thing"]).run();
    run.refuses(120, "redirect-refused", "4.1");
    assert_eq!(elsewhere.connections(), 0);
}

#[test]
fn n22_a_redirect_into_the_clear_is_not_followed() {
    let registry = Registry::start();
    let plain = Registry::with(Setup {
        plain: true,
        ..Setup::default()
    });
    let project = one(&registry);
    plain.publish(&Package::new("thing", "1.0.0"));
    registry.fault(On::Tarball("thing"), What::Redirect(plain.base()));
    project.npm(&["ci"]).run().succeeds();
    assert_eq!(plain.tarballs().len(), 1, "the control does not fire");
    let run = project.v4run(&["npm", "ci"]).run();
    run.exits(120);
    let violations = run.record().violations();
    let codes: Vec<&Value> = violations
        .iter()
        .map(|violation| &violation["code"])
        .collect();
    assert!(codes.contains(&&json!("plain-http")) || codes.contains(&&json!("redirect-refused")));
    assert_eq!(plain.connections(), 1);
}

#[test]
fn an_index_that_names_archives_of_another_host() {
    // The index is allowed to say where its archives are, with a digest; clear text never.
    let registry = Registry::start();
    let plain = Registry::with(Setup {
        plain: true,
        ..Setup::default()
    });
    let package = Package::new("thing", "1.0.0");
    let published = plain.publish(&package);
    registry.publish_at(&package, plain.tarball_url(&published));
    let project = Project::new(&registry);
    project.npm(&["install", "thing"]).run().succeeds();
    assert_eq!(plain.tarballs().len(), 1, "the control does not fire");
    let run = project.v4run(&["npm", "install", "thing"]).run();
    assert!([120, 126].contains(&run.code()), "{}", run.told());
    assert_eq!(plain.connections(), 1);
}

#[test]
fn wrong_certificates_are_refused_by_name() {
    for (identity, word) in [
        (Identity::Expired, "expired"),
        (Identity::NotYetValid, "valid yet"),
        (Identity::SelfSigned, "issuer"),
        (Identity::UnknownIssuer, "issuer"),
        (Identity::WrongName, "name"),
    ] {
        let registry = Registry::with(Setup {
            identity,
            ..Setup::default()
        });
        let project = one(&registry);
        project.npm(&["ci", "--strict-ssl=false"]).run().succeeds();
        assert!(
            project.path("node_modules/thing").exists(),
            "the control does not fire"
        );
        std::fs::remove_dir_all(project.path("node_modules")).unwrap();
        let before = registry.seen().len();
        let run = project.v4run(&["npm", "ci"]).run();
        run.refuses(120, "tls-invalid", "4.16")
            .says(&registry.host());
        // There is no remedy for a certificate of somebody else.
        if identity != Identity::WrongName {
            run.says("hint:");
        }
        let told = run.stderr.to_lowercase();
        assert!(
            told.contains(word),
            "{identity:?}: `{word}` is not told\n{}",
            run.told()
        );
        assert_eq!(
            registry.seen().len(),
            before,
            "{identity:?}: a request was sent"
        );
        assert!(!project.path("node_modules/thing").exists());
    }
}

#[test]
fn a_registry_in_the_clear_is_refused() {
    let registry = Registry::with(Setup {
        plain: true,
        ..Setup::default()
    });
    let project = one(&registry);
    project.npm(&["ci"]).run().succeeds();
    assert!(registry.connections() > 0, "the control does not fire");
    let before = registry.connections();
    let run = project.v4run(&["npm", "ci"]).run();
    run.refuses(126, "plain-http", "4.15").says("https");
    assert_eq!(registry.connections(), before);
}

#[test]
fn a_registry_that_speaks_no_tls() {
    let registry = Registry::with(Setup {
        plain: true,
        ..Setup::default()
    });
    registry.publish(&Package::new("thing", "1.0.0"));
    let project = Project::new(&registry);
    project.user_config(&format!("registry=https://{}/\n", registry.host()));
    let run = project.v4run(&["npm", "install", "thing"]).run();
    assert_ne!(run.code(), 0);
    run.says(&registry.host());
}

#[test]
fn a_registry_that_is_down() {
    let registry = Registry::start();
    let project = one(&registry);
    let host = registry.host();
    drop(registry);
    let run = project.v4run(&["npm", "ci"]).run();
    assert!(run.code() != 0 && run.code() < 120, "{}", run.told());
    run.says("upstream-failed").says(&host);
}

#[test]
fn a_name_that_does_not_resolve() {
    let registry = Registry::start();
    let project = Project::new(&registry);
    project.user_config("registry=https://registry.invalid/\n");
    let run = project.v4run(&["npm", "install", "thing"]).run();
    assert!(run.code() != 0 && run.code() < 120, "{}", run.told());
    run.says("upstream-failed").says("registry.invalid");
}

#[test]
fn an_index_of_three_hundred_megabytes() {
    let registry = Registry::start();
    registry.publish(&Package::new("thing", "1.0.0"));
    registry.fault(On::Packument("thing"), What::Padded(300 << 20));
    let project = Project::new(&registry);
    let run = project.v4run(&["npm", "install", "thing"]).run();
    run.refuses(120, "metadata-too-large", "4.13").says("thing");
}

#[test]
fn an_index_that_is_no_index() {
    for text in [
        "{",
        "[]",
        "\"thing\"",
        "{\"versions\":[]}",
        "\u{0}",
        "{\"name\":\"other\",\"versions\":{}}",
    ] {
        let registry = Registry::start();
        registry.publish(&Package::new("thing", "1.0.0"));
        registry.fault(On::Packument("thing"), What::Bytes(text.into()));
        let project = Project::new(&registry);
        let run = project.v4run(&["npm", "install", "thing"]).run();
        assert_ne!(run.code(), 0, "{text:?}");
        if text == "{" {
            run.refuses(120, "index-malformed", "4.13");
        }
    }
}

#[test]
fn a_default_registry_may_not_be_a_private_address() {
    // The registry of npm's own defaults is public: its name must not lead into this machine.
    let stage = crate::attack::Stage::new();
    stage.project.user_config(&format!(
        "cafile={}\n",
        stage.project.authority_file().display()
    ));
    stage.registry.publish(&Package::new("thing", "1.0.0"));
    let attack = r"
        await request({ host: 'localhost', port: where.registry, name: 'localhost',
            lines: ['GET /thing HTTP/1.1', `Host: localhost:${where.registry}`] });
    ";
    let ours = stage.outcome(stage.hostile(attack));
    ours.is_violation(&["address-refused"], "4.1");
    assert_eq!(stage.registry.connections(), 0);
}

#[test]
fn a_registry_that_wants_credentials_says_so() {
    let registry = Registry::with(Setup {
        token: Some("nonce".into()),
        ..Setup::default()
    });
    let project = one(&registry);
    let run = project.v4run(&["npm", "ci"]).run();
    failed(&run, &registry);
    run.says("401");
}
