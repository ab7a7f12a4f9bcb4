//! What the index knows of one record, read from its journal: the run, its components, their keys.
//!
//! Only a journal whose chain holds to its seal counts; of another one is told what is wrong with it.
//! A component is what was installed; what was only fetched is told apart.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::segment::Key;
use crate::model::{Algorithm, Code, Digest, Event, Integrity, Severity, spellings};
use crate::record::{Chain, Index, Origin, Reading, read};

/// A run of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Name of the record's folder.
    #[serde(skip_deserializing)]
    pub record: String,
    /// Start, RFC 3339.
    pub started: String,
    /// End, RFC 3339.
    pub ended: String,
    /// The manager's name.
    pub manager: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Working directory.
    pub directory: String,
    /// v4run's exit status.
    pub exit_code: Option<u8>,
    /// Whether a shim handed it to the bare manager, whose end nobody recorded.
    pub handed: bool,
    /// Components on disk.
    pub components: u64,
    /// What was found beside notes, and how often.
    pub findings: BTreeMap<String, u64>,
    /// Why the record is not believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
}

/// Reads a record for the index.
pub(super) fn of(record: &Path) -> (Run, Vec<(String, Vec<Key>)>) {
    let broken = |why: String| Run {
        broken: Some(why),
        ..Run::default()
    };
    match read(record) {
        Err(error) => (broken(error.finding().message), Vec::new()),
        Ok(reading) => match &reading.chain {
            Chain::Sealed => match reading.first_unknown() {
                None => known(&reading),
                // What it says may be the very thing that is asked for.
                Some(line) => {
                    let why = format!("line {line} of its journal is of another version of v4run");
                    (broken(why), Vec::new())
                }
            },
            Chain::Unsealed => {
                let why = "it is not sealed: the run goes on, or v4run was killed";
                (broken(why.to_owned()), Vec::new())
            }
            Chain::Broken { line, reason } => (
                broken(format!("line {line} of its journal {reason}")),
                Vec::new(),
            ),
        },
    }
}

fn known(reading: &Reading) -> (Run, Vec<(String, Vec<Key>)>) {
    let events = reading.events();
    let index = Index::new(&events);
    let time = |entry: Option<&crate::record::Entry>| {
        entry.map(|entry| entry.time.clone()).unwrap_or_default()
    };
    let mut run = Run {
        started: time(reading.entries.first()),
        ended: time(reading.entries.last()),
        components: index.purls().len() as u64,
        ..Run::default()
    };
    for event in &events {
        if let Event::RunStarted {
            manager,
            arguments,
            directory,
            ..
        } = event
        {
            run.manager.clone_from(manager);
            run.arguments.clone_from(arguments);
            run.directory.clone_from(directory);
        } else if let Event::Sealed { exit_code, .. } = event {
            run.exit_code = Some(*exit_code);
        }
    }
    for finding in &index.findings {
        run.handed |= finding.code == Code::Passthrough;
        if finding.code.severity() != Severity::Note {
            *run.findings
                .entry(finding.code.name().to_owned())
                .or_default() += 1;
        }
    }
    let mut components = Vec::new();
    let mut used = BTreeSet::new();
    for package in &index.packages {
        let mut keys = named(&package.name, &package.version, &package.purl);
        let stated = package.integrity.iter().flat_map(Integrity::deciding);
        keys.extend(stated.map(digested));
        if let Origin::Released(released) = index.origin_of(package) {
            keys.extend(released.digests().map(digested));
            used.insert(&released.sha256);
        }
        components.push((package.purl.clone(), keys));
    }
    for released in &index.released {
        if !used.contains(&released.sha256) {
            let mut keys = named(&released.name, &released.version, "");
            keys.extend(released.digests().map(digested));
            let text = format!(
                "{}@{} (fetched, not installed)",
                released.name, released.version
            );
            components.push((text, keys));
        }
    }
    (run, components)
}

fn key(kind: char, text: &str) -> Key {
    let mut hash = Sha256::new();
    hash.update([kind as u8]);
    hash.update(text.as_bytes());
    let mut key = Key::default();
    key.iter_mut()
        .zip(hash.finalize())
        .for_each(|(to, from)| *to = from);
    key
}

