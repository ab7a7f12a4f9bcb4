//! The files that uv takes settings from: its own of machine and user, and the project's.
//!
//! `uv.toml` of machine and user is the user's word: what of it holds is written down again for uv,
//! without logins. `uv.toml` and the `[tool.uv]` of `pyproject.toml` in the project and above are the
//! project's word: they are judged, and uv is shown the very bytes that were judged. A key that the
//! profile does not know is refused, because v4run cannot tell what it does.
//!
//! <https://docs.astral.sh/uv/concepts/configuration-files/>.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::document::{Document, items, scalar, table, text, value};
use super::line::variable;
use crate::manager::Request;
use crate::manager::python::asked::Origin;
use crate::model::{Code, Event, Finding};
use crate::profile::{Action, Profile};

/// The machine's configuration directory.
const SYSTEM: &str = "/etc";
/// Directories above the project that are looked at.
const ABOVE: usize = 64;

/// An index as a file or option states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StatedIndex {
    /// Its name, by which logins are found.
    pub(super) name: Option<String>,
    /// Address as written.
    pub(super) url: String,
    /// Whether it takes the place of uv's own.
    pub(super) default: bool,
    /// Who says so.
    pub(super) origin: Origin,
    /// Where.
    pub(super) place: String,
}

/// What the files say.
#[derive(Debug, Default)]
pub(super) struct Config {
    /// Indexes, those of the project first, as uv weighs them.
    pub(super) indexes: Vec<StatedIndex>,
    /// Directories of wheels: text, origin, place.
    pub(super) links: Vec<(String, Origin, String)>,
    /// Requirements that a file adds: text, place.
    pub(super) requirements: Vec<(String, String)>,
    /// Documents of the project.
    pub(super) documents: Vec<Document>,
    /// What uv is shown in the place of the user's files: directory and content.
    pub(super) written: Vec<(&'static str, String)>,
    /// Files read.
    pub(super) events: Vec<Event>,
    /// Refusals and notes.
    pub(super) findings: Vec<Finding>,
}

/// Reads everything. `named` is `--config-file`; `none` leaves all of them out.
pub(super) fn load(
    request: &Request<'_>,
    project: &Path,
    profile: &Profile,
    named: Option<&str>,
    none: bool,
) -> Config {
    let mut config = Config::default();
    for directory in request.directory.ancestors().take(ABOVE) {
        let inside = directory.starts_with(project).then_some(project);
        for file in ["uv.toml", "pyproject.toml"] {
            let path = directory.join(file);
            match Document::read(&path, inside, &mut config.events) {
                Ok(Some(document)) => config.project(document, profile),
                Ok(None) => {}
                Err(finding) => config.findings.push(finding),
            }
        }
    }
    if none {
        return config;
    }
    let files = match named {
        Some(path) => vec![("named", request.directory.join(path))],
        None => own_files(request),
    };
    for (place, path) in files {
        match Document::read(&path, None, &mut Vec::new()) {
            Ok(Some(document)) => config.user(place, &document, profile),
            Ok(None) if named.is_some() => {
                let message = format!("there is no such file: {}", path.display());
                config
                    .findings
                    .push(Finding::new(Code::Usage, "config-file", message));
            }
            Ok(None) => {}
            Err(finding) => config.findings.push(finding),
        }
    }
    config
}

/// The user's and the machine's file.
fn own_files(request: &Request<'_>) -> Vec<(&'static str, PathBuf)> {
    let variable = |name: &str| {
        let path = variable(request.environment, name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let home = request.home.as_ref().map(|home| home.join(".config"));
    let user = variable("XDG_CONFIG_HOME").or(home);
    let file = |directory: PathBuf| directory.join("uv/uv.toml");
    let user = user.map(|directory| ("user", file(directory)));
    user.into_iter()
        .chain([("system", file(PathBuf::from(SYSTEM)))])
        .collect()
}

impl Config {
    fn project(&mut self, document: Document, profile: &Profile) {
        match document.parse() {
            Ok(root) => {
                let own = document.shown == "uv.toml";
                let settings = if own {
                    Some(&root)
                } else {
                    table(&root, "tool").and_then(|tool| table(tool, "uv"))
                };
                if let Some(settings) = settings {
                    self.judge(settings, &document, profile, Origin::Project);
                }
            }
            Err(finding) => self.findings.push(finding),
        }
        self.documents.push(document);
    }

    fn user(&mut self, place: &'static str, document: &Document, profile: &Profile) {
        match document.parse() {
            Ok(root) => self.judge(&root, document, profile, Origin::User),
            Err(finding) => return self.findings.push(finding),
        }
        let Ok(mut table) = document.text.parse::<toml::Table>() else {
            return;
        };
        written(&mut table, profile);
        self.written.push((place, table.to_string()));
    }

    /// Judges a table of settings by the rules of its origin.
    fn judge(
        &mut self,
        settings: &DeTable<'_>,
        document: &Document,
        profile: &Profile,
        origin: Origin,
    ) {
        for (key, value) in settings {
            let (name, position) = (key.get_ref().as_ref(), key.span().start);
            let place = document.place(position);
            let mut refuse = |why: &str| {
                let message = format!("`{name}` is refused: {why}");
                self.findings
                    .push(Finding::new(Code::ConfigRefused, &place, message));
            };
            let Some(rule) = profile.setting(name) else {
                refuse("v4run's profile does not say what it does");
                continue;
            };
            let action = if origin == Origin::Project {
                rule.project
            } else {
                rule.user
            };
            match action {
                Action::Refuse if rule.harmless.contains(&scalar(value.get_ref())) => {}
                Action::Refuse => refuse(&rule.why),
                Action::Pass | Action::Drop => {}
                Action::Take => {
                    self.take(name, (position, value.get_ref()), document, profile, origin);
                }
            }
        }
    }

    /// What v4run reads itself.
    fn take(
        &mut self,
        name: &str,
        stated: (usize, &DeValue<'_>),
        document: &Document,
        profile: &Profile,
        origin: Origin,
    ) {
        let (position, value) = stated;
        match (name, value) {
            ("pip", DeValue::Table(inner)) => self.judge(inner, document, profile, origin),
            ("sources", DeValue::Table(sources)) => self.sources(sources, document),
            ("index" | "index-url" | "extra-index-url" | "default-index", value) => {
                for (position, item) in items(position, value) {
                    self.index(name, item, document.place(position), origin);
                }
            }
            ("find-links", value) => {
                for (position, item) in items(position, value) {
                    let place = document.place(position);
                    self.links.push((scalar(item), origin, place));
                }
            }
            ("constraint-dependencies" | "override-dependencies", value) => {
                for (position, item) in items(position, value) {
                    let place = document.place(position);
                    self.requirements.push((scalar(item), place));
                }
            }
            ("link-mode", value) if scalar(value) != "symlink" => {}
            (name, _) => {
                let message = format!("`{name}` is refused in a file: say it on the command line");
                let place = document.place(position);
                self.findings
                    .push(Finding::new(Code::ConfigRefused, place, message));
            }
        }
    }

    fn index(&mut self, key: &str, item: &DeValue<'_>, place: String, origin: Origin) {
        let (name, url, default) = if let DeValue::Table(entry) = item {
            let default = value(entry, "default");
            let default = default.is_some_and(|(_, value)| scalar(value) == "true");
            if text(entry, "format").is_some_and(|format| format != "simple") {
                let message = "names a page of links, which states no digests of its own";
                self.findings
                    .push(Finding::new(Code::ConfigRefused, &place, message));
            }
            let name = text(entry, "name").map(str::to_owned);
            let url = text(entry, "url").unwrap_or_default().to_owned();
            (name, url, default)
        } else {
            (None, scalar(item), key != "extra-index-url")
        };
        self.indexes.push(StatedIndex {
            name,
            url,
            default,
            origin,
            place,
        });
    }

    /// `[tool.uv.sources]`: which index a name comes from; anything else is no package of an index.
    fn sources(&mut self, sources: &DeTable<'_>, document: &Document) {
        for (name, stated) in sources {
            for (position, item) in items(name.span().start, stated.get_ref()) {
                let DeValue::Table(source) = item else {
                    continue;
                };
                let other = ["git", "url", "path", "workspace"]
                    .iter()
                    .find(|key| value(source, key).is_some());
                if let Some(kind) = other {
                    let message = format!(
                        "takes `{}` from a {kind} source, not from an index",
                        name.get_ref()
                    );
                    let place = document.place(position);
                    let finding = Finding::new(Code::DependencyRefused, place, message);
                    self.findings
                        .push(finding.with_hint("publish it to an index that you trust"));
                }
            }
        }
    }
}

/// The user's settings for uv: logins and what has no effect are taken off.
fn written(table: &mut toml::Table, profile: &Profile) {
    table.retain(|key, _| {
        profile
            .setting(key)
            .is_some_and(|rule| matches!(rule.user, Action::Pass | Action::Take))
    });
    for (key, value) in table.iter_mut() {
        match (key.as_str(), value) {
            ("pip", toml::Value::Table(inner)) => written(inner, profile),
            ("index" | "index-url" | "extra-index-url" | "default-index", value) => plain(value),
            _ => {}
        }
    }
}

/// Addresses without what belongs to the proxy alone.
fn plain(value: &mut toml::Value) {
    match value {
        toml::Value::String(text) => *text = without_login(text),
        toml::Value::Array(items) => items.iter_mut().for_each(plain),
        toml::Value::Table(entry) => {
            if let Some(url) = entry.get_mut("url") {
                plain(url);
            }
        }
        toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_) => {}
    }
}

/// An address, perhaps with a name before it, without its login.
pub(super) fn without_login(text: &str) -> String {
    let (name, address) = named(text);
    let Ok(mut url) = url::Url::parse(address) else {
        return text.to_owned();
    };
    let _ = url.set_username("");
    let _ = url.set_password(None);
    match name {
        Some(name) => format!("{name}={url}"),
        None => url.to_string(),
    }
}

/// `NAME=ADDRESS` of the command line, taken apart.
pub(super) fn named(text: &str) -> (Option<&str>, &str) {
    match text.split_once('=') {
        Some((name, address)) if !name.contains([':', '/', '?']) => (Some(name), address),
        Some(_) | None => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::uv::PROFILE;

    fn judged(text: &str, origin: Origin) -> Config {
        let document = Document {
            path: PathBuf::from("/p/pyproject.toml"),
            shown: "pyproject.toml".to_owned(),
            text: text.to_owned(),
        };
        let profile = Profile::parse(PROFILE).unwrap();
        let mut config = Config::default();
        match origin {
            Origin::Project => config.project(document, &profile),
            Origin::User | Origin::Environment | Origin::Cli => {
                config.user("user", &document, &profile);
            }
        }
        config
    }

    #[test]
    fn settings_of_a_project_are_refused_by_line() {
        for (line, code) in [
            ("compile-bytecode = true", Code::ConfigRefused),
            ("no-binary-package = ['a']", Code::ConfigRefused),
            ("allow-insecure-host = ['h']", Code::ConfigRefused),
            ("something-new = 1", Code::ConfigRefused),
            ("pip = { target = '/etc' }", Code::ConfigRefused),
            ("workspace = { members = ['a'] }", Code::ConfigRefused),
            (
                "sources = { a = { git = 'https://g.invalid/a' } }",
                Code::DependencyRefused,
            ),
            (
                "sources = { a = [{ path = '../a' }] }",
                Code::DependencyRefused,
            ),
        ] {
            let text = format!("[project]\nname = 'x'\n[tool.uv]\n{line}\n");
            let config = judged(&text, Origin::Project);
            assert_eq!(config.findings.len(), 1, "{line}: {:?}", config.findings);
            assert_eq!(config.findings[0].code, code, "{line}");
            assert_eq!(config.findings[0].subject, "pyproject.toml:4", "{line}");
        }
        let fine = "[tool.uv]\nresolution = 'lowest'\nlink-mode = 'copy'\nsources = { a = { index = 'i' } }\n[[tool.uv.index]]\nname = 'i'\nurl = 'https://i.invalid/s'\ndefault = true\n";
        let config = judged(fine, Origin::Project);
        assert!(config.findings.is_empty(), "{:?}", config.findings);
        let [index] = config.indexes.as_slice() else {
            panic!("{:?}", config.indexes)
        };
        assert!(index.default && index.name.as_deref() == Some("i"));
    }

    #[test]
    fn what_uv_is_shown_of_the_user_has_no_login() {
        let text = "cache-dir = '/x'\nindex-url = 'https://u:secret@i.invalid/s'\nresolution = 'lowest'\n[[index]]\nname = 'o'\nurl = 'https://u:secret@o.invalid/s'\n[pip]\nextra-index-url = ['https://u:secret@e.invalid/s']\n";
        let config = judged(text, Origin::User);
        let (_, written) = &config.written[0];
        assert!(
            !written.contains("secret") && !written.contains("cache-dir"),
            "{written}"
        );
        assert!(written.contains("resolution") && written.contains("https://e.invalid/s"));
        assert_eq!(config.indexes.len(), 3);
    }

    #[test]
    fn names_stand_before_addresses() {
        assert_eq!(
            named("a=https://i.invalid/?x=1"),
            (Some("a"), "https://i.invalid/?x=1")
        );
        assert_eq!(
            named("https://i.invalid/?x=1"),
            (None, "https://i.invalid/?x=1")
        );
        assert_eq!(
            without_login("a=https://u:p@i.invalid/s"),
            "a=https://i.invalid/s"
        );
    }
}
