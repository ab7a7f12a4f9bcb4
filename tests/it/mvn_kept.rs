//! The local repository outlives a run: compared at its end, and put right when that is asked for.

use std::fs;

use crate::maven::jar::Jar;
use crate::maven::{Maven, approval, dependency, publish, text};
use crate::registry::Registry;

fn leaf(registry: &Registry) -> String {
    publish(registry, "it.part:leaf:2.0", "", &Jar::plain("it.leaf"));
    let needed = dependency("it.part:leaf:2.0", "");
    format!("<dependencies>{needed}</dependencies>")
}

#[test]
fn a_jar_that_is_changed_during_the_run_is_named_and_repaired() {
    let registry = Registry::start();
    // Trusted code that changes a component after it was opened.
    let jar = Jar::acting("Tamperer");
    let utilities = dependency("org.codehaus.plexus:plexus-utils:2.x", "");
    let needs = format!("<dependencies>{utilities}</dependencies>");
    publish(&registry, "it.trusted:ext:1.0", &needs, &jar);
    let maven = Maven::new(&registry, &leaf(&registry));
    maven.policy(&approval("it.trusted:ext:1.0", &jar.build()));
    let file = maven.kept("it.part:leaf:2.0", "jar");
    maven.project.file("tamper.txt", &text(&file));
    let extensions = ".mvn/extensions.xml";
    maven.project.file(
        extensions,
        "<extensions><extension><groupId>it.trusted</groupId><artifactId>ext</artifactId>\
         <version>1.0</version></extension></extensions>",
    );
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.refuses(120, "file-mismatch", "4.14");
    run.says("leaf-2.0.jar").says("--repair");
    fs::remove_file(maven.project.path(extensions)).unwrap();
    let bad = fs::read(&file).unwrap();
    assert_eq!(bad.last(), Some(&b'\n'));
    // Positive control: the next run of bare Maven takes it as it is.
    maven.bare(&["dependency:resolve", "-o"]).run().succeeds();
    assert_eq!(fs::read(&file).unwrap(), bad);
    let run = maven
        .v4run_with(&["--repair", "mvn"], &["dependency:resolve"])
        .run();
    run.succeeds();
    assert_eq!(fs::read(&file).unwrap(), Jar::plain("it.leaf").build());
    let away = maven
        .local()
        .join(".v4run-refused/it/part/leaf/2.0/leaf-2.0.jar");
    assert_eq!(fs::read(away).unwrap(), bad);
    let found = run.record().events("found");
    let repaired = found
        .iter()
        .filter(|event| event["code"] == "file-repaired");
    assert_eq!(repaired.count(), 1, "{found:?}");
}

#[test]
fn what_bare_maven_fetched_is_fetched_again_by_a_repair_only() {
    let registry = Registry::start();
    let maven = Maven::new(&registry, &leaf(&registry));
    maven.bare(&["dependency:resolve"]).run().succeeds();
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.refuses(120, "file-unverified", "4.14");
    run.says("--repair");
    let before = registry.maven_seen().len();
    maven
        .v4run_with(&["--repair", "mvn"], &["dependency:resolve"])
        .run()
        .succeeds();
    assert!(registry.maven_seen().len() > before);
    maven.v4run(&["dependency:resolve", "-o"]).run().succeeds();
}

#[test]
fn what_is_copied_is_whole_when_the_run_is_over() {
    let registry = Registry::start();
    publish(&registry, "it.part:code:1.0", "", &Jar::library());
    let needed = dependency("it.part:code:1.0", "");
    let maven = Maven::new(&registry, &format!("<dependencies>{needed}</dependencies>"));
    let goal = ["dependency:copy-dependencies", "-Dmdep.stripVersion=true"];
    let run = maven.v4run(&goal).run();
    run.succeeds();
    let copy = maven.project.path("target/dependency/code.jar");
    assert_eq!(fs::read(&copy).unwrap(), Jar::library().build());
    // Maven itself had it without code.
    let record = run.record();
    let view = record.event("handed-out", |event| {
        event["path"].as_str().unwrap().ends_with("code-1.0.jar")
    });
    assert!(view["trusted"].is_null(), "{view}");
    record.event("delivered-whole", |event| {
        event["path"] == text(&copy).as_str()
    });
    let run = maven.v4run(&["dependency:unpack-dependencies"]).run();
    run.refuses(126, "command-runs-code", "4.18");
}
