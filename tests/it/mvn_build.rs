//! Builds: the same classes as bare Maven makes, from components that cannot run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::maven::jar::Jar;
use crate::maven::{Maven, approval, dependency, path, pom, publish};
use crate::project::tree;
use crate::registry::Registry;
use crate::run::Run;

pub(crate) const LEVEL: &str = "<properties><maven.compiler.source>8</maven.compiler.source>\
                     <maven.compiler.target>8</maven.compiler.target>\
                     <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>";

pub(crate) const PARENT: &str = "<parent><groupId>it.test</groupId><artifactId>project</artifactId>\
                      <version>1.0</version></parent>";

/// A parent, a module that uses a component, and one that uses the first and has a test.
fn modules(registry: &Registry) -> Maven {
    publish(registry, "it.part:leaf:2.0", "", &Jar::library());
    for name in ["it.part:late:1.0", "it.part:given:1.0"] {
        publish(
            registry,
            name,
            "",
            &Jar::plain(&name.replace([':', '.'], "_")),
        );
    }
    let bom = format!(
        "<packaging>pom</packaging><dependencyManagement><dependencies>{}{}</dependencies>\
         </dependencyManagement>",
        dependency("it.part:late:1.0", ""),
        dependency("it.part:given:1.0", "<scope>provided</scope>")
    );
    registry.put(
        &path("it.part:bom:1.0", "pom"),
        pom("it.part:bom:1.0", &bom),
    );
    let managed = format!(
        "{}{}",
        dependency("it.part:leaf:2.0", ""),
        dependency("it.part:bom:1.0", "<type>pom</type><scope>import</scope>")
    );
    let body = format!(
        "<packaging>pom</packaging>{LEVEL}<modules><module>core</module><module>app</module></modules>\
         <dependencyManagement><dependencies>{managed}</dependencies></dependencyManagement>"
    );
    let maven = Maven::new(registry, &body);
    let module = |name: &str, needs: &str| {
        let body = format!("{PARENT}<dependencies>{needs}</dependencies>");
        let text = pom(&format!("it.test:{name}:1.0"), &body);
        maven.project.file(&format!("{name}/pom.xml"), &text);
    };
    module(
        "core",
        "<dependency><groupId>it.part</groupId><artifactId>leaf</artifactId></dependency>",
    );
    module(
        "app",
        &format!(
            "{}{}<dependency><groupId>it.part</groupId><artifactId>late</artifactId>\
             <scope>runtime</scope></dependency><dependency><groupId>it.part</groupId>\
             <artifactId>given</artifactId></dependency>",
            dependency("it.test:core:1.0", ""),
            dependency("junit:junit:4.13.2", "<scope>test</scope>")
        ),
    );
    maven.project.file(
        "core/src/main/java/t/Core.java",
        "package t; public class Core { public static String hi() { \
         return hostile.Library.NAME + hostile.Library.hi(1); } }",
    );
    maven.project.file(
        "app/src/main/java/t/App.java",
        "package t; public class App { String hi() { return Core.hi(); } }",
    );
    maven.project.file(
        "app/src/test/java/t/AppTest.java",
        "package t; public class AppTest { static { try { new java.io.File(\"ran-test\")\
         .createNewFile(); } catch (java.io.IOException e) {} } \
         @org.junit.Test public void x() {} }",
    );
    maven
}

/// The components of a record, with scope.
pub(crate) fn components(run: &Run) -> BTreeSet<String> {
    let components = run.record().bom["components"].as_array().unwrap();
    let told = components.iter().map(|component| {
        let properties = component["properties"].as_array().unwrap();
        let mut scopes = properties.iter();
        let scope = scopes.find(|property| property["name"] == "v4run:scope");
        let purl = component["purl"].as_str().unwrap();
        let name = purl.strip_prefix("pkg:maven/").unwrap();
        format!("{name} {}", scope.unwrap()["value"].as_str().unwrap())
    });
    told.collect()
}

/// The artifacts of a listing, in the form of [`components`].
pub(crate) fn told_as_listed(text: &str) -> BTreeSet<String> {
    let mut listed = BTreeSet::new();
    for line in text.lines() {
        let line = line.strip_prefix("[INFO]").unwrap_or(line);
        let name = line.strip_prefix("    ").unwrap_or(line).trim_start();
        let name = name.split_whitespace().next().unwrap_or_default();
        let parts: Vec<&str> = name.split(':').collect();
        if let [group, artifact, kind, version, scope] = parts.as_slice() {
            listed.insert(format!("{group}/{artifact}@{version}?type={kind} {scope}"));
        }
    }
    listed
}

/// Digests of the compiled classes and names of the packed files.
pub(crate) fn built(maven: &Maven) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (path, node) in tree::read(maven.project.directory()) {
        if path.ends_with(".class") {
            let content = fs::read(maven.project.path(&path)).unwrap();
            found.insert(path, hex::encode(Sha256::digest(content)));
        } else if Path::new(&path).extension().is_some_and(|end| end == "jar") {
            found.insert(path, format!("{}", matches!(node, tree::Node::File(..))));
        }
    }
    found
}

