//! Finds the interpreter behind `pip`, `pip3`, `python -m pip` or a path, without running anything.
//!
//! First step of a run. A console script names its interpreter in its first line; a version manager's
//! shim is looked behind, because running it would start more programs than the one that is allowed.
//! A virtual environment may lie in the project, that is where most lie; the installation that it is
//! based on may not, nor may anything lie where other users can write. The project is the whole
//! checkout, not only the directory that the command runs in.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::manager::elf;
use crate::manager::place;
use crate::manager::version;
use crate::model::{Code, Finding};

/// How much of a script is looked at.
const HEAD: u64 = 4096;

/// Signs of a project's root directory.
pub(in crate::manager) const ROOTS: &[&str] = &[".git", ".hg", ".svn"];

/// Where version managers keep installations, below the directory of their shims.
const FOLDERS: &[&str] = &["versions", "installs/python"];

/// Variables of pyenv, asdf and mise; of several versions the first that has the program counts.
const VARIABLES: &[&str] = &[
    "PYENV_VERSION",
    "ASDF_PYTHON_VERSION",
    "MISE_PYTHON_VERSION",
    "RTX_PYTHON_VERSION",
];

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::manager) struct Found {
    /// The interpreter's ELF, links resolved.
    pub(in crate::manager) interpreter: PathBuf,
    /// The environment's own name for it, absolute.
    pub(in crate::manager) executable: PathBuf,
    /// The console script, if pip was named by one.
    pub(in crate::manager) script: Option<PathBuf>,
}

/// Where to look.
#[derive(Debug)]
pub(in crate::manager) struct Search<'a> {
    /// The word of the command line: a name or a path.
    pub(in crate::manager) word: &'a OsStr,
    pub(in crate::manager) directory: &'a Path,
    pub(in crate::manager) environment: &'a BTreeMap<OsString, OsString>,
    pub(in crate::manager) home: Option<&'a Path>,
    pub(in crate::manager) pinned: Option<&'a Path>,
}

