//! Control 4.5: components were published with a second factor.
//!
//! The repository's marks of publication are unsigned: at best they are an observation. An alarm tells where
//! a version has less than an earlier one of the same package.
//! SCVS 1.0, chapter V4, control 4.5.

use serde_json::json;

use crate::assess::vouched::{Components, row};
use crate::assess::{Control, Evidence, Verdict, worst};
use crate::model::{Code, ControlId, Grade, Level, Status, Subject};

/// Control 4.5.
#[derive(Debug)]
pub(super) struct MfaPublished;

impl Control for MfaPublished {
    fn id(&self) -> ControlId {
        const { ControlId::new(5) }
    }

    fn title(&self) -> &'static str {
        "Components were published with a second factor"
    }

    fn level(&self) -> Level {
        Level::L3
    }

    fn subject(&self) -> Subject {
        Subject::Component
    }

    fn interpretation(&self) -> &'static str {
        "Every installed version shows that a human confirmed its publication with a second \
         factor. A workload identity is a grade of its own and is no second factor; an account \
         that had to have one is a statement about the account."
    }

    fn cannot_see(&self) -> &'static str {
        "What happened at the publisher when metadata does not tell; absence of a mark proves \
         nothing for older versions."
    }

    fn assess(&self, evidence: &Evidence<'_>) -> Verdict {
        let components = Components::of(evidence);
        let total = components.applicable();
        if total == 0 {
            return Verdict::unknown("nothing was installed");
        }
        let (mut approved, mut workload, mut unmarked) = (0, 0, 0);
        let mut rows = Vec::new();
        let status = worst(components.released.iter().map(|(package, vouched)| {
            let status = match vouched.and_then(|vouched| vouched.grade) {
                Some(Grade::Approved) => {
                    approved += 1;
                    Status::Observed
                }
                Some(Grade::Workload) => {
                    workload += 1;
                    Status::Unknown
                }
                Some(Grade::Unmarked) => {
                    unmarked += 1;
                    Status::Unknown
                }
                None => Status::Unknown,
            };
            rows.push(row(package, status, *vouched));
            status
        }));
        let status = match components.unseen {
            0 => status,
            _ => Status::Unknown,
        };
        let findings = evidence.index.findings.iter();
        let alarms = findings.filter(|found| found.code == Code::TrustDowngraded);
        let downgraded = alarms.count();
        let detail = format!(
            "the repository says of {approved} of {total} that a person approved them with a second \
             factor, {workload} come from a workload with a proven identity, {unmarked} have no mark; \
             the rest was not asked or could not be"
        );
        Verdict::new(status, detail)
            .count("approved", approved)
            .count("workload", workload)
            .count("unmarked", unmarked)
            .restrict(approved < total, format!("partial {approved}/{total}"))
            .restrict(downgraded > 0, format!("downgraded {downgraded}"))
            .share(approved, total)
            .resting_on(json!(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assess::vouched::fixture::run;
    use crate::model::{Event, Finding};

    #[test]
    fn an_approval_is_observed_and_nothing_else_is_a_second_factor() {
        for (grade, expected) in [
            (None, Status::Unknown),
            (Some(Grade::Unmarked), Status::Unknown),
            (Some(Grade::Workload), Status::Unknown),
            (Some(Grade::Approved), Status::Observed),
        ] {
            let events = run(|vouched| vouched.grade = grade);
            let verdict = MfaPublished.assess(&Evidence::new(&events));
            assert_eq!(verdict.status, expected, "{grade:?}");
        }
        assert_eq!(
            MfaPublished.assess(&Evidence::new(&[])).status,
            Status::Unknown
        );
    }

    #[test]
    fn an_alarm_stays_with_the_verdict() {
        let mut events = run(|vouched| vouched.grade = Some(Grade::Approved));
        events.push(Event::Found(Finding::new(
            Code::TrustDowngraded,
            "a@1.0.0",
            "m",
        )));
        let verdict = MfaPublished.assess(&Evidence::new(&events));
        assert_eq!(verdict.modifiers, ["downgraded 1"]);
    }
}
