//! `v4run profile list|show [NAME]`.

use std::path::Path;

use clap::{Args, Subcommand};

use super::{complain, print, told};
use crate::diag;
use crate::manager;
use crate::profile::{Profile, build, facts};
use crate::session;

/// What is asked about the profiles.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    question: Question,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// The names of the built-in profiles.
    List,
    /// One profile, with the reason of every rule and what is stated about the repository that it
    /// asks by default; without a name the policy that counts here, and
    /// where each value came from.
    Show {
        /// Name of a package manager, or `build`.
        name: Option<String>,
    },
}

impl Arguments {
    pub(super) fn run(&self, policy: Option<&Path>) -> u8 {
        match &self.question {
            Question::List => {
                for manager in manager::ALL {
                    print(manager.name());
                }
                print(build::NAME);
                0
            }
            Question::Show { name: None } => match session::effective::show(policy) {
                Ok(lines) => {
                    lines.iter().for_each(|line| print(&diag::sanitize(line)));
                    0
                }
                Err(finding) => told(&finding),
            },
            Question::Show { name: Some(name) } if name == build::NAME => {
                print(build::PROFILE);
                0
            }
            Question::Show { name: Some(name) } => match manager::by_name(name) {
                Some(manager) => {
                    print(manager.profile());
                    // What is stated about the repository that it asks by default.
                    let protocol = Profile::parse(manager.profile());
                    let facts = protocol.ok().and_then(|it| facts::text(&it.protocol));
                    facts.into_iter().for_each(print);
                    0
                }
                None => {
                    let name = diag::sanitize(name);
                    complain(&format!(
                        "v4run: no profile is called `{name}`; see `v4run profile list`"
                    ));
                    diag::ERROR
                }
            },
        }
    }
}
