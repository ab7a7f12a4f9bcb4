//! Nothing that was downloaded runs inside Maven unless its bytes are trusted.

use std::fs;

use crate::maven::jar::Jar;
use crate::maven::{Maven, REAL, approval, dependency, publish, text};
use crate::registry::Registry;

/// The utilities that Maven wants of every extension and plugin.
fn utilities() -> String {
    let needed = dependency("org.codehaus.plexus:plexus-utils:2.x", "");
    format!("<dependencies>{needed}</dependencies>")
}

fn leaf(registry: &Registry) -> String {
    publish(registry, "it.part:leaf:2.0", "", &Jar::plain("it.leaf"));
    let needed = dependency("it.part:leaf:2.0", "");
    format!("<dependencies>{needed}</dependencies>")
}

#[test]
fn an_extension_of_a_pom_does_not_run() {
    let registry = Registry::start();
    publish(&registry, "evil:ext:1.0", &utilities(), &Jar::extension());
    let extension = "<build><extensions><extension><groupId>evil</groupId>\
                     <artifactId>ext</artifactId><version>1.0</version></extension></extensions></build>";
    let maven = Maven::new(&registry, &format!("{}{extension}", leaf(&registry)));
    maven.v4run(&["dependency:resolve"]).run();
    assert_eq!(maven.ran(), [""; 0]);
    // The same in a parent that is fetched.
    registry.put(
        &crate::maven::path("it.part:parent:1.0", "pom"),
        crate::maven::pom(
            "it.part:parent:1.0",
            &format!("<packaging>pom</packaging>{extension}"),
        ),
    );
    let parent = "<parent><groupId>it.part</groupId><artifactId>parent</artifactId>\
                  <version>1.0</version><relativePath/></parent>";
    let child = Maven::new(&registry, &format!("{}{parent}", leaf(&registry)));
    let run = child.v4run(&["dependency:resolve"]).run();
    run.refuses(126, "build-refused", "4.18");
    run.says("`evil:ext:1.0`").says("parent-1.0.pom:6");
    assert_eq!(child.ran(), [""; 0]);
    // Positive control.
    for maven in [maven, child] {
        maven.clear();
        maven.bare(&["dependency:resolve"]).run().succeeds();
        assert_eq!(maven.ran(), ["ran-participant"]);
    }
}

#[test]
fn a_plugin_that_takes_the_name_of_a_known_one_does_not_run() {
    let registry = Registry::start();
    let name = "evil:dependency-maven-plugin:1.0";
    let body = format!("<packaging>maven-plugin</packaging>{}", utilities());
    publish(
        &registry,
        name,
        &body,
        &Jar::plugin(name, "dependency", "resolve"),
    );
    let plugin = "<build><plugins><plugin><groupId>evil</groupId>\
                  <artifactId>dependency-maven-plugin</artifactId><version>1.0</version></plugin>\
                  </plugins></build>";
    let maven = Maven::new(&registry, &format!("{}{plugin}", leaf(&registry)));
    maven.v4run(&[REAL]).run();
    assert_eq!(maven.ran(), [""; 0]);
    maven.clear();
    maven.bare(&[REAL]).run().succeeds();
    assert_eq!(maven.ran(), ["ran-goal"]);
}

#[test]
fn an_approval_by_digest_lets_an_extension_run_and_only_those_bytes() {
    let registry = Registry::start();
    let jar = Jar::extension();
    publish(&registry, "evil:ext:1.0", &utilities(), &jar);
    let maven = Maven::new(&registry, &leaf(&registry));
    let extensions = "<extensions>\n<extension><groupId>evil</groupId><artifactId>ext</artifactId>\
                      <version>1.0</version></extension></extensions>";
    maven.project.file(".mvn/extensions.xml", extensions);
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.refuses(126, "config-refused", "4.18");
    run.says(".mvn/extensions.xml:2");
    let approve = |bytes: &[u8]| maven.policy(&approval("evil:ext:1.0", bytes));
    approve(b"other bytes");
    maven.v4run(&["dependency:resolve"]).run();
    assert_eq!(maven.ran(), [""; 0]);
    maven.bare(&["dependency:resolve"]).run().succeeds();
    assert!(maven.ran().contains(&"ran-spy".to_owned()));
    maven.forget();
    maven.clear();
    approve(&jar.build());
    let run = maven.v4run(&["dependency:resolve"]).run();
    let told = run.stdout.clone();
    assert!(
        told.contains("ran spy"),
        "it may run, and cannot write\n{}",
        run.told()
    );
    let exceptions = run.record().summary["controls"]
        .as_array()
        .unwrap()
        .iter()
        .find(|control| control["id"] == "4.18")
        .unwrap()["modifiers"]
        .to_string();
    assert!(exceptions.contains("plugins by digest"), "{exceptions}");
}

