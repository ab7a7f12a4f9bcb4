//! `v4run init [DIR]`.

use std::path::PathBuf;

use clap::Args;

use super::{print, told};
use crate::diag;
use crate::session;

/// From which record.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A record directory; without one the newest of this user counts.
    directory: Option<PathBuf>,
}

impl Arguments {
    pub(super) fn run(&self) -> u8 {
        match session::init::init(self.directory.as_deref()) {
            Ok((place, from)) => {
                let (place, from) = (place.display().to_string(), from.display().to_string());
                print(&format!(
                    "v4run: {} written from {}; every setting in it is a comment yet",
                    diag::sanitize(&place),
                    diag::sanitize(&from)
                ));
                0
            }
            Err(finding) => told(&finding),
        }
    }
}