#[test]
fn a_build_of_three_modules_makes_what_bare_maven_makes() {
    let registry = Registry::start();
    let maven = modules(&registry);
    let goals = ["package", "-DskipTests"];
    maven.bare(&goals).run().succeeds();
    let expected = (built(&maven), maven.tree());
    assert!(
        expected.0.contains_key("app/target/app-1.0.jar"),
        "{:?}",
        expected.0
    );
    assert!(expected.0.contains_key("core/target/classes/t/Core.class"));
    for module in ["core", "app"] {
        fs::remove_dir_all(maven.project.path(&format!("{module}/target"))).unwrap();
    }
    maven.clear();
    let ours = maven.v4run(&goals).run();
    ours.succeeds();
    assert_eq!(expected.0, built(&maven));
    tree::assert_equal(&expected.1, &maven.tree());
    assert!(!maven.project.path("target").exists());
    // Once more on what is there, cleaned first, without a request.
    maven.v4run(&["clean"]).run().succeeds();
    assert!(!maven.project.path("app/target/classes").exists());
    let before = registry.maven_seen().len();
    let again = maven
        .v4run(&["clean", "package", "-DskipTests", "-o", "-T2"])
        .run();
    again.succeeds();
    assert_eq!(expected.0, built(&maven));
    assert_eq!(registry.maven_seen().len(), before);
    assert_eq!(components(&ours), components(&again));
    // The components of the record are what Maven lists, whoever opened them.
    let goals = ["compile", "dependency:list", "-DoutputFile=list.txt"];
    let list = maven.v4run(&goals).run();
    list.succeeds();
    let mut listed = BTreeSet::new();
    for module in ["core", "app"] {
        let text = fs::read_to_string(maven.project.path(&format!("{module}/list.txt"))).unwrap();
        listed.append(&mut told_as_listed(&text));
    }
    assert_eq!(listed.len(), 6, "{listed:?}");
    assert_eq!(components(&list), listed);
    assert_eq!(components(&ours), listed);
    maven
        .v4run(&["compile", "-pl", "app", "-am"])
        .run()
        .succeeds();
}

#[test]
fn tests_do_not_run_however_a_project_asks_for_them() {
    let registry = Registry::start();
    let maven = modules(&registry);
    for goals in [
        &["test"][..],
        &["package"],
        &["install", "-DskipTests"],
        &["verify"],
    ] {
        let run = maven.v4run(goals).run();
        run.refuses(126, "command-runs-code", "4.18");
    }
    let plugin = |configuration: &str| {
        format!(
            "{PARENT}<build><plugins><plugin><artifactId>maven-surefire-plugin</artifactId>\
             <configuration>{configuration}</configuration></plugin></plugins></build>\
             <dependencies>{}</dependencies>",
            dependency("junit:junit:4.13.2", "<scope>test</scope>")
        )
    };
    let app = |configuration: &str| {
        let text = pom("it.test:app:1.0", &plugin(configuration));
        maven.project.file("app/pom.xml", &text);
    };
    fs::remove_dir_all(maven.project.path("app/src/main")).unwrap();
    app("<skipTests>false</skipTests><forkCount>0</forkCount>");
    let run = maven.v4run(&["package", "-DskipTests"]).run();
    run.refuses(126, "command-runs-code", "4.18");
    // In a parent that is fetched, it is refused when the parent is read.
    let hidden = format!(
        "<packaging>pom</packaging>{LEVEL}<build><plugins><plugin>\
         <artifactId>maven-surefire-plugin</artifactId><configuration><skipTests>false</skipTests>\
         <forkCount>0</forkCount></configuration></plugin></plugins></build>"
    );
    registry.put(
        &crate::maven::path("it.part:parent:1.0", "pom"),
        pom("it.part:parent:1.0", &hidden),
    );
    let body = format!(
        "<parent><groupId>it.part</groupId><artifactId>parent</artifactId><version>1.0</version>\
         <relativePath/></parent><dependencies>{}</dependencies>",
        dependency("junit:junit:4.13.2", "<scope>test</scope>")
    );
    maven
        .project
        .file("app/pom.xml", &pom("it.test:app:1.0", &body));
    let app = maven.project.path("app");
    let run = maven
        .v4run(&["package", "-DskipTests"])
        .directory(&app)
        .run();
    run.refuses(126, "build-refused", "4.18");
    run.says("<skipTests>");
    assert!(!app.join("ran-test").exists() && maven.ran().is_empty());
    // Positive control.
    let _ = fs::remove_dir_all(app.join("target"));
    maven
        .bare(&["package", "-DskipTests"])
        .directory(&app)
        .run();
    assert!(app.join("ran-test").exists());
}

