//! What would be loaded as code is told without running it, and runs only after somebody answers.

use std::fs;

use crate::maven::jar::Jar;
use crate::maven::{Maven, approval, dependency, publish};
use crate::registry::Registry;

/// A plugin bound to the build, a component slipped into the realm of a known plugin, and an extension.
fn hostile(registry: &Registry) -> Maven {
    let utilities = dependency("org.codehaus.plexus:plexus-utils:2.x", "");
    let needs = format!("<dependencies>{utilities}</dependencies>");
    publish(registry, "evil:ext:1.0", &needs, &Jar::extension());
    publish(
        registry,
        "evil:slipped:1.0",
        "",
        &Jar::plain("evil.slipped"),
    );
    let plugin = "evil:bound-maven-plugin:1.0";
    let packaging = "<packaging>maven-plugin</packaging>";
    let jar = Jar::plugin(plugin, "bound", "run");
    publish(registry, plugin, packaging, &jar);
    let slipped = dependency("evil:slipped:1.0", "");
    let maven = Maven::new(
        registry,
        &format!(
            "<build><plugins>\n<plugin><groupId>evil</groupId>\
             <artifactId>bound-maven-plugin</artifactId><version>1.0</version><executions>\
             <execution><phase>validate</phase><goals><goal>run</goal></goals></execution></executions>\
             <dependencies>{slipped}</dependencies></plugin></plugins></build>"
        ),
    );
    maven.project.file(
        ".mvn/extensions.xml",
        "<extensions><extension><groupId>evil</groupId><artifactId>ext</artifactId>\
         <version>1.0</version></extension></extensions>",
    );
    maven
}

#[test]
fn what_a_build_would_load_is_told_and_none_of_it_runs() {
    let registry = Registry::start();
    let maven = hostile(&registry);
    // Positive control.
    maven.bare(&["validate"]).run().succeeds();
    assert_eq!(maven.ran(), ["ran-goal", "ran-participant", "ran-spy"]);
    maven.forget();
    maven.clear();
    // Refused before the start, with the command that helps.
    let run = maven.v4run(&["validate"]).run();
    run.refuses(126, "config-refused", "4.18");
    run.says("v4run trust mvn validate");
    fs::remove_file(maven.project.path(".mvn/extensions.xml")).unwrap();
    let run = maven.v4run(&["validate"]).run();
    run.refuses(126, "command-runs-code", "4.18");
    run.says("pom.xml:7").says("v4run trust mvn validate");
    let again = hostile(&registry);
    let told = again.v4run_with(&["trust", "mvn"], &["validate"]).run();
    told.succeeds();
    assert_eq!(again.ran(), [""; 0]);
    let found = told.record().events("found");
    assert!(found.iter().any(|event| event["code"] == "rehearsed"));
    for (name, jar) in [
        ("evil:ext:1.0", Jar::extension()),
        (
            "evil:bound-maven-plugin:1.0",
            Jar::plugin("evil:bound-maven-plugin:1.0", "bound", "run"),
        ),
        ("evil:slipped:1.0", Jar::plain("evil.slipped")),
    ] {
        let expected = approval(name, &jar.build());
        let digest = expected.lines().find(|line| line.starts_with("sha256"));
        assert!(told.stdout.contains(digest.unwrap()), "{}", told.told());
    }
    assert!(
        told.stdout.contains(
            "# for plugin evil:bound-maven-plugin:1.0\npurl = \"pkg:maven/evil/slipped@1.0"
        ),
        "{}",
        told.stdout
    );
    assert!(
        told.stdout.contains("extension of Maven evil:ext:1.0"),
        "{}",
        told.stdout
    );
    // As it was printed it is no policy; with owner and reason it is.
    again.policy(&told.stdout);
    let run = again.v4run(&["dependency:resolve"]).run();
    run.exits(125).says("owner");
    let filled = told.stdout.replace("= \"\"", "= \"suite\"");
    again.policy(&filled);
    let run = again.v4run(&["dependency:resolve"]).run();
    assert!(run.stdout.contains("ran spy"), "{}", run.told());
}

