//! Hands a command to the bare manager: not confined, said on standard error, recorded first.
//!
//! The record is sealed before the start, because this process becomes the manager: signals,
//! terminal and process number are as without v4run. So the record says what it was handed to and never
//! how that ended, and no control is claimed of it. Where no record can be written nothing is started.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use uuid::Uuid;

use super::super::{Options, fail, places, prepare, run_started, say};
use super::depth;
use crate::assess;
use crate::diag::finding as render;
use crate::manager;
use crate::manager::{Call, Passing, Project};
use crate::model::{Code, Event, Finding, Tool};
use crate::profile::Policy;
use crate::record::{Outcome, Recorder};
use crate::sys;
use crate::verify::hash::sha256_of;

/// Does not come back where the start succeeds.
pub(super) fn run(options: &Options, passing: &Passing) -> Result<u8, Finding> {
    let started = SystemTime::now();
    let id = Uuid::new_v4();
    let environment: BTreeMap<_, _> = std::env::vars_os().collect();
    let directory = places::working_directory()?;
    let home = places::home(&environment);
    let place = match &options.record {
        Some(place) => place.clone(),
        None => places::record(&environment, &id.simple().to_string())?,
    };
    let name = options.manager.name();
    let policy = Policy::load(
        options.policy.as_deref(),
        &prepare::policy_directory(&directory),
        Path::new(super::super::SYSTEM_POLICY),
    );
    let recorder = Recorder::start(&place, Box::new(|_event| {})).map_err(|e| e.finding())?;
    let user = "as started: handed on".to_owned();
    recorder.send(run_started(options, &directory, user));
    let found = policy.and_then(|policy| {
        let call = Call {
            word: &options.word,
            directory: &directory,
            environment: &environment,
            home: home.as_deref(),
        };
        manager::bare(&call, policy.managers.get(name).map(PathBuf::as_path))
    });
    let mut line = None;
    match &found {
        Ok(program) => {
            recorder.send(Event::ToolIdentified(Tool {
                name: name.to_owned(),
                version: None,
                path: program.display().to_string(),
                sha256: File::open(program).and_then(|file| sha256_of(&file)).ok(),
            }));
            let message = format!(
                "handed to `{}`: not confined, nothing of it is verified; {}",
                program.display(),
                passing.why
            );
            let finding = Finding::new(Code::Passthrough, &passing.subject, message);
            line = Some(render(&finding));
            recorder.send(Event::Found(finding));
        }
        Err(finding) => recorder.send(Event::Found(finding.clone())),
    }
    let recorded = recorder.finish().map_err(|e| e.finding())?;
    let outcome = Outcome {
        run: id,
        started,
        ended: SystemTime::now(),
        manager: name.to_owned(),
        project: Project {
            root: directory,
            ..Project::default()
        },
        status: None,
        before_start: true,
        assessment: assess::assess(recorded.events()),
    };
    let sealed = recorded.seal(&outcome).map_err(|e| e.finding())?;
    let program = match found {
        Ok(program) => program,
        Err(finding) => {
            say(&render(&finding));
            return Ok(sealed.exit.status());
        }
    };
    line.iter().for_each(|line| say(line));
    sys::process::reset_signals().map_err(|error| {
        Finding::new(
            Code::Internal,
            "signals",
            format!("cannot be reset: {error}"),
        )
    })?;
    let error = Command::new(&program)
        .args(&options.arguments)
        .env(depth::VARIABLE, depth::next())
        .exec();
    let message = format!("cannot be started: {error}");
    let finding = Finding::new(
        Code::ManagerNotFound,
        program.display().to_string(),
        message,
    );
    fail(&finding);
    Ok(crate::diag::MANAGER_NOT_FOUND)
}
