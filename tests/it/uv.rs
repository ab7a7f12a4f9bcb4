//! uv for the suite: the program that `scripts/setup.sh` installs, a user's configuration that names
//! the registry, and the environment of the Python fixture. Bare uv and v4run get the same of each.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::python::Python;
use crate::python::wheel::Wheel;
use crate::registry::Registry;
use crate::run::Invocation;

/// uv's program. A missing one fails.
fn program() -> PathBuf {
    let python = std::env::var_os("V4RUN_TEST_PYTHON").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin/python"),
        PathBuf::from,
    );
    let program = python.with_file_name("uv");
    assert!(
        program.is_file(),
        "scripts/setup.sh installs uv: {program:?}"
    );
    program
}

/// A project with an environment beside it and a user whose uv knows the registry.
pub(crate) struct Uv {
    pub(crate) python: Python,
    authority: PathBuf,
}

impl Uv {
    pub(crate) fn new(registry: &Registry) -> Self {
        let python = Python::new(registry);
        let folder = python.project.home().join(".config/uv");
        fs::create_dir_all(&folder).unwrap();
        let index = registry.python_index();
        let text = format!("[[index]]\nname = 'own'\nurl = '{index}'\ndefault = true\n");
        fs::write(folder.join("uv.toml"), text).unwrap();
        let authority = python.project.authority_file();
        Self { python, authority }
    }

    fn argv(arguments: &[&str]) -> Vec<OsString> {
        let words = arguments.iter().map(OsString::from);
        [program().into()].into_iter().chain(words).collect()
    }

    fn surroundings(&self, invocation: Invocation) -> Invocation {
        invocation
            .env("VIRTUAL_ENV", self.python.environment())
            .env("SSL_CERT_FILE", &self.authority)
            .env("UV_PYTHON_DOWNLOADS", "never")
    }

    /// Bare uv, with a cache that remembers nothing.
    pub(crate) fn bare(&self, arguments: &[&str]) -> Invocation {
        let cache = self.python.project.outside("uv-cache");
        let _ = fs::remove_dir_all(&cache);
        let invocation = self.python.project.command(Self::argv(arguments));
        self.surroundings(invocation).env("UV_CACHE_DIR", cache)
    }

    /// The same under v4run.
    pub(crate) fn v4run(&self, arguments: &[&str]) -> Invocation {
        let invocation = self.python.project.v4run(&Self::argv(arguments));
        self.surroundings(invocation)
    }

    /// A `pyproject.toml` with these dependencies, and its lock, made by bare uv.
    pub(crate) fn locked(&self, dependencies: &[&str]) {
        let list: Vec<String> = dependencies.iter().map(|one| format!("'{one}'")).collect();
        self.project(&format!("dependencies = [{}]\n", list.join(", ")));
    }

    /// A `pyproject.toml` that goes on with that text, and its lock, made by bare uv.
    pub(crate) fn project(&self, text: &str) {
        let start = "[project]\nname = 'demo'\nversion = '0'\nrequires-python = '>=3.9'\n";
        self.python
            .project
            .file("pyproject.toml", &format!("{start}{text}"));
        let python = self.python.program("python").display().to_string();
        self.bare(&["lock", "--python", &python]).run().succeeds();
    }

    /// Changes a text in the lock.
    pub(crate) fn edit_lock(&self, from: &str, to: &str) {
        let path = self.python.project.path("uv.lock");
        let before = fs::read_to_string(&path).unwrap();
        let after = before.replace(from, to);
        assert_ne!(before, after, "`{from}` is not in the lock:\n{before}");
        fs::write(path, after).unwrap();
    }
}

/// `oak` needs `leaf`; `fern` stands alone and brings data and a script.
pub(crate) fn plant(registry: &Registry) {
    Wheel::new("oak", "1.0.0")
        .requires("leaf>=1")
        .publish(registry);
    for version in ["1.0.0", "1.4.0"] {
        Wheel::new("leaf", version).publish(registry);
    }
    Wheel::new("fern", "2.0.0")
        .script("fern", "fern:main")
        .file("fern-2.0.0.data/data/share/fern/readme", b"read me\n")
        .publish(registry);
}
