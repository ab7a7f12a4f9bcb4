//! POMs as projects have them, and as nobody should.

use std::path::Path;

use super::project::Project;
use super::*;
use crate::model::Code;

const FULL: &str = r#"<?xml version="1.0"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <parent><groupId>g</groupId><artifactId>p</artifactId><version>1</version></parent>
  <artifactId>a</artifactId>
  <packaging>war</packaging>
  <properties><home>https://r.invalid/</home><deep>${home}maven/</deep></properties>
  <modules><module>one</module></modules>
  <dependencyManagement><dependencies>
    <dependency><groupId>b</groupId><artifactId>bom</artifactId><version>2</version><type>pom</type><scope>import</scope></dependency>
  </dependencies></dependencyManagement>
  <dependencies>
    <dependency><groupId>s</groupId><artifactId>s</artifactId><version>1</version><scope>system</scope><systemPath>/x.jar</systemPath></dependency>
  </dependencies>
  <repositories><repository><id>r</id><url>${deep}</url></repository></repositories>
  <build>
    <extensions><extension><groupId>e</groupId><artifactId>e</artifactId><version>1</version></extension></extensions>
    <plugins><plugin><artifactId>maven-x-plugin</artifactId><extensions>true</extensions>
      <dependencies><dependency><groupId>d</groupId><artifactId>d</artifactId><version>3</version></dependency></dependencies>
    </plugin></plugins>
    <pluginManagement><plugins><plugin><groupId>m</groupId><artifactId>m</artifactId></plugin></plugins></pluginManagement>
  </build>
  <reporting><plugins><plugin><groupId>q</groupId><artifactId>q</artifactId></plugin></plugins></reporting>
  <profiles><profile><id>x</id>
    <build><plugins><plugin><groupId>h</groupId><artifactId>h</artifactId></plugin></plugins></build>
    <pluginRepositories><pluginRepository><id>f</id><url>file:///tmp/r</url></pluginRepository></pluginRepositories>
  </profile></profiles>
</project>"#;

#[test]
fn everything_that_can_load_code_is_listed_wherever_it_stands() {
    let pom = read(FULL.as_bytes()).unwrap();
    let code: Vec<_> = pom
        .code
        .iter()
        .map(|asked| {
            let what = &asked.what;
            (
                asked.loads,
                format!("{}:{}", what.group, what.artifact),
                what.line,
            )
        })
        .collect();
    let name = str::to_owned;
    assert_eq!(
        code,
        [
            (Loads::Extension, name("e:e"), 16),
            (
                Loads::ExtendingPlugin,
                name("org.apache.maven.plugins:maven-x-plugin"),
                17
            ),
            (Loads::PluginDependency, name("d:d"), 18),
            (Loads::Plugin, name("m:m"), 20),
            (Loads::Plugin, name("q:q"), 22),
            (Loads::Plugin, name("h:h"), 24),
        ]
    );
    assert_eq!(pom.packaging, "war");
    assert_eq!(pom.parent_path.as_deref(), Some("../pom.xml"));
    assert_eq!(pom.imports[0].artifact, "bom");
    assert_eq!(pom.system[0].line, 12);
    assert_eq!(
        pom.resolved(&pom.repositories[0].url),
        "https://r.invalid/maven/"
    );
    assert_eq!(
        pom.resolved("${project.groupId}-${project.version}-${x}"),
        "g-1-${x}"
    );
}

#[test]
fn what_two_readers_could_read_in_two_ways_is_an_error() {
    let twice = "<project>\n<build/>\n<build><plugins/></build></project>";
    let error = read(twice.as_bytes()).unwrap_err();
    assert_eq!(error.line(), Some(3));
    let circle = "<project><properties><a>${b}</a><b>${a}${a}</b></properties></project>";
    let pom = read(circle.as_bytes()).unwrap();
    assert!(pom.resolved("${a}").contains("${"));
    for broken in [
        "",
        "<html/>",
        "<project>",
        "<!DOCTYPE project [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><project>&x;</project>",
    ] {
        assert!(read(broken.as_bytes()).is_err(), "{broken}");
    }
}

fn build(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Project, crate::model::Finding>) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    for (path, text) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let read = project(&root, &root.join("pom.xml"));
    (directory, read)
}

fn refused(project: &Project, answered: &dyn Fn(&Reference) -> bool) -> Vec<crate::model::Finding> {
    judge(
        project,
        &Grounds {
            answered,
            mirrored: &|id, _url| id == "mirrored",
            runs: &|phase| phase != Some("deploy"),
            by_design: &|artifact| (artifact == "runner").then_some("it runs programs"),
            hint: "h",
        },
    )
}