impl Search<'_> {
    /// Finds the interpreter.
    pub(in crate::manager) fn run(&self) -> Result<Found, Finding> {
        let mut looked = Vec::new();
        let word = Path::new(self.word);
        let found = match self.pinned {
            Some(path) => self.candidate(path, &mut looked),
            None if word.components().count() > 1 => {
                self.candidate(&self.directory.join(word), &mut looked)
            }
            None => place::search_path(self.environment)
                .find_map(|directory| self.candidate(&directory.join(word), &mut looked)),
        };
        found.ok_or_else(|| self.not_found(&looked))
    }

    fn candidate(&self, path: &Path, looked: &mut Vec<String>) -> Option<Found> {
        std::fs::symlink_metadata(path).ok()?;
        match self.judged(path, looked) {
            Ok(found) => Some(found),
            Err(why) => {
                looked.push(format!("{}: {why}", path.display()));
                None
            }
        }
    }

    fn judged(&self, path: &Path, looked: &mut Vec<String>) -> Result<Found, String> {
        let directory = path.parent().ok_or("is no program")?;
        let real = path.canonicalize().map_err(|_gone| "leads nowhere")?;
        if place::is_ours(&real, directory) {
            return Err("is v4run itself".to_owned());
        }
        if let Some(why) = place::open_to_others(directory) {
            return Err(why.to_owned());
        }
        if elf::is_elf(&real) && is_python(path) {
            return self.interpreter(path, None);
        }
        let head = head(&real);
        match shebang(&head) {
            Some(Shebang::Python(program)) if !is_python(path) => {
                if !head.contains("pip") {
                    return Err("is a script that does not start pip".to_owned());
                }
                let program = if program.is_absolute() {
                    program
                } else {
                    let mut places = place::search_path(self.environment);
                    places
                        .find_map(|place| Some(place.join(&program)).filter(|path| path.exists()))
                        .ok_or_else(|| format!("wants `{}`, which PATH lacks", program.display()))?
                };
                self.interpreter(&program, Some(path))
            }
            Some(Shebang::Python(_) | Shebang::Other) | None => self
                .behind_shim(path, looked)
                .unwrap_or_else(|| Err("is a wrapper that v4run cannot look behind".to_owned())),
        }
    }

    /// Accepts an interpreter: the environment may lie in the project, the program itself may not.
    fn interpreter(&self, executable: &Path, script: Option<&Path>) -> Result<Found, String> {
        let place = |path: &Path| path.parent().map(Path::to_path_buf).unwrap_or_default();
        let real = executable
            .canonicalize()
            .map_err(|_gone| format!("its interpreter `{}` is missing", executable.display()))?;
        if let Some(why) = place::open_to_others(&place(executable)) {
            return Err(format!("its interpreter `{}` {why}", executable.display()));
        }
        let beside = place(executable).canonicalize().ok();
        let real = if real.parent() == beside.as_deref() && elf::is_elf(&real) {
            // An environment that was made with copies: its base is named in its own settings.
            copied_from(executable).unwrap_or(real)
        } else {
            real
        };
        if let Some(why) = self.is_foreign(&real) {
            return Err(format!("the interpreter `{}` {why}", real.display()));
        }
        if !elf::is_elf(&real) {
            return Err(format!(
                "the interpreter `{}` is not a program",
                real.display()
            ));
        }
        // A link of the project may lead to any program of the machine.
        if !is_python(&real) {
            return Err(format!("the interpreter `{}` is no Python", real.display()));
        }
        Ok(Found {
            interpreter: real,
            executable: absolute(executable),
            script: script.map(absolute),
        })
    }

    fn is_foreign(&self, real: &Path) -> Option<&'static str> {
        let place = real.parent()?;
        let project = root(self.directory, self.home);
        let project = project.as_deref().unwrap_or(self.directory);
        place::inside_project(place, project, self.home).or_else(|| place::open_to_others(place))
    }

    /// Looks into a version manager's installations, whose shims lie in the directory of `path`.
    /// `None` when it is no shim of a kind that is known.
    fn behind_shim(&self, path: &Path, looked: &mut Vec<String>) -> Option<Result<Found, String>> {
        let root = path.parent()?.parent()?;
        let name = path.file_name()?;
        let program = Path::new("bin").join(name);
        let folder = FOLDERS
            .iter()
            .map(|folder| root.join(folder))
            .find(|folder| folder.is_dir())?;
        let wanted = self.wanted(root);
        let exact = wanted.iter().find_map(|wish| {
            let plain = Path::new(wish).components().count() == 1 && !wish.starts_with('.');
            Some(folder.join(wish).join(&program)).filter(|path| plain && path.exists())
        });
        let installed = version::installed(&folder, &program.to_string_lossy());
        let chosen = exact.or_else(|| {
            let chosen = version::choose(&wanted, &installed)?;
            Some(folder.join(chosen).join(&program))
        });
        let Some(chosen) = chosen else {
            let names: Vec<&str> = installed.iter().map(String::as_str).take(20).collect();
            return Some(Err(format!(
                "belongs to a version manager with {} and no choice among them that v4run can read",
                names.join(", "),
            )));
        };
        let before = looked.len();
        // An installation's own program is never another shim, so this ends.
        let inner = chosen.parent()?;
        if inner == path.parent()? {
            return None;
        }
        let found = self.judged(&chosen, looked);
        looked.truncate(before);
        Some(found.map_err(|why| format!("leads to `{}`, which {why}", chosen.display())))
    }

    /// Versions that are asked for, most specific source first.
    fn wanted(&self, root: &Path) -> Vec<String> {
        let stated = VARIABLES
            .iter()
            .filter_map(|name| self.environment.get(OsStr::new(name))?.to_str());
        let mut wanted: Vec<String> = stated
            .flat_map(|text| text.split([':', ' ']))
            .map(str::to_owned)
            .collect();
        for directory in self.directory.ancestors().chain(self.home) {
            wanted.extend(version::words(&directory.join(".python-version")));
            let tools = directory.join(".tool-versions");
            wanted.extend(version::tool_version(&tools, &["python"]));
        }
        wanted.extend(version::words(&root.join("version")));
        wanted.retain(|wish| !wish.is_empty());
        wanted
    }

    fn not_found(&self, looked: &[String]) -> Finding {
        let what = self.word.to_string_lossy().into_owned();
        let message = if looked.is_empty() {
            format!("no `{what}` in any directory of PATH")
        } else {
            format!("no usable `{what}`; looked at {}", looked.join("; "))
        };
        let hint = match self.pinned {
            Some(path) => format!(
                "the policy pins {}: correct `[managers.pip] path`",
                path.display()
            ),
            None => "name the environment's own: `v4run ENVIRONMENT/bin/pip …`, or put its `bin` \
                     directory first in PATH"
                .to_owned(),
        };
        Finding::new(Code::ManagerNotFound, what, message).with_hint(hint)
    }
}

