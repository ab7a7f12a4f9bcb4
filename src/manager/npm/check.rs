//! The checks on lockfile entries and on dependency specifications.
//!
//! Everything that npm would take on trust is looked at before it starts; all problems are listed
//! in one go. What passes becomes the expectations of the proxy and the digests that local archives
//! may have.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use url::Url;

use super::lockfile::{self, Entry, Lock};
use super::manifest::Manifest;
use super::project::{lies_inside, resolve};
use super::registry::{self, Registries};
use super::spec::{self, Spec};
use crate::model::{Anchor, Code, Expected, Finding, Integrity, Repository, redact_url};

/// Problems listed one by one; the rest is counted.
const LISTED: usize = 20;

/// What the checks compare with.
#[derive(Debug)]
pub(super) struct Checker<'a> {
    /// Project root, canonical.
    pub(super) root: &'a Path,
    /// Registries as npm will use them.
    pub(super) registries: &'a Registries,
    /// Allowed repositories.
    pub(super) repositories: &'a [Repository],
}

/// What a lockfile promises.
#[derive(Clone, Debug, Default)]
pub(super) struct Promises {
    /// For the proxy.
    pub(super) expected: Vec<Expected>,
    /// For local archives: path and digest.
    pub(super) archives: Vec<(PathBuf, Integrity)>,
    /// What does not hold.
    pub(super) findings: Vec<Finding>,
}

