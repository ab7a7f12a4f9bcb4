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
         Where lockfile and index both promise, they agree. What only a file beside the artifact \
         states shows that it came as it was sent: with SHA-1 that is an observation."
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
        let (side, weak) = (by(Anchor::SideFile), by(Anchor::WeakSideFile));
        let total = released.len();
        let status = match weak {
            0 => Status::Enforced,
            _ => Status::Observed,
        };
        let mut detail = format!(
            "{} released after the digest matched: {lockfile} promised by the lockfile, {index} \
             by the index only, {policy} by policy",
            things(total, "artifact")
        );
        let first = side.saturating_add(weak);
        if first > 0 {
            detail.push_str(&format!(
                ", {first} first used here, stated by the repository beside the artifact, {weak} \
                 of them by SHA-1 only"
            ));
        }
        let mut verdict = Verdict::new(status, detail)
            .count("released", total)
            .count("lockfile", lockfile)
            .count("index", index)
            .count("policy", policy)
            .restrict(index > 0, format!("index-anchor {index}"));
        for (name, count) in [("side-file", side), ("weak-side-file", weak)] {
            if count > 0 {
                verdict = verdict
                    .count(name, count)
                    .restrict(true, format!("{name}-anchor {count}"));
            }
        }
        verdict.share(total, total).resting_on(json!(released))
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
        let mut first = released("c", "1.0.0", 3);
        first.anchor = Anchor::SideFile;
        let mut sent = released("d", "1.0.0", 4);
        sent.anchor = Anchor::WeakSideFile;
        let first = [Event::Released(first)];
        let verdict = RemoteIntegrity.assess(&Evidence::new(&first));
        assert_eq!(verdict.status, Status::Enforced);
        let sent = [Event::Released(sent)];
        let verdict = RemoteIntegrity.assess(&Evidence::new(&sent));
        assert_eq!(verdict.status, Status::Observed);
        assert!(
            verdict.detail.contains("1 of them by SHA-1 only"),
            "{}",
            verdict.detail
        );
        assert_eq!(
            RemoteIntegrity.assess(&Evidence::new(&[])).status,
            Status::Unknown
        );
    }
}
