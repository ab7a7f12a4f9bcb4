//! `v4run trust MANAGER [ARGS…]`: what a run would load as code, as approvals to be reviewed.

use std::ffi::OsString;

use clap::Args;

/// Of which command.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The package manager with its arguments, as for a run.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(super) words: Vec<OsString>,
}