fn digested(digest: &Digest) -> Key {
    key(
        'd',
        &format!("{}:{}", digest.algorithm().name(), digest.hex()),
    )
}

/// Names as people write them.
fn named(name: &str, version: &str, purl: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    // Where a name has several spellings, the package URL has the one that counts.
    let last = without_version(purl).rsplit_once('/');
    let normal = last.filter(|(kind, normal)| !kind.contains('/') && *normal != name);
    for name in std::iter::once(name).chain(normal.map(|(_, normal)| normal)) {
        keys.push(key('n', name));
        keys.push(key('v', &format!("{name}@{version}")));
    }
    if !purl.is_empty() {
        let plain = plain(purl);
        keys.push(key('p', plain));
        keys.push(key('p', without_version(plain)));
    }
    keys
}

/// A package URL without qualifiers.
fn plain(purl: &str) -> &str {
    purl.split(['?', '#']).next().unwrap_or(purl)
}

/// A package URL without qualifiers and version.
pub(in crate::record) fn without_version(purl: &str) -> &str {
    let purl = plain(purl);
    let name = purl.rfind('/').unwrap_or_default();
    match purl.rfind('@').filter(|at| *at > name + 1) {
        Some(at) => purl.get(..at).unwrap_or(purl),
        None => purl,
    }
}

/// The keys that a question may mean: a package URL, a digest, or a name with or without a version.
pub(super) fn asked(text: &str) -> Vec<Key> {
    if text.starts_with("pkg:") {
        return vec![key('p', &plain(text).replace("/@", "/%40"))];
    }
    let algorithms = [
        Algorithm::Sha256,
        Algorithm::Sha512,
        Algorithm::Sha1,
        Algorithm::Sha384,
    ];
    for algorithm in algorithms {
        let stated = text.strip_prefix(algorithm.name());
        let hex = stated
            .and_then(|rest| rest.strip_prefix(':'))
            .unwrap_or(text);
        if let Ok(digest) = Digest::from_hex(algorithm, hex) {
            return vec![digested(&digest)];
        }
    }
    if let Ok(digest) = text.parse::<Digest>() {
        return vec![digested(&digest)];
    }
    // The first letter may be the sign of a scope.
    let at = text.rfind('@').filter(|at| *at > 0);
    let parts = at.and_then(|at| Some((text.get(..at)?, text.get(at + 1..)?)));
    let coordinates = text.rsplit_once(':').filter(|(name, _)| name.contains(':'));
    match parts.or(coordinates) {
        Some((name, version)) => spellings(name)
            .map(|name| key('v', &format!("{name}@{version}")))
            .collect(),
        None => spellings(text).map(|name| key('n', &name)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fixture::digest;

    fn finds(question: &str, name: &str, version: &str, purl: &str) -> bool {
        let keys = named(name, version, purl);
        asked(question).iter().any(|asked| keys.contains(asked))
    }

    #[test]
    fn a_component_is_found_by_every_name_of_it() {
        let npm = ("@s/left", "1.0.0", "pkg:npm/%40s/left@1.0.0");
        for question in [
            "@s/left",
            "@s/left@1.0.0",
            "pkg:npm/%40s/left",
            "pkg:npm/@s/left@1.0.0",
            "pkg:npm/%40s/left@1.0.0?x=y",
        ] {
            assert!(finds(question, npm.0, npm.1, npm.2), "{question}");
        }
        for question in ["left", "@s/left@1.0", "@s/left@2.0.0", "pkg:pypi/left", ""] {
            assert!(!finds(question, npm.0, npm.1, npm.2), "{question}");
        }
        assert!(finds(
            "Zope_Interface@1",
            "zope.interface",
            "1",
            "pkg:pypi/zope-interface@1"
        ));
        assert!(finds("g:a:1", "g:a", "1", "pkg:maven/g/a@1?type=jar"));
        assert!(finds("g:a", "g:a", "1", "pkg:maven/g/a@1?type=jar"));
    }

    #[test]
    fn a_digest_is_found_in_every_spelling() {
        let digest = digest(Algorithm::Sha512, 7);
        for text in [
            digest.hex(),
            digest.hex().to_uppercase(),
            format!("sha512:{}", digest.hex()),
            digest.to_string(),
        ] {
            assert_eq!(asked(&text), [digested(&digest)], "{text}");
        }
    }
}
