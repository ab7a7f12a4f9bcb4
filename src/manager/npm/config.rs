//! npm's configuration, read outside the sandbox: who says what, and what npm will be shown.
//!
//! npm's order of precedence is command line, environment, project, user, global, builtin. All but
//! the project's file are the user's own word. Each setting meets the rule of its origin in the
//! profile: handed on, used by v4run itself, dropped, or refused. What npm reads afterwards are
//! generated files with the settings that were handed on and without any credential.
//! Follows `@npmcli/config`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::args::Parsed;
use super::npmrc::{self, Entry};
use crate::manager::read::{self, ReadError};
use crate::model::{Code, Digest, Finding};
use crate::profile::{Action, Profile};

/// Configuration files are short.
const LIMIT: u64 = 1 << 20;

/// Keys that carry credentials, after the address they belong to.
const CREDENTIALS: &[&str] = &["_authToken", "_auth", "username", "_password"];

/// Who states a setting; the order is the order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    Cli,
    Environment,
    Project,
    User,
    Global,
    Builtin,
}

/// A setting that v4run uses or hands on.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) origin: Origin,
    pub(super) key: String,
    /// As npm would see it, variables replaced.
    pub(super) value: String,
    pub(super) list: bool,
    /// File and line, or variable, or option.
    pub(super) place: String,
}

/// What the caller's surroundings say.
#[derive(Debug)]
pub(super) struct Surroundings<'a> {
    pub(super) environment: &'a BTreeMap<OsString, OsString>,
    pub(super) home: Option<&'a Path>,
    pub(super) directory: &'a Path,
    pub(super) root: &'a Path,
    /// Whether the run is about the global tree: then the project's file does not count.
    pub(super) global: bool,
    /// npm's package directory.
    pub(super) npm: &'a Path,
    /// npm's global prefix unless configuration names another.
    pub(super) prefix: PathBuf,
}

/// The configuration as far as it matters.
#[derive(Debug, Default)]
pub(super) struct Config {
    /// Used by v4run.
    pub(super) taken: Vec<Setting>,
    /// For npm.
    pub(super) passed: Vec<Setting>,
    /// Options of the command line that npm itself will pass over, as typed.
    pub(super) foreign: Vec<String>,
    /// Global prefix.
    pub(super) prefix: PathBuf,
    /// The project's file, when there is one: path and digest.
    pub(super) project_file: Option<(PathBuf, Option<Digest>)>,
    /// Problems and notes.
    pub(super) findings: Vec<Finding>,
}

impl Config {
    /// The effective value of a setting that v4run uses.
    pub(super) fn taken(&self, key: &str) -> Option<&Setting> {
        best(&self.taken, key, |_| true)
    }

    /// The same without what the project says.
    pub(super) fn trusted(&self, key: &str) -> Option<&Setting> {
        best(&self.taken, key, |origin| origin != Origin::Project)
    }

    /// The effective value of a setting that npm gets.
    pub(super) fn passed(&self, key: &str) -> Option<&str> {
        best(&self.passed, key, |_| true).map(|setting| setting.value.as_str())
    }

    /// Reads everything.
    pub(super) fn load(around: &Surroundings<'_>, parsed: &Parsed, profile: &Profile) -> Self {
        let mut reader = Reader {
            around,
            profile,
            config: Self::default(),
        };
        reader.command_line(parsed);
        reader.environment();
        let builtin = reader.trusted_file(&around.npm.join("npmrc"));
        let user_path = reader.user_path(&builtin);
        let user = user_path
            .as_deref()
            .map(|path| reader.trusted_file(path))
            .unwrap_or_default();
        reader.project(user_path.as_deref());
        for (origin, path, entries) in [
            (Origin::User, user_path.clone(), &user),
            (Origin::Builtin, Some(around.npm.join("npmrc")), &builtin),
        ] {
            reader.entries(origin, path.as_deref(), entries);
        }
        reader.prefix();
        let global_path = reader.global_path();
        if Some(&global_path) != user_path.as_ref() {
            let global = reader.trusted_file(&global_path);
            reader.entries(Origin::Global, Some(&global_path), &global);
        }
        reader.config
    }

