//! Hostile runs of pip and Maven by the shims: a script calls the manager by its name, as it always did.
//! npm is in `shims`. Each has its control: the same line without the shims runs the code.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use crate::maven::jar::Jar;
use crate::maven::{MACHINE, Maven, RESOLVE, dependency, path, pom, publish};
use crate::project::{Project, search_path};
use crate::python::Python;
use crate::python::wheel::Wheel;
use crate::registry::Registry;
use crate::run::{Invocation, Record, Run};

/// A shell line with shims first in PATH, and behind them `tools`.
fn shimmed(project: &Project, tools: Option<PathBuf>, line: &str) -> Invocation {
    let shims = project.outside("shims");
    let words = ["shims", "install", shims.to_str().unwrap()];
    project.v4run_plain(&words).run().succeeds();
    sh(project, [Some(shims), tools], line).env("V4RUN_RECORD", project.outside("records"))
}

fn sh(project: &Project, first: [Option<PathBuf>; 2], line: &str) -> Invocation {
    let mut folders: Vec<PathBuf> = first.into_iter().flatten().collect();
    folders.extend(std::env::split_paths(&search_path()));
    let argv = ["/bin/sh", "-c", line].map(OsString::from).to_vec();
    let path = std::env::join_paths(folders).unwrap();
    project.command(argv).env("PATH", path)
}

/// The one record of the run, and then none.
fn record(project: &Project, run: &Run) -> Record {
    let folder = project.outside("records");
    let made: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{error}\n{}", run.told()))
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(made.len(), 1, "{}", run.told());
    let record = Record::read(&made[0]).expect("an unsealed record");
    fs::remove_dir_all(folder).unwrap();
    record
}

#[test]
fn pip_builds_nothing_and_takes_no_other_bytes() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    let project = &python.project;
    let ran = project.outside("ran");
    // The backend is in the tree, so that no index has a say.
    project.file(
        "sub/pyproject.toml",
        "[build-system]\nrequires = []\nbuild-backend = 'own'\nbackend-path = ['.']\n",
    );
    let own = format!("open({:?}, 'w').close()\n", ran.display().to_string());
    project.file("sub/own.py", &own);
    project.file("requirements.txt", "-e ./sub\n");
    let line = "pip install -r requirements.txt";
    let tools = || Some(python.environment().join("bin"));
    sh(project, [None, tools()], line).run();
    assert!(ran.exists(), "the control does not fire");
    fs::remove_file(&ran).unwrap();
    let run = shimmed(project, tools(), line).run();
    run.exits(126);
    assert!(!ran.exists(), "{}", run.told());
    record(project, &run).violation("dependency-refused", "4.1", &run.told());

    // What the requirement promises is not what the index has; bare pip is told nothing of it.
    let good = Wheel::new("oak", "1.0").build();
    let evil = Wheel::new("oak", "1.0")
        .file("oak_evil.py", b"WHO = 'evil'\n")
        .build();
    registry.publish_file("oak", "oak-1.0-py3-none-any.whl", &evil);
    let promised = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&good));
    project.file("requirements.txt", "oak==1.0\n");
    project.file(
        "locked.txt",
        &format!("oak==1.0 --hash=sha256:{promised}\n"),
    );
    sh(project, [None, tools()], line).run().succeeds();
    assert!(
        python.packages().join("oak_evil.py").exists(),
        "the control does not fire"
    );
    python.clear();
    let run = shimmed(project, tools(), "pip install -r locked.txt").run();
    run.exits(120);
    assert!(!python.packages().join("oak_evil.py").exists());
    record(project, &run).violation("anchor-conflict", "4.13", &run.told());
}

#[test]
fn mvn_loads_no_code_that_nobody_answers_for() {
    let registry = Registry::start();
    let utilities = dependency("org.codehaus.plexus:plexus-utils:2.x", "");
    let needs = format!("<dependencies>{utilities}</dependencies>");
    publish(&registry, "evil:ext:1.0", &needs, &Jar::extension());
    publish(&registry, "it.part:leaf:2.0", "", &Jar::plain("it.leaf"));
    let extension = "<packaging>pom</packaging><build><extensions><extension><groupId>evil</groupId>\
                     <artifactId>ext</artifactId><version>1.0</version></extension></extensions></build>";
    let parent = "it.part:parent:1.0";
    registry.put(&path(parent, "pom"), pom(parent, extension));
    let leaf = dependency("it.part:leaf:2.0", "");
    let maven = Maven::new(
        &registry,
        &format!(
            "<dependencies>{leaf}</dependencies><parent><groupId>it.part</groupId>\
             <artifactId>parent</artifactId><version>1.0</version><relativePath/></parent>"
        ),
    );
    let run = shimmed(&maven.project, None, &format!("mvn -B {RESOLVE}"))
        .env("MAVEN_OPTS", MACHINE)
        .env("SSL_CERT_FILE", maven.project.authority_file())
        .noisy()
        .run();
    run.exits(126).says("`evil:ext:1.0`");
    assert_eq!(maven.ran(), [""; 0]);
    record(&maven.project, &run).violation("build-refused", "4.18", &run.told());
    maven.clear();
    maven.bare(&["dependency:resolve"]).run().succeeds();
    assert_eq!(
        maven.ran(),
        ["ran-participant"],
        "the control does not fire"
    );
}
