//! Effective policy: the machine's file merged with the project's or the caller's.
//!
//! Called once at the start of a run, before anything else is read. The machine's policy
//! (`/etc/v4run/policy.toml`) always counts. A project's `v4run.toml` is reviewed with its code and
//! may add repositories, but where programs and the store lie is not the project's to say, and what
//! the machine pins to one repository stays there. Under
//! `lockdown` it may only ask for a higher level. A file named by `--policy` takes the project
//! file's place and, because the caller named it, may say everything short of a lockdown.
//! It deliberately does not look at the environment.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::Digest as _;
use toml::Spanned;
use url::Url;

use super::approval;
use super::assurance::{self, Excepted};
use super::build;
use super::facts;
use super::raw::{self, RawArtifact, RawPin, RawPolicy};
use super::signing;
use super::{AllowedRepository, NamePin, NamedArtifact, Policy, StatedFact};
use crate::model::{
    Algorithm, Code, Digest, Finding, Integrity, LookMode, PublisherKey, SourcePin,
};

/// Name of the project's policy file.
const PROJECT_FILE: &str = "v4run.toml";

/// Policies are written by hand; anything larger is no policy.
const LIMIT: u64 = 1 << 20;

/// What is found in artifacts and may be refused for it.
pub(super) const REFUSABLE: [Code; 1] = [Code::StartupCode];

/// Who states a policy, and so what it may say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Author {
    System,
    Caller,
    Project,
}

impl Policy {
    /// Reads and merges the policy files. `explicit` is the caller's `--policy FILE`, `project` the
    /// directory whose `v4run.toml` counts otherwise, `system` the machine's policy file.
    pub fn load(explicit: Option<&Path>, project: &Path, system: &Path) -> Result<Self, Finding> {
        let mut policy = Self::default();
        if let Some(file) = read(system, false)? {
            policy.merge(&file, Author::System)?;
        }
        let (path, author) = match explicit {
            Some(path) => (path.to_path_buf(), Author::Caller),
            None => (project.join(PROJECT_FILE), Author::Project),
        };
        if let Some(file) = read(&path, author == Author::Caller)? {
            policy.merge(&file, author)?;
        }
        Ok(policy)
    }

    /// Whether shims hand on what runs code by design.
    pub fn hands_on(&self) -> bool {
        self.passthrough.unwrap_or(!self.lockdown)
    }

