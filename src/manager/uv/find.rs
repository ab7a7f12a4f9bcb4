//! Finds uv's own program and the interpreter of the environment that is meant, without running either.
//!
//! uv may not lie in the project or where others write; the environment may, its base interpreter
//! may not. uv is told the interpreter outright, so that it looks for none: looking starts programs.
//! The order is uv's: named, the system's, the active environment, `.venv` here or above.
//!
//! <https://docs.astral.sh/uv/pip/environments/>.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::line::{Command, variable};
use crate::manager::elf::{self, Needs};
use crate::manager::python::find::{Found, Search, root};
use crate::manager::{Call, place};
use crate::model::{Code, Finding};

/// uv's program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    /// The ELF, links resolved.
    pub(super) path: PathBuf,
    /// What it needs to start.
    pub(super) needs: Needs,
}

/// Finds uv.
pub(super) fn program(call: &Call<'_>, pinned: Option<&Path>) -> Result<Program, Finding> {
    let word = Path::new(call.word);
    let mut looked = Vec::new();
    let places: Vec<PathBuf> = match pinned {
        Some(path) => vec![path.to_path_buf()],
        None if word.components().count() > 1 => vec![call.directory.join(word)],
        None => place::search_path(call.environment)
            .map(|directory| directory.join(word))
            .collect(),
    };
    for path in places.iter().filter(|path| path.exists()) {
        match usable(path, call) {
            Ok(program) => return Ok(program),
            Err(why) => looked.push(format!("{}: {why}", path.display())),
        }
    }
    let message = if looked.is_empty() {
        "no `uv` in any directory of PATH".to_owned()
    } else {
        format!("no usable `uv`; looked at {}", looked.join("; "))
    };
    let hint = match pinned {
        Some(path) => format!(
            "the policy pins {}: correct `[managers.uv] path`",
            path.display()
        ),
        None => "put the directory of the real program first in PATH".to_owned(),
    };
    Err(Finding::new(Code::ManagerNotFound, "uv", message).with_hint(hint))
}

fn usable(path: &Path, call: &Call<'_>) -> Result<Program, String> {
    let directory = path.parent().ok_or("is no program")?;
    let real = path.canonicalize().map_err(|_gone| "leads nowhere")?;
    if place::is_ours(&real, directory) {
        return Err("is v4run itself".to_owned());
    }
    if !elf::is_elf(&real) {
        return Err("is a wrapper that v4run cannot look behind".to_owned());
    }
    let project = root(call.directory, call.home);
    let project = project.as_deref().unwrap_or(call.directory);
    let own = real.parent().ok_or("is no program")?;
    let foreign = place::open_to_others(directory)
        .or_else(|| place::open_to_others(own))
        .or_else(|| place::inside_project(own, project, call.home));
    if let Some(why) = foreign {
        return Err(why.to_owned());
    }
    let needs = elf::needs(&real).map_err(|error| format!("cannot be read: {error}"))?;
    Ok(Program { path: real, needs })
}

/// What decides which interpreter is meant.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) call: Call<'a>,
    pub(super) command: Command,
    /// `--python`, with its place.
    pub(super) python: Option<(&'a str, &'a str)>,
    /// `--system`.
    pub(super) system: bool,
    /// Whether packages go to a directory of their own.
    pub(super) elsewhere: bool,
    /// The project's environment, if the command is about one.
    pub(super) project: Option<&'a Path>,
}

