//! Bad input and bad surroundings: clear errors, the right status, nothing half-written.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::maven::jar::Jar;
use crate::maven::{Maven, approval, dependency, path, pom, publish};
use crate::registry::{On, Registry, What};

fn leaf(registry: &Registry) -> String {
    publish(registry, "it.part:leaf:2.0", "", &Jar::plain("it.leaf"));
    let needed = dependency("it.part:leaf:2.0", "");
    format!("<dependencies>{needed}</dependencies>")
}

/// An extension that does this when Maven loads it, with the approval of its bytes: what trusted code
/// of a plugin can do is bounded all the same.
fn approved(registry: &Registry, class: &str) -> Maven {
    let jar = Jar::acting(class);
    let needed = dependency("org.codehaus.plexus:plexus-utils:2.x", "");
    let needs = format!("<dependencies>{needed}</dependencies>");
    publish(registry, "it.trusted:ext:1.0", &needs, &jar);
    let maven = Maven::new(registry, &leaf(registry));
    let extensions = "<extensions><extension><groupId>it.trusted</groupId>\
                      <artifactId>ext</artifactId><version>1.0</version></extension></extensions>";
    maven.project.file(".mvn/extensions.xml", extensions);
    maven.policy(&approval("it.trusted:ext:1.0", &jar.build()));
    maven
}

#[test]
fn even_trusted_code_starts_no_process() {
    let registry = Registry::start();
    let maven = approved(&registry, "Forker");
    let run = maven.v4run(&["dependency:resolve"]).run();
    assert_eq!(run.code(), 120, "{}", run.told());
    assert_eq!(maven.ran(), [""; 0]);
    maven.clear();
    maven.bare(&["dependency:resolve"]).run();
    assert_eq!(maven.ran(), ["ran-forked"]);
}

#[test]
fn even_trusted_code_loads_no_library_of_its_own() {
    let registry = Registry::start();
    let maven = approved(&registry, "Loader");
    // Any library will do: that it is mapped at all is what counts.
    let library = fs::read_dir("/usr/lib/x86_64-linux-gnu")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("libz.so.1")
        })
        .expect("a library of the system");
    fs::copy(library, maven.project.path("native.so")).unwrap();
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.refuses(120, "code-map-refused", "4.18");
    assert!(!run.stdout.contains("library loaded"), "{}", run.told());
    maven.clear();
    let bare = maven.bare(&["dependency:resolve"]).run();
    assert!(bare.stdout.contains("library loaded"), "{}", bare.told());
}

#[test]
fn files_of_the_machine_are_no_artifacts() {
    let registry = Registry::start();
    let body = "<dependencies><dependency><groupId>g</groupId><artifactId>a</artifactId>\
                <version>1</version><scope>system</scope>\
                <systemPath>${project.basedir}/a.jar</systemPath></dependency></dependencies>";
    let maven = Maven::new(&registry, body);
    fs::write(maven.project.path("a.jar"), Jar::plain("a").build()).unwrap();
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.refuses(126, "dependency-refused", "4.1");
    run.says("pom.xml:6");
    maven.bare(&["dependency:resolve"]).run().succeeds();
    // A component's own POM may name one: it is not read.
    let body = body.replace(
        "${project.basedir}",
        &maven.project.directory().display().to_string(),
    );
    publish(&registry, "it.part:oak:1.0", &body, &Jar::plain("it.oak"));
    let needed = dependency("it.part:oak:1.0", "");
    maven.pom(&format!("<dependencies>{needed}</dependencies>"));
    let run = maven.v4run(&["dependency:resolve"]).run();
    assert!([0, 120].contains(&run.code()), "{}", run.told());
}

#[test]
fn a_repository_on_the_file_system_is_refused() {
    let registry = Registry::start();
    let maven = Maven::new(&registry, &leaf(&registry));
    let body = format!(
        "<repositories><repository><id>files</id><url>file://{}</url></repository></repositories>{}",
        maven.project.path("files").display(),
        leaf(&registry)
    );
    maven.pom(&body);
    // A mirror that stands for it makes it harmless: nothing is read there.
    maven.v4run(&["dependency:resolve"]).run().succeeds();
    maven.settings(&format!(
        "<mirrors><mirror><id>test</id><mirrorOf>central</mirrorOf><url>{}</url></mirror></mirrors>",
        registry.maven()
    ));
    let run = maven.v4run(&["dependency:resolve"]).run();
    assert_eq!(run.code(), 126, "{}", run.told());
    run.says("pom.xml:6");
}