#[test]
fn what_reaches_the_virtual_machine_is_judged() {
    let registry = Registry::start();
    let maven = Maven::new(&registry, &leaf(&registry));
    let jar = maven.project.path("agent.jar");
    fs::write(&jar, Jar::agent().build()).unwrap();
    let agent = format!("-javaagent:{}", text(&jar));
    // In the project it is refused.
    maven
        .project
        .file(".mvn/jvm.config", &format!("-Xmx512m\n{agent}\n"));
    let run = maven.v4run(&["-v"]).run();
    run.refuses(126, "config-refused", "4.18");
    run.says(".mvn/jvm.config:2");
    maven.bare(&["-v"]).run().succeeds();
    assert_eq!(maven.ran(), ["ran-agent"]);
    maven.forget();
    fs::remove_file(maven.project.path(".mvn/jvm.config")).unwrap();
    // In the environment it has no effect.
    for name in [
        "JAVA_TOOL_OPTIONS",
        "JDK_JAVA_OPTIONS",
        "_JAVA_OPTIONS",
        "MAVEN_OPTS",
    ] {
        maven.v4run(&["-v"]).env(name, &agent).run().succeeds();
        assert_eq!(maven.ran(), [""; 0], "{name}");
        maven.bare(&["-v"]).env(name, &agent).run().succeeds();
        assert_eq!(maven.ran(), ["ran-agent"], "{name}");
        maven.forget();
    }
    // So has a shell file of the user.
    let touch = format!("touch {}\n", text(&maven.project.path("ran-mavenrc")));
    fs::write(maven.project.home().join(".mavenrc"), touch).unwrap();
    maven.v4run(&["-v"]).run().succeeds();
    assert_eq!(maven.ran(), [""; 0]);
    maven.bare(&["-v"]).run().succeeds();
    assert_eq!(maven.ran(), ["ran-mavenrc"]);
}

#[test]
fn code_on_maven_s_own_class_path_is_refused() {
    let registry = Registry::start();
    let maven = Maven::new(&registry, &leaf(&registry));
    let jar = maven.project.path("ext.jar");
    fs::write(&jar, Jar::extension().build()).unwrap();
    let option = format!("-Dmaven.ext.class.path={}", text(&jar));
    let run = maven.v4run(&["dependency:resolve", &option]).run();
    run.refuses(126, "config-refused", "4.18");
    maven.project.file(".mvn/maven.config", &option);
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.refuses(126, "config-refused", "4.18");
    run.says(".mvn/maven.config:1");
    maven.bare(&["dependency:resolve"]).run().succeeds();
    assert!(maven.ran().contains(&"ran-spy".to_owned()));
}

#[test]
fn goals_that_run_code_by_design_end_before_the_start() {
    let registry = Registry::start();
    let maven = Maven::new(&registry, &leaf(&registry));
    for goal in ["exec:java", "antrun:run", "test", "deploy", "surefire:test"] {
        let run = maven.v4run(&[goal]).run();
        run.refuses(126, "command-runs-code", "4.18");
    }
    maven
        .v4run(&[])
        .run()
        .refuses(126, "command-unknown", "4.18");
    maven
        .v4run(&["some.group:some-plugin:1.0:goal"])
        .run()
        .refuses(126, "command-unknown", "4.18");
    maven.project.file("mvnw", "#!/bin/sh\ntouch ran-wrapper\n");
    let run = maven.project.v4run(&["./mvnw", "validate"]).run();
    run.refuses(126, "command-runs-code", "4.18");
    assert_eq!(maven.ran(), [""; 0]);
    assert!(registry.maven_seen().is_empty());
}
