//! What a project commits beside its requirements: locks of other tools, constraints, markers.

use serde_json::json;

use crate::python::Python;
use crate::python::wheel::Wheel;
use crate::registry::Registry;

/// A lock of each form that states that digest for `leaf` 1.0.0.
fn locks(digest: &str) -> [(&'static str, String); 4] {
    let file = "leaf-1.0.0-py3-none-any.whl";
    let poetry = format!(
        "[[package]]\nname = 'leaf'\nversion = '1.0.0'\n\
         files = [{{file = '{file}', hash = 'sha256:{digest}'}}]\n\
         [metadata]\nlock-version = '2.1'\npython-versions = '*'\ncontent-hash = '0'\n"
    );
    let pipenv = json!({
        "_meta": {"pipfile-spec": 6},
        "default": {"leaf": {"version": "==1.0.0", "hashes": [format!("sha256:{digest}")]}},
        "develop": {},
    });
    let shared = format!(
        "lock-version = '1.0'\ncreated-by = 'test'\n[[packages]]\nname = 'leaf'\n\
         version = '1.0.0'\n[[packages.wheels]]\nname = '{file}'\n\
         hashes = {{sha256 = '{digest}'}}\n"
    );
    let uv = format!(
        "version = 1\n[[package]]\nname = 'leaf'\nversion = '1.0.0'\n\
         source = {{registry = 'https://index.invalid/simple'}}\n\
         wheels = [{{url = 'https://files.invalid/{file}', hash = 'sha256:{digest}'}}]\n"
    );
    [
        ("poetry.lock", poetry),
        ("Pipfile.lock", pipenv.to_string()),
        ("pylock.toml", shared),
        ("uv.lock", uv),
    ]
}

#[test]
fn a_lock_of_any_tool_is_an_anchor() {
    let registry = Registry::start();
    let digest = Wheel::new("leaf", "1.0.0").publish(&registry);
    let python = Python::new(&registry);
    let arguments = ["install", "leaf"];
    for (name, text) in locks(&"00".repeat(32)) {
        python.project.file(name, &text);
        let run = python.v4run(&arguments).run();
        run.refuses(120, "anchor-conflict", "4.13").says(name);
        assert!(!python.packages().join("leaf.py").exists(), "{name}");
        std::fs::remove_file(python.project.path(name)).unwrap();
    }
    // Positive control: to bare pip such a file says nothing.
    for (name, text) in locks(&"00".repeat(32)) {
        python.project.file(name, &text);
    }
    python.pip(&arguments).run().succeeds();
    assert!(python.packages().join("leaf.py").exists());
    python.clear();
    for (name, text) in locks(&digest) {
        python.project.file(name, &text);
    }
    let run = python.v4run(&arguments).run();
    run.succeeds().says("by lockfile");
    let record = run.record();
    let released = record.event("released", |event| event["name"] == "leaf");
    assert_eq!(released["anchor"], "lockfile");
    let read = record.events("input-read");
    for (name, _) in locks(&digest) {
        assert!(read.iter().any(|event| event["name"] == name), "{name}");
    }
}

#[test]
fn a_lock_that_cannot_be_read_is_no_lock() {
    let registry = Registry::start();
    Wheel::new("leaf", "1.0.0").publish(&registry);
    let python = Python::new(&registry);
    for (name, _) in locks("") {
        python.project.file(name, "<<<<<<< ours\n");
        let run = python.v4run(&["install", "leaf"]).run();
        run.refuses(126, "lock-invalid", "4.13").says(name);
        std::fs::remove_file(python.project.path(name)).unwrap();
    }
}

#[test]
fn constraints_and_markers_count_as_for_bare_pip() {
    let registry = Registry::start();
    for version in ["1.0.0", "1.4.0"] {
        Wheel::new("leaf", version).publish(&registry);
    }
    Wheel::new("oak", "1.0.0")
        .requires("leaf>=1")
        .publish(&registry);
    Wheel::new("fern", "1.0.0").publish(&registry);
    let python = Python::new(&registry);
    let project = &python.project;
    project.file("limits/c.txt", "leaf \\\n  <1.2  # not yet\n");
    project.file(
        "r.txt",
        "-c limits/c.txt\noak; python_version >= '3'\nfern ; python_version < '3'\n",
    );
    for arguments in [
        vec!["install", "--no-compile", "-r", "r.txt"],
        vec!["install", "--no-compile", "-c", "limits/c.txt", "leaf"],
    ] {
        python.pip(&arguments).run().succeeds();
        let expected = python.tree();
        python.clear();
        let run = python.v4run(&arguments).run();
        run.succeeds();
        crate::project::tree::assert_equal(&expected, &python.tree());
        assert_eq!(python.installed("leaf.py"), "WHO = 'leaf 1.0.0'\n");
        assert!(!python.packages().join("fern.py").exists());
        python.clear();
    }
    // What only limits may not weaken anything either.
    project.file("limits/c.txt", "--trusted-host localhost\nleaf<1.2\n");
    let run = python.v4run(&["install", "-r", "r.txt"]).run();
    run.refuses(126, "config-refused", "4.18")
        .says("limits/c.txt:1");
}
