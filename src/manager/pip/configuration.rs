//! The places outside the command line that pip takes options from: `pip.conf` files and `PIP_*`.
//!
//! Files are read in pip's order, each weaker than the next: machine, user (the old place, then the
//! new), environment of the target, `PIP_CONFIG_FILE`; variables come last. Machine and user files
//! and the variables are the user's own word. The other two are the project's when they lie in it:
//! a virtual environment often stands in the checkout, where a change under review can put a
//! `pip.conf` into it. Nothing is judged here.
//! Order: <https://pip.pypa.io/en/stable/topics/configuration/>.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::asked::{Origin, Stated, VARIABLES};
use super::ini;
use crate::manager::read::{self, ReadError};
use crate::model::{Code, Event, Finding};

/// Configuration files are short.
const LIMIT: u64 = 1 << 20;

/// Where configuration is looked for.
#[derive(Debug)]
pub(super) struct Places<'a> {
    /// The caller's variables.
    pub(super) environment: &'a BTreeMap<OsString, OsString>,
    /// The caller's home directory.
    pub(super) home: Option<&'a Path>,
    /// The caller's working directory.
    pub(super) directory: &'a Path,
    /// Root of the project, if there is one apart from the home directory.
    pub(super) project: Option<&'a Path>,
    /// `pip.conf` of the target environment.
    pub(super) site: Option<&'a Path>,
    /// The machine's configuration, `/etc`.
    pub(super) system: &'a Path,
    /// Whether `--isolated` leaves out the user's file and the variables.
    pub(super) isolated: bool,
}

/// Everything stated, weakest first.
#[derive(Debug, Default)]
pub(super) struct Configuration {
    /// Keys in order.
    pub(super) stated: Vec<Stated>,
    /// Files that were read and belong to the project.
    pub(super) events: Vec<Event>,
    /// Files that cannot be read, or not by pip.
    pub(super) findings: Vec<Finding>,
}

impl Configuration {
    /// Reads everything.
    pub(super) fn load(places: &Places<'_>) -> Self {
        let mut found = Self::default();
        let named = places.variable("PIP_CONFIG_FILE").map(PathBuf::from);
        if named.as_deref() != Some(Path::new("/dev/null")) {
            for (path, origin) in places.files(named.as_deref()) {
                found.file(&path, origin);
            }
        }
        if !places.isolated {
            found.variables(places.environment);
        }
        found
    }

    fn file(&mut self, path: &Path, origin: Origin) {
        let shown = path.display().to_string();
        let mut find =
            |code, message: String| self.findings.push(Finding::new(code, &shown, message));
        let bytes = match read::file(path, LIMIT) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return,
            Err(ReadError::Kind) if path.is_dir() => return,
            Err(error) if origin == Origin::User => {
                return self.findings.push(read::unread(path, &error));
            }
            Err(error) => return find(Code::ConfigRefused, error.to_string()),
        };
        if let (Origin::Project, Some(sha256)) = (origin, read::sha256(&bytes)) {
            self.events.push(Event::InputRead {
                name: "pip.conf".to_owned(),
                path: shown.clone(),
                sha256,
            });
        }
        let code = if origin == Origin::Project {
            Code::ConfigRefused
        } else {
            Code::Usage
        };
        let Ok(text) = String::from_utf8(bytes) else {
            return find(code, "is not UTF-8".to_owned());
        };
        match ini::parse(&text) {
            Ok(entries) => self.stated.extend(entries.into_iter().map(|entry| Stated {
                place: format!("{shown}:{}", entry.line),
                section: entry.section,
                key: entry.key,
                value: entry.value,
                origin,
            })),
            Err(error) => {
                let place = format!("{shown}:{}", error.line);
                let message = format!("cannot be read as configuration: {error}");
                self.findings.push(Finding::new(code, place, message));
            }
        }
    }

    fn variables(&mut self, environment: &BTreeMap<OsString, OsString>) {
        for (name, value) in environment {
            let Some(key) = name.to_str().and_then(|name| name.strip_prefix("PIP_")) else {
                continue;
            };
            let key = ini::normal(key);
            let (Some(place), false) = (name.to_str(), matches!(key.as_str(), "version" | "help"))
            else {
                continue;
            };
            let Some(value) = value.to_str() else {
                let message = "the value is not UTF-8";
                self.findings
                    .push(Finding::new(Code::Usage, place, message));
                continue;
            };
            self.stated.push(Stated {
                section: VARIABLES.to_owned(),
                key,
                value: value.to_owned(),
                origin: Origin::Environment,
                place: place.to_owned(),
            });
        }
    }
}

