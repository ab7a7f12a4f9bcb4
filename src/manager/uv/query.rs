//! The question that uv asks the interpreter, as a step of its own.
//!
//! uv starts the interpreter of an environment once (`-I -B -c …`) and keeps the answer below its
//! cache, by path and time of the file. `-I` does not keep `.pth` files and `sitecustomize` of the
//! environment from running. So uv is first run for nothing but that question: in an empty directory,
//! without configuration and network, with one child that may be exactly the base interpreter. Of the
//! environment only `pyvenv.cfg` can be read, of the installation the standard library without the
//! places of packages: a start-up file can be neither read nor taken from its compiled form. The run
//! itself has the answer and starts nothing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::find::Program;
use crate::manager::python::target::Target;
use crate::manager::{PrivateDirs, Query, elf::Needs};
use crate::model::{Access, FileGuard, Launch, PathRule, Probe};
use crate::profile::{PathAccess, Profile};

/// Entries of a library's directory.
const MANY: usize = 8192;

/// Files and directories whose content the interpreter would run by itself.
const STARTUP: &[&str] = &["sitecustomize", "usercustomize"];
/// Directories of packages.
const PACKAGES: &[&str] = &["site-packages", "dist-packages"];

/// What to do when uv cannot use the interpreter.
const HINT: &str = "see uv's message above; another interpreter is named with `--python`";

/// Why the interpreter is refused what it looks for.
const WHY: &str = "nothing of an environment runs while its interpreter is asked";

/// What the query is made from.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub(super) profile: &'a Profile,
    pub(super) program: &'a Program,
    pub(super) target: &'a Target,
    pub(super) private: &'a PrivateDirs,
    pub(super) environment: Vec<(OsString, OsString)>,
}

impl Question<'_> {
    /// The query.
    pub(super) fn plan(self) -> Query {
        let (rules, runtime_roots) = self.rules();
        let uv = self.program.path.clone().into_os_string();
        let mut arguments = vec![uv.clone()];
        arguments.extend(["python", "find", "--quiet"].map(OsString::from));
        arguments.extend(["--no-config", "--no-project"].map(OsString::from));
        arguments.push("--no-python-downloads".into());
        arguments.push("--cache-dir".into());
        arguments.push(self.private.cache.clone().into());
        arguments.push(self.target.executable.clone().into());
        let probes = [
            "**/site-packages",
            "**/dist-packages",
            "**/*.pth",
            "**/sitecustomize*",
            "**/usercustomize*",
        ];
        Query {
            launch: Launch {
                executable: uv,
                arguments,
                environment: self.environment,
                directory: self.private.tmp.clone().into(),
                rules,
                child: Some(self.target.interpreter.clone().into()),
                build: None,
            },
            files: FileGuard {
                runtime_roots,
                probes: probes.map(probe).into(),
                ..FileGuard::default()
            },
            hint: Some(HINT),
        }
    }

    fn rules(&self) -> (Vec<PathRule>, Vec<OsString>) {
        let mut rules = Rules::default();
        let target = self.target;
        rules.program(&self.program.path, "uv asks the interpreter");
        rules.program(&target.interpreter, "the interpreter answers");
        for needs in [&self.program.needs, &target.needs] {
            rules.needs(needs, &target.library);
        }
        rules.library(&target.library);
        let settings = target.prefix.join("pyvenv.cfg").canonicalize();
        if let Ok(settings) = settings {
            rules.grant(&settings, Access::Read, "settings of the environment");
        }
        for entry in &self.profile.paths {
            let access = match entry.access {
                PathAccess::Read | PathAccess::Runtime => Access::Read,
                PathAccess::Device => Access::Device,
            };
            let paths = entry.paths.iter();
            for path in paths.filter_map(|path| Path::new(path).canonicalize().ok()) {
                rules.grant(&path, access, &entry.why);
            }
        }
        let private = self.private;
        rules.grant(&private.cache, Access::Write, "uv's cache of this run");
        rules.grant(&private.tmp, Access::Write, "temporary files of this run");
        rules.grant(&private.home, Access::Write, "home directory of this run");
        (rules.rules, rules.roots)
    }
}

