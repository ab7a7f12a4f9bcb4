//! `v4run probe MANAGER ARGS`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::{complain, hidden, known, print, told};
use crate::diag;
use crate::sandbox;
use crate::session;
use crate::session::probe::Seen;

/// Which command's repositories are looked at.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Form of the answer on standard output.
    #[arg(long, value_name = "FORMAT", value_parser = ["human", "json"], default_value = "human")]
    format: String,
    /// A package manager with its arguments, as it would be run: `npm ci`. It is not started.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

impl Arguments {
    pub(super) fn run(&self, policy: Option<PathBuf>) -> u8 {
        let mut words = self.command.iter().cloned();
        let word = words.next().unwrap_or_default();
        let Some(manager) = known(&word) else {
            return diag::ERROR;
        };
        let plan = session::probe::prepare(session::Options {
            record: None,
            policy,
            level: None,
            manager,
            word,
            arguments: words.collect(),
            sign_key: None,
            repair: false,
            rehearsal: false,
            build: session::Builds::None,
        });
        let plan = match plan {
            Ok(plan) => plan,
            Err(findings) => {
                findings
                    .iter()
                    .for_each(|finding| complain(&diag::finding(finding)));
                return diag::ERROR;
            }
        };
        // From here on foreign bytes are read.
        if let Err(failure) = sandbox::helper::confine(&hidden::proxy_rules(plan.place())) {
            complain(&format!("v4run: probe: {failure}"));
            return diag::ERROR;
        }
        match plan.run() {
            Ok(seen) if self.format == "json" => {
                let all: Vec<_> = seen.iter().map(json).collect();
                print(&serde_json::to_string_pretty(&all).unwrap_or_default());
                0
            }
            Ok(seen) => {
                seen.iter().for_each(show);
                0
            }
            Err(finding) => told(&finding),
        }
    }
}

fn json(seen: &Seen) -> serde_json::Value {
    serde_json::json!({
        "repository": seen.repository,
        "base": seen.base,
        "kept": seen.kept,
        "requests": seen.requests,
        "probes": seen.probes,
    })
}

fn show(seen: &Seen) {
    let until = seen.probes.iter().map(|probe| probe.expires.as_str()).min();
    let how = match seen.kept {
        true => "kept from an earlier probe".to_owned(),
        false => format!("{} requests", seen.requests),
    };
    print(&format!(
        "{} {}: {how}, counted until {}",
        diag::sanitize(&seen.repository),
        diag::sanitize(&seen.base),
        until.unwrap_or("now")
    ));
    for probe in &seen.probes {
        print(&format!(
            "{:<5} {:<12} {}",
            probe.control.to_string(),
            probe.outcome.name(),
            diag::sanitize(&probe.detail)
        ));
    }
}
