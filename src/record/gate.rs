//! Which refusals are written one by one and which are only counted.
//!
//! A package that retries forever, or tries ten thousand different paths, must not fill the disk.
//! What must always hold: events that are no refusals always pass, and of every code some findings
//! do, because the codes decide exit status and verdicts.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use crate::model::{Code, Decision, Event, Finding};

/// Equal refusals that are written before counting starts, and findings of a code that always are.
const EQUAL: u32 = 3;
/// Different refusals that are written before counting starts.
pub(super) const DISTINCT: usize = 10_000;

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Gate {
    equal: HashMap<[u8; 32], u32>,
    codes: HashMap<Code, u32>,
}

impl Gate {
    /// Whether an event is written one by one.
    pub(super) fn admits(&mut self, event: &Event) -> bool {
        let code = finding(event).map(|finding| finding.code);
        if code.is_none() && !is_refused_call(event) {
            return true;
        }
        // Nothing of an event fails to serialise; if it did, the journal would say so.
        let key: [u8; 32] = Sha256::digest(serde_json::to_vec(event).unwrap_or_default()).into();
        let always = code.is_some_and(|code| {
            let seen = self.codes.entry(code).or_default();
            *seen = seen.saturating_add(1);
            *seen <= EQUAL
        });
        let room = self.equal.len() < DISTINCT;
        match self.equal.get_mut(&key) {
            Some(count) => {
                *count = count.saturating_add(1);
                *count <= EQUAL
            }
            None if room || always => {
                self.equal.insert(key, 1);
                true
            }
            None => false,
        }
    }
}

/// The finding that an event is.
pub(super) fn finding(event: &Event) -> Option<&Finding> {
    if let Event::Found(finding) = event {
        Some(finding)
    } else {
        None
    }
}

fn is_refused_call(event: &Event) -> bool {
    matches!(
        event,
        Event::Call {
            decision: Decision::Refused(_),
            ..
        } | Event::Exec {
            decision: Decision::Refused(_),
            ..
        }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(subject: &str, decision: Decision) -> Event {
        Event::Call {
            call: "connect".into(),
            subject: subject.into(),
            decision,
            digest: None,
        }
    }

    fn admitted(gate: &mut Gate, count: usize, event: impl Fn(usize) -> Event) -> usize {
        (0..count)
            .filter(|index| gate.admits(&event(*index)))
            .count()
    }

    #[test]
    fn equal_refusals_pass_three_times_and_others_always() {
        let mut gate = Gate::default();
        assert_eq!(
            admitted(&mut gate, 10, |_| refused("a", Decision::Refused(13))),
            3
        );
        assert_eq!(
            admitted(&mut gate, 10, |_| refused("a", Decision::Refused(1))),
            3
        );
        assert_eq!(
            admitted(&mut gate, 10, |_| refused("a", Decision::Allowed)),
            10
        );
        assert_eq!(
            admitted(&mut gate, 10, |_| Event::Contained { killed: 0 }),
            10
        );
    }

    #[test]
    fn a_flood_is_bounded_but_findings_of_every_code_pass() {
        let mut gate = Gate::default();
        let flood = |index: usize| refused(&index.to_string(), Decision::Refused(13));
        assert_eq!(admitted(&mut gate, DISTINCT + 500, flood), DISTINCT);
        for code in [Code::ExecRefused, Code::NetworkRefused] {
            let found = |index: usize| Event::Found(Finding::new(code, index.to_string(), "m"));
            assert_eq!(admitted(&mut gate, 10, found), 3);
        }
    }
}
