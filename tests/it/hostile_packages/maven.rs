//! The corpus for Maven: what is in a jar, and what the POM of a component says.
//!
//! Maven unpacks nothing of a dependency, so what counts is that no code of one runs, whatever announces
//! it, and that no document of one leads anywhere else. All are dependencies of one project: one run.

use crate::maven::jar::Jar;
use crate::maven::{Maven, dependency, path, publish};
use crate::project::tree;
use crate::registry::Registry;

use super::{score, wrong};

/// Makes the jar and the elements of the POM of a case.
type Make = fn() -> (Jar, String);

fn plain(body: &str) -> (Jar, String) {
    (Jar::plain("it.plain"), body.to_owned())
}

fn with(name: &str, content: &[u8]) -> (Jar, String) {
    (Jar::plain("it.with").file(name, content), String::new())
}

fn manifest(lines: &str) -> (Jar, String) {
    let text = format!("Manifest-Version: 1.0\r\n{lines}\r\n\r\n");
    with("META-INF/MANIFEST.MF", text.as_bytes())
}

const EVIL: &str = "<groupId>evil</groupId><artifactId>ext</artifactId><version>1.0</version>";

const CASES: &[(&str, Make)] = &[
    ("climbs", || with("../../../../climbed", b"x")),
    ("absolute", || with("/v4run-it-hostile", b"x")),
    ("backslash", || with("..\\..\\climbed", b"x")),
    ("linefeed", || with("a\nb", b"x")),
    ("longname", || with(&"x".repeat(4_000), b"x")),
    ("deep", || with(&"d/".repeat(1_000), b"")),
    ("zeros", || with("zeros", &vec![0; 8 << 20])),
    ("classpath", || {
        manifest("Class-Path: file:///etc/passwd ../../x.jar https://elsewhere.invalid/x.jar")
    }),
    ("launcher", || {
        manifest(
            "Main-Class: hostile.Marker\r\nLauncher-Agent-Class: hostile.Agent\r\nAdd-Opens: java.base/java.lang",
        )
    }),
    ("agent", || (Jar::agent(), String::new())),
    ("component", || (Jar::extension(), String::new())),
    ("participant", || {
        (Jar::acting("Participant"), String::new())
    }),
    ("processor", || (Jar::processor(), String::new())),
    ("plugin", || {
        (
            Jar::plugin("it.bad:plugin:1.0", "bad", "run"),
            String::new(),
        )
    }),
    ("services", || {
        with(
            "META-INF/services/java.nio.file.spi.FileSystemProvider",
            b"hostile.Spy\n",
        )
    }),
    ("logging", || {
        with(
            "META-INF/services/org.slf4j.spi.SLF4JServiceProvider",
            b"hostile.Spy\n",
        )
    }),
    ("components", || {
        with(
            "META-INF/plexus/components.xml",
            b"<component-set><components/></component-set>",
        )
    }),
    ("coreextension", || {
        with("META-INF/maven/extension.xml", b"<extension><exportedPackages><exportedPackage>hostile</exportedPackage></exportedPackages></extension>")
    }),
    ("native", || {
        with("META-INF/native/libhostile.so", b"\x7fELF")
    }),
    ("versions", || {
        with(
            "META-INF/versions/9/hostile/Marker.class",
            b"\xca\xfe\xba\xbe",
        )
    }),
    ("buildextension", || {
        plain(&format!(
            "<build><extensions><extension>{EVIL}</extension></extensions></build>"
        ))
    }),
    ("buildplugin", || {
        plain(&format!(
            "<build><plugins><plugin>{EVIL}<extensions>true</extensions><executions><execution><phase>validate</phase><goals><goal>run</goal></goals></execution></executions></plugin></plugins></build>"
        ))
    }),
    ("repositories", || {
        plain(
            "<repositories><repository><id>x</id><url>https://elsewhere.invalid/</url></repository></repositories><pluginRepositories><pluginRepository><id>y</id><url>file:///</url></pluginRepository></pluginRepositories>",
        )
    }),
    ("properties", || {
        plain(
            "<properties><maven.ext.class.path>/tmp/x.jar</maven.ext.class.path><java.home>/tmp</java.home><x>${env.HOME}</x></properties>",
        )
    }),
    ("profiles", || {
        plain(
            "<profiles><profile><id>p</id><activation><activeByDefault>true</activeByDefault><file><exists>/etc/passwd</exists></file></activation><repositories><repository><id>z</id><url>https://elsewhere.invalid/</url></repository></repositories></profile></profiles>",
        )
    }),
    ("modules", || {
        plain("<modules><module>../../../../../etc</module></modules>")
    }),
    ("scm", || {
        plain(
            "<scm><connection>scm:ext:sh -c id</connection></scm><ciManagement><url>https://elsewhere.invalid/</url></ciManagement>",
        )
    }),
    ("optionalsystem", || {
        plain(
            "<dependencies><dependency><groupId>g</groupId><artifactId>a</artifactId><version>1</version><scope>system</scope><systemPath>/etc/passwd</systemPath><optional>true</optional></dependency></dependencies>",
        )
    }),
    ("reporting", || {
        plain(&format!(
            "<reporting><plugins><plugin>{EVIL}</plugin></plugins></reporting>"
        ))
    }),
];

#[test]
fn the_corpus_for_maven_is_harmless() {
    let registry = Registry::start();
    publish(&registry, "evil:ext:1.0", "", &Jar::extension());
    let mut needed = String::new();
    for (case, make) in CASES {
        let name = format!("it.bad:{case}:1.0");
        let (jar, body) = make();
        publish(&registry, &name, &body, &jar);
        needed.push_str(&dependency(&name, ""));
    }
    let maven = Maven::new(&registry, &format!("<dependencies>{needed}</dependencies>"));
    let before = tree::read(&maven.project.outside(""));
    let own = ["home/.", "run-", "tmp"];
    let run = maven.v4run(&["dependency:resolve"]).run();
    assert_eq!(maven.ran(), [""; 0], "code ran\n{}", run.told());
    let found = wrong(&maven.project, &before, &own, &maven.local());
    assert!(found.is_empty(), "{}\n{}", found.join("\n"), run.told());
    run.succeeds();
    assert!(!maven.local().join(path("evil:ext:1.0", "jar")).exists());
    for (case, _) in CASES {
        assert!(
            maven.kept(&format!("it.bad:{case}:1.0"), "jar").is_file(),
            "{case}"
        );
    }
    assert!(!std::path::Path::new("/v4run-it-hostile").exists());
    score(CASES.len());
}