impl Places<'_> {
    fn variable(&self, name: &str) -> Option<&OsStr> {
        self.environment
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
    }

    fn files(&self, named: Option<&Path>) -> Vec<(PathBuf, Origin)> {
        let mut files = Vec::new();
        let shared = self.variable("XDG_CONFIG_DIRS").and_then(OsStr::to_str);
        let shared = shared
            .filter(|text| !text.trim().is_empty())
            .map(str::to_owned);
        let shared = shared.unwrap_or_else(|| self.system.join("xdg").display().to_string());
        for directory in shared.split(':') {
            files.push((Path::new(directory).join("pip/pip.conf"), Origin::User));
        }
        files.push((self.system.join("pip.conf"), Origin::User));
        let named = named.map(|path| self.directory.join(path));
        let other = named.as_deref().is_some_and(Path::exists);
        if let (false, false, Some(home)) = (self.isolated, other, self.home) {
            files.push((home.join(".pip/pip.conf"), Origin::User));
            let own = self
                .variable("XDG_CONFIG_HOME")
                .filter(|value| !value.is_empty());
            let own = own.map_or_else(|| home.join(".config"), PathBuf::from);
            files.push((own.join("pip/pip.conf"), Origin::User));
        }
        for path in self.site.map(Path::to_path_buf).into_iter().chain(named) {
            let origin = self.origin(&path);
            files.push((path, origin));
        }
        files
    }

    /// Whose word a file is that neither user nor machine has a fixed place for.
    fn origin(&self, path: &Path) -> Origin {
        let real = path
            .canonicalize()
            .unwrap_or_else(|_error| path.to_path_buf());
        match self.project {
            Some(project) if path.starts_with(project) || real.starts_with(project) => {
                Origin::Project
            }
            Some(_) | None => Origin::User,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(root: &Path, variables: &[(&str, &str)], isolated: bool) -> Configuration {
        let environment = variables.iter().map(|(name, value)| {
            (
                OsString::from(name),
                OsString::from(value.replace("ROOT", &root.display().to_string())),
            )
        });
        Configuration::load(&Places {
            environment: &environment.collect(),
            home: Some(&root.join("home")),
            directory: &root.join("project"),
            project: Some(&root.join("project")),
            site: Some(&root.join("project/venv/pip.conf")),
            system: &root.join("etc"),
            isolated,
        })
    }

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    fn values(found: &Configuration) -> Vec<(&str, Origin)> {
        found
            .stated
            .iter()
            .map(|one| (one.value.as_str(), one.origin))
            .collect()
    }

    const FILES: &[(&str, &str)] = &[
        ("etc/xdg/pip/pip.conf", "[global]\ntimeout=1\n"),
        ("etc/pip.conf", "[global]\ntimeout=2\n"),
        ("home/.pip/pip.conf", "[global]\ntimeout=3\n"),
        ("home/.config/pip/pip.conf", "[install]\ntimeout=4\n"),
        ("project/venv/pip.conf", "[global]\ntimeout=5\n"),
        ("named.conf", "[global]\ntimeout=6\n"),
        ("project/named.conf", "[global]\ntimeout=7\n"),
    ];

    #[test]
    fn places_are_read_weakest_first() {
        let root = tree(FILES);
        let found = load(
            root.path(),
            &[("PIP_TIMEOUT", "8"), ("PIP_VERSION", "x"), ("TIMEOUT", "9")],
            false,
        );
        let user = |value| (value, Origin::User);
        assert_eq!(
            values(&found),
            [
                user("1"),
                user("2"),
                user("3"),
                user("4"),
                ("5", Origin::Project),
                ("8", Origin::Environment)
            ]
        );
        assert!(found.stated[4].place.ends_with("project/venv/pip.conf:2"));
        assert_eq!(found.events.len(), 1);
    }

    #[test]
    fn a_named_file_replaces_the_users_own() {
        let root = tree(FILES);
        let found = load(
            root.path(),
            &[("PIP_CONFIG_FILE", "ROOT/named.conf")],
            false,
        );
        let list: Vec<&str> = values(&found).into_iter().map(|(value, _)| value).collect();
        assert_eq!(
            list,
            [
                "1",
                "2",
                "5",
                "6",
                "ROOT/named.conf"
                    .replace("ROOT", &root.path().display().to_string())
                    .as_str()
            ]
        );
        let found = load(root.path(), &[("PIP_CONFIG_FILE", "named.conf")], false);
        assert_eq!(
            found
                .stated
                .iter()
                .find(|one| one.value == "7")
                .unwrap()
                .origin,
            Origin::Project
        );
        let found = load(root.path(), &[("PIP_CONFIG_FILE", "/dev/null")], false);
        assert_eq!(values(&found).len(), 1);
    }

    #[test]
    fn isolation_leaves_out_user_and_variables() {
        let root = tree(FILES);
        let found = load(root.path(), &[("PIP_TIMEOUT", "8")], true);
        let list: Vec<&str> = values(&found).into_iter().map(|(value, _)| value).collect();
        assert_eq!(list, ["1", "2", "5"]);
    }

    #[test]
    fn broken_files_are_named_with_their_line() {
        let root = tree(&[
            ("etc/pip.conf", "[global]\nnonsense\n"),
            ("project/venv/pip.conf", "x=1\n"),
        ]);
        let found = load(root.path(), &[], false);
        let codes: Vec<Code> = found.findings.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [Code::Usage, Code::ConfigRefused]);
        assert!(found.findings[0].subject.ends_with("etc/pip.conf:2"));
    }
}
