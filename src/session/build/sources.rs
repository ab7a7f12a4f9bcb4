//! Builds before an install: what a command would install from source is built first, by approval.
//!
//! For a manager that installs from source ([`Maker`]). A run of it fetches the sources, verified as ever, and
//! nothing of them runs. For each the policy is asked by name and digest; one that nobody approves ends the run,
//! with the approval that it takes. What a build requires is fetched and installed to a place of its own by another
//! run of the manager. Then the build has its sandbox, and what it made is what the install is given, to be checked
//! as if an index had offered it. All of it is in the one record.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::children::{children, end_all};
use super::super::confined::{self, internal};
use super::super::signals::Signals;
use super::super::{Ended, Run, tell};
use super::{Builds, NAMED, Stages, Standing, Surroundings, Work, own_approval, propose, standing};
use crate::diag::ManagerStatus;
use crate::manager::{Maker, Prepared, PrivateDirs, Refusal, Request, Sources, Step, Wanted};
use crate::model::{BuildFile, Code, Event, Finding};
use crate::profile::build::Build;

/// How a run beside the install is planned.
type Plan<'a> = &'a dyn Fn(&Request<'_>) -> Result<Option<Prepared>, Refusal>;

impl Run {
    /// Builds what the command installs from source. `None` where it goes no further.
    pub(in crate::session) fn build_sources(
        &self,
        around: &Surroundings<'_>,
        ended: &mut Ended,
    ) -> Result<Option<Sources>, Finding> {
        let mut sources = Sources {
            own: around.own,
            built: Vec::new(),
        };
        let maker = self.options.manager.maker();
        let Some(maker) = maker.filter(|_| self.options.build != Builds::None) else {
            return Ok(Some(sources));
        };
        let into = around.private.tmp.join("sources");
        made(&into)?;
        let private = around.directories("fetch")?;
        let fetch = |request: &Request<'_>| maker.fetch(request, &into);
        if !self.beside(around, &sources, &private, &fetch, ended)? {
            return Ok(None);
        }
        let wanted = maker.wanted(&self.request(around.policy, &private, &sources, 0), &into)?;
        if matches!(self.options.build, Builds::Proposed { .. }) {
            (ended.started, ended.status) = (true, Some(ManagerStatus::Exited(0)));
            super::super::print(&propose::text(&wanted, around.policy));
            return Ok(None);
        }
        let Some(approved) = approved(around, &wanted)? else {
            return Ok(None);
        };
        for (number, (wanted, build)) in approved.iter().enumerate() {
            around.kept_apart(&wanted.folder)?;
            let name = format!("requires-{number}");
            let requires = around.private.config.join(&name);
            made(&requires)?;
            let private = around.directories(&name)?;
            let require = |request: &Request<'_>| maker.require(request, wanted, build, &requires);
            if !self.beside(around, &sources, &private, &require, ended)? {
                return Ok(None);
            }
            let private = around.directories(&format!("build-{number}"))?;
            let request = self.request(around.policy, &private, &sources, 0);
            let work = Work {
                wanted,
                build,
                private: &private,
                plan: &|step| maker.plan(&request, step, &requires),
            };
            if !self.sandboxed(around, &work, ended)? {
                return Ok(None);
            }
            let built = self.take(around, maker, &work, number)?;
            sources.built.push(built);
        }
        Ok(Some(sources))
    }

    /// A run of the manager beside the install. Whether it was neither refused nor failed, which is told.
    fn beside(
        &self,
        around: &Surroundings<'_>,
        sources: &Sources,
        private: &PrivateDirs,
        plan: Plan<'_>,
        ended: &mut Ended,
    ) -> Result<bool, Finding> {
        let start = confined::Start::new(around.store, &self.environment, true)?;
        let request = self.request(around.policy, private, sources, start.port());
        let mut prepared = match plan(&request) {
            Ok(Some(prepared)) => prepared,
            Ok(None) => return Ok(true),
            Err(refusal) => {
                tell(around.recorder, refusal);
                return Ok(false);
            }
        };
        self.equip(&mut prepared, around.policy, around.store)?;
        let program = prepared.launch.executable.to_string_lossy().into_owned();
        let mut own = Ended::default();
        start.run(
            around.recorder,
            self.options.manager,
            &prepared,
            private,
            &mut own,
        )?;
        ended.before.push(program);
        if own.status == Some(ManagerStatus::Exited(0)) {
            return Ok(true);
        }
        (ended.started, ended.status) = (true, own.status);
        let name = self.options.manager.name();
        let message =
            "what is built before the install could not be fetched; the messages above say why";
        let finding = Finding::new(Code::BuildFailed, name, message);
        around.recorder.send(Event::Found(finding));
        Ok(false)
    }

    /// The build itself, with nothing left of it. Whether it succeeded.
    fn sandboxed(
        &self,
        around: &Surroundings<'_>,
        work: &Work<'_>,
        ended: &mut Ended,
    ) -> Result<bool, Finding> {
        let spared = children().unwrap_or_default();
        let stages = Stages {
            recorder: around.recorder,
            manager: self.options.manager,
            spared: &spared,
            refused: Arc::default(),
        };
        let folder = &work.wanted.folder;
        let root = match work.wanted.own {
            true => folder,
            false => folder.parent().unwrap_or(folder),
        };
        let mut signals = Signals::open()?;
        let result = stages.all(work, root, &mut signals, ended);
        let contained = end_all(&spared);
        contained.complete("processes")?;
        let purl = &work.wanted.purl;
        if result? && stages.refused.load(Ordering::SeqCst) {
            let message = format!(
                "`{purl}` was built and is not installed: its build wanted what was refused"
            );
            let finding = Finding::new(Code::BuildFailed, &work.wanted.path, message);
            around.recorder.send(Event::Found(finding));
        }
        let succeeded = ended.status == Some(ManagerStatus::Exited(0));
        Ok(succeeded && !stages.refused.load(Ordering::SeqCst))
    }

    /// What a build made, to where the install finds it and cannot change it.
    fn take(
        &self,
        around: &Surroundings<'_>,
        maker: &dyn Maker,
        work: &Work<'_>,
        number: usize,
    ) -> Result<crate::manager::Built, Finding> {
        let to = around.private.config.join(format!("built-{number}"));
        made(&to)?;
        let scripts = work.wanted.scripts.iter();
        let last = scripts
            .last()
            .ok_or_else(|| internal("build", "has no script"))?;
        let built = maker.made(
            &Step {
                wanted: work.wanted,
                script: last,
                build: work.build,
                private: work.private,
            },
            &to,
        )?;
        let name = built.file.file_name().unwrap_or_default();
        around.recorder.send(Event::BuildFile(BuildFile {
            purl: work.wanted.purl.clone(),
            path: format!("dist/{}", name.to_string_lossy()),
            sha256: Some(built.digest.clone()),
            size: built.size,
            change: "new".to_owned(),
        }));
        Ok(built)
    }
}

/// Everything with its approval; `None` where anything is without one, which is told.
fn approved<'a>(
    around: &Surroundings<'_>,
    wanted: &'a [Wanted],
) -> Result<Option<Vec<(&'a Wanted, Build)>>, Finding> {
    let mut approved = Vec::new();
    let mut refused = Vec::new();
    for one in wanted {
        if one.own {
            approved.push((one, own_approval(around.policy, one)?));
            continue;
        }
        match standing(around.policy, one) {
            Standing::Approved(build) => approved.push((one, build.clone())),
            Standing::Refused(why) => refused.push(propose::objected(one, &why)),
            Standing::Unnamed => refused.push(propose::unnamed(one)),
        }
    }
    let found = refused.iter().take(NAMED).cloned().map(Event::Found);
    found.for_each(|event| around.recorder.send(event));
    Ok(refused.is_empty().then_some(approved))
}

fn made(directory: &Path) -> Result<(), Finding> {
    std::fs::create_dir_all(directory).map_err(|error| internal("private directory", error))
}
