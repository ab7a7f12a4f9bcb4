//! `v4run build`: code of installed components that the policy approves, and what would need an approval, also of a
//! command that has not run yet.

use std::ffi::OsString;

use clap::Args;

use super::{RunOptions, complain, known, print, told};
use crate::diag::ERROR;
use crate::manager::{self, Manager};
use crate::session::{self, Builds};

/// Options of `v4run build`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only print what wants to run code, and the approvals that it would take. Runs nothing.
    #[arg(long)]
    propose: bool,
    /// Run the project's own install scripts too, with everything that is installed as its toolchain.
    #[arg(long)]
    project: bool,
    /// With `--propose`: the command whose sources are looked at, for a manager that builds before it
    /// installs.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        requires = "propose"
    )]
    words: Vec<OsString>,
}

impl Arguments {
    pub(super) fn run(self, options: RunOptions) -> u8 {
        if let Some((name, rest)) = self.words.split_first() {
            let Some(manager) = known(name) else {
                return ERROR;
            };
            let project = self.project || options.project;
            let options = options.into_run(manager, name.clone(), rest.to_vec());
            return session::run(session::Options {
                build: Builds::Proposed { project },
                ..options
            });
        }
        let Some(manager) = manager_here() else {
            complain("v4run: build: no project here that could be built");
            return ERROR;
        };
        if self.propose {
            return match session::propose(manager, options.policy.as_deref()) {
                Ok(text) => {
                    print(&text);
                    0
                }
                Err(finding) => told(&finding),
            };
        }
        let project = self.project || options.project;
        let options = options.into_run(manager, manager.name().into(), vec!["build".into()]);
        session::run(session::Options {
            build: Builds::Alone { project },
            ..options
        })
    }
}

/// The manager whose project lies here, or above, among those that build.
fn manager_here() -> Option<&'static dyn Manager> {
    let here = std::env::current_dir().ok()?;
    let all = manager::ALL
        .iter()
        .copied()
        .filter(|one| one.builder().is_some() || one.maker().is_some());
    let mut all = all.filter(|one| {
        let manifests = one.manifests();
        let mut above = here.ancestors();
        above.any(|place| manifests.iter().any(|name| place.join(name).is_file()))
    });
    all.next()
}
