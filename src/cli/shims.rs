//! `v4run shims install|check|remove`, and the start by a shim.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, Parser as _, Subcommand, ValueEnum};

use super::{complain, print, told};
use crate::diag;
use crate::model::Finding;
use crate::session::shims::check::{Checked, check};
use crate::session::shims::folder::{self, Mode};
use crate::session::shims::{Shim, UNCOVERED};

/// What is to be done with shims.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Make links named npm, pip, pip3, uv and mvn that lead to v4run.
    Install {
        /// A folder that only you or root can write, outside of every project; made when missing.
        directory: PathBuf,
        /// What happens to commands that run code by design (`npm run`, `mvn verify`): `gate` hands
        /// them to the bare manager and records that, `strict` refuses them.
        #[arg(long, value_enum, default_value_t = Asked::Gate)]
        mode: Asked,
        /// For an image that is being made: where v4run will lie in it, in the place of where it lies here.
        #[arg(long, value_name = "PATH")]
        program: Option<PathBuf>,
    },
    /// Prove that the shims win in PATH, `sh -c`, `bash -c`, your login shell and the next step of a CI job.
    Check {
        /// The folder; by default the first one in PATH.
        directory: Option<PathBuf>,
    },
    /// Remove the links and nothing else.
    Remove {
        /// The folder.
        directory: PathBuf,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Asked {
    Gate,
    Strict,
}

impl Arguments {
    pub(super) fn run(&self) -> u8 {
        let done = match &self.task {
            Task::Install {
                directory,
                mode,
                program,
            } => install(directory, *mode, program.as_deref()),
            Task::Check { directory } => check(directory.as_deref()).map(|found| show(&found)),
            Task::Remove { directory } => folder::remove(directory).map(|left| {
                for path in &left {
                    let path = path.display().to_string();
                    complain(&format!(
                        "v4run: left, because it is no shim: {}",
                        diag::sanitize(&path)
                    ));
                }
                0
            }),
        };
        done.unwrap_or_else(|finding| told(&finding))
    }
}

fn install(directory: &Path, mode: Asked, image: Option<&Path>) -> Result<u8, Finding> {
    let mode = match mode {
        Asked::Gate => Mode::Gate,
        Asked::Strict => Mode::Strict,
    };
    let installed = folder::install(directory, mode, image)?;
    let folder = installed.folder.display().to_string();
    let folder = diag::sanitize(&folder);
    print(&format!(
        "{folder}: {} (mode {})",
        installed.names.join(" "),
        mode.name()
    ));
    if image.is_some() {
        return Ok(0);
    }
    print(&format!("put it first in PATH: export PATH={folder}:$PATH"));
    print("then `v4run shims check` says whether the shims win");
    Ok(0)
}

fn show(found: &Checked) -> u8 {
    let folder = found.folder.display().to_string();
    let folder = diag::sanitize(&folder);
    print(&format!(
        "{folder}: {} (mode {})",
        found.names.join(" "),
        found.mode.name()
    ));
    for problem in &found.problems {
        print(&format!("FAIL  {}", diag::sanitize(problem)));
    }
    for way in &found.ways {
        if way.others.is_empty() {
            print(&format!("ok    {}", diag::sanitize(&way.how)));
        }
        for other in &way.others {
            print(&format!(
                "FAIL  {}: {}",
                diag::sanitize(&way.how),
                diag::sanitize(other)
            ));
        }
    }
    for note in &found.notes {
        print(&format!("--    {}", diag::sanitize(note)));
    }
    if found.holds() {
        return 0;
    }
    complain("v4run: the shims do not cover everything that they should");
    if !found.problems.is_empty() {
        complain(
            "  hint: make the folder anew: `v4run shims install`, where only you or root can write",
        );
    }
    if found.ways.iter().all(|way| way.others.is_empty()) {
        return UNCOVERED;
    }
    complain(&format!(
        "  hint: put {folder} first: in an image by `ENV PATH={folder}:$PATH`, for login shells too by a \
         file in /etc/profile.d or the shell's own profile, in CI by its file for PATH"
    ));
    UNCOVERED
}

/// A start by a shim: every word is the manager's, options come from the environment only.
pub(super) fn called(shim: &Shim, arguments: &[OsString]) -> u8 {
    if let Err(error) = crate::sys::process::outlive_file_limit() {
        complain(&format!("v4run: signals: {error}"));
        return diag::ERROR;
    }
    let line = ["v4run", shim.manager().name()];
    match super::Arguments::try_parse_from(line) {
        Ok(read) => {
            let options = read
                .options
                .into_run(shim.manager(), OsString::new(), Vec::new());
            shim.run(options, arguments.get(1..).unwrap_or_default())
        }
        Err(error) => {
            let _ = error.print();
            diag::ERROR
        }
    }
}
