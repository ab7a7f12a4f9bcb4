//! The environment that pip is run for, as far as reading options needs it.

use std::path::PathBuf;

/// The interpreter's environment and its pip.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Target {
    /// pip's package directory.
    pub(super) pip: PathBuf,
    /// The environment's own configuration file, if there is one.
    pub(super) site_config: Option<PathBuf>,
}
