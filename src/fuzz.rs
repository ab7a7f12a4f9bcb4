//! The fuzz targets: everything that reads foreign bytes, by name.
//!
//! Compiled for tests and for the fuzz build only; `tests/fuzz` puts a coverage-guided engine in
//! front of the table, the tests here replay the seeds and what was found. A target takes any bytes
//! and must come back, soon and without a panic; what it makes of them is judged elsewhere.
//! It does not look for wrong decisions: those have tests and properties beside their code.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use url::Url;

use crate::examine;
use crate::manager;
use crate::model::{Algorithm, Digest, PublisherKey, SigningKey};
use crate::profile::Policy;
use crate::protocol::{About, Artifact, Document, Protocol, maven, npm, pypi};
use crate::proxy;
use crate::record;
use crate::supervisor;
use crate::verify::signatures::{Keys, Publisher, Roots, Subject, judge_detached};

/// A target.
pub type Target = fn(&[u8]);

/// All of them.
pub const TARGETS: &[(&str, Target)] = &[
    ("address", supervisor::fuzz),
    ("answers", proxy::fuzz::answers),
    ("archive", examine::fuzz),
    ("dsse", record::fuzz),
    ("gzip", proxy::fuzz::compressed),
    ("ini", manager::pip::fuzz::configuration),
    ("jar", manager::mvn::fuzz::jar),
    ("logins", manager::fuzz::logins),
    ("maven-metadata", maven_metadata),
    ("mvn-lock", manager::mvn::fuzz::lock),
    ("npm-lock", manager::npm::fuzz::lockfile),
    ("npm-manifest", manager::npm::fuzz::manifest),
    ("npm-signs", npm_signs),
    ("npmrc", manager::npm::fuzz::configuration),
    ("openpgp", openpgp),
    ("packument", packument),
    ("policy", policy),
    ("pom", pom),
    ("pypi-signs", pypi_signs),
    ("python-locks", manager::fuzz::locks),
    ("record", read_record),
    ("requests", proxy::fuzz::requests),
    ("requirements", manager::fuzz::requirements),
    ("settings", manager::mvn::fuzz::settings),
    ("sigstore", sigstore),
    ("simple-html", simple_html),
    ("simple-json", simple_json),
    ("targets", proxy::fuzz::targets),
    ("trust-root", trust_root),
    ("uv-lock", manager::uv::fuzz::lockfile),
    ("wheel", wheel),
];

/// Runs a target; `false` when there is none of that name.
pub fn run(name: &str, bytes: &[u8]) -> bool {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    target.is_some_and(|(_, target)| {
        target(bytes);
        true
    })
}

/// Line between the files of an input that stands for a directory.
const CUT: &[u8] = b"\n--8<--\n";

/// What stands before the next cut, and what behind it.
fn cut(bytes: &[u8]) -> (&[u8], &[u8]) {
    let at = bytes.windows(CUT.len()).position(|piece| piece == CUT);
    let halves = at.and_then(|at| Some((bytes.get(..at)?, bytes.get(at + CUT.len()..)?)));
    halves.unwrap_or((bytes, &[]))
}

fn index(protocol: &dyn Protocol, kind: &str, body: &[u8]) {
    if let Ok(url) = Url::parse("https://r.invalid/simple/thing") {
        let _ = protocol.index(&Document {
            name: "thing",
            url: &url,
            kind: Some(kind),
            body,
            sources: match body.len() % 2 {
                0 => crate::protocol::Sources::Withheld,
                _ => crate::protocol::Sources::Shown,
            },
        });
    }
}

fn packument(bytes: &[u8]) {
    index(&npm::Npm, "application/json", bytes);
}

fn simple_html(bytes: &[u8]) {
    index(&pypi::Pypi, "text/html", bytes);
}

fn simple_json(bytes: &[u8]) {
    index(&pypi::Pypi, "application/vnd.pypi.simple.v1+json", bytes);
}

fn maven_metadata(bytes: &[u8]) {
    index(&maven::Maven, "application/xml", bytes);
    for algorithm in [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512] {
        let _ = maven::Maven.side_digest(algorithm, bytes);
    }
}

/// A POM, as the manager's driver reads it and as the proxy does to look ahead.
fn pom(bytes: &[u8]) {
    manager::mvn::fuzz::pom(bytes);
    let base = Url::parse("https://r.invalid/m2/");
    let url = Url::parse("https://r.invalid/m2/g/a/1/a-1.pom");
    if let (Ok(base), Ok(url)) = (base, url) {
        let _ = maven::Maven.leads(&base, &url, bytes);
    }
}

/// Everything that a repository says beside its indexes.
fn signs(protocol: &dyn Protocol, bytes: &[u8]) {
    let about = About {
        name: "thing",
        version: "1.0.0",
        file: Some("thing-1.0.0-py3-none-any.whl"),
    };
    let signs = protocol.signs();
    if let Some(keys) = signs.keys(bytes) {
        let _ = Keys::read(&keys);
    }
    let _ = signs.version(about, bytes);
    let _ = signs.history(about, bytes);
    let _ = signs.attestations(bytes);
    let _ = protocol.probes().issues(bytes, &[("thing", "1.0.0")]);
}

fn npm_signs(bytes: &[u8]) {
    signs(&npm::Npm, bytes);
}

fn pypi_signs(bytes: &[u8]) {
    signs(&pypi::Pypi, bytes);
}

fn wheel(bytes: &[u8]) {
    let artifact = Artifact {
        name: Some("thing"),
        version: Some("1.0"),
        file: "thing-1.0-py3-none-any.whl",
    };
    let _ = pypi::Pypi.inspect(&artifact, &bytes.to_vec());
}

