//! What would be loaded as code is told without running it, and runs only after somebody answers.

use std::fs;

use crate::maven::jar::Jar;
use crate::maven::{Maven, approval, dependency, path, pom, publish};
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

/// A parent of a project in the repository, with its parent.
fn inherited(registry: &Registry, grand: &str) -> String {
    let parent = |artifact: &str| {
        format!(
            "<parent><groupId>it.part</groupId><artifactId>{artifact}</artifactId>\
             <version>1.0</version><relativePath/></parent>"
        )
    };
    for (artifact, body) in [("grand", grand.to_owned()), ("parent", parent("grand"))] {
        let name = format!("it.part:{artifact}:1.0");
        let text = pom(&name, &format!("<packaging>pom</packaging>\n{body}"));
        registry.put(&path(&name, "pom"), text);
    }
    parent("parent")
}

#[test]
fn what_a_parent_in_a_repository_binds_is_judged_when_the_parent_is_read() {
    let registry = Registry::start();
    let plugin = "evil:bound-maven-plugin:1.0";
    let packaging = "<packaging>maven-plugin</packaging>";
    let jar = Jar::plugin(plugin, "bound", "run");
    publish(&registry, plugin, packaging, &jar);
    let named = "<groupId>evil</groupId><artifactId>bound-maven-plugin</artifactId>\
                 <version>1.0</version>";
    let bound = format!(
        "<plugins><plugin>{named}<executions><execution><phase>validate</phase><goals>\
         <goal>run</goal></goals></execution></executions></plugin></plugins>"
    );
    let body = inherited(&registry, &format!("<build>{bound}</build>"));
    let maven = Maven::new(&registry, &body);
    for kept in [false, true] {
        let run = maven.v4run(&["validate"]).run();
        run.refuses(126, "build-refused", "4.18");
        run.says("`evil:bound-maven-plugin:1.0`")
            .says("grand-1.0.pom:7")
            .says("v4run trust mvn validate");
        assert_eq!(maven.ran(), [""; 0]);
        assert!(!maven.kept(plugin, "jar").exists(), "{kept}");
    }
    maven.bare(&["validate"]).run().succeeds();
    assert_eq!(maven.ran(), ["ran-goal"]);
    maven.forget();
    // Bound where it is only managed, it is not seen before it is opened.
    let registry = Registry::start();
    publish(&registry, plugin, packaging, &jar);
    let managed = format!("<build><pluginManagement>{bound}</pluginManagement></build>");
    let parent = inherited(&registry, &managed);
    let uses = format!("<build><plugins><plugin>{named}</plugin></plugins></build>");
    let maven = Maven::new(&registry, &format!("{parent}{uses}"));
    let run = maven.v4run(&["validate"]).run();
    run.refuses(120, "command-runs-code", "4.18");
    run.says("v4run trust mvn");
    assert_eq!(maven.ran(), [""; 0]);
    // A parent that binds nothing of anybody is one like any other.
    let harmless = "<properties><x>1</x></properties><build><plugins><plugin>\
                    <artifactId>maven-resources-plugin</artifactId><executions><execution><id>x</id>\
                    <phase>validate</phase><goals><goal>resources</goal></goals></execution>\
                    </executions></plugin></plugins></build>";
    let registry = Registry::start();
    let maven = Maven::new(&registry, &inherited(&registry, harmless));
    maven.v4run(&["validate"]).run().succeeds();
}

#[test]
fn only_maven_has_something_to_find_out() {
    let registry = Registry::start();
    let maven = Maven::new(&registry, "");
    let run = maven.v4run_with(&["trust", "npm"], &["ci"]).run();
    run.exits(125).says("nothing to find out");
}
