//! `v4run doctor`.

use clap::Args;

use super::{complain, print};
use crate::diag;
use crate::session::doctor::diagnose;

/// Options of the self-test.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// One line only, for the first step of a CI job.
    #[arg(long)]
    ci: bool,
    /// Everything as JSON on standard output.
    #[arg(long, value_name = "FORMAT", value_parser = ["human", "json"], default_value = "human")]
    format: String,
}

impl Arguments {
    pub(super) fn run(&self) -> u8 {
        let diagnosis = diagnose();
        let status = if diagnosis.holds() { 0 } else { diag::ERROR };
        if self.format == "json" {
            print(&serde_json::to_string_pretty(&diagnosis).unwrap_or_default());
            return status;
        }
        let verdict = match &diagnosis.error {
            Some(finding) => diag::finding(finding),
            None if diagnosis.holds() => format!(
                "v4run: enforceable here: Landlock ABI {}, seccomp notification, {} canaries refused",
                diagnosis.landlock_abi,
                diagnosis.refused.len()
            ),
            None => {
                format!(
                    "v4run: not enforceable here: {} canaries got through",
                    diagnosis.failed.len()
                )
            }
        };
        if !self.ci {
            print(&format!("kernel     {}", diagnosis.kernel));
            print(&format!(
                "landlock   ABI {}, errata {:#x}",
                diagnosis.landlock_abi, diagnosis.landlock_errata
            ));
            for protection in &diagnosis.single_layer {
                print(&format!(
                    "           without: {protection} (the filter closes it alone)"
                ));
            }
            print(&format!("memory     {}", diagnosis.memory));
            print(&format!("user       {}", diagnosis.user));
            print(&format!("refused    {}", diagnosis.refused.join(" ")));
            for failure in &diagnosis.failed {
                print(&format!("FIRED      {}", diag::sanitize(failure)));
            }
        }
        match status {
            0 => print(&verdict),
            // One line also where there is a hint.
            _ if self.ci => complain(&verdict.replace('\n', "; ")),
            _ => complain(&verdict),
        }
        status
    }
}
