//! What changed between two installs: versions, digests, origins, scripts, signers.
//!
//! Called by `v4run diff` with two journals that are intact. Components meet by their package URL
//! without version; of versions that both have, what is known of their bytes is compared, and of what
//! both fetched, or neither, from where and by whom. What one of the two could not see is no
//! difference. Nothing is judged.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::history::without_version;
use super::index::{Index, Origin};
use crate::model::{Event, InstalledPackage, Integrity, Standing};

/// What is known of one version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Known {
    /// Whether this run fetched it; else it was there, and less is known of it.
    fetched: bool,
    digests: BTreeSet<String>,
    origins: BTreeSet<String>,
    scripts: BTreeSet<String>,
    signers: BTreeSet<String>,
}

/// Versions of a component, by package URL without version.
type Side = BTreeMap<String, BTreeMap<String, Known>>;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Difference {
    /// Package URL, without version where versions differ.
    pub component: String,
    /// `added`, `removed`, `version`, `digest`, `origin`, `script` or `signer`.
    pub what: &'static str,
    /// What the first has.
    pub before: Vec<String>,
    /// What the second has.
    pub after: Vec<String>,
}

/// The differences between the components of two runs, in order.
pub fn compare(before: &[Event], after: &[Event]) -> Vec<Difference> {
    let (before, after) = (side(before), side(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let none = BTreeMap::new();
    let mut found = Vec::new();
    for name in names {
        let one = before.get(name).unwrap_or(&none);
        let other = after.get(name).unwrap_or(&none);
        versions(name, one, other, &mut found);
        for (version, one) in one {
            if let Some(other) = other.get(version) {
                facts(&format!("{name}@{version}"), one, other, &mut found);
            }
        }
    }
    found
}

fn versions(
    name: &str,
    one: &BTreeMap<String, Known>,
    other: &BTreeMap<String, Known>,
    found: &mut Vec<Difference>,
) {
    let only = |these: &BTreeMap<String, Known>, those: &BTreeMap<String, Known>| {
        let only = these.keys().filter(|version| !those.contains_key(*version));
        only.cloned().collect::<Vec<_>>()
    };
    let (before, after) = (only(one, other), only(other, one));
    if before.is_empty() && after.is_empty() {
        return;
    }
    let what = match (one.is_empty(), other.is_empty()) {
        (true, _) => "added",
        (_, true) => "removed",
        (false, false) => "version",
    };
    found.push(Difference {
        component: name.to_owned(),
        what,
        before,
        after,
    });
    // A version that takes another's place is compared with it, as far as bytes need not differ.
    if let ("version", [(_, before)], [(_, after)]) =
        (what, sole(one).as_slice(), sole(other).as_slice())
    {
        differ(name, "script", &before.scripts, &after.scripts, found);
        if before.fetched == after.fetched {
            differ(
                name,
                "origin",
                &places(&before.origins),
                &places(&after.origins),
                found,
            );
            differ(name, "signer", &before.signers, &after.signers, found);
        }
    }
}

fn sole(versions: &BTreeMap<String, Known>) -> Vec<(&String, &Known)> {
    versions.iter().collect()
}

/// Hosts of addresses: those of two versions differ in their paths.
fn places(addresses: &BTreeSet<String>) -> BTreeSet<String> {
    let place = |text: &String| {
        url::Url::parse(text)
            .map_or_else(|_| text.clone(), |url| url.origin().ascii_serialization())
    };
    addresses.iter().map(place).collect()
}

fn facts(component: &str, one: &Known, other: &Known, found: &mut Vec<Difference>) {
    // A digest can only differ from one of its own kind.
    let kind = |digest: &String| digest.split('-').next().map(str::to_owned);
    let kinds = |known: &Known| {
        known
            .digests
            .iter()
            .filter_map(kind)
            .collect::<BTreeSet<_>>()
    };
    let (ours, theirs) = (kinds(one), kinds(other));
    let of = |known: &Known| {
        let shared = |digest: &&String| {
            kind(digest).is_some_and(|kind| ours.contains(&kind) && theirs.contains(&kind))
        };
        known
            .digests
            .iter()
            .filter(shared)
            .cloned()
            .collect::<BTreeSet<_>>()
    };
    differ(component, "digest", &of(one), &of(other), found);
    differ(component, "script", &one.scripts, &other.scripts, found);
    if one.fetched == other.fetched {
        differ(component, "origin", &one.origins, &other.origins, found);
        differ(component, "signer", &one.signers, &other.signers, found);
    }
}

fn differ(
    component: &str,
    what: &'static str,
    one: &BTreeSet<String>,
    other: &BTreeSet<String>,
    found: &mut Vec<Difference>,
) {
    if one != other {
        found.push(Difference {
            component: component.to_owned(),
            what,
            before: one.difference(other).cloned().collect(),
            after: other.difference(one).cloned().collect(),
        });
    }
}

fn side(events: &[Event]) -> Side {
    let index = Index::new(events);
    let mut side = Side::new();
    for package in &index.packages {
        let name = without_version(&package.purl).to_owned();
        let known = side
            .entry(name)
            .or_default()
            .entry(package.version.clone())
            .or_default();
        learn(known, package, &index);
    }
    side
}

fn learn(known: &mut Known, package: &InstalledPackage, index: &Index<'_>) {
    for script in &package.scripts {
        known
            .scripts
            .insert(format!("{}: {}", script.name, script.command));
    }
    match index.origin_of(package) {
        // What v4run computed itself; what the manager's record states was compared with it.
        Origin::Released(released) => {
            known.fetched = true;
            known
                .digests
                .extend(released.digests().map(ToString::to_string));
            known.origins.insert(released.url.clone());
            let key = (&released.sha256, &*released.name, &*released.version);
            let vouched = index.vouched.get(&key);
            for check in vouched.into_iter().flat_map(|vouched| &vouched.checks) {
                if check.standing >= Standing::Observed {
                    let signer = check.signer.as_deref().unwrap_or("unnamed");
                    known
                        .signers
                        .insert(format!("{}: {signer}", check.proof.name()));
                }
            }
            let built = vouched.and_then(|vouched| vouched.built.as_ref());
            known
                .signers
                .extend(built.map(|built| format!("built from {}", built.repository)));
        }
        Origin::Conflict(_) | Origin::None => {
            let stated = package.integrity.iter().flat_map(Integrity::deciding);
            known.digests.extend(stated.map(ToString::to_string));
            known.origins.extend(package.resolved.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Check, Proof, Script, Vouched};
    use crate::record::fixture::{package, released, vouched};

    /// Events of an install of `a@1.0.0`, whose bytes `byte` tells apart.
    fn install(byte: u8, change: impl FnOnce(&mut Vec<Event>)) -> Vec<Event> {
        let mut events = vec![
            Event::Released(released("a", "1.0.0", byte)),
            Event::Installed(package("a", "1.0.0", byte)),
        ];
        change(&mut events);
        events
    }

    fn whats(one: &[Event], other: &[Event]) -> Vec<&'static str> {
        compare(one, other).iter().map(|found| found.what).collect()
    }

    fn signed(signer: &str) -> Event {
        let checks = vec![Check {
            proof: Proof::RegistrySignature,
            standing: Standing::Verified,
            signer: Some(signer.into()),
            time: None,
            reason: None,
        }];
        let known = vouched(&released("a", "1.0.0", 1));
        Event::Vouched(Vouched { checks, ..known })
    }

    #[test]
    fn each_kind_of_change_is_named() {
        let plain = install(1, |_| {});
        assert!(compare(&plain, &plain).is_empty());
        assert_eq!(whats(&plain, &install(2, |_| {})), ["digest"]);
        let moved = install(1, |events| {
            if let Event::Released(released) = &mut events[0] {
                released.url = "https://other.invalid/a.tgz".into();
            }
        });
        assert_eq!(whats(&plain, &moved), ["origin"]);
        let scripted = install(1, |events| {
            if let Event::Installed(package) = &mut events[1] {
                package.scripts = vec![Script {
                    name: "postinstall".into(),
                    command: "x".into(),
                }];
            }
        });
        let found = compare(&plain, &scripted);
        assert_eq!(
            (found[0].what, found[0].after.as_slice()),
            ("script", &["postinstall: x".to_owned()][..])
        );
        let by = |signer: &str| install(1, |events| events.push(signed(signer)));
        assert_eq!(whats(&by("one"), &by("one")), [""; 0]);
        assert_eq!(whats(&by("one"), &by("other")), ["signer"]);
        assert_eq!(whats(&by("one"), &plain), ["signer"]);
    }

    #[test]
    fn versions_come_and_go() {
        let at = |name: &str, version: &str| vec![Event::Installed(package(name, version, 1))];
        let found = compare(&at("a", "1.0.0"), &at("a", "2.0.0"));
        assert_eq!(
            (found[0].what, found[0].component.as_str()),
            ("version", "pkg:npm/a")
        );
        assert_eq!(
            (found[0].before[0].as_str(), found[0].after[0].as_str()),
            ("1.0.0", "2.0.0")
        );
        assert_eq!(
            whats(&at("a", "1.0.0"), &at("b", "1.0.0")),
            ["removed", "added"]
        );
    }

    #[test]
    fn what_one_of_them_could_not_see_is_no_difference() {
        let fetched = install(1, |_| {});
        let there = vec![Event::Installed(package("a", "1.0.0", 1))];
        assert!(compare(&fetched, &there).is_empty());
        // Other bytes are, also against what was there already.
        let other = vec![Event::Installed(package("a", "1.0.0", 2))];
        assert_eq!(whats(&fetched, &other), ["digest"]);
    }
}
