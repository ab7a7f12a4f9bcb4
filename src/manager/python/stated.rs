//! What requirements promise: digests for the proxy.
//!
//! Made once from everything that was gathered, after it was judged.

use super::gather::Gathered;
use super::requirement::spellings;
use crate::model::{Anchor, Digest, Expected, Integrity};

/// The statements that requirements make. Several lines for one version are alternatives, because
/// their markers may choose one of them; a constraint is a statement of its own.
pub(in crate::manager) fn stated(gathered: &Gathered) -> Vec<Expected> {
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
