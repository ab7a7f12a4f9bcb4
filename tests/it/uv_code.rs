//! Nothing of an environment runs while uv asks its interpreter, and nothing else is started.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::canaries::hostile;
use crate::python::wheel::Wheel;
use crate::registry::Registry;
use crate::uv::{Uv, plant};

/// Python that leaves a file where anybody may write.
fn mark(path: &std::path::Path) -> String {
    format!("open({:?}, 'w').close()\n", path.display().to_string())
}

#[test]
fn startup_files_of_an_environment_do_not_run() {
    let registry = Registry::start();
    plant(&registry);
    let uv = Uv::new(&registry);
    // The environment is what an install may write: a mark there could be made.
    let ran = uv.python.environment().join("ran");
    let code = mark(&ran);
    let packages = uv.python.packages();
    fs::write(packages.join("evil.pth"), format!("import os; {code}")).unwrap();
    for name in ["sitecustomize", "usercustomize", "json", "platform"] {
        fs::write(packages.join(format!("{name}.py")), &code).unwrap();
    }
    for arguments in [
        vec!["pip", "install", "oak"],
        vec!["pip", "list"],
        vec!["pip", "uninstall", "oak"],
    ] {
        uv.v4run(&arguments).run().succeeds();
        assert!(!ran.exists(), "{arguments:?}");
    }
    // Positive control: bare uv runs them.
    uv.bare(&["pip", "list"]).run().succeeds();
    assert!(ran.exists());
}

#[test]
fn what_is_installed_does_not_run_in_the_next_run() {
    let registry = Registry::start();
    let uv = Uv::new(&registry);
    let ran = uv.python.environment().join("ran");
    let line = format!("import os; {}", mark(&ran));
    Wheel::new("leaf", "1.0.0")
        .file("leaf.pth", line.as_bytes())
        .publish(&registry);
    uv.v4run(&["pip", "install", "leaf"]).run().succeeds();
    uv.v4run(&["pip", "list"]).run().succeeds();
    assert!(uv.python.packages().join("leaf.pth").is_file() && !ran.exists());
    uv.bare(&["pip", "list"]).run().succeeds();
    assert!(ran.exists());
}

#[test]
fn the_record_names_the_programs_that_were_started() {
    let registry = Registry::start();
    plant(&registry);
    let uv = Uv::new(&registry);
    let run = uv.v4run(&["pip", "install", "leaf"]).run();
    run.succeeds();
    let events = fs::read_to_string(run.record().folder.join("events.jsonl")).unwrap();
    let of = |kind: &str| -> Vec<serde_json::Value> {
        let all = events
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        all.filter(|event: &serde_json::Value| event["kind"] == kind)
            .collect()
    };
    let planned = of("planned")[0]["programs"].clone();
    let started: Vec<_> = of("exec")
        .iter()
        .map(|event| event["path"].clone())
        .collect();
    assert_eq!(planned, serde_json::Value::Array(started));
    assert_eq!(planned.as_array().unwrap().len(), 3);
    let controls = run.record().summary["controls"].as_array().unwrap().clone();
    let control = controls.iter().find(|one| one["id"] == "4.18").unwrap();
    assert_eq!(control["status"], "enforced", "{control}");
}

#[test]
fn commands_that_run_code_are_refused() {
    let registry = Registry::start();
    let uv = Uv::new(&registry);
    let project = &uv.python.project;
    project.file("run.py", &mark(&project.path("ran")));
    for arguments in [
        vec!["run", "--no-project", "run.py"],
        vec!["tool", "run", "leaf"],
        vec!["build"],
    ] {
        let run = uv.v4run(&arguments).run();
        run.refuses(126, "command-runs-code", "4.18");
    }
    for arguments in [
        vec!["python", "install", "3.12"],
        vec!["self", "update"],
        vec!["publish"],
        vec!["add", "leaf"],
        vec!["venv", "--seed"],
    ] {
        assert_eq!(uv.v4run(&arguments).run().code(), 126, "{arguments:?}");
    }
    assert!(!project.path("ran").exists());
    // Positive control: bare uv runs it.
    uv.bare(&["run", "--no-project", "run.py"]).run().succeeds();
    assert!(project.path("ran").exists());
}

#[test]
fn an_interpreter_of_the_project_is_not_started() {
    let registry = Registry::start();
    plant(&registry);
    let uv = Uv::new(&registry);
    let project = &uv.python.project;
    let ran = project.path("ran");
    project.file("own/pyvenv.cfg", "home = /usr/bin\n");
    let script = format!("#!/bin/sh\ntouch {}\nexit 1\n", ran.display());
    project.file("own/bin/python", &script);
    let program = project.path("own/bin/python");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let python = program.display().to_string();
    let arguments = ["pip", "install", "--python", &python, "leaf"];
    uv.v4run(&arguments).run().exits(127);
    assert!(!ran.exists());
    // Positive control: bare uv starts it.
    uv.bare(&arguments).run();
    assert!(ran.exists());
}

/// Runs a hostile program in uv's place; it is started for the question and no further.
#[track_caller]
fn asked(scenario: &str, expected: &[(&str, &str)]) {
    let registry = Registry::start();
    let uv = Uv::new(&registry);
    let folder = uv.python.project.outside(scenario);
    fs::create_dir(&folder).unwrap();
    let program = folder.join("uv");
    fs::copy(hostile(), &program).unwrap();
    let words = [program.as_os_str(), "pip".as_ref(), "list".as_ref()];
    let run = uv.python.project.v4run(&words);
    let run = run.env("VIRTUAL_ENV", uv.python.environment()).run();
    assert_ne!(run.code(), 0, "{}", run.told());
    for (what, outcome) in expected {
        run.says(&format!("hostile: {what} {outcome}\n"));
    }
    run.says("refused: ");
}

#[test]
fn the_planned_child_is_one_and_starts_the_planned_program_only() {
    let refused = "errno 13";
    // The child is used up by a program that the plan does not name.
    asked("shell", &[("shell", refused), ("after", refused)]);
    // It is not for the process itself, there is no network, and neither the child nor another
    // process can start anything else. That the interpreter starts is the control.
    asked(
        "python",
        &[
            ("replaced", refused),
            ("connected", refused),
            ("python", "fired"),
            ("grandchild", refused),
            ("again", refused),
        ],
    );
}
