//! What the checked options state: digests for the proxy, places for the plan.

use std::path::PathBuf;

use crate::manager::pip::checked::Destination;
use crate::manager::pip::gather::Gathered;
use crate::manager::pip::requirement::spellings;
use crate::manager::pip::settings::Judged;
use crate::model::{Anchor, Digest, Expected, Integrity};

/// The statements that requirements make. Several lines for one version are alternatives, because
/// their markers may choose one of them; a constraint is a statement of its own.
pub(super) fn stated(gathered: &Gathered) -> Vec<Expected> {
    type Line<'a> = (&'a str, String, bool);
    let mut lines: Vec<(Line<'_>, Vec<Digest>, String)> = Vec::new();
    for one in gathered
        .requirements
        .iter()
        .filter(|one| !one.hashes.is_empty())
    {
        let version = one.specifier.trim_start_matches('=').to_owned();
        let key = (one.name.as_str(), version, one.constraint);
        match lines.iter_mut().find(|(known, _, _)| *known == key) {
            Some((_, digests, _)) => {
                for digest in one
                    .hashes
                    .iter()
                    .filter(|digest| !digests.contains(digest))
                    .collect::<Vec<_>>()
                {
                    digests.push(digest.clone());
                }
            }
            None => lines.push((key, one.hashes.clone(), one.place.clone())),
        }
    }
    let mut expected = Vec::new();
    for ((name, version, _), digests, place) in lines {
        let integrity = Integrity::any_of(digests);
        expected.extend(spellings(&version).into_iter().map(|version| Expected {
            name: name.to_owned(),
            version,
            file: None,
            url: None,
            integrity: integrity.clone(),
            anchor: Anchor::Lockfile,
            stated_in: place.clone(),
        }));
    }
    expected
}

pub(super) fn destination(judged: &Judged) -> Destination {
    let path = |rule: &str| {
        judged
            .last(rule)
            .map(|setting| PathBuf::from(setting.text()))
    };
    let user = judged
        .taken
        .iter()
        .rev()
        .find(|one| matches!(one.option.rule, "user" | "no-user"));
    Destination {
        target: path("target"),
        prefix: path("prefix"),
        root: path("root"),
        user: user.map(|setting| setting.option.rule == "user"),
        paths: judged
            .all("path")
            .map(|setting| PathBuf::from(setting.text()))
            .collect(),
        download: path("dest"),
        wheels: path("wheel-dir"),
        report: path("report"),
        log: path("log"),
        upgrade: false,
        dry_run: false,
        break_system_packages: judged.last("break-system-packages").is_some(),
    }
}