    /// The user configuration that npm is shown: user, global and builtin settings that were handed
    /// on, and registries by scope.
    pub(super) fn user_file(&self, scopes: &BTreeMap<String, url::Url>) -> String {
        let mut text = String::new();
        let mut seen: Vec<(&str, Origin)> = Vec::new();
        let mut own: Vec<&Setting> = self
            .passed
            .iter()
            .filter(|setting| setting.origin >= Origin::User)
            .collect();
        own.sort_by_key(|setting| setting.origin);
        for setting in own {
            let earlier = seen.iter().find(|(key, _)| *key == setting.key);
            if earlier.is_some_and(|(_, origin)| *origin != setting.origin || !setting.list) {
                continue;
            }
            seen.push((&setting.key, setting.origin));
            text.push_str(&line(setting));
        }
        for (scope, registry) in scopes {
            text.push_str(&format!("{scope}:registry={registry}\n"));
        }
        text
    }

    /// The project configuration that npm is shown.
    pub(super) fn project_text(&self) -> String {
        let own = self
            .passed
            .iter()
            .filter(|setting| setting.origin == Origin::Project);
        own.map(line).collect()
    }
}

fn best<'a>(
    settings: &'a [Setting],
    key: &str,
    counts: impl Fn(Origin) -> bool,
) -> Option<&'a Setting> {
    let hits = settings
        .iter()
        .filter(|setting| setting.key == key && counts(setting.origin));
    // Of several from one origin the last counts.
    hits.rev().min_by_key(|setting| setting.origin)
}

/// One line of a generated file; JSON text is what npm's reader takes between quotes.
fn line(setting: &Setting) -> String {
    let list = if setting.list { "[]" } else { "" };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@^~+%,<>=* ".contains(c);
    let simple = setting.value.chars().all(plain) && setting.value.trim() == setting.value;
    let value = if simple {
        setting.value.clone()
    } else {
        serde_json::Value::from(setting.value.as_str()).to_string()
    };
    format!("{}{list}={value}\n", setting.key)
}

struct Reader<'a> {
    around: &'a Surroundings<'a>,
    profile: &'a Profile,
    config: Config,
}

/// What a key is, apart from the profile's rules.
enum Kind {
    Credential,
    ScopeRegistry,
    Harmless,
    Plain,
    Odd,
}

fn kind(key: &str) -> Kind {
    let Some((address, name)) = key.rsplit_once(':') else {
        return Kind::Plain;
    };
    if address.starts_with("//") {
        return match name {
            "email" | "always-auth" => Kind::Harmless,
            name if CREDENTIALS.contains(&name) => Kind::Credential,
            _ => Kind::Odd,
        };
    }
    if address.starts_with('@') && name == "registry" {
        Kind::ScopeRegistry
    } else {
        Kind::Odd
    }
}