fn probe(subject: &str) -> Probe {
    Probe {
        call: "open*".to_owned(),
        subject: subject.to_owned(),
        why: WHY.to_owned(),
    }
}

#[derive(Debug, Default)]
struct Rules {
    rules: Vec<PathRule>,
    roots: Vec<OsString>,
}

impl Rules {
    fn grant(&mut self, path: &Path, access: Access, why: &str) {
        let rule = PathRule {
            path: path.as_os_str().to_owned(),
            access,
            why: why.to_owned(),
        };
        if !self.rules.contains(&rule) {
            self.rules.push(rule);
        }
    }

    fn root(&mut self, path: &Path) {
        let path = path.as_os_str().to_owned();
        if !self.roots.contains(&path) {
            self.roots.push(path);
        }
    }

    fn program(&mut self, path: &Path, why: &str) {
        self.grant(path, Access::Execute, why);
        self.root(path);
    }

    fn needs(&mut self, needs: &Needs, library: &Path) {
        if let Some(loader) = &needs.interpreter {
            self.program(loader, "the program loader starts it");
        }
        for file in &needs.libraries {
            // What lies beside it may be loaded later, but a directory that holds the standard
            // library holds packages as well.
            let directory = file.parent().filter(|place| !library.starts_with(place));
            let root = directory.unwrap_or(file);
            self.grant(root, Access::Read, "libraries of the programs");
            self.root(root);
        }
    }

    /// The standard library without packages and start-up files.
    fn library(&mut self, library: &Path) {
        let why = "the standard library";
        self.grant(library, Access::List, why);
        for path in entries(library) {
            if path.ends_with("__pycache__") {
                entries(&path)
                    .iter()
                    .for_each(|path| self.grant(path, Access::Read, why));
            } else if let Some(real) = path.canonicalize().ok().filter(|r| is_apart(r, library)) {
                self.grant(&real, Access::Read, why);
                if real.is_dir() {
                    self.root(&real);
                }
            }
        }
    }
}

/// What of a library's directory may be read, by name.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let paths = entries.take(MANY).map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| is_plain(path)).collect();
    paths.sort();
    paths
}

/// Whether what a link of the library leads to is neither among packages nor holds the library.
fn is_apart(real: &Path, library: &Path) -> bool {
    !library.starts_with(real) && is_plain(real) && real.ancestors().skip(1).all(is_plain)
}

fn is_plain(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let starts = STARTUP.iter().any(|start| name.starts_with(start));
    !starts && !PACKAGES.contains(&name.as_ref()) && !name.ends_with(".pth")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_and_startup_files_are_out_of_reach() {
        let guard = tempfile::tempdir().unwrap();
        let library = guard.path().canonicalize().unwrap().join("python3.11");
        for file in [
            "os.py",
            "sitecustomize.py",
            "usercustomize/__init__.py",
            "distutils-precedence.pth",
            "site-packages/a.pth",
            "dist-packages/b.py",
            "lib-dynload/_x.so",
            "__pycache__/os.cpython-311.pyc",
            "__pycache__/sitecustomize.cpython-311.pyc",
        ] {
            let path = library.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let mut rules = Rules::default();
        rules.library(&library);
        let read: Vec<String> = rules
            .rules
            .iter()
            .filter(|rule| rule.access == Access::Read)
            .map(|rule| {
                let path = Path::new(&rule.path);
                path.strip_prefix(&library).unwrap().display().to_string()
            })
            .collect();
        assert_eq!(
            read,
            ["__pycache__/os.cpython-311.pyc", "lib-dynload", "os.py"]
        );
        let listed: Vec<_> = rules
            .rules
            .iter()
            .filter(|rule| rule.access == Access::List)
            .collect();
        assert_eq!(listed.len(), 1);
        // A link whose target lies among packages is judged by its own name; nothing above it is
        // granted, or all that is below would be.
        assert!(!rules.rules.iter().any(|rule| {
            rule.access == Access::Read && library.starts_with(Path::new(&rule.path))
        }));
    }
}
