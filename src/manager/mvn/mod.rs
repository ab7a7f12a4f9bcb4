//! The Maven driver: plans a run of Maven and reads its result back.
//!
//! Maven runs downloaded plugins to do anything at all. `java` is started with Maven's own launcher
//! jar, without the shell script around it; every place that Maven takes options from is read and
//! judged first (`words`, `checked`), settings are written anew (`settings`), and what a jar of
//! the local repository looks like to the virtual machine is decided when it is opened, by its bytes
//! (`code`). Nothing here starts a program. Written for Maven 3; measured with 3.8.7.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use super::{
    Call, HandOut, Installed, KeptFile, Manager, Opened, Passing, Prepared, Reach, Refusal,
    Request, Snapshot,
};
use crate::model::{Code, Event, Finding, InstalledPackage};

mod anchors;
mod checked;
mod classfile;
mod code;
mod extensions;
mod find;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod goals;
mod inspect;
mod invocation;
mod jar;
mod keystore;
mod lineage;
mod listener;
mod lock;
mod options;
mod packed;
mod pass;
mod places;
mod pom;
mod prepare;
mod reactor;
mod rehearsal;
mod security;
mod settings;
mod stated;
mod unpacked;
#[allow(dead_code, reason = "not every variant of a view is handed out yet")]
mod view;
mod whole;
mod words;
mod xml;

/// The embedded profile.
const PROFILE: &str = include_str!("../../../profiles/mvn.toml");

/// Maven.
#[derive(Debug)]
pub struct Mvn;

impl Manager for Mvn {
    fn name(&self) -> &'static str {
        "mvn"
    }

    fn shims(&self) -> &'static [&'static str] {
        &["mvn"]
    }

    fn manifests(&self) -> &'static [&'static str] {
        &["pom.xml"]
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

    fn profile(&self) -> &'static str {
        PROFILE
    }

    fn prepare(&self, request: &Request<'_>) -> Result<Prepared, Refusal> {
        prepare::prepare(request)
    }

    fn inspect(&self, prepared: &Prepared, before: &Snapshot) -> Installed {
        inspect::inspect(prepared, before)
    }

    fn snapshot(&self, prepared: &Prepared) -> Snapshot {
        inspect::snapshot(prepared)
    }

    fn used(&self, notes: &BTreeMap<String, String>, events: &[Event]) -> Vec<InstalledPackage> {
        inspect::used(notes, events)
    }

    fn kept(&self, notes: &BTreeMap<String, String>, events: &[Event]) -> Vec<KeptFile> {
        inspect::kept(notes, events)
    }

    fn deliver(&self, prepared: &Prepared, events: &[Event]) -> Vec<Event> {
        whole::deliver(prepared, events)
    }

    fn came_from_repository(&self, path: &Path) -> bool {
        inspect::came_from_repository(path)
    }

    fn authority(&self, certificate: &str) -> Result<Option<(&'static str, Vec<u8>)>, Finding> {
        let store = keystore::of(certificate).ok_or_else(|| {
            Finding::new(
                Code::Internal,
                "certificate",
                "the run's certificate is no PEM",
            )
        })?;
        Ok(Some((keystore::NAME, store)))
    }

    fn lock(&self, events: &[Event]) -> Result<String, Finding> {
        lock::from_events(events)
            .map_err(|error| Finding::new(Code::Usage, "record", format!("no lock: {error}")))
    }

    fn rehearses(&self) -> bool {
        true
    }

    fn rehearsed(&self, prepared: &Prepared, events: &[Event]) -> Result<String, Finding> {
        inspect::rehearsed(prepared, events)
    }

    fn hand_out(&self, opened: &Opened<'_>) -> io::Result<HandOut> {
        code::hand_out(opened)
    }
}
