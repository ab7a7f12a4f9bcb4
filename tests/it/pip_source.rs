//! Nothing is built: no setup.py, no build backend, no program of a version control system.
//!
//! Every attack leaves a file behind; bare pip leaves it, v4run never does, whatever the command and
//! however right the digest is.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::python::Python;
use crate::python::source::{SOURCE, archive};
use crate::python::wheel::Wheel;
use crate::registry::Registry;
use crate::run::Run;

/// A project whose backend lies in it: it marks the first time that anything of it is imported.
fn in_tree(mark: &str) -> Vec<(&'static str, String)> {
    let project = "[project]\nname = 'thing'\nversion = '1.0'\n\
                   [build-system]\nrequires = []\nbuild-backend = 'own'\nbackend-path = ['.']\n";
    vec![("pyproject.toml", project.into()), ("own.py", mark.into())]
}

/// A project with a setup.py and nothing else.
fn old(mark: &str) -> Vec<(&'static str, String)> {
    vec![("setup.py", mark.into())]
}

/// A project whose backend comes from the index.
fn foreign(_mark: &str) -> Vec<(&'static str, String)> {
    let project = "[project]\nname = 'thing'\nversion = '1.0'\n\
                   [build-system]\nrequires = ['builder']\nbuild-backend = 'builder'\n";
    vec![("pyproject.toml", project.into())]
}

struct Scene {
    registry: Registry,
    python: Python,
    ran: PathBuf,
    mark: String,
}

impl Scene {
    /// An environment, and on the index what builds need: a backend, and stand-ins for the two
    /// packages that pip asks for when there is only a setup.py, which run it as the real ones do.
    fn new() -> Self {
        let registry = Registry::start();
        let python = Python::new(&registry);
        let ran = python.project.outside("ran");
        let mark = format!("open({:?}, 'w').close()\n", ran.display().to_string());
        Wheel::bare("builder", "1.0")
            .file("builder.py", mark.as_bytes())
            .publish(&registry);
        let legacy = "class Legacy:\n    def get_requires_for_build_wheel(self, *rest):\n        \
                      exec(open('setup.py').read())\n        return []\n__legacy__ = Legacy()\n";
        Wheel::bare("setuptools", "99.0")
            .file("setuptools/__init__.py", b"")
            .file("setuptools/build_meta.py", legacy.as_bytes())
            .publish(&registry);
        Wheel::new("wheel", "99.0").publish(&registry);
        Self {
            registry,
            python,
            ran,
            mark,
        }
    }

    /// Whether something ran; forgets it.
    fn ran(&self) -> bool {
        fs::remove_file(&self.ran).is_ok()
    }

    /// Bare pip runs it.
    #[track_caller]
    fn control(&self, arguments: &[&str]) {
        let run = self.python.pip(arguments).run();
        assert!(
            self.ran(),
            "the control does not fire: {arguments:?}\n{}",
            run.told()
        );
    }

    /// v4run refuses it before anything starts.
    #[track_caller]
    fn refused(&self, arguments: &[&str], code: &str) -> Run {
        let run = self.python.v4run(arguments).run();
        assert!(!self.ran(), "{arguments:?}\n{}", run.told());
        let control = match code {
            "config-refused" => "4.18",
            _ => "4.1",
        };
        run.refuses(126, code, control);
        assert!(self.nothing_installed(), "{arguments:?}");
        run
    }

    fn nothing_installed(&self) -> bool {
        !self.python.packages().join("thing-1.0.dist-info").exists()
    }
}