impl Checker<'_> {
    /// Checks every entry of a lockfile.
    pub(super) fn lock(&self, lock: &Lock, manifests: &[Manifest]) -> Promises {
        let mut promises = Promises::default();
        let aliases = lockfile::aliases(lock, manifests);
        for (location, entry) in lock
            .packages
            .iter()
            .filter(|(location, _)| !location.is_empty())
        {
            let place = format!("{}: {location}", lock.name());
            if let Err(finding) = self.entry(lock, location, entry, &aliases, &place, &mut promises)
            {
                promises.findings.push(finding);
            }
        }
        promises
    }

    fn entry(
        &self,
        lock: &Lock,
        location: &str,
        entry: &Entry,
        aliases: &BTreeSet<(String, String)>,
        place: &str,
        promises: &mut Promises,
    ) -> Result<(), Finding> {
        let invalid = |message: &str| {
            Finding::new(Code::LockInvalid, place, message)
                .with_hint("recreate the lockfile: remove it and run `v4run npm install`")
        };
        let odd = |part: &str| matches!(part, "" | "." | "..");
        if location.starts_with('/') || location.split('/').any(odd) {
            return Err(invalid("is not a path below the project"));
        }
        if entry.link {
            return self.link(entry, place);
        }
        if !location.contains("node_modules/") && entry.resolved.is_none() {
            return self.inside(location, place);
        }
        let folder = lockfile::folder_name(location);
        let name = entry.name.as_deref().unwrap_or(folder);
        let version = entry.version.as_deref().unwrap_or_default();
        if !spec::is_name(name) {
            return Err(invalid("names no package that a registry can have"));
        }
        let digit = |c: char| c.is_ascii_alphanumeric() || ".-+".contains(c);
        if version.is_empty() || !version.chars().all(digit) {
            return Err(invalid("states no version"));
        }
        if name != folder && !aliases.contains(&(folder.to_owned(), name.to_owned())) {
            let message =
                format!("would install `{name}` as `{folder}`, which no dependency asks for");
            return Err(Finding::new(Code::DependencyRefused, place, message));
        }
        if entry.in_bundle && is_shipped_inside(lock, location) && entry.resolved.is_none() {
            return Ok(());
        }
        if let Some(Spec::Directory(path)) = entry.resolved.as_deref().map(spec::of_value) {
            // With `install-links` npm copies a directory of the project.
            return self.inside(&path, place);
        }
        let source = self.source(entry, name, version, place)?;
        let integrity = integrity(entry, place)?;
        match source {
            Origin::Archive(path) => promises.archives.push((path, integrity)),
            Origin::Registry(url) => promises.expected.push(Expected {
                name: name.to_owned(),
                version: version.to_owned(),
                file: None,
                url,
                integrity: Some(integrity),
                anchor: Anchor::Lockfile,
                stated_in: place.to_owned(),
            }),
        }
        Ok(())
    }

    /// Where the bytes of an entry come from.
    fn source(
        &self,
        entry: &Entry,
        name: &str,
        version: &str,
        place: &str,
    ) -> Result<Origin, Finding> {
        let Some(resolved) = entry.resolved.as_deref().filter(|text| !text.is_empty()) else {
            return Ok(Origin::Registry(None));
        };
        if let Spec::File(path) = spec::of_value(resolved) {
            let local = !resolved.contains("://");
            let path = resolve(self.root, &path);
            if local && lies_inside(self.root, &path) {
                return Ok(Origin::Archive(path));
            }
            return Err(outside(place, resolved));
        }
        let Ok(url) = Url::parse(resolved) else {
            return Err(refused(
                place,
                "comes from neither a registry nor a file",
                resolved,
            ));
        };
        match url.scheme() {
            "https" => {}
            "http" => {
                let message = format!("is to be fetched without TLS, from {}", redact_url(&url));
                return Err(Finding::new(Code::PlainHttp, place, message)
                    .with_hint("recreate the lockfile with the https address of the registry"));
            }
            scheme if scheme.starts_with("git") => {
                return Err(refused(
                    place,
                    "comes from a git repository",
                    &redact_url(&url),
                ));
            }
            _ => return Err(refused(place, "comes from no registry", &redact_url(&url))),
        }
        let effective = self.registries.effective(&url);
        let repository = self
            .repositories
            .iter()
            .filter(|r| registry::lies_below(&r.base, &effective));
        let Some(repository) = repository.max_by_key(|r| r.base.path().len()) else {
            let message = format!(
                "comes from {}, which is no allowed repository",
                redact_url(&url)
            );
            return Err(
                Finding::new(Code::RegistryNotAllowed, place, message).with_hint(listing(&url))
            );
        };
        if !registry::names_package(&repository.base, &effective, name, version) {
            let message = format!("is `{name}` {version}, but its address names another package");
            return Err(refused(place, &message, &redact_url(&url)));
        }
        Ok(Origin::Registry(Some(effective)))
    }

    fn link(&self, entry: &Entry, place: &str) -> Result<(), Finding> {
        match entry.resolved.as_deref() {
            Some(target) => self.inside(target, place),
            None => Err(Finding::new(
                Code::LockInvalid,
                place,
                "is a link without a target",
            )),
        }
    }

    fn inside(&self, target: &str, place: &str) -> Result<(), Finding> {
        if lies_inside(self.root, &resolve(self.root, target)) {
            return Ok(());
        }
        Err(outside(place, target))
    }

    /// Checks the dependency specifications of a manifest in `directory`.
    pub(super) fn manifest(
        &self,
        manifest: &Manifest,
        directory: &Path,
        promises: &Promises,
    ) -> Vec<Finding> {
        let file = directory.join("package.json");
        let place = file
            .strip_prefix(self.root)
            .unwrap_or(&file)
            .display()
            .to_string();
        let dependencies = manifest.dependencies.iter();
        let checked = dependencies.filter_map(|(group, name, value)| {
            let subject = format!("{place}: {group}.{name}");
            self.specification(&spec::of_value(value), value, directory, promises, &subject)
        });
        checked.collect()
    }

    /// Checks one specification, from a manifest or the command line.
    pub(super) fn specification(
        &self,
        spec: &Spec,
        shown: &str,
        directory: &Path,
        promises: &Promises,
        subject: &str,
    ) -> Option<Finding> {
        let shown = without_credentials(shown);
        match spec {
            Spec::Registry | Spec::Alias(_) => None,
            Spec::Directory(path) => {
                let path = resolve(directory, path);
                (!lies_inside(self.root, &path)).then(|| outside(subject, &shown))
            }
            Spec::File(path) => {
                let path = resolve(directory, path);
                if !lies_inside(self.root, &path) {
                    return Some(outside(subject, &shown));
                }
                let pinned = promises.archives.iter().any(|(known, _)| *known == path);
                (!pinned).then(|| {
                    let message = format!("is a file without a digest in the lockfile: {shown}");
                    Finding::new(Code::DependencyRefused, subject, message).with_hint(
                        "publish it to a registry, or pin it in the lockfile with its `integrity`",
                    )
                })
            }
            Spec::Git => Some(refused(subject, "comes from a git repository", &shown)),
            Spec::Remote => Some(refused(
                subject,
                "comes from an address outside any registry",
                &shown,
            )),
            Spec::Unknown => Some(refused(
                subject,
                "is no version of a registry package",
                &shown,
            )),
        }
    }
}

