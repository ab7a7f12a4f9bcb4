//! The uv driver: plans a uv run and reads its result back.
//!
//! uv is one program that links wheels into an environment. What it does not know by itself is the
//! interpreter: it starts it once and keeps what it said. Under v4run that is a step of its own
//! (`query`), before anything is fetched and with no package of the environment within reach; the
//! run itself is one process that starts nothing. Wheels only; a project is not built.
//! Written for uv 0.13; nothing here starts a program.
//!
//! <https://docs.astral.sh/uv/>.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::{
    Call, Installed, Manager, Passing, Prepared, Reach, Refusal, Request, Runner, Snapshot,
};
use crate::manager::python::{inspect, lock};
use crate::model::{Code, Event, Finding};

mod config;
mod document;
mod find;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod index;
mod launch;
mod line;
mod locked;
mod lockfile;
mod options;
mod pass;
mod prepare;
mod query;
mod wants;

/// The embedded profile.
const PROFILE: &str = include_str!("../../../profiles/uv.toml");

/// uv.
#[derive(Debug)]
pub struct Uv;

impl Manager for Uv {
    fn name(&self) -> &'static str {
        "uv"
    }

    fn shims(&self) -> &'static [&'static str] {
        &["uv"]
    }

    fn runners(&self) -> &'static [Runner] {
        &[("uvx", &["tool", "run"])]
    }

    fn manifests(&self) -> &'static [&'static str] {
        &["pyproject.toml", "uv.lock"]
    }

    fn passes(&self, words: &[OsString]) -> Option<Passing> {
        pass::judge(words)
    }

    fn answers_to(&self, word: &OsStr) -> bool {
        Path::new(word).file_name() == Some(OsStr::new("uv"))
    }

    fn reach(&self, call: &Call<'_>) -> Reach {
        prepare::reach(call)
    }

    fn programs(&self) -> &'static [&'static str] {
        &["uv", "uvx"]
    }

    fn profile(&self) -> &'static str {
        PROFILE
    }

    fn prepare(&self, request: &Request<'_>) -> Result<Prepared, Refusal> {
        prepare::prepare(request)
    }

    fn inspect(&self, prepared: &Prepared, before: &Snapshot) -> Installed {
        let installed = inspect::inspect(prepared, before);
        match locked::read(&prepared.notes) {
            // What is in the lock was chosen before: the third view, and whatever is fetched is used.
            Some(locked) => locked::compare(&locked, installed),
            // uv leaves no list of what it chose; it may read the metadata of a wheel that it does
            // not take. That nothing is there which was not fetched is compared all the same.
            None => Installed {
                chooses: true,
                ..installed
            },
        }
    }

    fn snapshot(&self, prepared: &Prepared) -> Snapshot {
        inspect::snapshot(prepared)
    }

    fn lock(&self, events: &[Event]) -> Result<String, Finding> {
        lock::record::from_events(events)
            .map_err(|error| Finding::new(Code::Usage, "record", format!("no lock: {error}")))
    }
}