fn names(project: &Project) -> Vec<&str> {
    let mut names: Vec<&str> = project
        .members
        .iter()
        .map(|member| member.pom.own.artifact.as_str())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn a_build_is_its_modules_and_the_parents_beside_them() {
    let module = |name: &str, parent: &str| {
        format!(
            "<project><parent><groupId>g</groupId><artifactId>{parent}</artifactId>\
             <version>1</version></parent><artifactId>{name}</artifactId></project>"
        )
    };
    let top = "<project><artifactId>top</artifactId><modules><module>one</module>\
               <module>two/pom.xml</module><module>missing</module><module>../outside</module>\
               <module>one</module></modules></project>";
    let far = "<project><parent><groupId>g</groupId><artifactId>far</artifactId><version>1\
               </version><relativePath/></parent><artifactId>two</artifactId></project>";
    let (_directory, read) = build(&[
        ("pom.xml", top),
        ("one/pom.xml", &module("one", "top")),
        ("two/pom.xml", far),
    ]);
    let project = read.unwrap();
    assert_eq!(names(&project), ["one", "top", "two"]);
    let mut parents: Vec<&str> = project
        .parents
        .iter()
        .map(|one| one.artifact.as_str())
        .collect();
    parents.sort_unstable();
    assert_eq!(parents, ["far", "top"]);
    assert_eq!(project.events.len(), 3);
    assert!(refused(&project, &|_| false).is_empty());
    let (_directory, none) = build(&[]);
    assert!(none.unwrap().members.is_empty());
}

#[test]
fn what_can_never_be_verified_is_refused_with_its_line() {
    let http = "<project><repositories>\n<repository><id>h</id><url>HTTP://r.invalid/</url>\
                </repository></repositories></project>";
    let module = "<project><modules><module>m</module></modules></project>";
    for (text, code, line) in [
        (FULL, Code::DependencyRefused, 12),
        (http, Code::PlainHttp, 2),
    ] {
        let (_directory, read) = build(&[("pom.xml", module), ("m/pom.xml", text)]);
        let findings = refused(&read.unwrap(), &|_| true);
        assert_eq!(findings[0].code, code);
        let place = Path::new("m/pom.xml").display();
        let subject = &findings[0].subject;
        assert!(subject.ends_with(&format!("{place}:{line}")), "{subject}");
    }
    let (_directory, read) = build(&[("pom.xml", FULL)]);
    let mirrored = http.replace("<id>h<", "<id>mirrored<");
    let (_directory, fine) = build(&[("pom.xml", &mirrored)]);
    assert!(refused(&fine.unwrap(), &|_| true).is_empty());
    let codes: Vec<_> = refused(&read.unwrap(), &|_| true)
        .iter()
        .map(|one| one.code)
        .collect();
    assert_eq!(codes, [Code::DependencyRefused, Code::RegistryNotAllowed]);
}

#[test]
fn an_extension_that_nobody_answers_for_is_refused() {
    let extending = FULL.replace(
        "<version>1</version></extension>",
        "<version>${v}</version></extension>",
    );
    let extending = extending.replace("<home>", "<v>7</v><home>");
    let (_directory, read) = build(&[("pom.xml", &extending)]);
    let project = read.unwrap();
    let of = |answered: &dyn Fn(&Reference) -> bool| -> Vec<String> {
        let findings = refused(&project, answered);
        let refused = findings
            .iter()
            .filter(|one| one.code == Code::ConfigRefused);
        refused
            .map(|one| {
                let line = one.subject.rsplit(':').next().unwrap();
                format!("{line} {}", one.message.split('`').nth(1).unwrap())
            })
            .collect()
    };
    let both = ["17 org.apache.maven.plugins:maven-x-plugin:?", "16 e:e:7"];
    let mut refused = of(&|_| false);
    refused.reverse();
    assert_eq!(refused, both);
    let one = of(&|what| what.version.as_deref() == Some("7"));
    assert_eq!(one, both[..1]);
}

#[test]
fn a_pom_that_cannot_be_read_ends_the_run() {
    let (_directory, read) = build(&[("pom.xml", "<project>\n<build/><build/></project>")]);
    let finding = read.unwrap_err();
    assert_eq!(finding.code, Code::ConfigRefused);
    assert!(
        finding.subject.ends_with("pom.xml:2"),
        "{}",
        finding.subject
    );
}

proptest::proptest! {
    #[test]
    fn nothing_panics(text in "(<(project|build|plugins|plugin|version|parent)/?>|</[a-z]{1,8}>|\\$\\{[a-z.]{0,9}\\}){0,20}") {
        let _ = read(text.as_bytes());
    }
}

#[test]
fn a_plugin_that_will_run_needs_somebody_who_answers_for_it() {
    let plugin = |name: &str, executions: &str| {
        format!(
            "<plugin><groupId>e</groupId><artifactId>{name}</artifactId><version>1</version>\
             <executions>{executions}</executions></plugin>"
        )
    };
    let execution = |phase: &str| format!("<execution>{phase}</execution>");
    let text = format!(
        "<project>\n<build><plugins>{}{}{}{}</plugins><pluginManagement><plugins>{}</plugins>\
         </pluginManagement></build></project>",
        plugin("never", ""),
        plugin("late", &execution("<phase>deploy</phase>")),
        plugin("early", &execution("<phase>compile</phase>")),
        plugin("unknown", &execution("")),
        plugin("managed", &execution("")),
    );
    let (_directory, read) = build(&[("pom.xml", &text)]);
    let project = read.unwrap();
    let findings = refused(&project, &|_| false);
    let told: Vec<_> = findings.iter().map(|one| one.message.as_str()).collect();
    assert_eq!(findings.len(), 2, "{told:?}");
    assert!(
        told[0].contains("e:early:1") && told[1].contains("e:unknown:1"),
        "{told:?}"
    );
    assert!(findings.iter().all(|one| one.code == Code::CommandRunsCode));
    assert!(refused(&project, &|what| what.artifact != "late").is_empty());
}