enum Origin {
    Registry(Option<Url>),
    Archive(PathBuf),
}

/// The digest of an entry, if it is one that bytes can be released by.
fn integrity(entry: &Entry, place: &str) -> Result<Integrity, Finding> {
    let text = entry.integrity.as_deref().unwrap_or_default();
    let hint = "recreate the lockfile with a registry that states SHA-512: remove it and run `v4run npm install`";
    if text.trim().is_empty() {
        let message = "has no `integrity`, so that npm would install whatever is sent";
        return Err(Finding::new(Code::IntegrityMissing, place, message).with_hint(hint));
    }
    let parsed = Integrity::parse(text).map_err(|error| {
        let message = format!("has an `integrity` that npm would pass over: {error}");
        Finding::new(Code::IntegrityMissing, place, message).with_hint(hint)
    })?;
    if !parsed.algorithm().is_strong() {
        let message = format!("has only a {} digest", parsed.algorithm().name());
        return Err(Finding::new(Code::IntegrityWeak, place, message).with_hint(hint));
    }
    Ok(parsed)
}

/// Whether a package that really ships others inside its archive stands above this path.
fn is_shipped_inside(lock: &Lock, location: &str) -> bool {
    let mut rest = location;
    while let Some(at) = rest.rfind("/node_modules/") {
        rest = rest.get(..at).unwrap_or_default();
        if lock
            .packages
            .get(rest)
            .is_some_and(|entry| entry.bundles() && !entry.link)
        {
            return true;
        }
    }
    false
}

fn refused(subject: &str, what: &str, shown: &str) -> Finding {
    let message = format!("{what}: {}", without_credentials(shown));
    Finding::new(Code::DependencyRefused, subject, message)
        .with_hint("depend on a version that is published in a registry")
}

fn outside(subject: &str, shown: &str) -> Finding {
    let message = format!("leads out of the project: {shown}");
    Finding::new(Code::DependencyRefused, subject, message)
        .with_hint("make it a workspace of the project, or publish it to a registry")
}

/// The policy lines that allow an address.
pub(super) fn listing(url: &Url) -> String {
    let (mut base, path) = (url.clone(), url.path().to_owned());
    // The part before the package name cannot be known; the host is the least that is asked for.
    let before = path
        .split("/-/")
        .next()
        .filter(|before| before.len() < path.len());
    if before.is_some() || !path.ends_with('/') {
        base.set_path("/");
    }
    let base = redact_url(&base);
    format!("if it is to be trusted, add to v4run.toml: repositories = [{{ url = \"{base}\" }}]")
}

/// A specification without user, password and query.
fn without_credentials(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let rest = rest.get(..end).unwrap_or_default();
    let host = rest.find('/').unwrap_or(rest.len());
    let start = rest
        .get(..host)
        .and_then(|host| host.rfind('@'))
        .map_or(0, |at| at + 1);
    format!("{scheme}://{}", rest.get(start..).unwrap_or_default())
}

/// Keeps the first findings and counts the rest.
pub(super) fn bounded(mut findings: Vec<Finding>, subject: &str) -> Vec<Finding> {
    let more = findings.len().saturating_sub(LISTED);
    if let Some(code) = findings.get(LISTED).map(|finding| finding.code) {
        findings.truncate(LISTED);
        findings.push(Finding::new(
            code,
            subject,
            format!("{more} more problems like these"),
        ));
    }
    findings
}
