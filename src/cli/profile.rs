//! `v4run profile list|show NAME`.

use clap::{Args, Subcommand};

use super::{complain, print};
use crate::diag;
use crate::manager;

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
    /// One profile, with the reason of every rule.
    Show {
        /// Name of a package manager.
        name: String,
    },
}

impl Arguments {
    pub(super) fn run(&self) -> u8 {
        match &self.question {
            Question::List => {
                for manager in manager::ALL {
                    print(manager.name());
                }
                0
            }
            Question::Show { name } => match manager::by_name(name) {
                Some(manager) => {
                    print(manager.profile());
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
