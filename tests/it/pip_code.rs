//! Nothing that lies in an environment runs, before, while and after something is installed.

use std::fs;

use crate::python::Python;
use crate::python::wheel::Wheel;
use crate::registry::Registry;

/// Python that leaves a file in the environment, where an install may write.
fn mark(python: &Python, name: &str) -> String {
    let path = python.environment().join(name);
    format!("open({:?}, 'w').close()\n", path.display().to_string())
}

/// Names that pip, its libraries or the interpreter import when they find them.
const SHADOWS: &[&str] = &[
    "json",
    "subprocess",
    "keyring",
    "truststore",
    "chardet",
    "socks",
    "brotli",
    "simplejson",
    "sitecustomize",
    "usercustomize",
    "readline",
    "certifi",
    "setuptools",
    "_distutils_hack",
];

#[test]
fn nothing_that_is_installed_runs() {
    let registry = Registry::start();
    Wheel::new("leaf", "1.0.0").publish(&registry);
    let python = Python::new(&registry);
    let code = mark(&python, "ran");
    for name in SHADOWS {
        fs::write(python.packages().join(format!("{name}.py")), &code).unwrap();
    }
    let line = format!("import os; {code}");
    fs::write(python.packages().join("evil.pth"), line).unwrap();
    let ran = python.environment().join("ran");
    for arguments in [
        vec!["install", "leaf"],
        vec!["list"],
        vec!["uninstall", "-y", "leaf"],
    ] {
        python.v4run(&arguments).run().succeeds();
        assert!(!ran.exists(), "{arguments:?}");
    }
    // Positive control: bare pip runs it.
    python.pip(&["list"]).run();
    assert!(ran.exists());
}

#[test]
fn nothing_of_the_working_directory_runs() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    let code = mark(&python, "ran");
    for name in ["json.py", "sitecustomize.py", "pip.py", "subprocess.py"] {
        python.project.file(name, &code);
    }
    let path = format!("{}:/usr/bin:/bin", python.program("").display());
    let run = python.v4run_word(&["python", "-m", "pip", "list"]);
    let directory = python.project.directory().display().to_string();
    let run = run.env("PATH", &path).env("PYTHONPATH", directory).run();
    run.succeeds();
    assert!(!python.environment().join("ran").exists());
}

#[test]
fn what_is_being_installed_does_not_run() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    let code = mark(&python, "ran");
    let mut wheel = Wheel::new("leaf", "1.0.0");
    for name in SHADOWS {
        wheel = wheel.file(&format!("{name}.py"), code.as_bytes());
    }
    wheel
        .file("leaf.pth", format!("import os; {code}").as_bytes())
        .publish(&registry);
    python.v4run(&["install", "leaf"]).run().succeeds();
    python.v4run(&["list"]).run().succeeds();
    assert!(python.packages().join("leaf.pth").is_file());
    assert!(!python.environment().join("ran").exists());
    // Positive control: the next start of the environment's Python runs it.
    let python_itself = vec![python.program("python").into(), "-c".into(), "1".into()];
    python.project.command(python_itself).run();
    assert!(python.environment().join("ran").exists());
}

#[test]
fn a_wheel_cannot_write_over_pip() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    let target = "pip/_internal/self_outdated_check.py";
    Wheel::new("leaf", "1.0.0")
        .file(target, b"changed = 1\n")
        .publish(&registry);
    let before = python.installed(target);
    let run = python.v4run(&["install", "leaf"]).run();
    run.refuses(120, "overwrite-refused", "4.18");
    assert_eq!(python.installed(target), before);
    // Positive control: bare pip lets it.
    python.pip(&["install", "leaf"]).run().succeeds();
    assert_ne!(python.installed(target), before);
}

#[test]
fn the_running_pip_is_out_of_reach() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    // A pip that tries to change itself: the last line of defence, whatever the proxy let through.
    let target = python.packages().join("pip/py.typed");
    let program = python.packages().join("pip/_internal/cli/main.py");
    let before = fs::read_to_string(&program).unwrap();
    let tries = format!(
        "import os\nfor act in (lambda p: open(p, 'w'), os.unlink, lambda p: os.rename(p, p + 'x'),\n\
         \x20           lambda p: os.rename(os.path.dirname(p), os.path.dirname(p) + 'x'),\n\
         \x20           lambda p: os.link(p, {:?})):\n\
         \x20   try:\n        act({:?})\n        print('CHANGED')\n    except OSError: pass\n",
        python.environment().join("link").display().to_string(),
        target.display().to_string(),
    );
    let future = "from __future__ import annotations\n";
    let text = match before.strip_prefix(future) {
        Some(rest) => format!("{future}{tries}{rest}"),
        None => format!("{before}\n{tries}"),
    };
    fs::write(&program, text).unwrap();
    Wheel::new("leaf", "1.0.0").publish(&registry);
    let run = python.v4run(&["install", "leaf"]).run();
    run.refuses(120, "file-access-refused", "4.18");
    assert!(!run.stdout.contains("CHANGED"), "{}", run.told());
    assert!(target.exists());
}
