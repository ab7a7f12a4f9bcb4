//! Requirements that name a file or an address instead of a package.
//!
//! pip would fetch or open them as they are. A wheel passes when its digest is known beforehand:
//! from the line itself for a local file, from the policy for either. Anything else would be built,
//! and a build runs its code.

use std::path::Path;

use url::Url;

use super::{Gatherer, digests, with_hashes};
use crate::manager::python::asked::Requirement;
use crate::manager::python::lock;
use crate::manager::python::requirement::normal_version;
use crate::model::python::{self, WheelName};
use crate::model::{Anchor, Code, Digest, Expected, Finding, Integrity, redact_url};
use crate::profile::NamedArtifact;

impl Gatherer<'_> {
    /// A directory, as a word or by `--editable`: the project itself, where the caller lets that be built.
    pub(in crate::manager) fn folder(
        &mut self,
        path: &str,
        extras: &str,
        place: &str,
        editable: bool,
    ) -> Result<String, Finding> {
        let refused = |message: String| Finding::new(Code::DependencyRefused, place, message);
        let message = format!("is a directory: {path}; its build would run code of the project");
        let Some(sources) = self.grounds.sources else {
            return Err(refused(message));
        };
        if !sources.own {
            let hint = "`v4run --project pip install …` lets the project itself be built, in a sandbox of its own";
            return Err(refused(message).with_hint(hint));
        }
        let real = self.grounds.directory.join(path).canonicalize();
        let project = self.grounds.project;
        let inside = real.ok().filter(|real| real.starts_with(project));
        let Some(real) = inside else {
            let message = format!(
                "is no directory of the project: {path}; `--project` lets nothing else be built"
            );
            return Err(refused(message));
        };
        let mut built = sources.built.iter();
        let Some(built) = built.find(|one| one.folder.as_ref() == Some(&real)) else {
            self.found.own.push((real, editable));
            return Ok(String::new());
        };
        let file = built.file.clone();
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let wheel = wheel(name, path, place)?;
        self.found.reads.push(file.clone());
        // A directory has no digest, so that this is no line that asks for any.
        self.keep(wheel, None, Vec::new(), place);
        Ok(format!("{}{extras}", file.display()))
    }

    /// A file of the caller.
    pub(super) fn local(
        &mut self,
        path: &str,
        marker: Option<String>,
        hashes: &[&str],
        place: &str,
    ) -> Result<String, Finding> {
        let file = Path::new(path)
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let wheel = wheel(file, path, place)?;
        if !is_plain(path) {
            let message = format!("has a path that a requirements file cannot hold: {path}");
            return Err(Finding::new(Code::Usage, place, message));
        }
        let real = self.grounds.directory.join(path);
        let real = real.canonicalize().map_err(|_error| {
            Finding::new(
                Code::Usage,
                place,
                format!("names a file that does not exist: {path}"),
            )
        })?;
        let stated = digests(hashes, place)?;
        let integrity = match Integrity::any_of(stated.clone()) {
            Some(integrity) => integrity,
            None => self.policy(|artifact| artifact.file == file).map(|one| one.integrity.clone()).ok_or_else(|| {
                let message = format!("is a local file without a digest: {path}");
                Finding::new(Code::FileUnverified, place, message).with_hint(format!(
                    "write `{path} --hash=sha256:…` into a requirements file, or name it under `artifacts` in v4run.toml"
                ))
            })?,
        };
        self.found.pinned.push((real.clone(), integrity));
        self.found.reads.push(real);
        // A word of the command line that began with a dash would be an option.
        let shown = if path.starts_with('-') {
            format!("./{path}")
        } else {
            path.to_owned()
        };
        let text = with_marker(shown, marker.as_deref(), ";");
        self.keep(wheel, marker, stated.clone(), place);
        Ok(with_hashes(text, &stated))
    }

    /// An address.
    pub(super) fn address(
        &mut self,
        name: Option<&str>,
        address: &str,
        marker: Option<String>,
        hashes: &[&str],
        place: &str,
    ) -> Result<String, Finding> {
        let Ok(mut url) = Url::parse(address) else {
            let message = "names something that is neither an address nor a version";
            return Err(Finding::new(Code::DependencyRefused, place, message));
        };
        let fragment = url.fragment().unwrap_or_default().to_owned();
        if url.scheme() == "file" {
            return self.file_address(&url, &fragment, marker, hashes, place);
        }
        if url.scheme() != "https" {
            let message = format!("would be fetched without TLS: {}", redact_url(&url));
            return Err(Finding::new(Code::PlainHttp, place, message));
        }
        url.set_fragment(None);
        let shown = redact_url(&url);
        let Some(artifact) = self
            .policy(|artifact| artifact.url.as_ref() == Some(&url))
            .cloned()
        else {
            let message = format!("is fetched from an address, not from an index: {shown}");
            return Err(Finding::new(Code::DependencyRefused, place, message).with_hint(
                "install it from an index, or name address, file and sha256 under `artifacts` in v4run.toml",
            ));
        };
        let wheel = wheel(&artifact.file, &shown, place)?;
        if name.is_some_and(|name| name != wheel.name) {
            let message = format!("names a wheel of another package: {shown}");
            return Err(Finding::new(Code::DependencyRefused, place, message));
        }
        let mut text = format!("{} @ {url}", wheel.name);
        if let Some(digest) = artifact.integrity.deciding().next() {
            text.push_str(&format!("#{}={}", digest.algorithm().name(), digest.hex()));
        }
        let text = with_marker(text, marker.as_deref(), " ;");
        let stated = digests(hashes, place)?;
        self.found.expected.push(statement(&artifact, &wheel));
        self.keep(wheel, marker, stated.clone(), place);
        Ok(with_hashes(text, &stated))
    }

    /// A `file:` address, whose fragment may carry the digest.
    fn file_address(
        &mut self,
        url: &Url,
        fragment: &str,
        marker: Option<String>,
        hashes: &[&str],
        place: &str,
    ) -> Result<String, Finding> {
        let path = url
            .to_file_path()
            .ok()
            .and_then(|path| path.to_str().map(str::to_owned));
        let Some(path) = path else {
            let message = format!("names no file of this machine: {}", redact_url(url));
            return Err(Finding::new(Code::DependencyRefused, place, message));
        };
        let parts = fragment
            .split('&')
            .filter(|part| matches!(lock::digest(part), Ok(Some(_))));
        let named: Vec<String> = parts.map(|part| part.replacen('=', ":", 1)).collect();
        let all: Vec<&str> = hashes
            .iter()
            .copied()
            .chain(named.iter().map(String::as_str))
            .collect();
        if hashes.is_empty() && !named.is_empty() {
            // Given as a word, the digest can only stay in the address.
            self.local(&path, marker.clone(), &all, place)?;
            let mut kept = url.clone();
            kept.set_fragment(Some(&named.join("&").replacen(':', "=", 1)));
            return Ok(with_marker(kept.to_string(), marker.as_deref(), " ;"));
        }
        self.local(&path, marker, &all, place)
    }

    fn keep(&mut self, wheel: WheelName, marker: Option<String>, hashes: Vec<Digest>, place: &str) {
        self.found.requirements.push(Requirement {
            name: wheel.name,
            specifier: format!("=={}", normal_version(&wheel.version)),
            extras: Vec::new(),
            marker,
            hashes,
            place: place.to_owned(),
            constraint: false,
        });
    }

    fn policy(&self, fits: impl Fn(&&NamedArtifact) -> bool) -> Option<&NamedArtifact> {
        self.grounds.policy.artifacts.iter().find(fits)
    }
}

