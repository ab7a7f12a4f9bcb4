//! Control 4.11: updates of components can be audited.
//!
//! The repository is asked when versions were published, where an index did not say so of a few of them,
//! and what an earlier run saw under a name and version is what is there now. A changed digest is a
//! refusal (applied for all controls alike in the parent module).
//! SCVS 1.0, chapter V4, control 4.11.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::assess::verdict::things;
use crate::assess::vouched::{Components, row};
use crate::assess::{Control, Evidence, Verdict, worst};
use crate::model::{Check, ControlId, Level, Proof, Status, Subject};

/// Control 4.11.
#[derive(Debug)]
pub(super) struct UpdateAudit;

impl Control for UpdateAudit {
    fn id(&self) -> ControlId {
        const { ControlId::new(11) }
    }

    fn title(&self) -> &'static str {
        "Updates of components can be audited"
    }

    fn level(&self) -> Level {
        Level::L1
    }

    fn subject(&self) -> Subject {
        Subject::Repository
    }

    fn interpretation(&self) -> &'static str {
        "The repository states when versions were published, of each where its index says so and \
         of some where it has to be asked, and a version never changes its digest between runs. A \
         time in a transparency log is verified, the repository's own and a publisher's own are \
         observations."
    }

    fn cannot_see(&self) -> &'static str {
        "Changes between two runs of which neither saw the other's digest."
    }

    fn assess(&self, evidence: &Evidence<'_>) -> Verdict {
        let components = Components::of(evidence);
        let total = components.applicable();
        if components.released.is_empty() {
            return Verdict::unknown("nothing was installed from a repository");
        }
        // Versions with a time, proven in a log, and all, by repository.
        let mut repositories: BTreeMap<&str, (usize, usize, usize)> = BTreeMap::new();
        let mut seen_before = 0;
        let mut rows = Vec::new();
        for (package, vouched) in &components.released {
            let released = evidence.index.release_of(package);
            let id = released.map_or("", |released| released.repository.as_str());
            let counts = repositories.entry(id).or_default();
            counts.2 += 1;
            let timed = |own: bool| {
                // A publisher's signature has the time that the publisher wrote, in no log.
                let is = |check: &Check| (check.proof == Proof::PublisherSignature) == own;
                let mut checks = vouched.iter().flat_map(|one| &one.checks);
                checks.any(|check| check.time.is_some() && is(check))
            };
            let logged = timed(false);
            let stated = timed(true) || vouched.is_some_and(|one| one.published.is_some());
            counts.0 += usize::from(stated || logged);
            counts.1 += usize::from(logged);
            seen_before += usize::from(vouched.is_some_and(|one| one.seen_before));
            let status = match stated || logged {
                true => Status::Observed,
                false => Status::Unknown,
            };
            rows.push(row(package, status, *vouched));
        }
        let status =
            worst(
                repositories
                    .values()
                    .map(|(timed, logged, all)| match (timed, logged) {
                        (0, _) => Status::Unknown,
                        (_, logged) if logged == all => Status::Verified,
                        (_, _) => Status::Observed,
                    }),
            );
        let timed: usize = repositories.values().map(|counts| counts.0).sum();
        let logged: usize = repositories.values().map(|counts| counts.1).sum();
        let silent = repositories.iter().filter(|(_, counts)| counts.0 == 0);
        let silent: Vec<&str> = silent.map(|(id, _)| *id).collect();
        let detail = match silent.as_slice() {
            [] => format!(
                "{timed} of {} have a time of publication, {logged} of these in a transparency log; \
                 {seen_before} were seen in an earlier run and are unchanged",
                things(total, "component")
            ),
            silent => format!(
                "no time of publication was seen from: {}; {seen_before} components were seen in an \
                 earlier run and are unchanged",
                silent.join(", ")
            ),
        };
        let serials: usize = evidence.index.serials.values().map(BTreeSet::len).sum();
        Verdict::new(status, detail)
            .count("timed", timed)
            .count("logged", logged)
            .count("seen-before", seen_before)
            .count("serials", serials)
            .restrict(
                timed > 0 && timed < total,
                format!("sampled {timed}/{total}"),
            )
            .share(timed, total)
            .resting_on(json!({ "components": rows, "serials": evidence.index.serials }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assess::vouched::fixture::{check, run};
    use crate::model::Standing;
    use crate::record::fixture::healthy;

    fn status(published: bool, logged: bool) -> Status {
        let events = run(|vouched| {
            vouched.published = published.then(|| "2024-01-01T00:00:00Z".into());
            vouched.checks.extend(logged.then(|| Check {
                time: Some("2024-01-01T00:00:00Z".into()),
                ..check(Proof::Provenance, Standing::Verified)
            }));
        });
        UpdateAudit.assess(&Evidence::new(&events)).status
    }

    #[test]
    fn a_time_is_observed_and_one_in_a_log_is_verified() {
        assert_eq!(status(false, false), Status::Unknown);
        assert_eq!(status(true, false), Status::Observed);
        assert_eq!(status(true, true), Status::Verified);
        assert_eq!(status(false, true), Status::Verified);
        let own = run(|vouched| {
            vouched.checks.push(Check {
                time: Some("2024-01-01T00:00:00Z".into()),
                ..check(Proof::PublisherSignature, Standing::Verified)
            });
        });
        let own = UpdateAudit.assess(&Evidence::new(&own));
        assert_eq!(own.status, Status::Observed);
        let events = healthy();
        let none = UpdateAudit.assess(&Evidence::new(&events));
        assert_eq!(none.status, Status::Unknown);
        assert!(none.detail.contains("default"), "{}", none.detail);
        assert_eq!(
            UpdateAudit.assess(&Evidence::new(&[])).status,
            Status::Unknown
        );
    }
}