    fn merge(&mut self, file: &PolicyFile, author: Author) -> Result<(), Finding> {
        let raw: RawPolicy =
            raw::parse(&file.text).map_err(|error| file.invalid(error.line, &error.message))?;
        let locked = self.lockdown;
        for repository in &raw.repositories {
            if locked {
                return Err(file.locked(&repository.url, "repositories"));
            }
            let url = file.base(&repository.url)?;
            let origin = repository
                .origin
                .as_ref()
                .map(|origin| file.base(origin))
                .transpose()?;
            let stated_in = file.place(repository.url.span().start);
            let inherits = repository.inherits.as_ref();
            let inherits = inherits.map(|word| file.sheet(word)).transpose()?;
            self.repositories.retain(|known| known.url != url);
            self.repositories.push(AllowedRepository {
                url,
                origin,
                inherits,
                stated_in,
            });
        }
        for artifact in &raw.artifacts {
            if locked {
                return Err(file.locked(&artifact.file, "artifacts"));
            }
            self.artifacts.push(file.artifact(artifact)?);
        }
        for pin in &raw.pins {
            if locked {
                return Err(file.locked(&pin.repository, "pins"));
            }
            self.pins.push(file.pin(pin, author)?);
        }
        for raw in &raw.approvals {
            if locked {
                return Err(file.locked(&raw.sha256, "approvals"));
            }
            let approval = approval::read(raw, file.place(raw.sha256.span().start));
            let refused = |wrong: approval::Wrong| {
                let line = raw::line_of(&file.text, wrong.at);
                file.invalid(Some(line), &wrong.message)
            };
            self.approvals.push(approval.map_err(refused)?);
        }
        for raw in &raw.builds {
            if locked {
                return Err(file.locked(&raw.digest, "builds"));
            }
            let build = build::read(raw, file.place(raw.digest.span().start));
            let refused = |wrong: approval::Wrong| {
                let line = raw::line_of(&file.text, wrong.at);
                file.invalid(Some(line), &wrong.message)
            };
            self.builds.push(build.map_err(refused)?);
        }
        // Only ever more is refused, so that everybody may say it.
        for found in &raw.refuse {
            let mut known = REFUSABLE.iter();
            let Some(code) = known.find(|code| code.name() == found.get_ref()) else {
                let names = REFUSABLE
                    .map(|code| format!("\"{}\"", code.name()))
                    .join(", ");
                let message = format!("`refuse` may list {names}, not: {}", found.get_ref());
                return Err(file.invalid(Some(file.line(found)), &message));
            };
            if !self.refuse.contains(code) {
                self.refuse.push(*code);
            }
        }
        self.merge_assurance(file, &raw)?;
        self.signing(file, &raw, author)?;
        if let Some(level) = &raw.level {
            let number = match level.get_ref().as_str() {
                "L1" => 1,
                "L2" => 2,
                "L3" => 3,
                other => {
                    let message = format!("`level` is \"L1\", \"L2\" or \"L3\", not: {other}");
                    return Err(file.invalid(Some(file.line(level)), &message));
                }
            };
            if self.level < Some(number) {
                self.places
                    .insert("level".to_owned(), file.place(level.span().start));
            }
            self.level = self.level.max(Some(number));
        }
        if let Some(look) = &raw.look {
            let mut modes = LookMode::ALL.into_iter();
            let Some(mode) = modes.find(|mode| mode.name() == look.get_ref()) else {
                let names = LookMode::ALL.map(|mode| format!("\"{}\"", mode.name()));
                let message = format!(
                    "`look` is one of {}, not: {}",
                    names.join(", "),
                    look.get_ref()
                );
                return Err(file.invalid(Some(file.line(look)), &message));
            };
            // Whoever asks for more decides, except where only the caller is asked.
            let asked = match author {
                Author::Project => self.look.unwrap_or_default().max(mode),
                Author::System | Author::Caller if locked => {
                    self.look.unwrap_or_default().max(mode)
                }
                Author::System | Author::Caller => mode,
            };
            if self.look != Some(asked) {
                self.places
                    .insert("look".to_owned(), file.place(look.span().start));
            }
            self.look = Some(asked);
        }
        if let Some(store) = &raw.store {
            file.may_place(author, locked, store, "store")?;
            self.store = Some(file.absolute(store, "store")?);
            self.places
                .insert("store".to_owned(), file.place(store.span().start));
        }
        for (name, manager) in &raw.managers {
            file.may_place(author, locked, &manager.path, "managers")?;
            self.managers
                .insert(name.clone(), file.absolute(&manager.path, "path")?);
            let place = file.place(manager.path.span().start);
            self.places.insert(format!("managers.{name}.path"), place);
        }
        if let Some(lockdown) = &raw.lockdown {
            if author != Author::System {
                let message = "`lockdown` is for the system policy only";
                return Err(file.invalid(Some(file.line(lockdown)), message));
            }
            self.lockdown = *lockdown.get_ref();
            self.places
                .insert("lockdown".to_owned(), file.place(lockdown.span().start));
        }
        if let Some(passthrough) = &raw.passthrough {
            if author != Author::System {
                let message = "`passthrough` is for the system policy only";
                return Err(file.invalid(Some(file.line(passthrough)), message));
            }
            self.passthrough = Some(*passthrough.get_ref());
            let place = file.place(passthrough.span().start);
            self.places.insert("passthrough".to_owned(), place);
        }
        self.sources.push((file.path.clone(), file.digest.clone()));
        Ok(())
    }

    /// Statements, exceptions and the age of versions.
    fn merge_assurance(&mut self, file: &PolicyFile, raw: &RawPolicy) -> Result<(), Finding> {
        let refused = |wrong: approval::Wrong| {
            let line = raw::line_of(&file.text, wrong.at);
            file.invalid(Some(line), &wrong.message)
        };
        for stated in &raw.facts {
            if self.lockdown {
                return Err(file.locked(&stated.repository, "facts"));
            }
            let repository = file.base(&stated.repository)?;
            let place = file.place(stated.repository.span().start);
            let fact = assurance::fact(stated, place).map_err(refused)?;
            // The later file speaks for a repository and a control.
            self.facts.retain(|known| {
                known.repository != repository || known.fact.control != fact.control
            });
            self.facts.push(StatedFact { repository, fact });
        }
        for stated in &raw.exceptions {
            if self.lockdown {
                return Err(file.locked(&stated.owner, "exceptions"));
            }
            let place = file.place(stated.owner.span().start);
            match assurance::exception(stated, place, SystemTime::now()).map_err(refused)? {
                Excepted::Control(exception) => self.exceptions.push(exception),
                Excepted::Age(exemption) => self.age_exemptions.push(exemption),
            }
        }
        if let Some(stated) = &raw.minimum_release_age {
            let age = assurance::age(stated).map_err(refused)?;
            // Whoever asks for more decides, so that a lockdown needs no rule here.
            if self.minimum_release_age < Some(age) {
                self.minimum_release_age = Some(age);
                let place = file.place(stated.span().start);
                self.places.insert("minimum-release-age".to_owned(), place);
            }
        }
        Ok(())
    }

