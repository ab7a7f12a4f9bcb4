//! Python environments for the suite: a venv of its own for every test, with the machine's pip.
//!
//! `ensurepip` takes seconds, so pip's package is copied into an environment that is made without
//! it. Bare pip and v4run are given the same environment, one after the other at the same path.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::project::Project;
use crate::project::tree::{self, Tree};
use crate::registry::Registry;
use crate::run::Invocation;

pub(crate) mod source;
pub(crate) mod wheel;

/// The machine's Python.
struct Base {
    program: PathBuf,
    /// Directory that holds pip's package and metadata.
    packages: PathBuf,
    /// Name of pip's metadata directory.
    metadata: String,
    version: String,
}

fn base() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| {
        let script = "import os, sys, pip, venv\n\
                      from importlib.metadata import distribution\n\
                      print(os.path.realpath(sys.executable))\n\
                      print(os.path.dirname(pip.__path__[0]))\n\
                      print(distribution('pip')._path.name)\n\
                      print('%d.%d' % sys.version_info[:2])\n";
        let path = std::env::var_os("PATH").unwrap_or_default();
        let named = std::env::split_paths(&path).map(|folder| folder.join("python3"));
        for program in named.chain([PathBuf::from("/usr/bin/python3")]) {
            let output = Command::new(&program)
                .args(["-s", "-c", script])
                .env_remove("PYTHONPATH")
                .output();
            let Ok(output) = output.map(|output| (output.status, output.stdout)) else {
                continue;
            };
            let text = String::from_utf8_lossy(&output.1).into_owned();
            let lines: Vec<&str> = text.lines().collect();
            if let ([program, packages, metadata, version], true) =
                (lines.as_slice(), output.0.success())
            {
                return Base {
                    program: PathBuf::from(program),
                    packages: PathBuf::from(packages),
                    metadata: (*metadata).into(),
                    version: (*version).into(),
                };
            }
        }
        panic!("no python3 with pip and venv in PATH; the suite needs one");
    })
}

/// A project with an environment beside it and a configuration that names the registry.
pub(crate) struct Python {
    pub(crate) project: Project,
    environment: PathBuf,
}

impl Python {
    /// An environment with pip and nothing else.
    pub(crate) fn new(registry: &Registry) -> Self {
        let project = Project::new(registry);
        let environment = project.outside("env");
        let python = Self {
            project,
            environment,
        };
        python.renew();
        let folder = python.project.home().join(".config/pip");
        fs::create_dir_all(&folder).unwrap();
        let text = format!(
            "[global]\nindex-url = {}\ncert = {}\n",
            registry.python_index(),
            python.project.authority_file().display()
        );
        fs::write(folder.join("pip.conf"), text).unwrap();
        python
    }

    /// Makes the environment anew.
    pub(crate) fn renew(&self) {
        let base = base();
        let _ = fs::remove_dir_all(&self.environment);
        let made = Command::new(&base.program)
            .args(["-I", "-m", "venv", "--without-pip"])
            .arg(&self.environment)
            .status();
        assert!(made.unwrap().success(), "no environment was made");
        for name in ["pip", &base.metadata] {
            copy(&base.packages.join(name), &self.packages().join(name));
        }
        let script = format!(
            "#!{}\nimport sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n",
            self.program("python").display()
        );
        for name in ["pip", "pip3"] {
            fs::write(self.program(name), &script).unwrap();
            fs::set_permissions(self.program(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    /// Takes everything but pip out of the package directory: quicker than a new environment.
    pub(crate) fn clear(&self) {
        let own = ["pip", &base().metadata];
        for entry in fs::read_dir(self.packages()).unwrap().flatten() {
            let name = entry.file_name();
            if own.iter().any(|own| name == **own) {
                continue;
            }
            let path = entry.path();
            match path.is_dir() && !path.is_symlink() {
                true => fs::remove_dir_all(&path).unwrap(),
                false => fs::remove_file(&path).unwrap(),
            }
        }
    }

    /// The environment.
    pub(crate) fn environment(&self) -> &Path {
        &self.environment
    }

    /// Its package directory.
    pub(crate) fn packages(&self) -> PathBuf {
        let folder = format!("lib/python{}/site-packages", base().version);
        self.environment.join(folder)
    }

    /// One of its programs.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.environment.join("bin").join(name)
    }

    /// Content of an installed file.
    #[track_caller]
    pub(crate) fn installed(&self, path: &str) -> String {
        let path = self.packages().join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Bare pip.
    pub(crate) fn pip(&self, arguments: &[&str]) -> Invocation {
        let mut argv: Vec<OsString> = vec![self.program("pip").into()];
        argv.extend(arguments.iter().map(OsString::from));
        let quiet = ["PIP_DISABLE_PIP_VERSION_CHECK", "PIP_NO_INPUT"];
        let invocation = self.project.command(argv);
        quiet
            .iter()
            .fold(invocation, |invocation, name| invocation.env(name, "1"))
    }

    /// The same under v4run.
    pub(crate) fn v4run(&self, arguments: &[&str]) -> Invocation {
        let mut argv: Vec<OsString> = vec![self.program("pip").into()];
        argv.extend(arguments.iter().map(OsString::from));
        self.project.v4run(&argv)
    }

    /// Any word in the place of pip's name.
    pub(crate) fn v4run_word(&self, words: &[&str]) -> Invocation {
        let argv: Vec<OsString> = words.iter().map(OsString::from).collect();
        self.project.v4run(&argv)
    }

    /// The environment as data, compiled files apart: they hold times.
    pub(crate) fn tree(&self) -> Tree {
        let mut tree = tree::read(&self.environment);
        tree.retain(|path, _| !path.contains("__pycache__"));
        tree
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().flatten() {
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to).unwrap();
        // What was compiled counts only beside a source of the same age.
        let age = fs::metadata(from).unwrap().modified().unwrap();
        let file = fs::File::options().append(true).open(to).unwrap();
        file.set_modified(age).unwrap();
    }
}
