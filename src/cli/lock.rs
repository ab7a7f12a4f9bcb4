//! `v4run lock DIR`: a lockfile from what a run installed, on standard output.

use std::path::PathBuf;

use clap::Args;

use super::{print, told};
use crate::manager;
use crate::model::{Code, Event, Finding};
use crate::record;

/// Which record.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A record directory.
    directory: PathBuf,
}

impl Arguments {
    pub(super) fn run(&self) -> u8 {
        match self.text() {
            Ok(text) => {
                print(&text);
                0
            }
            Err(finding) => told(&finding),
        }
    }

    fn text(&self) -> Result<String, Finding> {
        let verification = record::verify(&self.directory).map_err(|error| error.finding())?;
        let refuse = |message: &str| {
            let subject = self.directory.display().to_string();
            Finding::new(Code::Usage, subject, format!("no lock: {message}"))
        };
        if let Some(check) = verification.checks.iter().find(|check| !check.holds) {
            let message = format!("the record is not intact: {}: {}", check.name, check.detail);
            return Err(refuse(&message));
        }
        let events = verification.reading.events();
        let succeeded = events
            .iter()
            .any(|event| matches!(event, Event::Sealed { exit_code: 0, .. }));
        if !succeeded {
            return Err(refuse("the run did not end with 0"));
        }
        let name = events.first().and_then(|event| {
            if let Event::RunStarted { manager, .. } = event {
                Some(manager.as_str())
            } else {
                None
            }
        });
        name.and_then(manager::by_name)
            .ok_or_else(|| refuse("the record is not one of a known package manager"))?
            .lock(&events)
    }
}