#[test]
fn a_class_of_a_component_cannot_be_defined() {
    let registry = Registry::start();
    // An approved extension that runs code of a jar that nobody approved.
    publish(&registry, "evil:mark:1.0", "", &Jar::plain("hostile.mark"));
    let needs = format!(
        "<dependencies>{}{}</dependencies>",
        dependency("evil:mark:1.0", ""),
        dependency("org.codehaus.plexus:plexus-utils:2.x", "")
    );
    let jar = Jar::extension().without("hostile/Marker.class");
    publish(&registry, "evil:ext:1.0", &needs, &jar);
    let maven = modules(&registry);
    let extensions = "<extensions><extension><groupId>evil</groupId><artifactId>ext</artifactId>\
                      <version>1.0</version></extension></extensions>";
    maven.project.file(".mvn/extensions.xml", extensions);
    maven.policy(&approval("evil:ext:1.0", &jar.build()));
    for (goal, reason) in [
        ("dependency:resolve", "Caused by: hostile"),
        ("compile", "Absent Code attribute"),
    ] {
        let run = maven.v4run(&[goal]).run();
        assert!(!run.stdout.contains("ran spy"), "{}", run.told());
        assert_ne!(run.code(), 0, "{}", run.told());
        assert!(run.stdout.contains(reason), "{}", run.told());
    }
    maven.clear();
    maven.bare(&["compile"]).run().succeeds();
    assert!(maven.ran().contains(&"ran-spy".to_owned()));
}

#[test]
fn annotation_processors_of_components_do_not_run() {
    let registry = Registry::start();
    publish(&registry, "evil:processor:1.0", "", &Jar::processor());
    let body = format!(
        "{LEVEL}<dependencies>{}</dependencies>",
        dependency("evil:processor:1.0", "")
    );
    let maven = Maven::new(&registry, &body);
    maven
        .project
        .file("src/main/java/t/A.java", "package t; class A {}");
    maven.v4run(&["compile"]).run().succeeds();
    assert_eq!(maven.ran(), [""; 0]);
    fs::remove_dir_all(maven.project.path("target")).unwrap();
    maven.bare(&["compile"]).run().succeeds();
    assert_eq!(maven.ran(), ["ran-processor"]);
}

#[test]
fn a_processor_that_the_build_compiles_itself_does_not_run() {
    let registry = Registry::start();
    let body = format!(
        "<packaging>pom</packaging>{LEVEL}<modules><module>core</module><module>app</module></modules>"
    );
    let maven = Maven::new(&registry, &body);
    maven.project.file(
        "core/src/main/java/t/P.java",
        "package t; @javax.annotation.processing.SupportedAnnotationTypes(\"*\") public class P \
         extends javax.annotation.processing.AbstractProcessor { static { try { \
         new java.io.File(System.getProperty(\"user.dir\") + \"/ran-own\").createNewFile(); } \
         catch (java.io.IOException e) { System.out.println(\"ran own \" + e); } } \
         public boolean process(java.util.Set<? extends javax.lang.model.element.TypeElement> a, \
         javax.annotation.processing.RoundEnvironment b) { return false; } }",
    );
    maven
        .project
        .file("app/src/main/java/t/A.java", "package t; class A {}");
    let core = pom("it.test:core:1.0", PARENT);
    maven.project.file("core/pom.xml", &core);
    let app = |configuration: &str| {
        let body = format!(
            "{PARENT}<build><plugins><plugin><artifactId>maven-compiler-plugin</artifactId>\n\
             <configuration>{configuration}</configuration></plugin></plugins></build>\
             <dependencies>{}</dependencies>",
            dependency("it.test:core:1.0", "")
        );
        maven
            .project
            .file("app/pom.xml", &pom("it.test:app:1.0", &body));
    };
    for configuration in [
        "<compilerArgs><arg>-processor</arg><arg>t.P</arg></compilerArgs>",
        "<annotationProcessors><annotationProcessor>t.P</annotationProcessor></annotationProcessors>",
    ] {
        app(configuration);
        let run = maven.v4run(&["compile"]).run();
        run.refuses(126, "command-runs-code", "4.18");
        run.says("app/pom.xml:7");
    }
    assert_eq!(maven.ran(), [""; 0]);
    maven.bare(&["compile"]).run();
    assert_eq!(maven.ran(), ["ran-own"]);
}

#[test]
fn what_is_made_of_whole_jars_is_refused_before_the_start() {
    let registry = Registry::start();
    for packaging in ["rar", "maven-plugin", "ear"] {
        let maven = Maven::new(&registry, &format!("<packaging>{packaging}</packaging>"));
        let run = maven.v4run(&["package", "-DskipTests"]).run();
        run.refuses(126, "command-runs-code", "4.18");
        run.says("pom.xml:6");
    }
    assert!(registry.maven_seen().is_empty());
}