    /// Keys and sources only narrow what is accepted where they are for a repository of the run, but
    /// a project that names keys for an origin would speak for it: the machine's own keys stay.
    fn signing(
        &mut self,
        file: &PolicyFile,
        raw: &RawPolicy,
        author: Author,
    ) -> Result<(), Finding> {
        let locked = self.lockdown;
        let before: Vec<Url> = self
            .signing
            .origins
            .iter()
            .map(|one| one.origin.clone())
            .collect();
        for key in &raw.signing_keys {
            if locked {
                return Err(file.locked(&key.id, "signing-keys"));
            }
            let origin = file.base(&key.origin)?;
            if author == Author::Project && before.contains(&origin) {
                let message = "the system policy names the keys of that origin already";
                return Err(file.invalid(Some(file.line(&key.origin)), message));
            }
            if author == Author::Project {
                self.signing.by_project.push(origin.clone());
            }
            let stated_in = file.place(key.id.span().start);
            self.signing.add(origin, key, stated_in);
        }
        for source in &raw.sources {
            if locked {
                return Err(file.locked(&source.repository, "sources"));
            }
            let (name, stated_in) =
                file.named(&source.name, &source.prefix, &source.repository, "a source")?;
            let repository = file.address(&source.repository)?;
            self.signing.sources.push(SourcePin {
                name,
                repository: repository.to_string(),
                stated_in,
            });
        }
        let machine = self.signing.clone();
        for key in &raw.publisher_keys {
            if locked {
                return Err(file.locked(&key.fingerprint, "publisher-keys"));
            }
            let what = "a publisher's key";
            let (name, stated_in) = file.named(&key.name, &key.prefix, &key.fingerprint, what)?;
            if author == Author::Project && machine.speaks_for(&name) {
                let message = "the system policy names the keys of those publishers already";
                return Err(file.invalid(Some(file.line(&key.fingerprint)), message));
            }
            self.signing.publishers.push(PublisherKey {
                name,
                fingerprint: key.fingerprint.get_ref().clone(),
                key: key.key.clone(),
                start: key.start.clone(),
                end: key.end.clone(),
                stated_in,
            });
        }
        if let Some(root) = &raw.trust_root {
            file.may_place(author, locked, root, "trust-root")?;
            let path = file.absolute(root, "trust-root")?;
            let text = signing::roots(&path).map_err(|error| {
                let message = format!("`trust-root` cannot be read: {error}");
                file.invalid(Some(file.line(root)), &message)
            })?;
            self.signing.roots = Some(text);
        }
        Ok(())
    }
}

/// A policy file as read.
struct PolicyFile {
    path: PathBuf,
    text: String,
    digest: Digest,
}

impl PolicyFile {
    fn line<T>(&self, value: &Spanned<T>) -> usize {
        raw::line_of(&self.text, value.span().start)
    }

    fn place(&self, position: usize) -> String {
        format!(
            "{}:{}",
            self.path.display(),
            raw::line_of(&self.text, position)
        )
    }

    /// The name of an entry, or the beginning of names with a final `*`, and where it stands.
    fn named(
        &self,
        name: &Option<Spanned<String>>,
        prefix: &Option<Spanned<String>>,
        at: &Spanned<String>,
        what: &str,
    ) -> Result<(String, String), Finding> {
        let (name, star) = match (name, prefix) {
            (Some(name), None) => (name, ""),
            (None, Some(prefix)) => (prefix, "*"),
            (Some(_), Some(_)) | (None, None) => {
                let message = format!("{what} has either `name` or `prefix`");
                return Err(self.invalid(Some(self.line(at)), &message));
            }
        };
        let stated_in = self.place(name.span().start);
        Ok((format!("{}{star}", name.get_ref()), stated_in))
    }

    fn invalid(&self, line: Option<usize>, message: &str) -> Finding {
        let subject = match line {
            Some(line) => format!("{}:{line}", self.path.display()),
            None => self.path.display().to_string(),
        };
        Finding::new(Code::PolicyInvalid, subject, message)
    }

    fn locked<T>(&self, value: &Spanned<T>, key: &str) -> Finding {
        let message = format!("the system policy is locked down, so `{key}` cannot be set here");
        self.invalid(Some(self.line(value)), &message)
            .with_hint("state it in the system policy instead")
    }