/// Root of the project that a directory lies in: the outermost one under version control, else the
/// directory itself. Not the nearest: a checkout can bring the mark of another system in a folder of
/// its own. The user's home directory, and what holds it, is no project.
pub(in crate::manager) fn root(directory: &Path, home: Option<&Path>) -> Option<PathBuf> {
    let own = |path: &Path| path.parent().is_none() || home.is_some_and(|h| h.starts_with(path));
    let marked = |path: &&Path| ROOTS.iter().any(|name| path.join(name).exists());
    let outermost = directory
        .ancestors()
        .filter(marked)
        .filter(|path| !own(path))
        .last();
    let root = outermost.unwrap_or(directory);
    (!own(root)).then(|| root.to_path_buf())
}

/// Whether a file is named like an interpreter.
pub(in crate::manager) fn is_python(path: &Path) -> bool {
    named(path, "python")
}

/// Whether a file is named like pip's console script.
pub(in crate::manager) fn is_pip(path: &Path) -> bool {
    named(path, "pip")
}

/// `WORD`, `WORD3`, `WORD3.11`.
fn named(path: &Path, word: &str) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    name.strip_prefix(word).is_some_and(|rest| {
        let mut parts = rest.split('.');
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        rest.is_empty() || (parts.clone().count() <= 2 && parts.all(|p| digits(p) && !p.is_empty()))
    })
}

/// The base interpreter that a virtual environment's own settings name.
fn copied_from(executable: &Path) -> Option<PathBuf> {
    let settings = executable.ancestors().nth(2)?.join("pyvenv.cfg");
    let text = version::text_of(&settings)?;
    let home = text.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim().eq_ignore_ascii_case("home")).then(|| PathBuf::from(value.trim()))
    })?;
    let own = executable.file_name()?;
    let names = [own, OsStr::new("python3"), OsStr::new("python")];
    names
        .iter()
        .filter_map(|name| home.join(name).canonicalize().ok())
        .find(|path| elf::is_elf(path))
}

/// Absolute, `.` and `..` resolved by name, links left as they are: the text that goes into scripts.
pub(in crate::manager) fn absolute(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                out.pop();
            }
            std::path::Component::CurDir => {}
            std::path::Component::Normal(_)
            | std::path::Component::RootDir
            | std::path::Component::Prefix(_) => out.push(part),
        }
    }
    out
}

