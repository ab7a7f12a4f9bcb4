//! The npm driver.
mod args;
mod check;
mod config;
mod definitions;
mod find;
mod lockfile;
mod manifest;
mod npmrc;
mod project;
mod registry;
mod spec;
mod version;

use super::{Installed, Manager, Prepared, Refusal, Request, Snapshot};
use crate::model::{Code, Finding};

/// npm.
#[derive(Debug)]
pub struct Npm;

impl Manager for Npm {
    fn name(&self) -> &'static str {
        "npm"
    }
    fn profile(&self) -> &'static str {
        ""
    }
    fn prepare(&self, _request: &Request<'_>) -> Result<Prepared, Refusal> {
        Err(Finding::new(Code::Internal, "npm", "not written").into())
    }
    fn inspect(&self, _prepared: &Prepared, _before: &Snapshot) -> Installed {
        Installed::default()
    }
    fn snapshot(&self, _prepared: &Prepared) -> Snapshot {
        Snapshot::new()
    }
}
