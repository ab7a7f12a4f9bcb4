//! The local repository outlives a run: compared at its end, and put right when that is asked for.

use std::fs;

use crate::maven::jar::Jar;
use crate::maven::{Maven, approval, dependency, path, pom, publish, text};
use crate::project::tree;
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
    // What reads jars does not run beside it.
    let run = maven.v4run(&["compile", goal[0]]).run();
    run.refuses(126, "command-runs-code", "4.18");
}

/// What lies in the directory that goals unpack to, with what Maven notes beside it.
fn unpacked(maven: &Maven) -> tree::Tree {
    let found = tree::read(&maven.project.path("target"));
    fs::remove_dir_all(maven.project.path("target")).unwrap();
    found
}

#[test]
fn what_is_unpacked_is_whole_when_the_run_is_over() {
    let registry = Registry::start();
    let jar = Jar::library()
        .file("META-INF/services/x.Y", b"hostile.Library\n")
        .file("lib/inner.jar", &Jar::plain("it.inner").build())
        .file("lib/native.so", b"\x7fELF")
        .file("empty", b"");
    publish(&registry, "it.part:code:1.0", "", &jar);
    let needed = dependency("it.part:code:1.0", "");
    let maven = Maven::new(&registry, &format!("<dependencies>{needed}</dependencies>"));
    let goal = [
        "dependency:unpack-dependencies",
        "-Dmdep.unpack.excludes=readme.txt",
    ];
    maven.bare(&goal).run().succeeds();
    let expected = unpacked(&maven);
    assert!(
        expected.contains_key("dependency/hostile/Library.class"),
        "{expected:?}"
    );
    assert!(
        !expected.contains_key("dependency/readme.txt"),
        "{expected:?}"
    );
    maven.clear();
    let run = maven.v4run(&goal).run();
    run.succeeds();
    tree::assert_equal(&expected, &unpacked(&maven));
    // Maven itself had no byte of it.
    let record = run.record();
    let view = record.event("handed-out", |event| {
        event["path"].as_str().unwrap().ends_with("code-1.0.jar")
    });
    assert!(view["trusted"].is_null(), "{view}");
    record.event("delivered-whole", |event| {
        event["path"].as_str().unwrap().ends_with("Library.class")
    });
    let run = maven.v4run(&["compile", goal[0]]).run();
    run.refuses(126, "command-runs-code", "4.18");
}

#[test]
fn nothing_is_unpacked_to_another_place() {
    let registry = Registry::start();
    // A link, and a file of its name that an unpacker writes through it.
    let outside = b"../../ran-outside";
    let jar = Jar::plain("it.link").linked("way", outside, b"written");
    registry.put(
        &path("it.part:link:1.0", "pom"),
        pom("it.part:link:1.0", ""),
    );
    registry.put(&path("it.part:link:1.0", "jar"), jar);
    let needed = dependency("it.part:link:1.0", "");
    let maven = Maven::new(&registry, &format!("<dependencies>{needed}</dependencies>"));
    let run = maven.v4run(&["dependency:unpack-dependencies"]).run();
    run.refuses(120, "artifact-invalid", "4.13");
    assert_eq!(maven.ran(), [""; 0]);
    assert!(!maven.project.path("target/dependency/way").exists());
    // Positive control.
    maven.clear();
    maven.bare(&["dependency:unpack-dependencies"]).run();
    assert_eq!(maven.ran(), ["ran-outside"]);
}

#[test]
fn a_large_artifact_passes_whole() {
    let registry = Registry::start();
    let name = "it.part:large:1.0";
    registry.put(&path(name, "pom"), pom(name, ""));
    registry.put(&path(name, "bin"), vec![0; 300 << 20]);
    let needed = dependency(name, "<type>bin</type>");
    let maven = Maven::new(&registry, &format!("<dependencies>{needed}</dependencies>"));
    // A virtual machine that compiles little decrypts slowly.
    let run = maven.v4run(&["dependency:resolve"]).env("MAVEN_OPTS", "");
    run.run().succeeds();
    let kept = fs::metadata(maven.kept(name, "bin")).unwrap();
    assert_eq!(kept.len(), 300 << 20);
}
