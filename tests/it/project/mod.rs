//! A project in a directory of its own: manifest, lockfile, configuration, home, environment.
//!
//! The environment is built from nothing, so a test sees the same machine everywhere. The
//! directory is readable by everybody, because the suite also runs as an ordinary user.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::registry::Registry;
use crate::run::{Invocation, v4run};

pub(crate) mod forest;
pub(crate) mod lockfile;
pub(crate) mod tree;

/// A project with everything around it; removed when dropped.
pub(crate) struct Project {
    root: TempDir,
    directory: PathBuf,
    runs: AtomicUsize,
    secrets: Vec<String>,
}

impl Project {
    /// An empty project of a user whose configuration names the registry and its CA.
    pub(crate) fn new(registry: &Registry) -> Self {
        Self::named(registry, OsStr::new("project"))
    }

    /// A project whose directory has that name.
    pub(crate) fn named(registry: &Registry, name: &OsStr) -> Self {
        let root = tempfile::Builder::new()
            .prefix("v4run-it-")
            .tempdir()
            .unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let directory = root.path().join(name);
        for folder in [
            &directory,
            &root.path().join("home"),
            &root.path().join("tmp"),
        ] {
            fs::create_dir(folder).unwrap();
        }
        let project = Self {
            root,
            directory,
            runs: AtomicUsize::new(0),
            secrets: Vec::new(),
        };
        fs::write(project.authority_file(), registry.authority().pem()).unwrap();
        project.user_config(&format!(
            // The last one only undoes what a machine's own configuration may say.
            "registry={}\ncafile={}\nomit-lockfile-registry-resolved=false\n",
            registry.base(),
            project.authority_file().display()
        ));
        project.manifest(&json!({ "name": "project", "version": "1.0.0" }));
        project
    }

    /// A project with these dependencies and a lockfile that pins them.
    pub(crate) fn locked(registry: &Registry, dependencies: Value) -> Self {
        let project = Self::new(registry);
        project.lock(
            registry,
            &json!({
                "name": "project",
                "version": "1.0.0",
                "dependencies": dependencies,
            }),
        );
        project
    }

    /// Writes manifest and lockfile.
    pub(crate) fn lock(&self, registry: &Registry, manifest: &Value) {
        self.manifest(manifest);
        self.write_lock(&lockfile::lockfile(registry, manifest));
    }

    /// Writes `package.json`.
    pub(crate) fn manifest(&self, manifest: &Value) {
        self.file(
            "package.json",
            &serde_json::to_string_pretty(manifest).unwrap(),
        );
    }

    /// Writes `package-lock.json`.
    pub(crate) fn write_lock(&self, lock: &Value) {
        self.file(
            "package-lock.json",
            &serde_json::to_string_pretty(lock).unwrap(),
        );
    }

    /// Reads `package-lock.json`.
    pub(crate) fn read_lock(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path("package-lock.json")).unwrap()).unwrap()
    }

    /// Changes the lockfile's entry of a package at the root of the tree.
    pub(crate) fn edit_lock(&self, name: &str, edit: impl FnOnce(&mut Value)) {
        let mut lock = self.read_lock();
        edit(&mut lock["packages"][format!("node_modules/{name}")]);
        self.write_lock(&lock);
    }

    /// Writes a file of the project.
    pub(crate) fn file(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Writes `~/.npmrc`.
    pub(crate) fn user_config(&self, content: &str) {
        fs::write(self.home().join(".npmrc"), content).unwrap();
    }

    /// Adds lines to `~/.npmrc`.
    pub(crate) fn add_user_config(&self, lines: &str) {
        let path = self.home().join(".npmrc");
        let before = fs::read_to_string(&path).unwrap();
        fs::write(path, format!("{before}{lines}\n")).unwrap();
    }

    /// Names a text that no run of this project may print or record.
    pub(crate) fn secret(&mut self, secret: &str) {
        self.secrets.push(secret.into());
    }

    /// A path in the project.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }

    /// The project's directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The user's home.
    pub(crate) fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// A place beside the project that no run may touch.
    pub(crate) fn outside(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// The registry's CA certificate.
    pub(crate) fn authority_file(&self) -> PathBuf {
        self.root.path().join("ca.pem")
    }

    /// Content of an installed file.
    #[track_caller]
    pub(crate) fn installed(&self, path: &str) -> String {
        let path = self.path("node_modules").join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// v4run with those arguments and `--record`.
    pub(crate) fn v4run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Invocation {
        let folder = self.run_folder();
        let record = folder.join("record");
        let mut argv: Vec<OsString> =
            vec![v4run().into(), "--record".into(), record.clone().into()];
        argv.extend(
            arguments
                .iter()
                .map(|argument| argument.as_ref().to_os_string()),
        );
        self.command_in(argv, folder).recorded(record)
    }

    /// v4run with exactly those arguments; leaves no record where the suite would find it.
    pub(crate) fn v4run_plain<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Invocation {
        let mut argv: Vec<OsString> = vec![v4run().into()];
        argv.extend(
            arguments
                .iter()
                .map(|argument| argument.as_ref().to_os_string()),
        );
        self.command(argv)
    }

    /// The bare npm: what happens without v4run.
    pub(crate) fn npm<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Invocation {
        let mut argv: Vec<OsString> = vec![program("npm").into()];
        argv.extend(
            arguments
                .iter()
                .map(|argument| argument.as_ref().to_os_string()),
        );
        let quiet = [
            "--no-audit",
            "--no-fund",
            "--no-update-notifier",
            "--fetch-retries=0",
        ];
        argv.extend(quiet.map(OsString::from));
        self.command(argv)
    }

    /// Any program in the surroundings of this project.
    pub(crate) fn command(&self, argv: Vec<OsString>) -> Invocation {
        self.command_in(argv, self.run_folder())
    }

    fn run_folder(&self) -> PathBuf {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        self.root.path().join(format!("run-{number}"))
    }

    fn command_in(&self, argv: Vec<OsString>, folder: PathBuf) -> Invocation {
        let mut invocation = Invocation::new(argv, &self.directory, folder)
            .env("PATH", search_path())
            .env("HOME", self.home())
            .env("TMPDIR", self.root.path().join("tmp"))
            .env("LANG", "C.UTF-8");
        for secret in &self.secrets {
            invocation = invocation.secret(secret);
        }
        invocation
    }
}

impl Drop for Project {
    /// Makes everything removable again: tests take away the right to write.
    fn drop(&mut self) {
        for directory in [&self.directory, &self.home()] {
            let _ = fs::set_permissions(directory, fs::Permissions::from_mode(0o755));
        }
    }
}

/// A program that the suite needs; a missing one fails the test.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("`{name}` is not in PATH; the suite needs it"))
}

/// PATH of a run: the folders of npm and node, then the system's.
pub(crate) fn search_path() -> OsString {
    let mut folders: Vec<PathBuf> = Vec::new();
    for name in ["npm", "node"] {
        folders.push(program(name).parent().unwrap().into());
    }
    folders.extend(["/usr/local/bin", "/usr/bin", "/bin"].map(PathBuf::from));
    folders.dedup();
    std::env::join_paths(folders).unwrap()
}
