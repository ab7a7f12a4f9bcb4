//! The POMs of the project, judged before the start.
//!
//! A run that only prints does not read them. What they ask for that can never be verified, and
//! extensions that nobody answers for, end the run here; so does a build that would make and run code
//! of its own. The modules of the build are told from them too.

use std::path::Path;

use super::{Found, INSTALLED};
use crate::manager::Refusal;
use crate::manager::mvn::anchors;
use crate::manager::mvn::goals::{self, Kind};
use crate::manager::mvn::places;
use crate::manager::mvn::pom::{self, Grounds};
use crate::manager::mvn::reactor::{self, Reactor};
use crate::manager::mvn::settings::Settings;
use crate::model::Event;

/// Reads and judges them. `settings` are those of user and machine.
pub(super) fn read(
    found: &Found<'_>,
    settings: &[&Settings],
) -> Result<(Reactor, Vec<Event>), Refusal> {
    if found.kind == Kind::Print {
        return Ok((Reactor::default(), Vec::new()));
    }
    let project = pom::project(&found.root, &found.base.pom())?;
    let policy = found.request.policy;
    let mut findings = pom::judge(
        &project,
        &Grounds {
            answered: &|what| {
                found.request.rehearsal || anchors::answered(policy, Path::new(INSTALLED), what)
            },
            mirrored: &|id, url| places::is_mirrored(settings, id, url),
            runs: &|phase| found.kind == Kind::Build && goals::is_early(phase),
            by_design: &|artifact| {
                let known = goals::by_design(artifact, goals::WORKERS);
                known.filter(|_| !found.request.rehearsal)
            },
            hint: &goals::trust_hint(&found.checked.goals),
        },
    );
    if found.kind == Kind::Build {
        findings.extend(reactor::objections(&project));
    }
    match findings.is_empty() {
        true => Ok((Reactor::of(&project), project.events)),
        false => Err(Refusal {
            findings,
            events: project.events,
        }),
    }
}