impl Wanted<'_> {
    /// Finds the interpreter that uv is to use.
    pub(super) fn find(&self) -> Result<Found, Finding> {
        let found = self.search(&self.word()?)?;
        let own = found.executable.canonicalize().ok();
        if own.as_deref() == Some(found.interpreter.as_path()) {
            return Ok(found);
        }
        let shown = found.executable.display().to_string();
        let message = "is an environment with a copy of the interpreter; that copy is not what \
                       v4run would trust";
        let finding = Finding::new(Code::ManagerNotFound, shown, message);
        Err(finding.with_hint("make the environment anew with links: `uv venv`"))
    }

    fn search(&self, word: &OsStr) -> Result<Found, Finding> {
        Search {
            word,
            directory: self.call.directory,
            environment: self.call.environment,
            home: self.call.home,
            pinned: None,
        }
        .run()
    }

    /// The name or path of the interpreter.
    fn word(&self) -> Result<OsString, Finding> {
        if let Some(environment) = self.project {
            let own = environment.join("bin/python");
            if own.exists() {
                return Ok(own.into());
            }
        }
        if let Some((python, place)) = self.python {
            return named(python, self.call.directory).ok_or_else(|| {
                let message =
                    format!("names an interpreter in a way v4run does not read: {python}");
                Finding::new(Code::Usage, place, message)
                    .with_hint("name its path, or a version such as `3.12`")
            });
        }
        if !self.system && !self.command.is_project() && self.command != Command::Venv {
            let active = ["VIRTUAL_ENV", "CONDA_PREFIX"]
                .iter()
                .find_map(|name| variable(self.call.environment, name));
            let above = || {
                let mut places = self.call.directory.ancestors();
                places.find_map(|place| {
                    Some(place.join(".venv")).filter(|path| path.join("pyvenv.cfg").is_file())
                })
            };
            let environment = active.map(PathBuf::from).or_else(above);
            if let Some(environment) = environment {
                return Ok(self
                    .call
                    .directory
                    .join(environment)
                    .join("bin/python")
                    .into());
            }
            if !self.elsewhere && self.command != Command::Compile {
                let message =
                    "there is no environment: none is active, and no `.venv` here or above";
                let hint = "make one with `v4run uv venv`, or name one with `--python`";
                return Err(Finding::new(Code::Usage, "uv", message).with_hint(hint));
            }
        }
        Ok(self.version_file().unwrap_or_else(|| "python3".into()))
    }

    /// The interpreter that the nearest `.python-version` asks for, where it is a plain version.
    fn version_file(&self) -> Option<OsString> {
        let mut places = self.call.directory.ancestors();
        let text = places
            .find_map(|place| crate::manager::version::text_of(&place.join(".python-version")))?;
        let first = text.split_whitespace().next()?;
        let mut parts = first.split('.');
        let (major, minor) = (parts.next()?, parts.next()?);
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        (digits(major) && digits(minor)).then(|| format!("python{major}.{minor}").into())
    }
}

/// The word that an interpreter is looked for by. `None` for what only uv could read.
fn named(python: &str, directory: &Path) -> Option<OsString> {
    let path = directory.join(python);
    if path.is_dir() {
        return Some(path.join("bin/python").into());
    }
    if python.contains('/') || path.is_file() {
        return Some(path.into());
    }
    let version = python.strip_prefix("python").unwrap_or(python);
    let plain = version.split('.').count() <= 2
        && version
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    let any = python == "python" || python == "python3";
    (plain || any).then(|| {
        if any {
            python.into()
        } else {
            format!("python{version}").into()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters_are_named_by_path_or_version() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        std::fs::create_dir_all(root.join("env/bin")).unwrap();
        let name = |text: &str| named(text, root).map(|word| word.into_string().unwrap());
        let path = |text: &str| Some(root.join(text).display().to_string());
        assert_eq!(name("env"), path("env/bin/python"));
        assert_eq!(name("./bin/python3"), path("./bin/python3"));
        assert_eq!(name("3.12").as_deref(), Some("python3.12"));
        assert_eq!(name("python3.9").as_deref(), Some("python3.9"));
        assert_eq!(name("python").as_deref(), Some("python"));
        for other in ["pypy", ">=3.9", "cpython@3.12", "3.12.1", "3.", ""] {
            assert!(name(other).is_none() || other.is_empty(), "{other}");
        }
    }
}
