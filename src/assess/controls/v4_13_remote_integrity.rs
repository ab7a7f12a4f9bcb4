//! Control 4.13: the client verifies the integrity of what it fetches.
//!
//! The proxy withholds every artifact until its digest matched, so each released one is counted as
//! enforced; who promised the digest is told, because a promise of the index alone is a weak one.
//! SCVS 1.0, chapter V4, control 4.13.

use serde_json::json;

use crate::assess::verdict::things;
use crate::assess::{Control, Evidence, Verdict};
use crate::model::{Anchor, ControlId, Level, Status, Subject};

/// Control 4.13.
#[derive(Debug)]
pub(super) struct RemoteIntegrity;

impl Control for RemoteIntegrity {
    fn id(&self) -> ControlId {
        const { ControlId::new(13) }
    }

    fn title(&self) -> &'static str {
        "The client verifies the integrity of what it fetches"
    }

    fn level(&self) -> Level {
        Level::L1
    }

    fn subject(&self) -> Subject {
        Subject::Client
    }

    fn interpretation(&self) -> &'static str {
        "The package manager receives no byte of an artifact before its digest matched one that \
         a policy, the lockfile or the repository's index promised, with SHA-256 or stronger. \
         Where lockfile and index both promise, they agree."
    }

    fn cannot_see(&self) -> &'static str {
        "Whether the promise itself is right: a lockfile is as good as its review, an index as \
         good as its repository."
    }

    fn assess(&self, evidence: &Evidence<'_>) -> Verdict {
        let released = &evidence.index.released;
        if released.is_empty() {
            return Verdict::unknown("no artifact was fetched in this run");
        }
        let by = |anchor| {
            released
                .iter()
                .filter(|artifact| artifact.anchor == anchor)
                .count()
        };
        let (policy, lockfile, index) =
            (by(Anchor::Policy), by(Anchor::Lockfile), by(Anchor::Index));
        let total = released.len();
        Verdict::new(
            Status::Enforced,
            format!(
                "{} released after the digest matched: {lockfile} promised by the lockfile, \
                 {index} by the index only, {policy} by policy",
                things(total, "artifact")
            ),
        )
        .count("released", total)
        .count("lockfile", lockfile)
        .count("index", index)
        .count("policy", policy)
        .restrict(index > 0, format!("index-anchor {index}"))
        .share(total, total)
        .resting_on(json!(released))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Event;
    use crate::record::fixture::released;

    #[test]
    fn weak_promises_are_told() {
        let mut weak = released("b", "1.0.0", 2);
        weak.anchor = Anchor::Index;
        let events = [
            Event::Released(released("a", "1.0.0", 1)),
            Event::Released(weak),
        ];
        let verdict = RemoteIntegrity.assess(&Evidence::new(&events));
        assert_eq!(verdict.status, Status::Enforced);
        assert_eq!(verdict.modifiers, ["index-anchor 1"]);
        assert_eq!(verdict.evidence.as_array().unwrap().len(), 2);
        assert_eq!(
            RemoteIntegrity.assess(&Evidence::new(&[])).status,
            Status::Unknown
        );
    }
}
