//! What uv is shown: command line, environment, configuration.
//!
//! Everything is built from nothing; full option names only. What the user's files say is written
//! into the run's private configuration directory, without logins.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::config::without_login;
use super::line::Command;
use super::prepare::Plan;
use super::wants::is_said;
use crate::manager::python::argv;
use crate::model::{Code, Finding};

/// An empty directory in the place of the machine's certificates.
pub(super) const CERTIFICATES: &str = "certificates";

/// Seconds that uv waits for bytes. The proxy holds an artifact back until its digest matched.
const PATIENCE: &str = "3600";

/// Variables that name directories of the caller; uv gets private ones.
const PRIVATE: &[&str] = &[
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "XDG_BIN_HOME",
];

impl Plan<'_> {
    /// Subcommand, v4run's own options, the user's, words.
    pub(super) fn command_line(&self) -> Result<Vec<OsString>, Finding> {
        let mut line: Vec<OsString> = vec![self.program.path.clone().into()];
        if self.line.command == Command::Help {
            line.extend(self.line.words.iter().map(OsString::from));
            return Ok(line);
        }
        line.extend(self.line.name.split(' ').map(OsString::from));
        let command = self.line.command;
        let judged = &self.wants.judged;
        let mut say = |text: String| line.push(text.into());
        say("--no-python-downloads".to_owned());
        if judged.last("no-config").is_some() {
            say("--no-config".to_owned());
        }
        for word in &judged.passed {
            say(word.clone());
        }
        for setting in judged.all("index") {
            let value = without_login(setting.text());
            say(argv::render(setting.option, Some(&value)));
        }
        for setting in judged.all("link-mode") {
            if setting.text() == "symlink" {
                let message = "`--link-mode symlink` is refused: the links would lead into a cache \
                               that ends with the run";
                return Err(Finding::new(Code::ConfigRefused, &setting.place, message));
            }
            say(argv::render(setting.option, setting.value.as_deref()));
        }
        if command.resolves() {
            for place in &self.wants.links {
                say(format!("--find-links={}", text(place)?));
            }
            say("--keyring-provider=disabled".to_owned());
            // Said outright, whatever files say: nothing is built.
            if command.is_project() {
                say("--no-build".to_owned());
            } else {
                say("--only-binary=:all:".to_owned());
            }
        }
        if let Some(target) = &self.target {
            say(format!("--python={}", text(&target.executable)?));
        }
        for rule in ["target", "prefix"] {
            if let Some(setting) = judged.last(rule) {
                say(argv::render(setting.option, setting.value.as_deref()));
            }
        }
        for rule in ["frozen", "no-install-project", "active"] {
            for setting in judged.all(rule) {
                say(argv::render(setting.option, None));
            }
        }
        let checked = judged.last("locked").is_some();
        if checked || (command == Command::Sync && judged.last("frozen").is_none()) {
            // A lock that is not current is not rewritten in passing.
            let word = if command == Command::Lock {
                "--check"
            } else {
                "--locked"
            };
            say(word.to_owned());
        }
        for setting in judged.all("path") {
            say(argv::render(setting.option, setting.value.as_deref()));
        }
        if command == Command::Lock {
            say(format!("--project={}", text(&self.lock_directory())?));
        }
        for word in &self.wants.words {
            say(word.clone());
        }
        Ok(line)
    }

    /// What every start of uv sees.
    fn quiet_environment(&self) -> Vec<(OsString, OsString)> {
        let private = self.request.private;
        let mut environment: Vec<(OsString, OsString)> = Vec::new();
        let mut set = |name: &str, value: &dyn AsRef<OsStr>| {
            environment.push((OsString::from(name), value.as_ref().to_owned()));
        };
        set("HOME", &private.home);
        set("TMPDIR", &private.tmp);
        for name in PRIVATE {
            set(name, &private.home.join(".local"));
        }
        set("UV_CACHE_DIR", &private.cache);
        set("UV_PYTHON_DOWNLOADS", &"never");
        environment
    }

    /// The environment of the query: nothing of the caller's.
    pub(super) fn query_environment(&self) -> Vec<(OsString, OsString)> {
        let mut environment = self.quiet_environment();
        let empty = self.request.private.tmp.clone().into_os_string();
        environment.push(("XDG_CONFIG_HOME".into(), empty.clone()));
        environment.push(("XDG_CONFIG_DIRS".into(), empty));
        environment
    }

    pub(super) fn environment(&self) -> Vec<(OsString, OsString)> {
        let request = self.request;
        let private = request.private;
        let mut environment = self.quiet_environment();
        let mut set = |name: &str, value: &dyn AsRef<OsStr>| {
            environment.push((OsString::from(name), value.as_ref().to_owned()));
        };
        for (name, value) in request.environment {
            if name.to_str().is_some_and(|name| self.profile.passes(name)) {
                set(&name.to_string_lossy(), value);
            }
        }
        set("SSL_CERT_FILE", &private.certificate());
        // Nothing of the machine's own store is to be looked for either.
        set("SSL_CERT_DIR", &private.config.join(CERTIFICATES));
        let proxy = self.request.proxy();
        for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            set(name, &proxy);
        }
        set("UV_HTTP_TIMEOUT", &PATIENCE);
        set("UV_HTTP_RETRIES", &"0");
        set("XDG_CONFIG_HOME", &self.shown_files("user"));
        set("XDG_CONFIG_DIRS", &self.shown_files("system"));
        if self
            .wants
            .config
            .written
            .iter()
            .any(|(place, _)| *place == "named")
        {
            set(
                "UV_CONFIG_FILE",
                &self.shown_files("named").join("uv/uv.toml"),
            );
        }
        if let Some(environment) = &self.environment {
            let active = self.wants.judged.last("active").is_some();
            let name = if active {
                "VIRTUAL_ENV"
            } else {
                "UV_PROJECT_ENVIRONMENT"
            };
            set(name, environment);
        }
        environment
    }

    /// The directory with what uv is shown in place of a file of the user.
    pub(super) fn shown_files(&self, place: &str) -> PathBuf {
        self.request.private.config.join(format!("uv-{place}"))
    }

    /// Where a lock is made.
    pub(super) fn lock_directory(&self) -> PathBuf {
        self.request.private.tmp.join("lock")
    }

    /// Whether nothing on disk changes.
    pub(super) fn is_rehearsal(&self) -> bool {
        let judged = &self.wants.judged;
        let said = |word: &str| judged.passed.iter().any(|passed| passed == word);
        said("--dry-run") || said("--check") || is_said(judged, "dry-run")
    }
}

/// A path as uv will be given it.
pub(super) fn text(path: &Path) -> Result<String, Finding> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        let message = "is not UTF-8, and cannot be handed to uv as it is";
        Finding::new(Code::Usage, path.display().to_string(), message)
    })
}
