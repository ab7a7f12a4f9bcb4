//! Ways into the class path of trusted code that go past names and beginnings of files.

use std::fs;

use crate::maven::jar::Jar;
use crate::maven::{Maven, approval, dependency, path, pom, publish};
use crate::registry::Registry;

/// A jar that begins like something else: class loaders read an archive from its end.
fn disguised() -> Vec<u8> {
    [b"#!/bin/sh\n".repeat(50), Jar::extension().build()].concat()
}

/// A trusted plugin that extends Maven, with a dependency of the project's choice in its realm.
fn realm(registry: &Registry, needed: &str) -> Maven {
    let plugin = "it.trusted:mark-maven-plugin:1.0";
    let jar = Jar::plugin(plugin, "mark", "run");
    let packaging = "<packaging>maven-plugin</packaging>";
    publish(registry, plugin, packaging, &jar);
    let maven = Maven::new(registry, "");
    maven.policy(&approval(plugin, &jar.build()));
    fs::write(maven.project.path("data.bin"), disguised()).unwrap();
    let place = maven.project.directory().display().to_string();
    maven.pom(&format!(
        "<build><plugins><plugin><groupId>it.trusted</groupId>\
         <artifactId>mark-maven-plugin</artifactId><version>1.0</version>\
         <extensions>true</extensions><dependencies>\n{}</dependencies></plugin></plugins></build>",
        needed.replace("PLACE", &place)
    ));
    registry.put(
        &path("evil:lead:1.0", "pom"),
        pom(
            "evil:lead:1.0",
            &format!(
                "<dependencies>{}</dependencies>",
                system().replace("PLACE", &place)
            ),
        ),
    );
    registry.put(
        &path("evil:lead:1.0", "jar"),
        Jar::plain("evil.lead").build(),
    );
    for ending in ["jar", "jar.asc", "bin"] {
        registry.put(&path("evil:mark:1.0", "pom"), pom("evil:mark:1.0", ""));
        registry.put(&path("evil:mark:1.0", ending), disguised());
    }
    maven
}

fn system() -> String {
    let more = "<scope>system</scope><systemPath>PLACE/data.bin</systemPath>";
    dependency("evil:file:1.0", more)
}

#[test]
fn no_file_is_loaded_because_it_begins_like_none_that_is_code() {
    let registry = Registry::start();
    // A file of the project, told by the project itself.
    let maven = realm(&registry, &system());
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.refuses(126, "dependency-refused", "4.1");
    run.says("pom.xml:7");
    maven.bare(&["dependency:resolve"]).run();
    assert_eq!(maven.ran(), ["ran-participant"]);
    // The same file, told by a component; and artifacts of other kinds.
    for (needed, works) in [
        (dependency("evil:lead:1.0", ""), true),
        (dependency("evil:mark:1.0", "<type>bin</type>"), true),
        (dependency("evil:mark:1.0", "<type>jar.asc</type>"), true),
    ] {
        let maven = realm(&registry, &needed);
        let run = maven.v4run(&["dependency:resolve"]).run();
        let ran = run.stdout.contains("ran participant");
        assert!(!ran && maven.ran().is_empty(), "{needed}\n{}", run.told());
        maven.clear();
        maven.bare(&["dependency:resolve"]).run();
        assert_eq!(!maven.ran().is_empty(), works, "{needed}");
    }
}