#[test]
fn an_approved_plugin_runs_in_a_build_and_one_that_runs_programs_does_not() {
    let registry = Registry::start();
    let packaging = "<packaging>maven-plugin</packaging>";
    let plugins = [
        "it.trusted:mark-maven-plugin:1.0",
        "it.trusted:exec-maven-plugin:1.0",
    ];
    let mut policy = String::new();
    for name in plugins {
        let jar = Jar::plugin(name, "mark", "run");
        publish(&registry, name, packaging, &jar);
        policy.push_str(&approval(name, &jar.build()));
    }
    let bound = |artifact: &str| {
        format!(
            "<build><plugins><plugin><groupId>it.trusted</groupId><artifactId>{artifact}</artifactId>\
             <version>1.0</version><executions><execution><phase>validate</phase><goals>\
             <goal>run</goal></goals></execution></executions></plugin></plugins></build>"
        )
    };
    let maven = Maven::new(&registry, &bound("mark-maven-plugin"));
    maven.policy(&policy);
    // Bound to a phase, and named on the command line.
    let goals = ["validate", "it.trusted:mark-maven-plugin:1.0:run"];
    let run = maven.v4run(&goals).run();
    run.refuses(120, "file-access-refused", "4.18");
    assert_eq!(run.stdout.matches("ran goal").count(), 2, "{}", run.told());
    assert_eq!(maven.ran(), [""; 0], "it may run, and cannot write");
    // What runs programs by design does not, whoever approves it.
    let run = maven.v4run(&["it.trusted:exec-maven-plugin:1.0:run"]).run();
    run.refuses(126, "command-runs-code", "4.18");
    maven.pom(&bound("exec-maven-plugin"));
    let run = maven.v4run(&["validate"]).run();
    run.refuses(126, "command-runs-code", "4.18");
    run.says("pom.xml:6");
    maven.bare(&["validate"]).run().succeeds();
    assert_eq!(maven.ran(), ["ran-goal"]);
}

#[test]
fn a_plugin_that_nobody_answers_for_is_refused_when_it_is_opened() {
    let registry = Registry::start();
    // Bound in a parent that is fetched, so that it is not known before the start.
    let plugin = "evil:bound-maven-plugin:1.0";
    let packaging = "<packaging>maven-plugin</packaging>";
    publish(
        &registry,
        plugin,
        packaging,
        &Jar::plugin(plugin, "bound", "run"),
    );
    let parent = "<packaging>pom</packaging><build><plugins><plugin><groupId>evil</groupId>\
                  <artifactId>bound-maven-plugin</artifactId><version>1.0</version><executions>\
                  <execution><phase>validate</phase><goals><goal>run</goal></goals></execution>\
                  </executions></plugin></plugins></build>";
    registry.put(
        &crate::maven::path("it.part:parent:1.0", "pom"),
        crate::maven::pom("it.part:parent:1.0", parent),
    );
    let body = "<parent><groupId>it.part</groupId><artifactId>parent</artifactId>\
                <version>1.0</version><relativePath/></parent>";
    let maven = Maven::new(&registry, body);
    let run = maven.v4run(&["validate"]).run();
    run.refuses(120, "command-runs-code", "4.18");
    run.says("v4run trust mvn");
    assert_eq!(maven.ran(), [""; 0]);
    maven.bare(&["validate"]).run().succeeds();
    assert_eq!(maven.ran(), ["ran-goal"]);
}

#[test]
fn only_maven_has_something_to_find_out() {
    let registry = Registry::start();
    let maven = Maven::new(&registry, "");
    let run = maven.v4run_with(&["trust", "npm"], &["ci"]).run();
    run.exits(125).says("nothing to find out");
}
