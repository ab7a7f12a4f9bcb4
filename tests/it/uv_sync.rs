//! `uv sync` and `uv lock`: the lock is the anchor for digests and no permission for places.

use std::fs;

use crate::project::tree;
use crate::python::wheel::Wheel;
use crate::registry::Registry;
use crate::uv::{Uv, plant};

/// The environment of a project, compiled files apart.
fn environment(uv: &Uv) -> tree::Tree {
    tree::read(&uv.python.project.path(".venv"))
}

fn python(uv: &Uv) -> String {
    let real = uv.python.program("python").canonicalize().unwrap();
    real.display().to_string()
}

#[test]
fn a_sync_makes_the_environment_of_bare_uv() {
    let registry = Registry::start();
    plant(&registry);
    let uv = Uv::new(&registry);
    uv.locked(&["oak", "fern"]);
    let interpreter = python(&uv);
    let arguments = ["sync", "--python", &interpreter];
    uv.bare(&arguments).run().succeeds();
    let expected = environment(&uv);
    fs::remove_dir_all(uv.python.project.path(".venv")).unwrap();
    let run = uv.v4run(&arguments).run();
    run.succeeds().says("by lockfile");
    tree::assert_equal(&expected, &environment(&uv));
    // Once more, with nothing to do, and in the environment that is there.
    uv.v4run(&["sync", "--frozen"]).run().succeeds();
    tree::assert_equal(&expected, &environment(&uv));
}

#[test]
fn a_lock_is_made_as_bare_uv_makes_it() {
    let registry = Registry::start();
    plant(&registry);
    let uv = Uv::new(&registry);
    uv.locked(&["oak"]);
    let path = uv.python.project.path("uv.lock");
    let expected = fs::read_to_string(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let interpreter = python(&uv);
    let missing = uv.v4run(&["sync", "--python", &interpreter]).run();
    missing.refuses(126, "lock-missing", "4.13");
    uv.v4run(&["lock", "--python", &interpreter])
        .run()
        .succeeds();
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    uv.v4run(&["lock", "--check", "--python", &interpreter])
        .run()
        .succeeds();
    uv.v4run(&["lock", "--upgrade", "--python", &interpreter])
        .run()
        .succeeds();
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    // A lock that is not current is not rewritten by a sync.
    let manifest = uv.python.project.path("pyproject.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("'oak'", "'oak', 'fern'")).unwrap();
    let run = uv.v4run(&["sync", "--python", &interpreter]).run();
    assert_ne!(run.code(), 0, "{}", run.told());
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
}

#[test]
fn digests_of_the_lock_are_compared() {
    let registry = Registry::start();
    let digest = Wheel::new("leaf", "1.0.0").publish(&registry);
    let uv = Uv::new(&registry);
    uv.locked(&["leaf"]);
    uv.edit_lock(&digest, &"00".repeat(32));
    let interpreter = python(&uv);
    let before = registry.files_seen();
    let arguments = ["sync", "--frozen", "--python", &interpreter];
    let run = uv.v4run(&arguments).run();
    run.refuses(120, "anchor-conflict", "4.13");
    assert_eq!(registry.files_seen(), before);
    uv.edit_lock(
        &format!("hash = \"sha256:{}\"", "00".repeat(32)),
        "size = 1",
    );
    let run = uv.v4run(&arguments).run();
    run.refuses(126, "integrity-missing", "4.13")
        .says("uv.lock:");
}

#[test]
fn an_address_that_only_the_lock_names_is_not_fetched() {
    let registry = Registry::start();
    Wheel::new("leaf", "1.0.0").publish(&registry);
    let uv = Uv::new(&registry);
    uv.locked(&["leaf"]);
    // The very same bytes at another place of the same server.
    let name = Wheel::new("leaf", "1.0.0").file_name();
    let content = Wheel::new("leaf", "1.0.0").build();
    registry.publish_file("elsewhere", &format!("copy/{name}"), &content);
    uv.edit_lock(&format!("files/{name}"), &format!("files/copy/{name}"));
    let interpreter = python(&uv);
    let arguments = ["sync", "--frozen", "--python", &interpreter];
    let run = uv.v4run(&arguments).run();
    run.refuses(120, "repository-refused", "4.1");
    let fetched = format!("/files/copy/{name}");
    assert!(!registry.files_seen().contains(&fetched));
    // Positive control: bare uv fetches it.
    let _ = fs::remove_dir_all(uv.python.project.path(".venv"));
    uv.bare(&arguments).run().succeeds();
    assert!(registry.files_seen().contains(&fetched));
}

#[test]
fn a_project_with_a_build_is_refused_and_its_dependencies_are_not() {
    let registry = Registry::start();
    plant(&registry);
    let uv = Uv::new(&registry);
    uv.locked(&["leaf"]);
    uv.edit_lock(
        "source = { virtual = \".\" }",
        "source = { editable = \".\" }",
    );
    let project = &uv.python.project;
    let manifest = fs::read_to_string(project.path("pyproject.toml")).unwrap();
    let build = "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n";
    project.file("pyproject.toml", &format!("{manifest}{build}"));
    let ran = project.path("ran");
    let code = format!("open({:?}, 'w').close()\n", ran.display().to_string());
    project.file("backend.py", &code);
    let interpreter = python(&uv);
    let run = uv.v4run(&["sync", "--python", &interpreter]).run();
    run.refuses(126, "command-runs-code", "4.18")
        .says("--no-install-project");
    let arguments = ["sync", "--no-install-project", "--python", &interpreter];
    uv.v4run(&arguments).run().succeeds();
    assert!(!ran.exists());
    // Positive control: bare uv runs the backend.
    uv.bare(&["sync", "--python", &interpreter]).run();
    assert!(ran.exists());
}

#[test]
fn sources_that_are_no_index_are_refused() {
    let registry = Registry::start();
    plant(&registry);
    let uv = Uv::new(&registry);
    uv.locked(&["leaf"]);
    let project = &uv.python.project;
    let manifest = fs::read_to_string(project.path("pyproject.toml")).unwrap();
    for source in [
        "git = 'https://g.invalid/leaf'",
        "path = '../leaf'",
        "url = 'https://f.invalid/leaf-1.0.0-py3-none-any.whl'",
    ] {
        let text = format!("{manifest}[tool.uv.sources]\nleaf = {{ {source} }}\n");
        project.file("pyproject.toml", &text);
        for command in ["sync", "lock"] {
            let run = uv.v4run(&[command]).run();
            run.refuses(126, "dependency-refused", "4.1")
                .says("pyproject.toml:7");
        }
    }
}

#[test]
fn an_environment_that_leads_out_of_the_project_is_refused() {
    let registry = Registry::start();
    plant(&registry);
    let uv = Uv::new(&registry);
    uv.locked(&["leaf"]);
    let outside = uv.python.project.outside("elsewhere");
    fs::create_dir(&outside).unwrap();
    let environment = uv.python.project.path(".venv");
    std::os::unix::fs::symlink(&outside, &environment).unwrap();
    let interpreter = python(&uv);
    let arguments = ["sync", "--frozen", "--python", &interpreter];
    let run = uv.v4run(&arguments).run();
    run.refuses(126, "config-refused", "4.18");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    // Positive control: bare uv makes the environment there.
    uv.bare(&arguments).run().succeeds();
    assert_ne!(fs::read_dir(&outside).unwrap().count(), 0);
}
