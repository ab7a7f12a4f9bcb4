//! `v4run verify DIR`.

use std::path::PathBuf;

use clap::Args;

use super::{complain, print};
use crate::diag;
use crate::record;

/// Which record.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A record directory.
    directory: PathBuf,
}

impl Arguments {
    pub(super) fn run(&self) -> u8 {
        match record::verify(&self.directory) {
            Ok(verification) => {
                for check in &verification.checks {
                    let word = if check.holds { "ok  " } else { "FAIL" };
                    print(&format!(
                        "{word}  {}: {}",
                        check.name,
                        diag::sanitize(&check.detail)
                    ));
                }
                if verification.holds() {
                    0
                } else {
                    diag::REFUSED
                }
            }
            Err(error) => {
                complain(&diag::finding(&error.finding()));
                diag::ERROR
            }
        }
    }
}
