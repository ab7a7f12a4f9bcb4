//! A project of many artifacts from an empty local repository, and everything for a day offline.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::bom;
use crate::maven::jar::Jar;
use crate::maven::{Maven, REAL, dependency, path, pom, publish, told};
use crate::mvn_build::{LEVEL, PARENT, built, components, told_as_listed};
use crate::mvn_lock::{lock, write};
use crate::project::tree;
use crate::registry::Registry;
use crate::run::Run;

/// Components of the tests' own; some of the system's come beside them.
const MANY: usize = 60;

fn member(number: usize) -> String {
    format!("it.many:part{number}:1.0")
}

/// Artifacts that need each other, and a BOM that says which of them.
fn plant(registry: &Registry) {
    let mut managed = String::new();
    for number in 0..MANY {
        let needs: String = [2 * number + 1, 2 * number + 2]
            .into_iter()
            .filter(|next| *next < MANY)
            .map(|next| dependency(&member(next), ""))
            .collect();
        let body = format!("<dependencies>{needs}</dependencies>");
        let module = format!("it.many.part{number}");
        publish(registry, &member(number), &body, &Jar::plain(&module));
        managed.push_str(&dependency(&member(number), ""));
    }
    for (name, jar) in [
        ("it.many:code:1.0", Jar::library()),
        ("it.many:tested:1.0", Jar::plain("it.many.tested")),
    ] {
        publish(registry, name, "", &jar);
        managed.push_str(&dependency(name, ""));
    }
    let body = format!(
        "<packaging>pom</packaging><dependencyManagement><dependencies>{managed}</dependencies>\
         </dependencyManagement>"
    );
    let text = pom("it.many:bom:1.0", &body);
    registry.put(&path("it.many:bom:1.0", "pom"), text);
}

/// Something that the BOM manages.
fn plain(artifact: &str, more: &str) -> String {
    format!(
        "<dependency><groupId>it.many</groupId><artifactId>{artifact}</artifactId>{more}\
         </dependency>"
    )
}

/// A parent with a BOM and three modules, which need each other and something for their tests.
fn project(registry: &Registry) -> Maven {
    plant(registry);
    let bom = dependency("it.many:bom:1.0", "<type>pom</type><scope>import</scope>");
    let maven = Maven::new(
        registry,
        &format!(
            "<packaging>pom</packaging>{LEVEL}<modules><module>core</module><module>mid</module>\
             <module>app</module></modules><dependencyManagement><dependencies>{bom}</dependencies>\
             </dependencyManagement>"
        ),
    );
    let junit = dependency("junit:junit:4.13.2", "<scope>test</scope>");
    for (name, needs) in [
        ("core", format!("{}{junit}", plain("code", ""))),
        (
            "mid",
            format!(
                "{}{}{}",
                dependency("it.test:core:1.0", ""),
                plain("part0", ""),
                dependency("commons-io:commons-io:2.11.0", "")
            ),
        ),
        (
            "app",
            format!(
                "{}{}{junit}",
                dependency("it.test:mid:1.0", ""),
                plain("tested", "<scope>test</scope>")
            ),
        ),
    ] {
        let body = format!("{PARENT}<dependencies>{needs}</dependencies>");
        let text = pom(&format!("it.test:{name}:1.0"), &body);
        maven.project.file(&format!("{name}/pom.xml"), &text);
        let class = format!(
            "package t; public class {name} {{ String hi() {{ return hostile.Library.NAME; }} }}"
        );
        maven
            .project
            .file(&format!("{name}/src/main/java/t/{name}.java"), &class);
    }
    maven
}

#[test]
fn three_modules_of_many_artifacts_are_what_bare_maven_makes() {
    let registry = Registry::start();
    let maven = project(&registry);
    let goals = [REAL, "package", "-DskipTests"];
    let bare = maven.bare(&goals).run();
    bare.succeeds();
    let expected = (built(&maven), maven.tree());
    maven.clear();
    for module in ["core", "mid", "app"] {
        fs::remove_dir_all(maven.project.path(&format!("{module}/target"))).unwrap();
    }
    let before = registry.maven_seen().len();
    let ours = maven.v4run(&goals).run();
    ours.succeeds();
    tree::assert_equal(&expected.1, &maven.tree());
    assert_eq!(expected.0, built(&maven));
    let listing = |run: &Run| -> Vec<String> {
        let lines = told(&run.stdout).into_iter();
        lines.filter(|line| line.contains(" -- module ")).collect()
    };
    assert_eq!(listing(&bare), listing(&ours));
    for module in ["module it.many.part59", "module org.apache.commons.io"] {
        assert!(ours.stdout.contains(module), "{}", ours.told());
    }
    // Nothing is fetched twice, whoever foresaw it.
    let mut asked: BTreeMap<String, usize> = BTreeMap::new();
    for path in registry.maven_seen().split_off(before) {
        *asked.entry(path).or_default() += 1;
    }
    let twice: Vec<_> = asked.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    bom::assert_valid(&ours);
    let used = components(&ours);
    assert!(used.len() >= MANY + 6, "{used:?}");

    // With its lock, on what is there: every open is verified, and the components are Maven's list.
    write(&maven, &lock(&maven, &ours));
    let before = registry.maven_seen().len();
    let locked = maven
        .v4run(&["dependency:list@real", "package", "-DskipTests"])
        .run();
    locked.succeeds();
    assert_eq!(registry.maven_seen().len(), before);
    let listed = told_as_listed(&locked.stdout);
    assert_eq!(listed, components(&locked));
    assert_eq!(listed, used);
    let controls = locked.record().summary["controls"].as_array().unwrap();
    let files = controls.iter().find(|control| control["id"] == "4.14");
    assert_eq!(files.unwrap()["status"], "enforced");
    let codes: BTreeSet<&str> = locked
        .record()
        .events("found")
        .iter()
        .filter_map(|event| event["code"].as_str())
        .collect();
    assert!(!codes.contains("file-unverified"), "{codes:?}");
}

#[test]
fn going_offline_fetches_what_a_build_offline_needs() {
    let registry = Registry::start();
    let leaf = "it.part:leaf:2.0";
    publish(&registry, leaf, "", &Jar::library());
    // The system has no plugin for sites; it is fetched and never run.
    let site = "org.apache.maven.plugins:maven-site-plugin:0.test";
    let packaging = "<packaging>maven-plugin</packaging>";
    publish(
        &registry,
        site,
        packaging,
        &Jar::plugin(site, "site", "site"),
    );
    let body = format!(
        "{LEVEL}<build><pluginManagement><plugins><plugin><artifactId>maven-site-plugin</artifactId>\
         <version>0.test</version></plugin></plugins></pluginManagement></build>\
         <dependencies>{}</dependencies>",
        dependency(leaf, "")
    );
    let maven = Maven::new(&registry, &body);
    let goal = ["dependency:go-offline"];
    let bare = maven.bare(&goal).run();
    bare.succeeds();
    let expected = maven.tree();
    maven.clear();
    let ours = maven.v4run(&goal).run();
    ours.succeeds();
    tree::assert_equal(&expected, &maven.tree());
    // The order is that of the threads.
    let resolved = |run: &Run| -> BTreeSet<String> {
        let lines = told(&run.stdout).into_iter();
        lines.filter(|line| line.contains("Resolved ")).collect()
    };
    assert_eq!(resolved(&bare), resolved(&ours));
    assert!(maven.kept(site, "jar").is_file());
    assert_eq!(maven.ran(), [""; 0]);
}