impl Reader<'_> {
    fn expand(&self, value: &str) -> String {
        npmrc::expand(value, self.around.environment)
    }

    fn command_line(&mut self, parsed: &Parsed) {
        for flag in &parsed.flags {
            let place = format!("--{}", flag.key);
            let value = flag.value.text().to_owned();
            let action = match kind(&flag.key) {
                Kind::Credential | Kind::ScopeRegistry => Action::Take,
                Kind::Harmless => Action::Drop,
                Kind::Odd => {
                    self.refuse(&place, &flag.key, "v4run knows no option of that name");
                    continue;
                }
                Kind::Plain => match self.profile.setting(&flag.key) {
                    Some(rule) if rule.cli == Action::Refuse => {
                        if !rule.harmless.contains(&value) {
                            let why = rule.why.clone();
                            self.refuse(&place, &flag.key, &why);
                        }
                        continue;
                    }
                    Some(rule) => rule.cli,
                    None if self.npm_knows(&flag.key) => {
                        let why = "this npm knows the option, but v4run's profile does not say what it does";
                        self.refuse(&place, &flag.key, why);
                        continue;
                    }
                    None => {
                        self.config.foreign.push(flag.render());
                        continue;
                    }
                },
            };
            self.keep(action, Origin::Cli, &flag.key, value, false, place);
        }
    }

    /// Whether npm's own definitions have an option of that name.
    fn npm_knows(&self, key: &str) -> bool {
        let text = super::definitions::text(self.around.npm);
        text.is_some_and(|text| super::definitions::defines(&text, key))
    }

    fn environment(&mut self) {
        let around = self.around;
        for (name, value) in around.environment {
            let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else {
                continue;
            };
            let start = name
                .get(..11)
                .filter(|start| start.eq_ignore_ascii_case("npm_config_"));
            let Some(key) = start
                .and_then(|_| name.get(11..))
                .filter(|_| !value.is_empty())
            else {
                continue;
            };
            let key = normal(key);
            self.trusted(Origin::Environment, &key, value, false, name.to_owned());
        }
    }

    fn entries(&mut self, origin: Origin, path: Option<&Path>, entries: &[Entry]) {
        let file = path
            .map(|path| path.display().to_string())
            .unwrap_or_default();
        for entry in entries {
            let key = self.expand(&entry.key);
            let place = format!("{file}:{}", entry.line);
            self.trusted(origin, &key, &entry.value, entry.list, place);
        }
    }

    /// A setting of the user, of whatever origin.
    fn trusted(&mut self, origin: Origin, key: &str, value: &str, list: bool, place: String) {
        let value = self.expand(value.trim());
        let action = match kind(key) {
            Kind::Credential | Kind::ScopeRegistry => Action::Take,
            Kind::Harmless => return,
            Kind::Odd => {
                if key.starts_with("//") {
                    self.note(
                        &place,
                        key,
                        "client certificates and helpers are not used by v4run",
                    );
                }
                return;
            }
            Kind::Plain => match self.profile.setting(key) {
                Some(rule) if rule.user == Action::Refuse => {
                    if !rule.harmless.contains(&value) {
                        let why = rule.why.clone();
                        self.refuse(&place, key, &why);
                    }
                    return;
                }
                Some(rule) => {
                    if rule.note && !rule.harmless.contains(&value) {
                        let why = rule.why.clone();
                        self.note(&place, key, &why);
                    }
                    rule.user
                }
                None => return,
            },
        };
        self.keep(action, origin, key, value, list, place);
    }

    /// The project's `.npmrc`, key by key.
    fn project(&mut self, user_path: Option<&Path>) {
        let path = self.around.root.join(".npmrc");
        if self.around.global {
            return;
        }
        let bytes = match read::inside(self.around.root, &path, LIMIT) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return,
            Err(error) => {
                let place = path.display().to_string();
                self.config.findings.push(Finding::new(
                    Code::ConfigRefused,
                    place,
                    error.to_string(),
                ));
                return;
            }
        };
        let real = path.canonicalize().unwrap_or_else(|_error| path.clone());
        self.config.project_file = Some((real, read::sha256(&bytes)));
        // npm takes the user's file for the user's even when the home directory is the project.
        if user_path == Some(path.as_path()) {
            return;
        }
        let Ok(text) = String::from_utf8(bytes) else {
            let place = path.display().to_string();
            self.config
                .findings
                .push(Finding::new(Code::ConfigRefused, place, "is not UTF-8"));
            return;
        };
        let (entries, errors) = npmrc::strict(&text);
        for error in errors {
            let place = format!("{}:{}", path.display(), error.line);
            self.refuse(&place, &error.key, error.reason);
        }
        for entry in entries {
            self.project_entry(&path, &entry);
        }
    }

    fn project_entry(&mut self, path: &Path, entry: &Entry) {
        let place = format!("{}:{}", path.display(), entry.line);
        let key = entry.key.as_str();
        let action = match kind(key) {
            Kind::Credential | Kind::ScopeRegistry => Action::Take,
            Kind::Harmless => return,
            Kind::Odd => {
                let why = "it names a file or program, or nothing that v4run knows";
                return self.refuse(&place, key, why);
            }
            Kind::Plain => match self.profile.setting(key) {
                Some(rule) if rule.project == Action::Refuse => {
                    if !rule.harmless.contains(&entry.value) {
                        let why = rule.why.clone();
                        return self.refuse(&place, key, &why);
                    }
                    Action::Pass
                }
                Some(rule) => rule.project,
                None => {
                    return self.refuse(
                        &place,
                        key,
                        "it is no setting that v4run knows to be harmless",
                    );
                }
            },
        };
        if action == Action::Pass && entry.value.contains("${") {
            let why = "a variable of your environment would reach npm through it";
            return self.refuse(&place, key, why);
        }
        let value = self.expand(&entry.value);
        self.keep(action, Origin::Project, key, value, entry.list, place);
    }

    fn keep(
        &mut self,
        action: Action,
        origin: Origin,
        key: &str,
        value: String,
        list: bool,
        place: String,
    ) {
        let setting = Setting {
            origin,
            key: key.to_owned(),
            value,
            list,
            place,
        };
        match action {
            Action::Pass => self.config.passed.push(setting),
            Action::Take => self.config.taken.push(setting),
            Action::Drop | Action::Refuse => {}
        }
    }

    fn refuse(&mut self, place: &str, key: &str, why: &str) {
        let message = format!("`{key}` is refused: {why}");
        let finding = Finding::new(Code::ConfigRefused, place, message);
        let hint = "remove it, or set it in your user configuration if you mean it";
        self.config.findings.push(if place.starts_with("--") {
            finding
        } else {
            finding.with_hint(hint)
        });
    }

    fn note(&mut self, place: &str, key: &str, why: &str) {
        let message = format!("`{key}` has no effect: {why}");
        self.config
            .findings
            .push(Finding::new(Code::ConfigIgnored, place, message));
    }

    fn trusted_file(&mut self, path: &Path) -> Vec<Entry> {
        match read::file(path, LIMIT) {
            Ok(Some(bytes)) => npmrc::lenient(&String::from_utf8_lossy(&bytes)),
            Ok(None) => Vec::new(),
            Err(ReadError::Kind) if path == Path::new("/dev/null") => Vec::new(),
            Err(error) => {
                self.config.findings.push(read::unread(path, &error));
                Vec::new()
            }
        }
    }

    fn user_path(&self, builtin: &[Entry]) -> Option<PathBuf> {
        if let Some(setting) = self.config.trusted("userconfig") {
            return Some(self.path(&setting.value));
        }
        let stated = builtin.iter().rev().find(|entry| entry.key == "userconfig");
        match stated {
            Some(entry) => Some(self.path(&self.expand(&entry.value))),
            None => self.around.home.map(|home| home.join(".npmrc")),
        }
    }

    /// The global prefix; `--prefix` names the project unless the run is about the global tree.
    fn prefix(&mut self) {
        let global = self.around.global;
        let stated = best(&self.config.taken, "prefix", |origin| {
            global || origin != Origin::Cli
        });
        let variable = |name: &str| self.around.environment.get(std::ffi::OsStr::new(name));
        self.config.prefix = match (stated, variable("PREFIX"), variable("DESTDIR")) {
            (Some(setting), _, _) => self.path(&setting.value),
            (None, Some(prefix), _) => PathBuf::from(prefix),
            (None, None, Some(root)) => {
                let own = self
                    .around
                    .prefix
                    .strip_prefix("/")
                    .unwrap_or(&self.around.prefix);
                Path::new(root).join(own)
            }
            (None, None, None) => self.around.prefix.clone(),
        };
    }

    /// Unlike npm, `--prefix` does not move it: that directory may be a project's.
    fn global_path(&self) -> PathBuf {
        if let Some(setting) = self.config.trusted("globalconfig") {
            return self.path(&setting.value);
        }
        let stated = best(&self.config.taken, "prefix", |origin| origin != Origin::Cli);
        let prefix = stated.map_or_else(|| self.around.prefix.clone(), |s| self.path(&s.value));
        prefix.join("etc/npmrc")
    }

    fn path(&self, value: &str) -> PathBuf {
        match (value.strip_prefix("~/"), self.around.home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => self.around.directory.join(value),
        }
    }
}

/// The key that a variable's name stands for.
fn normal(name: &str) -> String {
    if name.starts_with("//") {
        return name.to_owned();
    }
    let (first, rest) = name.split_at(name.chars().next().map_or(0, char::len_utf8));
    format!("{first}{}", rest.replace('_', "-")).to_lowercase()
}
