//! The corpus in a manager's place: the real binary, each manager's own plan, proxy and record.
//!
//! The attempts' program stands where v4run finds node, python or java, so it is started as the
//! manager of a real run. Every case that works bare must be refused in the same way as on the bench,
//! fail the run, and leave an event and a violation.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::bench::{self, Results, Surroundings};
use super::score::tell;
use super::{Case, bare, together, unblocked};
use crate::attack::Stage;
use crate::maven::Maven;
use crate::python::Python;
use crate::registry::Registry;
use crate::run::Run;

/// What differs between managers here.
pub(super) trait Place {
    /// A directory that the run may write.
    fn inside(&self) -> PathBuf;
    /// A place that no run may touch.
    fn outside(&self) -> PathBuf;
    /// Puts the attempts' program with its scene into place and runs the manager.
    fn run(&self, scene: &Value) -> Run;
}

impl Place for Stage {
    fn inside(&self) -> PathBuf {
        self.project.path("node_modules")
    }

    fn outside(&self) -> PathBuf {
        self.project.outside("wild")
    }

    fn run(&self, scene: &Value) -> Run {
        self.runtime(&bench::program(), scene);
        set(&self.project.outside("fake/bin"), &self.inside(), scene);
        self.hostile("").run()
    }
}

impl Place for Maven {
    fn inside(&self) -> PathBuf {
        self.local()
    }

    fn outside(&self) -> PathBuf {
        self.project.outside("wild")
    }

    fn run(&self, scene: &Value) -> Run {
        let jdk = self.project.outside("jdk");
        for folder in ["bin", "lib/server"] {
            fs::create_dir_all(jdk.join(folder)).unwrap();
        }
        fs::copy(bench::program(), jdk.join("bin/java")).unwrap();
        fs::write(jdk.join("lib/server/libjvm.so"), "").unwrap();
        set(&jdk.join("bin"), &self.inside(), scene);
        self.v4run(&["dependency:resolve"])
            .env("JAVA_HOME", jdk)
            .run()
    }
}

impl Place for Python {
    fn inside(&self) -> PathBuf {
        self.packages().join("corpus")
    }

    fn outside(&self) -> PathBuf {
        self.project.outside("wild")
    }

    fn run(&self, scene: &Value) -> Run {
        // An installation whose interpreter is the attempts' program; the rest is the real one's.
        let real = fs::canonicalize(self.program("python")).unwrap();
        let base = self.project.outside("base");
        fs::create_dir_all(base.join("bin")).unwrap();
        let name = real.file_name().unwrap();
        let own = base.join("bin").join(name);
        fs::copy(bench::program(), &own).unwrap();
        let library = real.ancestors().nth(2).unwrap().join("lib");
        let _ = symlink(library, base.join("lib"));
        for name in ["python", "python3"] {
            let _ = fs::remove_file(self.program(name));
            symlink(&own, self.program(name)).unwrap();
        }
        let settings = format!("home = {}\n", base.join("bin").display());
        fs::write(self.environment().join("pyvenv.cfg"), settings).unwrap();
        set(&base.join("bin"), &self.inside(), scene);
        self.v4run(&["install", "six"]).run()
    }
}

/// Writes the scene where the run may read it, and the link that leads the program to it.
fn set(program: &Path, inside: &Path, scene: &Value) {
    let file = inside.join("scene.json");
    fs::write(&file, scene.to_string()).unwrap();
    let link = program.join("scene");
    let _ = fs::remove_file(&link);
    symlink(&file, link).unwrap();
}

/// Tries the cases as one manager; what v4run did not answer as expected.
fn wrong(place: &impl Place, cases: &[Case]) -> Vec<String> {
    let inside = place.inside();
    fs::create_dir_all(&inside).unwrap();
    let surroundings = Surroundings::new(place.outside());
    let runs = std::cell::RefCell::new(Vec::new());
    let run = |ids: &[&str]| -> Results {
        surroundings.renew(&inside);
        let run = place.run(&surroundings.scene(&inside, ids));
        let results = bench::results(&inside);
        runs.borrow_mut().push(run);
        results
    };
    let all: Vec<&Case> = cases.iter().collect();
    let results = together(&all, run);
    let mut wrong = unblocked(cases, &results);
    let runs = runs.into_inner();
    let (seen, codes) = recorded(&runs);
    for case in cases.iter().filter(|case| !case.code.is_empty()) {
        if !codes.contains(&case.code) {
            wrong.push(format!("{}: no violation {}", case.id, case.code));
        }
        let call = case.call();
        let said = |errno: &i32| seen.contains(&(call.clone(), *errno));
        if !case.errno.iter().any(said) {
            wrong.push(format!("{}: no event of {call}", case.id));
        }
    }
    // A process that the kernel killed says nothing; the others fail the run.
    runs[0].exits(120);
    wrong
}

/// The refused calls of runs, with their errno, and the codes of what was found.
fn recorded(runs: &[Run]) -> (BTreeSet<(String, i32)>, BTreeSet<String>) {
    let (mut seen, mut codes) = (BTreeSet::new(), BTreeSet::new());
    for run in runs {
        let record = run.record();
        for kind in ["call", "exec"] {
            for event in record.events(kind) {
                let call = event["call"].as_str().unwrap_or(kind).to_owned();
                if let Some(errno) = event["decision"]["refused"].as_i64() {
                    seen.insert((call, i32::try_from(errno).unwrap()));
                }
            }
        }
        let found = record.violations().iter();
        codes.extend(found.filter_map(|found| found["code"].as_str().map(str::to_owned)));
    }
    (seen, codes)
}

impl Case {
    /// What an event of its refusal names.
    fn call(&self) -> String {
        let first = self.layers[0].split(':').nth(1).unwrap_or_default();
        let call = if self.seen.is_empty() {
            first
        } else {
            &self.seen
        };
        match call.starts_with("execve") {
            true => "exec".to_owned(),
            false => call.to_owned(),
        }
    }
}

fn every_case(manager: &str, place: &impl Place) {
    let (valid, _) = bare();
    let wrong = wrong(place, valid);
    let line = format!(
        "corpus as {manager}: blocked and recorded {}/valid {}",
        valid.len() - wrong.len().min(valid.len()),
        valid.len()
    );
    let data = json!({ "manager": manager, "valid": valid.len(), "wrong": wrong });
    tell(&format!("corpus-{manager}"), &line, &data);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_case_is_refused_and_recorded_as_npm() {
    every_case("npm", &Stage::new());
}

#[test]
fn every_case_is_refused_and_recorded_as_pip() {
    let registry = Registry::start();
    every_case("pip", &Python::new(&registry));
}

#[test]
fn every_case_is_refused_and_recorded_as_mvn() {
    let registry = Registry::start();
    every_case("mvn", &Maven::new(&registry, ""));
}