#[test]
fn documents_that_grow_or_lead_elsewhere_are_refused() {
    let registry = Registry::start();
    let maven = Maven::new(&registry, &leaf(&registry));
    let bomb = "<!DOCTYPE project [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]>\n";
    let good = fs::read_to_string(maven.project.path("pom.xml")).unwrap();
    maven.project.file("pom.xml", &format!("{bomb}{good}"));
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.refuses(126, "config-refused", "4.18");
    maven.project.file("pom.xml", &good);
    let settings = maven.project.home().join(".m2/settings.xml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, format!("{bomb}{text}")).unwrap();
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.exits(125).says("settings.xml");
    fs::write(&settings, text).unwrap();
    // Metadata of a repository.
    let metadata = "it/part/leaf/maven-metadata.xml";
    registry.put(metadata, format!("{bomb}<metadata/>"));
    let needed = dependency("it.part:leaf:[1,3)", "");
    maven.pom(&format!("<dependencies>{needed}</dependencies>"));
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.refuses(120, "index-malformed", "4.13");
}

#[test]
fn two_runs_share_a_local_repository() {
    let registry = Registry::start();
    let maven = Maven::new(&registry, &leaf(&registry));
    let one = maven.v4run(&["dependency:resolve"]).start();
    let other = maven.v4run(&["dependency:resolve"]).start();
    one.wait().succeeds();
    other.wait().succeeds();
    maven.v4run(&["dependency:resolve"]).run().succeeds();
}

#[test]
fn a_run_that_is_killed_in_a_download_leaves_nothing_half() {
    let registry = Registry::start();
    let maven = Maven::new(&registry, &leaf(&registry));
    let slow = What::Slow(1000, Duration::from_millis(100));
    registry.fault(On::Path("leaf-2.0.jar"), slow);
    let run = maven.v4run(&["dependency:resolve"]);
    let mut running = run.grace(Duration::from_secs(10)).start();
    assert!(registry.wait_for("leaf-2.0.jar", Duration::from_secs(60)));
    running.signal(Signal::SIGKILL);
    running.wait();
    assert!(!maven.kept("it.part:leaf:2.0", "jar").exists());
    registry.heal();
    maven.v4run(&["dependency:resolve"]).run().succeeds();
    let kept = fs::read(maven.kept("it.part:leaf:2.0", "jar")).unwrap();
    assert_eq!(kept, Jar::plain("it.leaf").build());
}

#[test]
fn a_local_repository_that_cannot_be_written_is_told() {
    let registry = Registry::start();
    let maven = Maven::new(&registry, &leaf(&registry));
    publish(&registry, "other.part:new:1.0", "", &Jar::plain("it.new"));
    // Even root makes no directory below a file.
    fs::create_dir_all(maven.local()).unwrap();
    let place = maven.local().join("it");
    fs::write(&place, "no directory").unwrap();
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.exits(1);
    assert!(run.stdout.contains("it.part:leaf"), "{}", run.told());
    assert_eq!(fs::read(&place).unwrap(), b"no directory");
    fs::remove_file(&place).unwrap();
    maven.v4run(&["dependency:resolve"]).run().succeeds();
    // The whole of it.
    let aside = maven.local().with_extension("aside");
    fs::rename(maven.local(), &aside).unwrap();
    fs::write(maven.local(), "no directory").unwrap();
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.exits(1);
    let reason = "Could not create local repository";
    assert!(run.stdout.contains(reason), "{}", run.told());
    assert_eq!(fs::read(maven.local()).unwrap(), b"no directory");
    fs::remove_file(maven.local()).unwrap();
    fs::rename(&aside, maven.local()).unwrap();
    if nix::unistd::geteuid().is_root() {
        // Root writes where the mode says that nobody may.
        return;
    }
    let lock = |mode| {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(maven.local(), mode).unwrap();
    };
    let needed = dependency("other.part:new:1.0", "");
    maven.pom(&format!("<dependencies>{needed}</dependencies>"));
    lock(0o555);
    let run = maven.v4run(&["dependency:resolve"]).run();
    lock(0o755);
    assert_ne!(run.code(), 0, "{}", run.told());
    assert!(!maven.local().join("other").exists());
}

#[test]
fn a_fetched_parent_cannot_add_code() {
    let registry = Registry::start();
    // An extension and a repository in the parent POM of a dependency have no effect on the project.
    publish(&registry, "evil:ext:1.0", "", &Jar::extension());
    let body = "<packaging>pom</packaging><build><extensions><extension><groupId>evil</groupId>\
                <artifactId>ext</artifactId><version>1.0</version></extension></extensions><plugins>\
                <plugin><groupId>evil</groupId><artifactId>ext</artifactId><version>1.0</version>\
                <extensions>true</extensions><executions><execution><phase>validate</phase><goals>\
                <goal>run</goal></goals></execution></executions></plugin></plugins></build>";
    registry.put(
        &path("it.part:base:1.0", "pom"),
        pom("it.part:base:1.0", body),
    );
    let parent = "<parent><groupId>it.part</groupId><artifactId>base</artifactId>\
                  <version>1.0</version></parent>";
    publish(&registry, "it.part:oak:1.0", parent, &Jar::plain("it.oak"));
    let needed = dependency("it.part:oak:1.0", "");
    let maven = Maven::new(&registry, &format!("<dependencies>{needed}</dependencies>"));
    maven.v4run(&["dependency:resolve"]).run().succeeds();
    assert_eq!(maven.ran(), [""; 0]);
    assert!(!maven.kept("evil:ext:1.0", "jar").exists());
}