/// The roots that need no file, read once.
fn roots() -> Option<&'static Roots> {
    static ROOTS: OnceLock<Option<Roots>> = OnceLock::new();
    ROOTS.get_or_init(|| Roots::new(None).ok()).as_ref()
}

fn sigstore(bytes: &[u8]) {
    let digest = Digest::new(Algorithm::Sha512, vec![0; 64]);
    let keys = Keys::read::<'_>(&[] as &[SigningKey]);
    if let (Some(roots), Ok(digest), Ok(keys)) = (roots(), digest, keys) {
        let subject = Subject {
            name: "pkg:npm/thing@1.0.0",
            digests: &[&digest],
        };
        let _ = roots.judge(&String::from_utf8_lossy(bytes), &subject, &keys);
    }
}

fn trust_root(bytes: &[u8]) {
    let _ = Roots::new(Some(&String::from_utf8_lossy(bytes)));
}

/// A signature and a public key, cut apart; the key that is always there is read too.
fn openpgp(bytes: &[u8]) {
    let (signature, key) = cut(bytes);
    let stated = PublisherKey {
        name: "thing".to_owned(),
        fingerprint: "c2a7a8f0d4e6b1c3957f0a1b2c3d4e5f60718293".to_owned(),
        key: String::from_utf8_lossy(key).into_owned(),
        start: None,
        end: None,
        stated_in: "fuzz".to_owned(),
    };
    let publisher = Publisher::read(&stated).ok();
    let keys: Vec<&Publisher> = publisher.iter().collect();
    let _ = judge_detached(signature, &keys, b"some bytes\n");
}

fn policy(bytes: &[u8]) {
    let Ok(directory) = tempfile::tempdir() else {
        return;
    };
    let path = directory.path().join("v4run.toml");
    if fs::write(&path, bytes).is_ok() {
        let absent = Path::new("/nonexistent");
        let _ = Policy::load(Some(&path), absent, absent);
        let _ = Policy::load(None, absent, &path);
    }
}

/// A record directory: its files one after the other, cut apart.
fn read_record(bytes: &[u8]) {
    const FILES: [&str; 4] = [
        "events.jsonl",
        "summary.json",
        "record.cdx.json",
        "attestation.intoto.jsonl",
    ];
    let Ok(directory) = tempfile::tempdir() else {
        return;
    };
    let mut rest = bytes;
    for name in FILES {
        let (file, behind) = cut(rest);
        if fs::write(directory.path().join(name), file).is_err() {
            return;
        }
        rest = behind;
    }
    let _ = record::verify(directory.path());
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// Changed forms of each seed that are tried in every run of the suite.
    const CHANGES: u32 = 60;

    /// Seeds and findings of a target; the suite runs in the project or beside the fixtures.
    fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
        let places = ["tests/fixtures/fuzz", "fixtures/fuzz"];
        let folder = places
            .iter()
            .map(|place| Path::new(place).join(target))
            .find(|folder| folder.is_dir())
            .unwrap_or_else(|| panic!("no seeds for `{target}`"));
        let mut inputs: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let name = entry.file_name().to_string_lossy().into_owned();
                (name, fs::read(entry.path()).unwrap())
            })
            .collect();
        inputs.sort();
        inputs
    }

    /// The same changes in every run: bits, cuts, doublings, numbers at their ends.
    fn changed(seed: &[u8], number: u32) -> Vec<u8> {
        let mut state = number.wrapping_mul(0x9e37_79b9) | 1;
        let mut next = |below: usize| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            usize::try_from(state).unwrap() % below.max(1)
        };
        let mut bytes = seed.to_vec();
        for _ in 0..=next(4) {
            let at = next(bytes.len());
            match (next(6), bytes.get_mut(at)) {
                (0, Some(byte)) => *byte ^= 1 << next(8),
                (1, Some(byte)) => *byte = [0, 0xff, 0x7f, b'\n', b'"', b'/'][next(6)],
                (2, _) => bytes.truncate(at),
                (3, _) => bytes.extend_from_within(at..),
                (4, Some(_)) => drop(bytes.remove(at)),
                (_, _) => bytes.insert(at, u8::try_from(next(256)).unwrap()),
            }
        }
        bytes
    }

    #[test]
    #[allow(clippy::print_stdout, reason = "the figure of this test")]
    fn seeds_findings_and_changes_of_them_are_read_to_their_end() {
        let (mut runs, mut longest) = (0_u32, Duration::ZERO);
        for (name, target) in TARGETS {
            let inputs = inputs(name);
            assert!(!inputs.is_empty(), "no seeds for `{name}`");
            for (file, bytes) in inputs {
                for number in 0..=CHANGES {
                    let bytes = match number {
                        0 => bytes.clone(),
                        _ => changed(&bytes, number),
                    };
                    let start = Instant::now();
                    target(&bytes);
                    longest = longest.max(start.elapsed());
                    runs += 1;
                }
                assert!(longest < Duration::from_secs(5), "{name}/{file} takes long");
            }
        }
        println!(
            "fuzz: {} targets, {runs} executions, 0 crashes",
            TARGETS.len()
        );
    }

    #[test]
    fn every_folder_of_seeds_has_its_target() {
        let places = ["tests/fixtures/fuzz", "fixtures/fuzz"];
        let folders = places.iter().find_map(|place| fs::read_dir(place).ok());
        for entry in folders.unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            assert!(run(&name, b""), "`{name}` is no target");
        }
        assert!(!run("nothing", b""));
    }
}
