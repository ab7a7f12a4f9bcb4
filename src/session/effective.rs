//! The effective policy of a directory: every value that counts there, and the line that it came from.
//!
//! Printed by `v4run profile show`. It reads the same files by the same rules as a run and decides
//! nothing; credentials are never part of a policy.

use std::path::Path;

use super::{SYSTEM_POLICY, places, prepare};
use crate::model::Finding;
use crate::profile::Policy;

/// What counts where nothing is said.
const DEFAULT: &str = "default";

/// The lines of the policy that counts in the working directory; `explicit` is the caller's file.
pub fn show(explicit: Option<&Path>) -> Result<Vec<String>, Finding> {
    let directory = places::working_directory()?;
    let project = prepare::policy_directory(&directory);
    Ok(lines(&Policy::load(
        explicit,
        &project,
        Path::new(SYSTEM_POLICY),
    )?))
}

fn lines(policy: &Policy) -> Vec<String> {
    let mut lines: Vec<String> = match policy.sources.as_slice() {
        [] => vec!["# no policy file: defaults".to_owned()],
        some => some
            .iter()
            .map(|(path, digest)| format!("# {} {digest}", path.display()))
            .collect(),
    };
    let mut single = |key: &str, value: String| {
        let place = policy.places.get(key).map_or(DEFAULT, String::as_str);
        lines.push(format!("{key} = {value}    # {place}"));
    };
    single("lockdown", policy.lockdown.to_string());
    single("passthrough", policy.hands_on().to_string());
    let level = policy.level.map(|level| format!("L{level}"));
    single("level", level.unwrap_or_else(|| "none".to_owned()));
    let store = policy
        .store
        .as_ref()
        .map(|store| store.display().to_string());
    single(
        "store",
        store.unwrap_or_else(|| "below XDG_CACHE_HOME".to_owned()),
    );
    let age = policy.minimum_release_age.map(humantime::format_duration);
    let age = age.map_or_else(|| "none".to_owned(), |age| age.to_string());
    single("minimum-release-age", age);
    single("look", policy.look.unwrap_or_default().name().to_owned());
    for (name, path) in &policy.managers {
        single(&format!("managers.{name}.path"), path.display().to_string());
    }
    for code in &policy.refuse {
        lines.push(format!("refuse {}", code.name()));
    }
    for one in &policy.repositories {
        let origin = one.origin.as_ref().map(|url| format!(", origin {url}"));
        let inherits = one
            .inherits
            .as_ref()
            .map(|id| format!(", inherits facts of {id}"));
        lines.push(format!(
            "repository {}{}{}    # {}",
            one.url,
            origin.unwrap_or_default(),
            inherits.unwrap_or_default(),
            one.stated_in
        ));
    }
    for pin in &policy.pins {
        let star = if pin.prefix { "*" } else { "" };
        lines.push(format!(
            "pin {}{star} to {}    # {}",
            pin.name, pin.repository, pin.stated_in
        ));
    }
    for artifact in &policy.artifacts {
        lines.push(format!(
            "artifact {} {}    # {}",
            artifact.file, artifact.integrity, artifact.stated_in
        ));
    }
    for approval in &policy.approvals {
        lines.push(format!(
            "approval {} {}: {}",
            approval.purl,
            approval.digest,
            approval.why()
        ));
    }
    for build in &policy.builds {
        lines.push(format!(
            "build {} {}: {} ({}), until {}    # {}",
            build.purl, build.digest, build.owner, build.reason, build.expires, build.stated_in
        ));
    }
    for stated in &policy.facts {
        let fact = &stated.fact;
        let holds = if fact.holds { "holds" } else { "does not hold" };
        lines.push(format!(
            "fact {} {holds} for {}, until {}: {} ({})    # {}",
            fact.control,
            stated.repository,
            fact.expires,
            fact.statement,
            fact.source,
            fact.stated_in
        ));
    }
    let signing = &policy.signing;
    for (one, key) in signing
        .origins
        .iter()
        .flat_map(|one| one.keys.iter().map(move |key| (one, key)))
    {
        let (origin, id, place) = (&one.origin, &key.id, &key.stated_in);
        lines.push(format!("signing key {id} of {origin}    # {place}"));
    }
    for source in &signing.sources {
        let (name, repository, place) = (&source.name, &source.repository, &source.stated_in);
        lines.push(format!("source of {name} is {repository}    # {place}"));
    }
    for key in &signing.publishers {
        let (name, fingerprint, place) = (&key.name, &key.fingerprint, &key.stated_in);
        lines.push(format!(
            "publisher of {name} signs with {fingerprint}    # {place}"
        ));
    }
    if signing.roots.is_some() {
        lines.push("trust-root = a file of the policy".to_owned());
    }
    for exception in &policy.exceptions {
        lines.push(format!(
            "exception {} by {} until {}: {}    # {}",
            exception.control,
            exception.owner,
            exception.expires,
            exception.reason,
            exception.stated_in
        ));
    }
    for exemption in &policy.age_exemptions {
        lines.push(format!(
            "exception minimum-release-age of {} by {}",
            exemption.package, exemption.why
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let machine = directory.path().join("machine.toml");
        std::fs::write(&machine, "level = 'L1'\nminimum-release-age = '3 days'\n").unwrap();
        std::fs::write(
            directory.path().join("v4run.toml"),
            "level = 'L2'\nminimum-release-age = '1 day'\nlook = 'complete'\nrefuse = ['startup-code']\n\
             [[repositories]]\nurl = 'https://m.invalid/npm'\ninherits = 'npm'\n\
             [[pins]]\nprefix = '@team/'\nrepository = 'https://m.invalid/npm'\n\
             [[facts]]\nrepository = 'https://m.invalid/npm'\ncontrol = '4.3'\nholds = true\n\
             statement = 'sso'\nsource = 'audit'\nchecked = '2026-10-01'\n\
             [[signing-keys]]\norigin = 'https://m.invalid/'\nid = 'k'\nkey = 'A'\n\
             [[sources]]\nname = 'left'\nrepository = 'https://code.invalid/o/left'\n\
             [[exceptions]]\ncontrol = '4.12'\nowner = 'o'\nreason = 'r'\nexpires = '2999-01-01'\n",
        )
        .unwrap();
        let policy = Policy::load(None, directory.path(), &machine).unwrap();
        let text = lines(&policy).join("\n");
        for expected in [
            "lockdown = false    # default",
            "passthrough = true    # default",
            "v4run.toml:1",
            "level = L2",
            "minimum-release-age = 3days",
            "look = complete",
            "refuse startup-code",
            "machine.toml:2",
            "repository https://m.invalid/npm/, inherits facts of npm",
            "pin @team/* to https://m.invalid/npm/",
            "fact 4.3 holds for https://m.invalid/npm/, until 2027-03-30: sso (audit)",
            "exception 4.12 by o until 2999-01-01: r",
            "signing key k of https://m.invalid/    # ",
            "source of left is https://code.invalid/o/left    # ",
            "v4run.toml:27",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
        assert!(lines(&Policy::default())[0].starts_with("# no policy file"));
    }
}
