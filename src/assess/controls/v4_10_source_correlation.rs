//! Control 4.10: a version can be traced to its source, verifiably.
//!
//! Verified for a component when the certificate of a verified attestation over its digest names source
//! repository and commit. What a manifest says of its source is counted and proves nothing.
//! SCVS 1.0, chapter V4, control 4.10.

use serde_json::json;

use crate::assess::verdict::things;
use crate::assess::vouched::{Components, reason, row, standing};
use crate::assess::{Control, Evidence, Verdict, worst};
use crate::model::{ControlId, Level, Proof, Standing, Status, Subject};

/// Control 4.10.
#[derive(Debug)]
pub(super) struct SourceCorrelation;

impl Control for SourceCorrelation {
    fn id(&self) -> ControlId {
        const { ControlId::new(10) }
    }

    fn title(&self) -> &'static str {
        "A version can be traced to its source, verifiably"
    }

    fn level(&self) -> Level {
        Level::L2
    }

    fn subject(&self) -> Subject {
        Subject::Repository
    }

    fn interpretation(&self) -> &'static str {
        "For every installed version a verified attestation binds the digest to a repository and \
         commit, which the signing certificate names and not the statement; the repository is the \
         one that the policy or the index names. A publisher's own field without a signature is \
         counted and shows nothing."
    }

    fn cannot_see(&self) -> &'static str {
        "Whether the source at that commit is what a reviewer would expect."
    }

    fn assess(&self, evidence: &Evidence<'_>) -> Verdict {
        let components = Components::of(evidence);
        let total = components.applicable();
        if total == 0 {
            return Verdict::unknown("nothing was installed");
        }
        let (mut verified, mut pinned, mut claimed) = (0, 0, 0);
        let mut rows = Vec::new();
        let mut open = None;
        let status = worst(components.released.iter().map(|(package, vouched)| {
            let built = vouched.and_then(|vouched| vouched.built.as_ref());
            let status = match (standing(*vouched, Proof::Provenance), built) {
                (Some(Standing::Invalid), _) => Status::Violated,
                (Some(Standing::Verified), Some(built)) => {
                    verified += 1;
                    pinned += usize::from(built.pinned);
                    Status::Verified
                }
                (Some(_) | None, _) => {
                    let says = vouched.is_some_and(|vouched| vouched.claimed.is_some());
                    claimed += usize::from(says);
                    open = open.or(reason(*vouched));
                    Status::Unknown
                }
            };
            rows.push(row(package, status, *vouched));
            status
        }));
        let status = match components.unseen {
            0 => status,
            _ => worst([status, Status::Unknown]),
        };
        let mut detail = format!(
            "{verified} of {} are bound to a commit by a verified attestation, {pinned} of these to a \
             source that the policy names",
            things(total, "component")
        );
        if claimed > 0 {
            detail.push_str(&format!("; {claimed} more only claim a source"));
        }
        if let Some(open) = open.filter(|_| status == Status::Unknown) {
            detail.push_str(&format!("; not shown for others: {open}"));
        }
        Verdict::new(status, detail)
            .count("verified", verified)
            .count("pinned", pinned)
            .count("claimed", claimed)
            .restrict(verified < total, format!("partial {verified}/{total}"))
            .share(verified, total)
            .resting_on(json!(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assess::vouched::fixture::{check, run};
    use crate::model::Built;

    fn status(standing: Option<Standing>, built: bool) -> Status {
        let events = run(|vouched| {
            vouched.claimed = Some("https://code.invalid/o/a".into());
            vouched
                .checks
                .extend(standing.map(|standing| check(Proof::Provenance, standing)));
            vouched.built = built.then(|| Built {
                repository: "https://code.invalid/o/a".into(),
                commit: "c".into(),
                reference: None,
                builder: None,
                pinned: false,
            });
        });
        SourceCorrelation.assess(&Evidence::new(&events)).status
    }

    #[test]
    fn only_a_verified_commit_counts() {
        assert_eq!(status(None, false), Status::Unknown);
        assert_eq!(status(Some(Standing::Unknown), false), Status::Unknown);
        assert_eq!(status(Some(Standing::Verified), false), Status::Unknown);
        assert_eq!(status(Some(Standing::Verified), true), Status::Verified);
        assert_eq!(status(Some(Standing::Invalid), true), Status::Violated);
        let nothing = SourceCorrelation.assess(&Evidence::new(&[]));
        assert_eq!(nothing.status, Status::Unknown);
    }
}
