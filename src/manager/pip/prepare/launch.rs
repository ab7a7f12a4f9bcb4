//! What pip is shown: command line, environment, bootstrap and its parameters.
//!
//! Everything is built from nothing; full option names only. The files lie in the run's private
//! configuration directory, which pip may read and not write.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::{CERTIFICATES, Plan, make, unwritable};
use crate::manager::pip::checked::Command;
use crate::manager::pip::writes::Places;
use crate::manager::python::target::PipVersion;
use crate::model::{Code, Finding};

/// Runs pip with nothing else of the environment.
const BOOTSTRAP: &str = include_str!("../bootstrap.py");

/// Seconds that pip waits for bytes. The proxy holds an artifact back until its digest matched, and
/// large ones take their time.
const PATIENCE: &str = "3600";

impl Plan<'_> {
    /// Bootstrap, its parameters, and the files that the command line refers to.
    pub(super) fn write_files(
        &self,
        pip: &Path,
        places: &Places,
        report: Option<&Path>,
    ) -> Result<(), Finding> {
        let target = &self.target;
        let echo = self.checked.destination.report.as_deref() == Some(Path::new("-"));
        let search: Vec<&Path> = target.search.iter().map(PathBuf::as_path).collect();
        let parameters = serde_json::json!({
            "prefix": text(&target.prefix)?,
            "executable": text(&target.executable)?,
            "program": text(&target.program)?,
            "pip": text(pip)?,
            "paths": search.into_iter().map(text).collect::<Result<Vec<_>, _>>()?,
            "user_base": text(&target.user.base)?,
            "user_site": text(&target.user.site)?,
            "user_site_enabled": target.user.enabled,
            "echo": report.filter(|_| echo).map(text).transpose()?,
            "arguments": self.command_line(places)?,
            "fetches": self.fetches,
        });
        let config = &self.request.private.config;
        make(&config.join(CERTIFICATES))?;
        let mut files = vec![
            ("bootstrap.py".to_owned(), BOOTSTRAP.as_bytes().to_vec()),
            ("pip.json".to_owned(), parameters.to_string().into_bytes()),
        ];
        files.extend(self.checked.generated.iter().cloned());
        for (name, content) in files {
            let path = config.join(name);
            std::fs::write(&path, content).map_err(|error| unwritable(&path, &error))?;
        }
        Ok(())
    }

    /// Subcommand, v4run's own options, the user's.
    fn command_line(&self, places: &Places) -> Result<Vec<String>, Finding> {
        let command = self.checked.command;
        let mut line = vec![command.word().to_owned()];
        if matches!(command, Command::Help | Command::Version) {
            line.extend(self.checked.arguments.iter().cloned());
            return Ok(line);
        }
        line.push("--disable-pip-version-check".to_owned());
        line.extend(places.options.iter().cloned());
        if command.resolves() || command == Command::IndexVersions || command == Command::List {
            line.extend(self.index_options()?);
        }
        if (command.resolves() && self.fetches.is_none()) || command == Command::IndexVersions {
            line.push("--only-binary=:all:".to_owned());
        }
        if command.resolves() && self.checked.hash_mode {
            // Said outright, so that pip and v4run cannot be of two minds.
            line.push("--require-hashes".to_owned());
        }
        if command != Command::Uninstall {
            // Removing asks before it starts; the rest would ask for credentials only.
            line.push("--no-input".to_owned());
        }
        if !matches!(command, Command::Cache(_)) {
            line.push("--no-cache-dir".to_owned());
        }
        line.extend(self.checked.arguments.iter().cloned());
        Ok(line)
    }

    fn index_options(&self) -> Result<Vec<String>, Finding> {
        let request = self.request;
        let mut line = vec![
            format!("--cert={}", text(&request.private.certificate())?),
            format!("--proxy={}", self.request.proxy()),
            "--retries=0".to_owned(),
            format!("--timeout={PATIENCE}"),
        ];
        if self.version >= PipVersion::new(23, 1) {
            line.push("--keyring-provider=disabled".to_owned());
        }
        for (number, index) in self.checked.indexes.iter().enumerate() {
            let option = if number == 0 {
                "index-url"
            } else {
                "extra-index-url"
            };
            // pip names its indexes unless there is only its own, which has no final stroke.
            let url = index.url.as_str().trim_end_matches('/');
            line.push(format!("--{option}={url}"));
        }
        if self.checked.indexes.is_empty() {
            line.push("--no-index".to_owned());
        }
        for place in &self.checked.find_links {
            line.push(format!("--find-links={}", text(place)?));
        }
        Ok(line)
    }

    pub(super) fn environment(&self) -> Vec<(OsString, OsString)> {
        let request = self.request;
        let private = request.private;
        let mut environment: Vec<(OsString, OsString)> = Vec::new();
        let mut set = |name: &str, value: &dyn AsRef<OsStr>| {
            environment.push((OsString::from(name), value.as_ref().to_owned()));
        };
        for (name, value) in request.environment {
            if name.to_str().is_some_and(|name| self.profile.passes(name)) {
                set(&name.to_string_lossy(), value);
            }
        }
        set("HOME", &private.home);
        set("TMPDIR", &private.tmp);
        if !self.target.user.base.as_os_str().is_empty() {
            // HOME is another one; what is asked of the user's base means the caller's.
            set("PYTHONUSERBASE", &self.target.user.base);
        }
        let authority = private.certificate();
        for name in [
            "PIP_CERT",
            "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE",
            "SSL_CERT_FILE",
        ] {
            set(name, &authority);
        }
        let proxy = self.request.proxy();
        for name in ["PIP_PROXY", "HTTPS_PROXY", "https_proxy"] {
            set(name, &proxy);
        }
        // Nothing of the machine's own store is to be looked for either.
        set("SSL_CERT_DIR", &private.config.join(CERTIFICATES));
        set("PIP_CONFIG_FILE", &"/dev/null");
        match self.cache() {
            Some(cache) => set("PIP_CACHE_DIR", &cache),
            None => set("PIP_CACHE_DIR", &private.cache),
        }
        environment
    }
}

/// A path as pip will print it. JSON and pip's own command line hold text only.
fn text(path: &Path) -> Result<String, Finding> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        let message = "is not UTF-8, and cannot be handed to pip as it is";
        Finding::new(Code::Usage, path.display().to_string(), message)
    })
}
