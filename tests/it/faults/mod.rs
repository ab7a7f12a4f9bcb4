//! Faults that are injected on purpose, and what must hold after each.
//!
//! Nothing that was not verified is released, nothing is lost that could have been got, no process
//! stays, no store holds an object under a wrong name, and a record is sealed or visibly is not. Each
//! test says what it injected and requires that it happened. Their sum is what `scripts/soak.sh` and a
//! run with `V4RUN_SCORES=DIRECTORY` print: `faults: N injected, 0 lost, 0 released unverified, 0 orphans`.

use std::fs;
use std::path::Path;
use std::process::Command;

use sha2::{Digest as _, Sha256, Sha384, Sha512};

mod clock;
mod disk;
mod kills;
mod limits;
mod many;
mod others;
mod raw;
mod upstream;

use crate::project::Project;
use crate::registry::Registry;
use crate::run::v4run;

/// Adds faults to the score. A test does so after its last assertion: what failed is not in it.
fn score(injected: usize) {
    assert!(injected > 0, "nothing was injected");
    crate::score::add("faults", injected);
}

/// Requires that every object of the store is what its name says; how many there are.
#[track_caller]
fn store_is_whole(cache: &Path) -> usize {
    let blobs = cache.join("v4run/v1/blob");
    let mut count = 0;
    for algorithm in ["sha256", "sha384", "sha512"] {
        for folder in fs::read_dir(blobs.join(algorithm))
            .into_iter()
            .flatten()
            .flatten()
        {
            for blob in fs::read_dir(folder.path()).unwrap().flatten() {
                let content = fs::read(blob.path()).unwrap();
                let digest = match algorithm {
                    "sha256" => hex::encode(Sha256::digest(&content)),
                    "sha384" => hex::encode(Sha384::digest(&content)),
                    _ => hex::encode(Sha512::digest(&content)),
                };
                assert_eq!(
                    blob.file_name().to_string_lossy(),
                    digest,
                    "a half-written object"
                );
                count += 1;
            }
        }
    }
    count
}

/// Requires that `verify` says whether a record is sealed, and that it is either intact and sealed or
/// not sealed; whether it is sealed.
#[track_caller]
fn is_sealed(record: &Path) -> bool {
    let output = Command::new(v4run())
        .arg("verify")
        .arg(record)
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let text = fs::read_to_string(record.join("events.jsonl")).unwrap_or_default();
    let sealed = text
        .lines()
        .last()
        .is_some_and(|line| line.contains("\"kind\":\"sealed\""));
    assert_eq!(output.status.success(), sealed, "{said}");
    if !sealed {
        let told = said.to_lowercase();
        assert!(told.contains("seal") || told.contains("events"), "{said}");
    }
    sealed
}

/// Writes lock and configuration of a project anew, so that it asks another server.
fn redirected(project: &Project, registry: &Registry, host: &str) {
    for path in [
        project.path("package-lock.json"),
        project.home().join(".npmrc"),
    ] {
        let text = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, text.replace(&registry.host(), host)).unwrap();
    }
}
