//! The child's side of the sandbox: confine this process, then become the manager.
//!
//! Runs in processes that have just been executed and have one thread: the launcher
//! ([`launch`]) and, with a narrower set, the proxy ([`helper`]). Every layer is a hard
//! requirement; what was enforced is a returned value ([`Report`]) that goes into the record.
//! It reads no configuration and decides nothing about packages.

use serde::{Deserialize, Serialize};

use crate::sys::probe;

pub mod canary;
mod filesystem;
pub mod helper;
pub mod launch;
pub mod seccomp;

pub use filesystem::{FLOOR, restrict, single_layer};

/// Checks that the kernel offers what a run cannot do without, before anything is started.
pub fn offered() -> Result<(), Failure> {
    filesystem::required(probe::landlock())?;
    match probe::notification_sizes() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::new(
            "seccomp",
            "the kernel's notification structures have another size",
        )),
        Err(error) => Err(Failure::new(
            "seccomp",
            format!("the kernel has no user notification: {error}"),
        )),
    }
}

/// What the launcher enforced before it started the manager.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Landlock ABI of the kernel.
    pub landlock_abi: u32,
    /// Landlock errata bits of the kernel.
    pub landlock_errata: u32,
    /// Filters installed.
    pub seccomp_filters: u32,
    /// Why nothing was started, if so.
    pub error: Option<Failure>,
}

/// A layer that could not be enforced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{step}: {cause}")]
pub struct Failure {
    /// The step that failed.
    pub step: String,
    /// What the system said.
    pub cause: String,
    /// Whether another listener stands above this process (`EBUSY`).
    pub busy: bool,
}

impl Failure {
    pub(crate) fn new(step: &str, cause: impl std::fmt::Display) -> Self {
        Self {
            step: step.to_owned(),
            cause: cause.to_string(),
            busy: false,
        }
    }
}
