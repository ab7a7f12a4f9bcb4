//! The pip driver: plans a pip run and reads its result back.
//!
//! Two halves: `checked` and what makes it read every place that pip takes options from and judge
//! it by the rules of the profile; the other half finds the environment and plans the launch. pip is
//! run by its interpreter through v4run's own bootstrap, so that nothing that lies in the environment
//! runs except pip itself. Nothing here starts a program.
//! Written for pip 22.2 and newer.

use std::ffi::{OsStr, OsString};

use super::python::{
    argv, asked, find, gather, groups, index, inspect, links, lock, netrc, network, options,
    project, scheme, settings, stated, target, trust,
};
use super::{
    Call, Installed, Maker, Manager, Passing, Prepared, Reach, Refusal, Request, Snapshot,
};
use crate::model::{Code, Event, Finding};

mod build;
mod check;
mod checked;
mod committed;
mod configuration;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod ini;
mod invocation;
mod pass;
mod prepare;
mod subcommand;
mod writes;

/// The embedded profile.
pub(in crate::manager) const PROFILE: &str = include_str!("../../../profiles/pip.toml");

/// pip.
#[derive(Debug)]
pub struct Pip;

impl Manager for Pip {
    fn name(&self) -> &'static str {
        "pip"
    }

    fn shims(&self) -> &'static [&'static str] {
        &["pip", "pip3"]
    }

    fn unseen(&self) -> &'static [&'static str] {
        &[
            "pip as a module of an interpreter: `python -m pip`",
            "pip of an environment that is activated after PATH was set",
        ]
    }

    fn manifests(&self) -> &'static [&'static str] {
        &["requirements.txt", "setup.py"]
    }

    fn passes(&self, words: &[OsString]) -> Option<Passing> {
        pass::judge(words)
    }

    fn answers_to(&self, word: &OsStr) -> bool {
        invocation::answers_to(word)
    }

    fn reach(&self, call: &Call<'_>) -> Reach {
        prepare::reach(call)
    }

    fn programs(&self) -> &'static [&'static str] {
        &["pip", "pip3"]
    }

    fn profile(&self) -> &'static str {
        PROFILE
    }

    fn prepare(&self, request: &Request<'_>) -> Result<Prepared, Refusal> {
        prepare::prepare(request)
    }

    fn maker(&self) -> Option<&dyn Maker> {
        Some(&build::Sdist)
    }

    fn inspect(&self, prepared: &Prepared, before: &Snapshot) -> Installed {
        inspect::inspect(prepared, before)
    }

    fn snapshot(&self, prepared: &Prepared) -> Snapshot {
        inspect::snapshot(prepared)
    }

    fn lock(&self, events: &[Event]) -> Result<String, Finding> {
        lock::record::from_events(events)
            .map_err(|error| Finding::new(Code::Usage, "record", format!("no lock: {error}")))
    }
}
