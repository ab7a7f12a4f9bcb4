//! Programs that are asked something before the manager starts.
//!
//! Called by the confined part of a run, one after the other, while the proxy comes up and before
//! the manager's own launcher has its plan. Each is confined like the manager and has no way to the
//! proxy; its plan may allow it one child ([`crate::model::Launch::child`]). Nothing of it is left
//! when the next one starts. What it leaves behind lies in the run's private directories.
//! An ordinary plan has none of them.

use std::path::PathBuf;

use nix::unistd::Pid;

use super::children::{Launcher, end_all};
use super::confined::{engage, judged, watch};
use super::signals::Signals;
use crate::diag::ManagerStatus;
use crate::manager::{Manager, Prepared, Query};
use crate::model::{Code, Event, Finding, Launch};
use crate::record::Recorder;
use crate::supervisor::{Parts, Sink};

/// Records which programs the plan starts, where they are more than the manager's own.
pub(super) fn announce(prepared: &Prepared, recorder: &Recorder) {
    let launches = prepared.queries.iter().map(|query| &query.launch);
    let launches: Vec<&Launch> = launches.chain([&prepared.launch]).collect();
    let programs = launches
        .iter()
        .flat_map(|launch| [Some(&launch.executable), launch.child.as_ref()]);
    let programs: Vec<String> = programs
        .flatten()
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    if programs.len() > 1 {
        recorder.send(Event::Planned { programs });
    }
}

/// Runs one query to its end. `living` are the processes that stay.
pub(super) fn ask(
    query: &Query,
    manager: &'static dyn Manager,
    recorder: &Recorder,
    signals: &mut Signals,
    proxy: Pid,
    living: &[Pid],
) -> Result<(), Finding> {
    let mut launcher = Launcher::silent()?;
    launcher.plan(&query.launch)?;
    let (_report, listener) = launcher.confined()?;
    let events = recorder.sender();
    let (supervisor, workers) = engage(
        listener,
        Parts {
            child: query.launch.child.clone().map(PathBuf::from),
            ..Parts::alone(
                manager,
                launcher.id().as_raw(),
                query.files.clone(),
                query.launch.rules.clone(),
                Sink::new(move |event| events.send(event)),
            )
        },
    )?;
    launcher.go()?;
    let outcome = watch(signals, recorder, launcher.id(), proxy);
    let contained = end_all(living);
    for worker in workers {
        let _ = worker.join();
    }
    let program = query.launch.executable.to_string_lossy();
    contained.complete(&format!("processes of `{program}`"))?;
    judged(&supervisor)?;
    match outcome? {
        Some(ManagerStatus::Exited(0)) => Ok(()),
        Some(ManagerStatus::Exited(_) | ManagerStatus::Signalled(_)) | None => {
            let message = format!("`{program}` could not find out what the run needs to know");
            let finding = Finding::new(Code::Usage, program, message);
            Err(match query.hint {
                Some(hint) => finding.with_hint(hint),
                None => finding,
            })
        }
    }
}
