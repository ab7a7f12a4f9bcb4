//! Web applications: what bare Maven packs, though the run had no code of a component.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;

use flate2::read::DeflateDecoder;

use crate::maven::jar::Jar;
use crate::maven::{Maven, dependency, pom, publish};
use crate::mvn_build::{LEVEL, PARENT};
use crate::registry::Registry;

/// Names and contents of an archive.
fn entries(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let archive = rawzip::ZipArchive::from_slice(bytes).unwrap();
    let mut found = BTreeMap::new();
    let mut records = archive.entries();
    while let Some(record) = records.next_entry().unwrap() {
        let name = String::from_utf8(record.file_path().as_bytes().to_vec()).unwrap();
        let packed = archive.get_entry(record.wayfinder()).unwrap().data();
        let mut content = Vec::new();
        match record.compression_method() {
            rawzip::CompressionMethod::STORE => content.extend(packed),
            _ => {
                DeflateDecoder::new(packed)
                    .read_to_end(&mut content)
                    .unwrap();
            }
        }
        found.insert(name, content);
    }
    found
}

#[test]
fn a_web_application_holds_the_jars_that_bare_maven_packs() {
    let registry = Registry::start();
    let jar = Jar::library().file("META-INF/services/x.Y", b"hostile.Library\n");
    publish(&registry, "it.part:code:1.0", "", &jar);
    publish(&registry, "it.part:late:1.0", "", &Jar::plain("it.late"));
    let plugin = "<build><pluginManagement><plugins><plugin>\
                  <artifactId>maven-war-plugin</artifactId><version>3.3.2</version>\
                  <configuration><failOnMissingWebXml>false</failOnMissingWebXml></configuration>\
                  </plugin></plugins></pluginManagement></build>";
    let maven = Maven::new(
        &registry,
        &format!(
            "<packaging>pom</packaging>{LEVEL}{plugin}<modules><module>core</module>\
             <module>web</module></modules>"
        ),
    );
    maven
        .project
        .file("core/pom.xml", &pom("it.test:core:1.0", PARENT));
    maven.project.file(
        "core/src/main/java/t/Core.java",
        "package t; public class Core { public static int one() { return 1; } }",
    );
    let web = format!(
        "{PARENT}<packaging>war</packaging><dependencies>{}{}{}</dependencies>",
        dependency("it.test:core:1.0", ""),
        dependency("it.part:code:1.0", ""),
        dependency("it.part:late:1.0", "<scope>runtime</scope>"),
    );
    maven
        .project
        .file("web/pom.xml", &pom("it.test:web:1.0", &web));
    maven.project.file(
        "web/src/main/java/t/Web.java",
        "package t; public class Web { String hi() { return hostile.Library.hi(Core.one()); } }",
    );
    maven
        .project
        .file("web/src/main/webapp/index.html", "<p>hi</p>");
    let goals = ["package", "-DskipTests"];
    let built = || {
        let mut found = entries(&fs::read(maven.project.path("web/target/web-1.0.war")).unwrap());
        let inner = found.remove("WEB-INF/lib/core-1.0.jar").unwrap();
        let mut inner = entries(&inner);
        // Day and time of the build stand in it.
        inner.retain(|name, _| !name.ends_with("pom.properties"));
        found.retain(|name, _| !name.ends_with("pom.properties"));
        (found, inner)
    };
    maven.bare(&goals).run().succeeds();
    let expected = built();
    assert!(
        expected.1.contains_key("t/Core.class"),
        "{:?}",
        expected.1.keys()
    );
    // What an earlier run packed is packed again from where it lies; one of them is copied anew.
    let laid = maven
        .project
        .path("web/target/web-1.0/WEB-INF/lib/code-1.0.jar");
    fs::remove_file(&laid).unwrap();
    maven.clear();
    let run = maven.v4run(&goals).run();
    run.succeeds();
    let made = built();
    assert_eq!(
        expected.0.keys().collect::<Vec<_>>(),
        made.0.keys().collect::<Vec<_>>()
    );
    assert!(expected == made, "contents differ");
    assert_eq!(fs::read(laid).unwrap(), jar.build());
    let record = run.record();
    record.event("delivered-whole", |event| {
        event["path"].as_str().unwrap().ends_with("web-1.0.war")
    });
    let handed = record.events("handed-out");
    let mut trusted = handed.iter().filter(|event| !event["trusted"].is_null());
    assert!(!trusted.any(|event| event["path"].as_str().unwrap().contains("/it/part/")));
}