    fn may_place<T>(
        &self,
        author: Author,
        locked: bool,
        value: &Spanned<T>,
        key: &str,
    ) -> Result<(), Finding> {
        if locked {
            return Err(self.locked(value, key));
        }
        if author == Author::Project {
            let message =
                format!("`{key}` cannot be set by a project: it names places on the machine");
            return Err(self
                .invalid(Some(self.line(value)), &message)
                .with_hint("state it in the system policy, or in a file named with `--policy`"));
        }
        Ok(())
    }

    fn absolute(&self, value: &Spanned<String>, key: &str) -> Result<PathBuf, Finding> {
        let path = PathBuf::from(value.get_ref());
        if path.is_absolute() {
            return Ok(path);
        }
        let message = format!("`{key}` must be an absolute path: {}", value.get_ref());
        Err(self.invalid(Some(self.line(value)), &message))
    }

    /// A file named with its digest.
    fn artifact(&self, raw: &RawArtifact) -> Result<NamedArtifact, Finding> {
        let file = raw.file.get_ref();
        if file.is_empty() || file.contains('/') {
            let message = "`file` is a file name without directories";
            return Err(self.invalid(Some(self.line(&raw.file)), message));
        }
        let digest = Digest::from_hex(Algorithm::Sha256, raw.sha256.get_ref());
        let digest = digest.map_err(|_error| {
            let message = "`sha256` is 64 hexadecimal digits";
            self.invalid(Some(self.line(&raw.sha256)), message)
        })?;
        Ok(NamedArtifact {
            file: file.clone(),
            url: raw.url.as_ref().map(|url| self.address(url)).transpose()?,
            integrity: Integrity::of(digest),
            stated_in: self.place(raw.file.span().start),
        })
    }

    /// The key of built-in facts.
    fn sheet(&self, value: &Spanned<String>) -> Result<String, Finding> {
        let names: Vec<String> = facts::names().map(|name| format!("\"{name}\"")).collect();
        if names.contains(&format!("\"{}\"", value.get_ref())) {
            return Ok(value.get_ref().clone());
        }
        let message = format!("`inherits` is one of {}", names.join(", "));
        Err(self.invalid(Some(self.line(value)), &message))
    }

    /// Names that belong to one repository.
    fn pin(&self, raw: &RawPin, author: Author) -> Result<NamePin, Finding> {
        let (name, prefix) = match (&raw.name, &raw.prefix) {
            (Some(name), None) => (name, false),
            (None, Some(prefix)) => (prefix, true),
            (Some(_), Some(_)) | (None, None) => {
                let message = "a pin has either `name` or `prefix`";
                return Err(self.invalid(Some(self.line(&raw.repository)), message));
            }
        };
        if name.get_ref().is_empty() || name.get_ref().contains('*') {
            let message = "`name` and `prefix` are plain text; a prefix needs no `*`";
            return Err(self.invalid(Some(self.line(name)), message));
        }
        Ok(NamePin {
            name: name.get_ref().clone(),
            prefix,
            repository: self.base(&raw.repository)?,
            system: author == Author::System,
            stated_in: self.place(name.span().start),
        })
    }

    /// A repository address: https, no credentials, path with a final `/`.
    fn base(&self, value: &Spanned<String>) -> Result<Url, Finding> {
        let mut url = self.address(value)?;
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(url)
    }

    /// An address: https, no credentials.
    fn address(&self, value: &Spanned<String>) -> Result<Url, Finding> {
        let line = Some(self.line(value));
        let url = Url::parse(value.get_ref())
            .map_err(|error| self.invalid(line, &format!("not an address: {error}")))?;
        if url.scheme() != "https" || url.host_str().is_none() {
            return Err(self.invalid(line, "a repository address starts with https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            let message =
                "credentials do not belong into a policy: use the manager's user configuration";
            return Err(self.invalid(line, message));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(self.invalid(line, "a repository address has no query and no fragment"));
        }
        Ok(url)
    }
}

/// Reads a policy file. `None` when it does not exist and need not.
fn read(path: &Path, required: bool) -> Result<Option<PolicyFile>, Finding> {
    let invalid =
        |message: String| Finding::new(Code::PolicyInvalid, path.display().to_string(), message);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => return Ok(None),
        Err(error) => return Err(invalid(format!("cannot be read: {error}"))),
    };
    let mut bytes = Vec::new();
    file.take(LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| invalid(format!("cannot be read: {error}")))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LIMIT {
        return Err(invalid("larger than 1 MiB".to_owned()));
    }
    let digest = Digest::new(Algorithm::Sha256, sha2::Sha256::digest(&bytes).to_vec())
        .map_err(|error| invalid(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_bytes| invalid("not UTF-8".to_owned()))?;
    Ok(Some(PolicyFile {
        path: path.to_path_buf(),
        text,
        digest,
    }))
}

#[cfg(test)]
mod tests;
