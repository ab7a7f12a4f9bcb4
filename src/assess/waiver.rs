//! A gap that the policy answers for: the verdict becomes `waived`, loudly and never more than that.
//!
//! Applied to what a control concluded, before the refusals of the run: an exception was made for a
//! known state of a repository, not for something that happened. It covers what is violated or unknown,
//! keeps the underlying status beside it, and never a control that is the client's own.

use serde_json::json;

use super::repository::is_past;
use super::{Control, Evidence, Verdict};
use crate::model::{Status, Subject};

/// The verdict with the exception that covers it, if there is one.
pub(super) fn apply(control: &dyn Control, evidence: &Evidence<'_>, verdict: Verdict) -> Verdict {
    let gap = matches!(verdict.status, Status::Violated | Status::Unknown);
    if !gap || control.subject() == Subject::Client {
        return verdict;
    }
    let mut exceptions = evidence.index.exceptions.iter().filter(|exception| {
        let end = format!("{}T23:59:59Z", exception.expires);
        exception.control == control.id() && !is_past(&end, &exception.at)
    });
    let Some(exception) = exceptions.next() else {
        return verdict;
    };
    let detail = format!(
        "{} answers for it until {}: {} ({}); without that it is {}: {}",
        exception.owner,
        exception.expires,
        exception.reason,
        exception.stated_in,
        verdict.status.name(),
        verdict.detail
    );
    let mut modifiers = vec![format!("underlying {}", verdict.status.name())];
    modifiers.extend(verdict.modifiers);
    Verdict {
        evidence: json!({ "exception": exception, "underlying": verdict.evidence }),
        status: Status::Waived,
        detail,
        modifiers,
        ..verdict
    }
}

#[cfg(test)]
mod tests {
    use super::super::assess;
    use super::*;
    use crate::model::{Code, ControlId, Event, Exception, Finding, LevelStatus};
    use crate::record::fixture::{fact, healthy, known};

    fn exception(number: u8, expires: &str) -> Event {
        Event::Excepted(Exception {
            control: ControlId::new(number),
            owner: "security team".into(),
            reason: "digests are pinned".into(),
            expires: expires.into(),
            stated_in: "v4run.toml:7".into(),
            at: "2026-11-22T12:00:00Z".into(),
        })
    }

    fn status(events: &[Event], number: u8) -> Status {
        assess(events)
            .control(ControlId::new(number))
            .unwrap()
            .status
    }

    #[test]
    fn a_gap_is_waived_with_its_underlying_status() {
        let mut events = healthy();
        let facts = vec![
            fact(ControlId::new(12), false),
            fact(ControlId::new(3), true),
        ];
        events.push(Event::RepositoryKnown(known(facts)));
        assert_eq!(status(&events, 12), Status::Violated);
        events.extend([3, 6, 12].map(|number| exception(number, "2026-11-22")));
        let assessment = assess(&events);
        let waived = assessment.control(ControlId::new(12)).unwrap();
        assert_eq!(waived.status, Status::Waived);
        assert_eq!(waived.modifiers, ["underlying violated", "compensated: x"]);
        assert!(
            waived
                .detail
                .starts_with("security team answers for it until 2026-11-22: digests"),
            "{}",
            waived.detail
        );
        assert_eq!(waived.evidence["exception"]["owner"], "security team");
        assert_eq!(status(&events, 6), Status::Waived);
        // What is met needs none.
        assert_eq!(status(&events, 3), Status::Declared);
    }

    #[test]
    fn an_exception_that_is_over_or_about_the_client_counts_for_nothing() {
        let mut events = healthy();
        events.push(exception(12, "2026-11-21"));
        events.push(exception(4, "nonsense"));
        events.extend([13, 14, 16, 18, 19].map(|number| exception(number, "2999-01-01")));
        assert_eq!(status(&events, 12), Status::Unknown);
        assert_eq!(status(&events, 4), Status::Unknown);
        events.push(Event::Found(Finding::new(Code::HelperLost, "proxy", "m")));
        for number in [13, 14, 16, 18, 19] {
            assert_eq!(status(&events, number), Status::Unknown, "4.{number}");
        }
    }

    #[test]
    fn no_exception_covers_a_refusal_of_the_run() {
        let mut events = healthy();
        events.extend([1, 11, 15].map(|number| exception(number, "2999-01-01")));
        for code in [
            Code::RepositoryRefused,
            Code::DigestChanged,
            Code::PlainHttp,
        ] {
            events.push(Event::Found(Finding::new(code, "s", "m")));
        }
        for number in [1, 11, 15] {
            assert_eq!(status(&events, number), Status::Violated, "4.{number}");
        }
    }

    #[test]
    fn waivers_never_reach_a_level() {
        let mut events = healthy();
        events.extend((1..=19).map(|number| exception(number, "2999-01-01")));
        let assessment = assess(&events);
        assert_eq!(assessment.headline(), None);
        for level in &assessment.levels {
            assert_eq!(level.verdict, LevelStatus::MetWithWaivers);
        }
    }
}
