//! Verdicts: the 19 controls of OWASP SCVS 1.0 chapter V4, as a pure fold over recorded events.
//!
//! One file a control below `controls/`, one list ([`CONTROLS`]). Called by the session before the
//! seal and by `v4run assess` on an earlier record, with the same result. What must always hold:
//! nothing is claimed that the events do not show; an unhealthy monitor makes every client control
//! unknown; no component means no level; the worst wins.
//! The standard has no test procedures for this chapter, so each control states how v4run reads it,
//! and the texts carry a version ([`INTERPRETATION`]). "Assessed against", never "certified".

mod controls;
mod evidence;
mod level;
mod markdown;
mod page;
mod remedies;
mod report;
mod repository;
#[cfg(test)]
mod table;
mod transport;
mod verdict;
mod views;
mod vouched;
mod waiver;

pub use controls::CONTROLS;
pub use evidence::Evidence;
pub use level::levels;
pub use markdown::markdown;
pub use page::page;
pub use remedies::remedy;
pub use report::{Report, human, json, report};
pub use verdict::{Verdict, worst};
pub use views::compare;

use crate::diag::ControlText;
use crate::model::{Assessment, ControlId, ControlVerdict, Event, Level, Status, Subject};
use crate::record::Reading;

/// Version of the interpretation texts. A changed text is a new version.
pub const INTERPRETATION: &str = "v4run-2";

/// The controls that v4run can prove alone.
pub const CLIENT: [ControlId; 7] = [
    ControlId::new(1),
    ControlId::new(13),
    ControlId::new(14),
    ControlId::new(15),
    ControlId::new(16),
    ControlId::new(18),
    ControlId::new(19),
];

/// One control.
pub trait Control: std::fmt::Debug + Sync {
    /// Its number.
    fn id(&self) -> ControlId;

    /// Short title, v4run's own words.
    fn title(&self) -> &'static str;

    /// Lowest level that contains it, by the standard's own table.
    fn level(&self) -> Level;

    /// Whom it makes a demand on.
    fn subject(&self) -> Subject;

    /// How v4run reads it.
    fn interpretation(&self) -> &'static str;

    /// What no evidence of a run can show.
    fn cannot_see(&self) -> &'static str;

    /// Folds the evidence. Refusals that touch the control and the monitor's health are applied
    /// afterwards, for all controls alike.
    fn assess(&self, evidence: &Evidence<'_>) -> Verdict;
}

/// Assesses the events of a run that is about to be sealed.
pub fn assess<'a>(events: impl IntoIterator<Item = &'a Event>) -> Assessment {
    fold(&Evidence::new(events))
}

/// Assesses an earlier record as far as its chain holds.
pub fn reassess(reading: &Reading) -> Assessment {
    let events = reading
        .entries
        .iter()
        .filter_map(|entry| entry.event.as_ref());
    fold(&Evidence::new(events).doubting(reading))
}

fn fold(evidence: &Evidence<'_>) -> Assessment {
    let controls: Vec<ControlVerdict> = CONTROLS
        .iter()
        .map(|control| conclude(*control, evidence))
        .collect();
    let components = evidence.index.purls().len() as u64;
    let levels = levels(&controls, components);
    Assessment {
        interpretation: INTERPRETATION.to_owned(),
        controls,
        levels,
        components,
    }
}

fn conclude(control: &dyn Control, evidence: &Evidence<'_>) -> ControlVerdict {
    let id = control.id();
    let mut verdict = waiver::apply(control, evidence, control.assess(evidence));
    if CLIENT.contains(&id) && !evidence.is_healthy() && verdict.status != Status::Violated {
        verdict.status = Status::Unknown;
        verdict.detail = format!(
            "the monitor was not healthy: {}",
            evidence.doubts().join("; ")
        );
        verdict.modifiers.clear();
    }
    let refused: Vec<_> = evidence.violations(id).collect();
    if let Some(first) = refused.first() {
        verdict.status = worst([verdict.status, Status::Violated]);
        let message = first.message.split('\n').next().unwrap_or_default();
        verdict.detail = match refused.len() {
            1 => format!("refused: {message}"),
            count => format!("{count} refused, the first: {message}"),
        };
        verdict
            .counts
            .insert("refused".to_owned(), refused.len() as u64);
        // What was refused was examined and does not conform.
        verdict.conforming = verdict
            .conforming
            .map(|(part, whole)| (part, whole + refused.len() as u64));
    }
    ControlVerdict {
        control: id,
        title: control.title().to_owned(),
        subject: control.subject(),
        level: control.level(),
        status: verdict.status,
        detail: verdict.detail,
        modifiers: verdict.modifiers,
        conforming: verdict.conforming,
        counts: verdict.counts,
        evidence: verdict.evidence,
    }
}

/// How many of the client controls are met or not applicable.
pub fn client_score(assessment: &Assessment) -> (usize, usize) {
    let met = CLIENT
        .iter()
        .filter_map(|id| assessment.control(*id))
        .filter(|verdict| matches!(verdict.status.result(), "met" | "not-applicable"))
        .count();
    (met, CLIENT.len())
}

/// The texts of all controls, for `v4run explain`.
pub fn texts() -> Vec<ControlText> {
    CONTROLS
        .iter()
        .map(|control| ControlText {
            control: control.id(),
            title: control.title(),
            level: control.level(),
            interpretation: control.interpretation(),
            cannot_see: control.cannot_see(),
            remedy: remedy(control.id()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Code, Finding};
    use crate::record::fixture::healthy;

    fn statuses(events: &[Event]) -> Vec<Status> {
        assess(events)
            .controls
            .iter()
            .map(|verdict| verdict.status)
            .collect()
    }

    #[test]
    fn nothing_recorded_is_nothing_met() {
        let assessment = assess(&[]);
        assert!(
            assessment
                .controls
                .iter()
                .all(|verdict| verdict.status == Status::Unknown)
        );
        assert_eq!(assessment.headline(), None);
        assert_eq!(client_score(&assessment), (0, 7));
    }

    #[test]
    fn every_control_has_a_text_to_explain() {
        assert_eq!(texts().len(), 19);
        assert!(crate::diag::explain("4.18", &texts()).is_some());
    }

    proptest! {
        #[test]
        fn the_order_of_events_does_not_matter(events in Just(healthy()).prop_shuffle()) {
            prop_assert_eq!(statuses(&events), statuses(&healthy()));
        }

        #[test]
        fn a_refusal_or_error_never_improves_a_status(
            picks in proptest::collection::vec(0..Code::ALL.len(), 0..5),
        ) {
            let mut events = healthy();
            let mut before = statuses(&events);
            for pick in picks {
                events.push(Event::Found(Finding::new(Code::ALL[pick], "s", "m")));
                let after = statuses(&events);
                for (before, after) in before.iter().zip(&after) {
                    prop_assert!(after <= before);
                }
                before = after;
            }
        }

        #[test]
        fn losing_an_event_never_reaches_a_level(lost in 0..healthy().len()) {
            let mut events = healthy();
            events.remove(lost);
            prop_assert!(assess(&events).headline().is_none());
        }
    }
}