#[test]
fn source_on_an_index_is_not_built() {
    type Files = fn(&str) -> Vec<(&'static str, String)>;
    for (name, files) in [
        ("setup.py", old as Files),
        ("a backend of the index", foreign),
        ("a backend in the tree", in_tree),
    ] {
        let scene = Scene::new();
        let content = archive(&files(&scene.mark));
        scene.registry.publish_file("thing", SOURCE, &content);
        scene.control(&["install", "thing"]);
        let before = scene.registry.files_seen().len();
        let run = scene.python.v4run(&["install", "thing"]).run();
        assert!(!scene.ran(), "{name}");
        run.exits(1)
            .says("source-withheld")
            .says("thing")
            .says("hint:");
        run.record()
            .event("found", |event| event["code"] == "source-withheld");
        assert_eq!(scene.registry.files_seen().len(), before, "{name}");
        assert!(scene.nothing_installed());
    }
}

#[test]
fn no_other_command_builds_either() {
    let scene = Scene::new();
    let content = archive(&in_tree(&scene.mark));
    scene.registry.publish_file("thing", SOURCE, &content);
    Wheel::new("oak", "1.0")
        .requires("thing")
        .publish(&scene.registry);
    for arguments in [
        vec!["download", "thing"],
        vec!["wheel", "thing"],
        vec!["install", "--dry-run", "thing"],
        // As a dependency of a wheel.
        vec!["install", "oak"],
    ] {
        scene.control(&arguments);
        let run = scene.python.v4run(&arguments).run();
        assert!(!scene.ran(), "{arguments:?}");
        run.exits(1).says("source-withheld");
    }
    assert!(!scene.python.packages().join("oak.py").exists());
}

#[test]
fn options_that_ask_for_source_are_refused() {
    let scene = Scene::new();
    let content = archive(&in_tree(&scene.mark));
    scene.registry.publish_file("thing", SOURCE, &content);
    scene.control(&["install", "--no-binary=:all:", "thing"]);
    scene.refused(&["install", "--no-binary=:all:", "thing"], "config-refused");
    scene
        .python
        .project
        .file("r.txt", "--no-binary thing\nthing\n");
    let run = scene.refused(&["install", "-r", "r.txt"], "config-refused");
    run.says("r.txt:1");
    let run = scene.python.v4run(&["install", "thing"]);
    run.env("PIP_NO_BINARY", "thing")
        .run()
        .refuses(126, "config-refused", "4.18")
        .says("PIP_NO_BINARY");
    assert!(!scene.ran());
}

#[test]
fn source_that_is_named_is_refused_even_with_the_right_digest() {
    let scene = Scene::new();
    let project = &scene.python.project;
    let content = archive(&in_tree(&scene.mark));
    fs::write(project.path(SOURCE), &content).unwrap();
    let digest = scene.registry.publish_file("thing", SOURCE, &content);
    let url = scene.registry.file_url(SOURCE);
    let file = format!("file://{}", project.path(SOURCE).display());
    let named = format!("thing @ {url}");
    let hashed = format!("{url}#sha256={digest}");
    let policy = format!("[[artifacts]]\nfile = '{SOURCE}'\nsha256 = '{digest}'\nurl = '{url}'\n");
    for line in [
        format!("./{SOURCE}"),
        url.clone(),
        named,
        hashed,
        format!("{file}#sha256={digest}"),
    ] {
        scene.control(&["install", &line]);
        scene.refused(&["install", &line], "dependency-refused");
    }
    for line in [
        format!("./{SOURCE} --hash=sha256:{digest}"),
        format!("{url} --hash=sha256:{digest}"),
    ] {
        project.file("r.txt", &format!("# pinned\n{line}\n"));
        scene.control(&["install", "-r", "r.txt"]);
        let run = scene.refused(&["install", "-r", "r.txt"], "dependency-refused");
        run.says("r.txt:2");
    }
    // Not even when the policy names the file: it would be built.
    project.file("v4run.toml", &policy);
    for line in [format!("./{SOURCE}"), url] {
        scene.refused(&["install", &line], "dependency-refused");
    }
}

#[test]
fn directories_and_editable_installs_are_refused() {
    let scene = Scene::new();
    let project = &scene.python.project;
    for (name, content) in in_tree(&scene.mark) {
        project.file(name, &content);
        project.file(&format!("sub/{name}"), &content);
    }
    project.file("r.txt", "-e ./sub\n");
    let whole = format!("thing @ file://{}", project.path("sub").display());
    for arguments in [
        vec!["install", "."],
        vec!["install", "--editable=./sub"],
        vec!["install", "-r", "r.txt"],
        vec!["install", &whole],
        vec!["wheel", "."],
    ] {
        scene.control(&arguments);
        scene.refused(&arguments, "dependency-refused");
    }
}

/// A folder with a program of that name that leaves the mark.
fn program(folder: &Path, name: &str, ran: &Path) {
    fs::create_dir_all(folder).unwrap();
    let path = folder.join(name);
    fs::write(
        &path,
        format!("#!/bin/sh\n: > '{}'\nexit 1\n", ran.display()),
    )
    .unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn version_control_is_refused() {
    let scene = Scene::new();
    let project = &scene.python.project;
    let folder = project.outside("programs");
    for name in ["git", "hg", "svn"] {
        program(&folder, name, &scene.ran);
    }
    let path = format!("{}:/usr/bin:/bin", folder.display());
    project.file("r.txt", "thing @ git+https://localhost:1/thing.git\n");
    for arguments in [
        vec![
            "install",
            "git+https://localhost:1/thing.git@main#egg=thing",
        ],
        vec!["install", "-e", "svn+https://localhost:1/thing#egg=thing"],
        vec!["install", "-r", "r.txt"],
    ] {
        let bare = scene.python.pip(&arguments).env("PATH", &path).run();
        assert!(scene.ran(), "the control does not fire\n{}", bare.told());
        let run = scene.python.v4run(&arguments).env("PATH", &path).run();
        assert!(!scene.ran(), "{arguments:?}");
        run.refuses(126, "dependency-refused", "4.1");
    }
}
