//! Settings and repositories: the user's are kept, the project's allow nothing, nothing goes past TLS.

use sha2::{Digest as _, Sha256};

use crate::maven::jar::Jar;
use crate::maven::{Maven, dependency, path, publish, text};
use crate::registry::{Registry, Setup};

fn leaf(registry: &Registry) -> String {
    publish(registry, "it.part:leaf:2.0", "", &Jar::plain("it.leaf"));
    let needed = dependency("it.part:leaf:2.0", "");
    format!("<dependencies>{needed}</dependencies>")
}

/// Another repository, and elements of a POM that names it and wants something that only it has.
fn elsewhere(registry: &Registry) -> (Registry, String) {
    let other = Registry::issued_by(registry.authority().clone(), Setup::default());
    publish(&other, "it.other:birch:1.0", "", &Jar::plain("it.birch"));
    let body = format!(
        "<repositories><repository><id>other</id><url>{}</url></repository></repositories>\
         <dependencies>{}</dependencies>",
        other.maven(),
        dependency("it.other:birch:1.0", "")
    );
    (other, body)
}

#[test]
fn a_repository_that_only_a_pom_names_is_refused() {
    let registry = Registry::start();
    let (other, body) = elsewhere(&registry);
    let maven = Maven::new(&registry, &body);
    // The mirror stands for the repository that Maven knows itself, and for no other.
    let mirror = |of: &str| {
        format!(
            "<mirrors><mirror><id>test</id><mirrorOf>{of}</mirrorOf><url>{}</url></mirror></mirrors>",
            registry.maven()
        )
    };
    maven.settings(&mirror("central"));
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.refuses(120, "repository-refused", "4.1");
    assert!(other.seen().is_empty());
    maven.bare(&["dependency:resolve"]).run().succeeds();
    // The policy allows it.
    maven.clear();
    let policy = format!("[[repositories]]\nurl = \"{}\"\n", other.maven());
    maven.policy(&policy);
    maven.v4run(&["dependency:resolve"]).run().succeeds();
}

#[test]
fn a_repository_that_a_dependency_names_is_refused() {
    let registry = Registry::start();
    let (other, body) = elsewhere(&registry);
    publish(&registry, "it.part:oak:1.0", &body, &Jar::plain("it.oak"));
    let needed = dependency("it.part:oak:1.0", "");
    let maven = Maven::new(&registry, &format!("<dependencies>{needed}</dependencies>"));
    maven.settings(&format!(
        "<mirrors><mirror><id>test</id><mirrorOf>central</mirrorOf><url>{}</url></mirror></mirrors>",
        registry.maven()
    ));
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.refuses(120, "repository-refused", "4.1");
    assert!(other.seen().is_empty());
    maven.clear();
    // Positive control.
    maven.bare(&["dependency:resolve"]).run().succeeds();
    assert!(maven.kept("it.other:birch:1.0", "jar").is_file());
}

