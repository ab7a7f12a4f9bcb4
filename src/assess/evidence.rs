//! The events of a run as the controls look at them: index, refusals by control, monitor health.
//!
//! Health gates every client control: what a monitor did not watch, it cannot vouch for. Each
//! missing sign of health is kept as a sentence, because it becomes the verdict's reason.

use std::collections::BTreeMap;

use crate::model::{Code, ControlId, Event, Finding, Severity};
use crate::record::{Chain, Index, Reading};

/// Evidence for all controls.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// The events by subject.
    pub index: Index<'a>,
    doubts: Vec<String>,
    violations: BTreeMap<ControlId, Vec<&'a Finding>>,
}

impl<'a> Evidence<'a> {
    /// Indexes events.
    pub fn new(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let index = Index::new(events);
        let doubts = doubts(&index);
        let mut violations: BTreeMap<ControlId, Vec<&'a Finding>> = BTreeMap::new();
        for finding in &index.findings {
            if finding.code.severity() == Severity::Violation
                && let Some(control) = finding.control.or(finding.code.control())
            {
                violations.entry(control).or_default().push(finding);
            }
        }
        Self {
            index,
            doubts,
            violations,
        }
    }

    /// Adds the doubts that an earlier record itself gives.
    #[must_use]
    pub fn doubting(mut self, reading: &Reading) -> Self {
        match &reading.chain {
            Chain::Sealed => {}
            Chain::Unsealed => self.doubts.push("the record is not sealed".to_owned()),
            Chain::Broken { line, .. } => {
                self.doubts
                    .push(format!("the record is broken at line {line}"));
            }
        }
        let unknown = reading.unknown();
        if unknown > 0 {
            self.doubts.push(format!(
                "{unknown} events of a kind that this version does not know"
            ));
        }
        self
    }

    /// Whether the monitor watched the whole run.
    pub fn is_healthy(&self) -> bool {
        self.doubts.is_empty()
    }

    /// Why not.
    pub fn doubts(&self) -> &[String] {
        &self.doubts
    }

    /// The refusals that touch a control.
    pub fn violations(&self, control: ControlId) -> impl Iterator<Item = &'a Finding> {
        self.violations.get(&control).into_iter().flatten().copied()
    }
}

fn doubts(index: &Index<'_>) -> Vec<String> {
    let mut doubts = Vec::new();
    let mut require = |holds: bool, otherwise: &str| {
        if !holds {
            doubts.push(otherwise.to_owned());
        }
    };
    require(
        index.manager.is_some(),
        "the start of the run is not recorded",
    );
    require(index.enforced.is_some(), "the sandbox was not confirmed");
    require(
        index.build_ends.len() == index.builds.len(),
        "the end of a build was not seen",
    );
    // A run that only builds has neither a network nor a manager.
    if !index.only_builds() {
        require(index.proxy_ready, "the verifying proxy did not come up");
        require(
            index.manager_exit.is_some(),
            "the end of the manager was not seen",
        );
    }
    require(
        index.contained,
        "it was not confirmed that nothing of the run is left",
    );
    for finding in &index.findings {
        // The level is a result of the verdicts, not a fault of the monitor.
        if finding.code.severity() == Severity::Error && finding.code != Code::LevelNotReached {
            let message = finding.message.split('\n').next().unwrap_or_default();
            doubts.push(format!("{}: {message}", finding.code.name()));
        }
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fixture::healthy;

    #[test]
    fn a_whole_run_is_healthy() {
        let events = healthy();
        assert_eq!(Evidence::new(&events).doubts(), [""; 0]);
    }

    #[test]
    fn each_missing_sign_of_health_is_a_doubt() {
        let signs: [fn(&Event) -> bool; 5] = [
            |event| matches!(event, Event::RunStarted { .. }),
            |event| matches!(event, Event::Enforced { .. }),
            |event| matches!(event, Event::ProxyReady { .. }),
            |event| matches!(event, Event::ManagerExited { .. }),
            |event| matches!(event, Event::Contained { .. }),
        ];
        for sign in signs {
            let mut events = healthy();
            events.retain(|event| !sign(event));
            assert_eq!(Evidence::new(&events).doubts().len(), 1);
        }
    }

    #[test]
    fn an_error_of_v4run_is_a_doubt_and_an_unreached_level_is_none() {
        let mut events = healthy();
        events.push(Event::Found(Finding::new(Code::LevelNotReached, "L2", "m")));
        assert!(Evidence::new(&events).is_healthy());
        events.push(Event::Found(Finding::new(Code::HelperLost, "proxy", "m")));
        assert!(!Evidence::new(&events).is_healthy());
    }
}
