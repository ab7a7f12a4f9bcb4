//! A project named by its file, a profile, and versions that change.

use std::fs;

use crate::maven::jar::Jar;
use crate::maven::{Maven, dependency, pom, publish};
use crate::registry::Registry;

const VERSION: &str = "1.0-SNAPSHOT";

/// Puts one build of the version that changes into the repository.
fn build(registry: &Registry, number: u32) -> (String, Vec<u8>) {
    let stamp = format!("20240102.0304{number:02}");
    let directory = format!("it/part/moving/{VERSION}");
    let name = format!("moving-1.0-{stamp}-{number}");
    let jar = Jar::plain(&format!("it.moving{number}")).build();
    let text = pom(&format!("it.part:moving:{VERSION}"), "");
    registry.put(&format!("{directory}/{name}.pom"), text);
    registry.put(&format!("{directory}/{name}.jar"), jar.clone());
    let metadata = format!(
        "<metadata><groupId>it.part</groupId><artifactId>moving</artifactId>\
         <version>{VERSION}</version><versioning><snapshot><timestamp>{stamp}</timestamp>\
         <buildNumber>{number}</buildNumber></snapshot><lastUpdated>202401020304{number:02}\
         </lastUpdated></versioning></metadata>"
    );
    registry.put(&format!("{directory}/maven-metadata.xml"), metadata);
    (format!("{directory}/{name}.jar"), jar)
}

#[test]
fn a_profile_of_a_named_project_takes_a_version_that_changes() {
    let registry = Registry::start();
    publish(&registry, "it.part:leaf:2.0", "", &Jar::plain("it.leaf"));
    let moving = dependency(&format!("it.part:moving:{VERSION}"), "");
    let body = format!(
        "<dependencies>{}</dependencies><profiles><profile><id>more</id><repositories><repository>\
         <id>moving</id><url>https://moving.invalid/</url><snapshots><enabled>true</enabled>\
         </snapshots></repository></repositories><dependencies>{moving}</dependencies></profile>\
         </profiles>",
        dependency("it.part:leaf:2.0", "")
    );
    let maven = Maven::new(&registry, "");
    maven
        .project
        .file("deep/other.xml", &pom("it.test:deep:1.0", &body));
    let words = ["-f", "deep/other.xml", "dependency:resolve"];
    let run = maven.v4run(&words).run();
    run.succeeds();
    assert!(
        run.stdout.contains("it.part:leaf:jar:2.0"),
        "{}",
        run.told()
    );
    assert!(!run.stdout.contains("it.part:moving"), "{}", run.told());
    let words = ["-f", "deep/other.xml", "-Pmore", "-U", "dependency:resolve"];
    let mut kept = maven.local();
    for number in [1, 2] {
        let (place, jar) = build(&registry, number);
        kept = maven.local().join(place);
        let run = maven.v4run(&words).run();
        run.succeeds();
        assert!(run.stdout.contains("it.part:moving:jar"), "{}", run.told());
        assert_eq!(fs::read(&kept).unwrap(), jar, "build {number}");
    }
    // What Maven kept of it is compared like everything else.
    fs::write(&kept, Jar::plain("it.other").build()).unwrap();
    let run = maven
        .v4run(&["-f", "deep/other.xml", "-Pmore", "-o", "dependency:resolve"])
        .run();
    assert_eq!(run.code(), 120, "{}", run.told());
}