#[test]
fn a_pin_and_an_approval_say_what_an_artifact_is() {
    let registry = Registry::start();
    let maven = Maven::new(&registry, &leaf(&registry));
    let entry = |bytes: &[u8]| {
        format!(
            "[[artifacts]]\nfile = \"leaf-2.0.jar\"\nurl = \"{}{}\"\nsha256 = \"{}\"\n",
            registry.maven(),
            path("it.part:leaf:2.0", "jar"),
            hex::encode(Sha256::digest(bytes))
        )
    };
    maven.policy(&entry(b"other bytes"));
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.refuses(120, "integrity-mismatch", "4.13");
    run.says("v4run.toml:2");
    assert!(!maven.kept("it.part:leaf:2.0", "jar").exists());
    maven.policy(&entry(&Jar::plain("it.leaf").build()));
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.succeeds();
    // The tests' own plugin is approved by digest, so nothing beside it is asked for either.
    let record = run.record();
    let anchors: Vec<_> = record
        .events("released")
        .into_iter()
        .filter(|event| event["anchor"] == "policy")
        .map(|event| event["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        anchors,
        ["it.part:leaf"],
        "the plugin was kept by the first run"
    );
    let asked = registry.maven_seen();
    for file in ["leaf-2.0.jar", "maven-dependency-plugin-0.test.jar"] {
        let of: Vec<_> = asked.iter().filter(|path| path.contains(file)).collect();
        assert!(of.iter().all(|path| path.ends_with(".jar")), "{of:?}");
    }
}

#[test]
fn nothing_is_fetched_without_tls() {
    let registry = Registry::with(Setup {
        plain: true,
        ..Setup::default()
    });
    let maven = Maven::new(&registry, &leaf(&registry));
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.refuses(120, "plain-http", "4.15");
    assert!(registry.seen().is_empty());
    maven.bare(&["dependency:resolve"]).run().succeeds();
}

#[test]
fn credentials_go_to_the_proxy_only() {
    let registry = Registry::with(Setup {
        login: Some(("builder", "pass word")),
        ..Setup::default()
    });
    let mut maven = Maven::new(&registry, &leaf(&registry));
    maven.project.secret("pass word");
    let mirror = format!(
        "<mirrors><mirror><id>test</id><mirrorOf>*</mirrorOf><url>{}</url></mirror></mirrors>",
        registry.maven()
    );
    let server = |password: &str| {
        format!(
            "<servers><server><id>test</id><username>builder</username>\
             <password>{password}</password></server></servers>"
        )
    };
    maven.settings(&format!("{mirror}{}", server("${env.MAVEN_PASSWORD}")));
    let run = maven
        .v4run(&["dependency:resolve"])
        .env("MAVEN_PASSWORD", "pass word")
        .run();
    run.succeeds();
    // An encrypted one without the master password ends the run.
    maven.settings(&format!(
        "{mirror}{}",
        server("{uW6N7yfyuO8HGuZ7KhDfg9L2Vq1ZbmqhBUV+1VwQDIs=}")
    ));
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.exits(125).says("settings.xml:1");
    // With it, as Maven wrote both.
    let security = maven.project.home().join(".m2/settings-security.xml");
    let master = "{J+xSv8+an8AH9LLoc5aIDSZJmvo6sCjs5LhwotA3L4o=}";
    let text = format!("<settingsSecurity><master>{master}</master></settingsSecurity>");
    std::fs::write(security, text).unwrap();
    maven.clear();
    maven.v4run(&["dependency:resolve"]).run().succeeds();
    maven.clear();
    maven.bare(&["dependency:resolve"]).run().succeeds();
}

#[test]
fn a_project_cannot_lead_maven_elsewhere() {
    let registry = Registry::start();
    let other = Registry::issued_by(registry.authority().clone(), Setup::default());
    let maven = Maven::new(&registry, &leaf(&registry));
    let settings = format!(
        "<settings><mirrors><mirror><id>evil</id><mirrorOf>*</mirrorOf><url>{}</url></mirror>\
         </mirrors></settings>",
        other.maven()
    );
    maven.project.file("mine.xml", &settings);
    maven.project.file(".mvn/maven.config", "-s mine.xml\n");
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.refuses(120, "repository-refused", "4.1");
    assert!(other.seen().is_empty());
    for (line, word) in [
        ("-s ../mine.xml", "outside the project"),
        ("-Dmaven.repo.local=/tmp/r", "outside the project"),
        ("-c", "lax-checksums"),
        ("-Dmaven.wagon.http.ssl.insecure=true", "no switch"),
        ("-Daether.checksums.algorithms=MD5", "verifies"),
        ("-Djavax.net.ssl.trustStore=x", "SSL_CERT_FILE"),
    ] {
        maven.project.file(".mvn/maven.config", line);
        let run = maven.v4run(&["dependency:resolve"]).run();
        run.refuses(126, "config-refused", "4.18").says(word);
    }
    // On the user's own command line paths are honoured.
    maven.project.file(".mvn/maven.config", "");
    let local = maven.project.outside("repository");
    let option = format!("-Dmaven.repo.local={}", text(&local));
    maven
        .v4run(&["dependency:resolve", &option])
        .run()
        .succeeds();
    assert!(local.join("it/part/leaf/2.0/leaf-2.0.jar").is_file());
    assert!(!maven.kept("it.part:leaf:2.0", "jar").exists());
}
