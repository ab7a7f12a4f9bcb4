//! The part of a run's output that is for a CI service.
//!
//! Between [`Stage::open`] and [`Stage::close`] the manager speaks and the service obeys nothing; what
//! v4run has to say to the service comes afterwards. Where no service is, nothing is said. What the
//! service is told is text of [`crate::diag`].

use std::cell::Cell;
use std::collections::HashSet;
use std::path::PathBuf;

use uuid::Uuid;

use super::places::{Environment, variable};
use super::{Options, arguments, say};
use crate::diag::Ci;
use crate::model::{Event, Finding, Severity};

/// The output of one run.
pub(super) struct Stage {
    ci: Option<Ci>,
    /// Known to nobody else, so that no output of the manager's can end what it ends.
    word: String,
    /// Where the service has the project; places are told relative to it.
    workspace: Option<PathBuf>,
    open: Cell<bool>,
}

impl Stage {
    /// Says that the manager's output begins.
    pub(super) fn open(options: &Options, environment: &Environment) -> Self {
        let stage = Self {
            ci: Ci::of(|name| variable(environment, name).map(Into::into)),
            workspace: variable(environment, "GITHUB_WORKSPACE").map(PathBuf::from),
            word: Uuid::new_v4().simple().to_string(),
            open: Cell::new(true),
        };
        if let Some(ci) = stage.ci {
            let words = arguments::shown(&options.arguments).join(" ");
            let title = format!("v4run {} {words}", options.manager.name());
            say(&ci.open(&title, &stage.word));
        }
        stage
    }

    /// Says that it is over.
    pub(super) fn close(&self) {
        if let Some(ci) = self.ci
            && self.open.replace(false)
        {
            say(&ci.close(&self.word));
        }
    }

    /// What decided about the run, as annotations; each finding once, in the order of the record. Nobody
    /// reads the events where no service is.
    pub(super) fn annotations(&self, events: &[Event]) -> Vec<String> {
        let Some(ci) = self.ci else {
            return Vec::new();
        };
        let mut seen = HashSet::new();
        let findings = events.iter().filter_map(|event| {
            if let Event::Found(finding) = event {
                decides(finding).then_some(finding)
            } else {
                None
            }
        });
        let findings = findings.filter(|one| seen.insert(*one));
        ci.annotations(findings, self.workspace.as_deref())
    }

    /// Annotates why nothing came of the run.
    pub(super) fn annotate(&self, finding: &Finding) {
        if let Some(ci) = self.ci {
            let finding = Some(finding).filter(|one| decides(one)).into_iter();
            self.end(&ci.annotations(finding, self.workspace.as_deref()));
        }
    }

    /// Says that the manager's output is over, and the annotations.
    pub(super) fn end(&self, annotations: &[String]) {
        self.close();
        annotations.iter().for_each(|line| say(line));
    }
}

/// Whether a finding decides about the run.
fn decides(finding: &Finding) -> bool {
    match finding.code.severity() {
        Severity::Violation | Severity::Error => true,
        Severity::Failure | Severity::Note => false,
    }
}