/// The first bytes of a script, as text.
fn head(path: &Path) -> String {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| {
        if file.metadata()?.is_file() {
            file.take(HEAD).read_to_end(&mut bytes)
        } else {
            Ok(0)
        }
    });
    if read.is_err() {
        bytes.clear();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Who runs a script.
#[derive(Debug, PartialEq, Eq)]
enum Shebang {
    /// A Python: an absolute path, or a name that `env` looks for.
    Python(PathBuf),
    /// Something else.
    Other,
}

fn shebang(head: &str) -> Option<Shebang> {
    let mut lines = head.lines();
    let first = lines.next()?.strip_prefix("#!")?.trim();
    let mut words = first.split_whitespace();
    let program = Path::new(words.next()?);
    if is_python(program) {
        // A path may hold blanks only in the long form below.
        return Some(Shebang::Python(program.to_path_buf()));
    }
    if program.ends_with("env") {
        let name = Path::new(words.find(|word| !word.starts_with('-'))?);
        let python = is_python(name).then(|| Shebang::Python(name.to_path_buf()));
        return Some(python.unwrap_or(Shebang::Other));
    }
    // The form for interpreters whose path is too long or has blanks: `'''exec' "PATH" "$0" "$@"`.
    let second = lines.next().unwrap_or_default();
    if program.ends_with("sh")
        && let Some(rest) = second.strip_prefix("'''exec' ")
    {
        let text = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next(),
            None => rest.split_whitespace().next(),
        };
        let path = Path::new(text?);
        return Some(Shebang::Python(path.to_path_buf()));
    }
    Some(Shebang::Other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_a_script_names_its_interpreter() {
        let python = |path: &str| Some(Shebang::Python(PathBuf::from(path)));
        for (text, expected) in [
            ("#!/v/bin/python3\nimport pip", python("/v/bin/python3")),
            ("#! /v/bin/python3.11 -E\n", python("/v/bin/python3.11")),
            ("#!/usr/bin/env python3\n", python("python3")),
            ("#!/usr/bin/env -S python3 -s\n", python("python3")),
            (
                "#!/bin/sh\n'''exec' \"/a b/bin/python\" \"$0\" \"$@\"\n' '''\n",
                python("/a b/bin/python"),
            ),
            (
                "#!/bin/sh\n'''exec' /long/bin/python \"$0\" \"$@\"\n' '''\n",
                python("/long/bin/python"),
            ),
            ("#!/usr/bin/env bash\nset -e\n", Some(Shebang::Other)),
            ("#!/bin/sh\nexec pip\n", Some(Shebang::Other)),
            ("\u{7f}ELF", None),
            ("", None),
        ] {
            assert_eq!(shebang(text), expected, "{text}");
        }
    }

    #[test]
    fn names_with_and_without_a_version_are_told() {
        for name in ["pip", "pip3", "pip3.11", "/x/bin/pip3", "./pip"] {
            assert!(is_pip(Path::new(name)), "{name}");
        }
        for name in ["pipx", "pip-3", "pip3.", "pip3.1.2", "pip3.x", "npm", ""] {
            assert!(!is_pip(Path::new(name)), "{name}");
        }
        assert!(is_python(Path::new("python3.13")) && !is_python(Path::new("python-config")));
    }

    struct Layout {
        _guard: tempfile::TempDir,
        root: PathBuf,
        environment: BTreeMap<OsString, OsString>,
    }

    impl Layout {
        fn new() -> Self {
            let guard = tempfile::tempdir().unwrap();
            let root = guard.path().canonicalize().unwrap();
            std::fs::create_dir(root.join("project")).unwrap();
            Self {
                _guard: guard,
                root,
                environment: BTreeMap::new(),
            }
        }

        /// A directory with an interpreter and a console script of it.
        fn install(&self, prefix: &str) {
            let bin = self.root.join(prefix).join("bin");
            std::fs::create_dir_all(&bin).unwrap();
            std::fs::copy(std::env::current_exe().unwrap(), bin.join("python3.11")).unwrap();
            std::os::unix::fs::symlink("python3.11", bin.join("python3")).unwrap();
            self.script(&format!("{prefix}/bin/pip"), &bin.join("python3"));
        }

        fn script(&self, path: &str, interpreter: &Path) {
            let path = self.root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let text = format!("#!{}\nfrom pip import main\n", interpreter.display());
            std::fs::write(path, text).unwrap();
        }

        fn search(&mut self, word: &str, path: &[&str]) -> Result<Found, Finding> {
            let path = path.iter().map(|part| self.root.join(part));
            self.environment
                .insert("PATH".into(), std::env::join_paths(path).unwrap());
            Search {
                word: OsStr::new(word),
                directory: &self.root.join("project"),
                environment: &self.environment,
                home: None,
                pinned: None,
            }
            .run()
        }
    }

    #[test]
    fn scripts_interpreters_and_paths_lead_to_one_program() {
        let mut layout = Layout::new();
        layout.install("base");
        let real = layout.root.join("base/bin/python3.11");
        let name = layout.root.join("base/bin/python3");
        let path = layout.root.join("base/bin/pip").display().to_string();
        for word in ["pip", "python3", "../base/bin/pip", path.as_str()] {
            let found = layout.search(word, &["none", "base/bin"]).unwrap();
            assert_eq!(found.interpreter, real, "{word}");
            assert_eq!(found.executable, name, "{word}");
            assert_eq!(found.script.is_some(), word.ends_with("pip"), "{word}");
        }
    }

    #[test]
    fn an_environment_may_lie_in_the_project_and_its_base_may_not() {
        let mut layout = Layout::new();
        layout.install("base");
        let bin = layout.root.join("project/.venv/bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::os::unix::fs::symlink(layout.root.join("base/bin/python3"), bin.join("python"))
            .unwrap();
        layout.script("project/.venv/bin/pip", &bin.join("python"));
        let found = layout.search(".venv/bin/pip", &[]).unwrap();
        assert!(found.interpreter.ends_with("base/bin/python3.11"));
        assert_eq!(found.executable, bin.join("python"));
        layout.install("project/tools");
        let finding = layout.search("tools/bin/pip", &[]).unwrap_err();
        assert!(
            finding.message.contains("inside the project"),
            "{}",
            finding.message
        );
        // A copied interpreter counts as the one that the environment's settings name.
        std::fs::remove_file(bin.join("python")).unwrap();
        std::fs::copy(layout.root.join("base/bin/python3.11"), bin.join("python")).unwrap();
        let home = layout.root.join("base/bin");
        let text = format!("home = {}\n", home.display());
        std::fs::write(layout.root.join("project/.venv/pyvenv.cfg"), text).unwrap();
        let found = layout.search(".venv/bin/pip", &[]).unwrap();
        assert!(found.interpreter.starts_with(&home));
    }

    #[test]
    fn the_whole_checkout_is_the_project() {
        let layout = Layout::new();
        layout.install("base");
        layout.install("project/tools");
        let bin = layout.root.join("project/.venv/bin");
        std::fs::create_dir_all(&bin).unwrap();
        for mark in ["project/.git", "project/sub/.hg"] {
            std::fs::create_dir_all(layout.root.join(mark)).unwrap();
        }
        let python = bin.join("python");
        let search = |layout: &Layout| {
            Search {
                word: OsStr::new("../.venv/bin/python"),
                directory: &layout.root.join("project/sub"),
                environment: &layout.environment,
                home: None,
                pinned: None,
            }
            .run()
        };
        std::os::unix::fs::symlink(layout.root.join("project/tools/bin/python3"), &python).unwrap();
        let finding = search(&layout).unwrap_err();
        let message = finding.message;
        assert!(message.contains("inside the project"), "{message}");
        // Nor does a link make a Python of another program.
        std::fs::remove_file(&python).unwrap();
        std::fs::rename(
            layout.root.join("base/bin/python3.11"),
            layout.root.join("base/bin/make"),
        )
        .unwrap();
        std::os::unix::fs::symlink(layout.root.join("base/bin/make"), &python).unwrap();
        let message = search(&layout).unwrap_err().message;
        assert!(message.contains("is no Python"), "{message}");
    }

    #[test]
    fn a_copy_outside_the_project_counts_as_its_base() {
        let mut layout = Layout::new();
        layout.install("base");
        layout.install("venv");
        let home = layout.root.join("base/bin");
        let text = format!("home = {}\n", home.display());
        std::fs::write(layout.root.join("venv/pyvenv.cfg"), text).unwrap();
        let found = layout.search("pip", &["venv/bin"]).unwrap();
        assert!(found.interpreter.starts_with(&home), "{found:?}");
        assert!(found.executable.starts_with(layout.root.join("venv")));
    }

    #[test]
    fn shims_are_looked_behind_and_other_scripts_are_named() {
        for (shims, versions) in [
            ("pyenv/shims", "pyenv/versions"),
            ("asdf/shims", "asdf/installs/python"),
        ] {
            let mut layout = Layout::new();
            layout.install(&format!("{versions}/3.11.7"));
            layout.install(&format!("{versions}/3.12.1"));
            let folder = layout.root.join(shims);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("pip"), "#!/usr/bin/env bash\n").unwrap();
            let finding = layout.search("pip", &[shims]).unwrap_err();
            assert!(finding.message.contains("3.12.1"), "{}", finding.message);
            let file = layout.root.join("project/.python-version");
            std::fs::write(file, "absent\n3.11\n").unwrap();
            let found = layout.search("pip", &[shims]).unwrap();
            let expected = layout.root.join(versions).join("3.11.7/bin/python3.11");
            assert_eq!(found.interpreter, expected);
        }
        let mut layout = Layout::new();
        layout.script("bin/pip", Path::new("/bin/sh"));
        let finding = layout.search("pip", &["bin"]).unwrap_err();
        assert!(finding.message.contains("wrapper"), "{}", finding.message);
    }

    #[test]
    fn what_others_can_write_is_passed_over() {
        use std::os::unix::fs::PermissionsExt as _;
        let mut layout = Layout::new();
        layout.install("open");
        let bin = layout.root.join("open/bin");
        std::fs::set_permissions(bin, std::fs::Permissions::from_mode(0o777)).unwrap();
        let finding = layout.search("pip", &["open/bin"]).unwrap_err();
        assert!(
            finding.message.contains("by other users"),
            "{}",
            finding.message
        );
        layout.install("good");
        let found = layout.search("pip", &["open/bin", "good/bin"]).unwrap();
        assert!(found.interpreter.starts_with(layout.root.join("good")));
    }
}