/// What the policy says about a wheel, for the proxy.
pub(in crate::manager) fn statement(artifact: &NamedArtifact, wheel: &WheelName) -> Expected {
    Expected {
        name: wheel.name.clone(),
        version: normal_version(&wheel.version),
        file: Some(artifact.file.clone()),
        url: artifact.url.clone(),
        integrity: Some(artifact.integrity.clone()),
        anchor: Anchor::Policy,
        stated_in: artifact.stated_in.clone(),
    }
}

fn wheel(file: &str, shown: &str, place: &str) -> Result<WheelName, Finding> {
    python::wheel_name(file).ok_or_else(|| {
        let message = format!("is a source archive: {shown}; its build would run its code");
        Finding::new(Code::DependencyRefused, place, message)
            .with_hint("install a wheel of it instead")
    })
}

fn with_marker(text: String, marker: Option<&str>, separator: &str) -> String {
    match marker {
        Some(marker) => format!("{text}{separator} {marker}"),
        None => text,
    }
}

/// Whether a line of a requirements file can hold the path so that pip reads the same.
fn is_plain(path: &str) -> bool {
    let odd = |c: char| c.is_control() || "#;\\\"'[]@".contains(c);
    !path.contains(odd)
        && !path.contains("${")
        && !path
            .split(' ')
            .any(|part| part.is_empty() || (part.starts_with('-') && path.contains(' ')))
}
