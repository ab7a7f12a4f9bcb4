//! Arguments and text: what was typed, and which part of the program answers it.
//!
//! Options stand before the manager's name; everything after it belongs to the manager. What v4run
//! says goes to standard error, except what a subcommand was asked to print.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::diag::{self, ERROR, STATUSES};
use crate::manager;
use crate::model::{Finding, Level};
use crate::sandbox::canary;
use crate::session;
use crate::session::children::{LAUNCHER, LOOK, PROXY};
use crate::sys;

mod assess;
mod build;
mod doctor;
mod explain;
mod generate;
mod hidden;
mod history;
mod init;
mod lock;
mod probe;
mod profile;
mod shims;
mod trust;
mod verify;

/// Sandboxed install interceptor: verified packages, nothing executed, a record of it.
#[derive(Debug, Parser)]
#[command(name = "v4run", version, arg_required_else_help = true, after_help = after())]
struct Arguments {
    #[command(flatten)]
    options: RunOptions,
    #[command(subcommand)]
    command: Command,
}

/// What stands before the manager's name.
#[derive(Debug, clap::Args)]
struct RunOptions {
    /// Where this run's record goes; made when missing.
    #[arg(long, env = "V4RUN_RECORD", value_name = "DIR")]
    record: Option<PathBuf>,
    /// Policy file, in place of the project's v4run.toml.
    #[arg(long, env = "V4RUN_POLICY", value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Fail unless this V4 level is at least supported.
    #[arg(long, env = "V4RUN_LEVEL", value_name = "L1|L2|L3")]
    level: Option<Level>,
    /// Sign the record with this key: PKCS#8 in PEM, P-256 or Ed25519. The variable V4RUN_SIGN_KEY
    /// may name the file, or hold the key itself.
    #[arg(long, value_name = "FILE")]
    sign_key: Option<PathBuf>,
    /// With the install, build what the policy approves; see `v4run build`.
    #[arg(long)]
    build: bool,
    /// The same, and the project's own code too: its install scripts, or its build from source.
    #[arg(long)]
    project: bool,
    /// Before the start, move away what is kept from earlier runs and is not what was verified.
    #[arg(long)]
    repair: bool,
}

/// Below the help text: how a manager is run, and what exit statuses mean.
fn after() -> String {
    let meanings: Vec<String> = STATUSES
        .iter()
        .map(|(status, meaning)| format!("{status} {meaning}"))
        .collect();
    format!(
        "Run a package manager by its name: `v4run npm ci`. Options stand before the name.\n\n\
         Exit status: the manager's own; {}.",
        meanings.join("; ")
    )
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What this machine offers, and a live self-test of every layer.
    Doctor(doctor::Arguments),
    /// The 19 controls of a record.
    Assess(assess::Arguments),
    /// Run the install scripts and native builds that the policy approves, without network.
    Build(build::Arguments),
    /// Whether a record is intact.
    Verify(verify::Arguments),
    /// A policy to begin with, all of it comments, from what a run saw: v4run.toml.
    Init(init::Arguments),
    /// A lockfile of what a run installed, for pip: pylock.toml.
    Lock(lock::Arguments),
    /// What a run would load as code, found out without running it, as approvals for the policy.
    Trust(trust::Arguments),
    /// What a finding code or a control means, and what to do.
    Explain(explain::Arguments),
    /// The built-in profiles, and the effective policy.
    Profile(profile::Arguments),
    /// A read-only look at the repositories that a command would use.
    Probe(probe::Arguments),
    /// The runs of this machine, newest first.
    Log(history::Log),
    /// Which runs installed a component: 0 found, 1 none, 125 when records had to be skipped.
    Find(history::Find),
    /// What changed between two installs: 0 nothing, 1 something.
    Diff(history::Diff),
    /// Links named like the package managers, so that scripts that call them are covered.
    Shims(shims::Arguments),
    /// The manual page and shell completions, the schema of policies, a page for each code.
    Generate(generate::Arguments),
    /// A package manager with its arguments.
    #[command(external_subcommand)]
    Manager(Vec<OsString>),
}

/// Entry of the program.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // Of a shim every word is the manager's, also one that looks like a re-execution.
    if let Some(shim) = session::shims::called() {
        return ExitCode::from(shims::called(&shim, &arguments));
    }
    let second = arguments.get(1).and_then(|argument| argument.to_str());
    // The re-executions come first: they must not look at anything else.
    let status = match second {
        Some(PROXY) => hidden::proxy(&arguments),
        Some(LOOK) => hidden::look(&arguments),
        Some(LAUNCHER) => hidden::launcher(&arguments),
        Some(canary::ARGUMENT) => hidden::canary(&arguments),
        Some(_) | None => typed(arguments),
    };
    ExitCode::from(status)
}

fn typed(arguments: Vec<OsString>) -> u8 {
    if let Err(error) = sys::process::outlive_file_limit() {
        complain(&format!("v4run: signals: {error}"));
        return ERROR;
    }
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are answers, not errors.
            let status = if error.use_stderr() { ERROR } else { 0 };
            let _ = error.print();
            return status;
        }
    };
    match arguments.command {
        Command::Doctor(doctor) => doctor.run(),
        Command::Assess(assess) => assess.run(),
        Command::Verify(verify) => verify.run(),
        Command::Init(init) => init.run(),
        Command::Lock(lock) => lock.run(),
        Command::Explain(explain) => explain.run(),
        Command::Profile(profile) => profile.run(arguments.options.policy.as_deref()),
        Command::Probe(probe) => probe.run(arguments.options.policy),
        Command::Log(log) => log.run(),
        Command::Find(find) => find.run(),
        Command::Diff(diff) => diff.run(),
        Command::Shims(shims) => shims.run(),
        Command::Generate(generate) => generate.run(),
        Command::Build(build) => build.run(arguments.options),
        Command::Trust(trust) => arguments.options.run(trust.words, true),
        Command::Manager(words) => arguments.options.run(words, false),
    }
}

impl RunOptions {
    fn run(self, words: Vec<OsString>, rehearsal: bool) -> u8 {
        let mut words = words.into_iter();
        let name = words.next().unwrap_or_default();
        let Some(manager) = known(&name) else {
            return ERROR;
        };
        let options = self.into_run(manager, name, words.collect());
        session::run(session::Options {
            rehearsal,
            ..options
        })
    }

    fn into_run(
        self,
        manager: &'static dyn manager::Manager,
        word: OsString,
        arguments: Vec<OsString>,
    ) -> session::Options {
        session::Options {
            record: self.record,
            policy: self.policy,
            level: self.level,
            sign_key: self.sign_key,
            repair: self.repair,
            rehearsal: false,
            build: match (self.build, self.project) {
                (false, false) => session::Builds::None,
                (_, project) => session::Builds::Beside { project },
            },
            manager,
            word,
            arguments,
        }
    }
}

/// The manager of that name; who is unknown is told which ones there are.
fn known(name: &std::ffi::OsStr) -> Option<&'static dyn manager::Manager> {
    let manager = manager::by_word(name);
    if manager.is_none() {
        let known: Vec<_> = manager::ALL.iter().map(|manager| manager.name()).collect();
        complain(&format!(
            "v4run: unknown command or package manager `{}`; known: {}",
            crate::diag::sanitize(&name.to_string_lossy()),
            known.join(", ")
        ));
    }
    manager
}

/// Prints what was asked for. A closed pipe is no error of ours.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end());
}

/// A finding on standard error, and the exit status that goes with it.
fn told(finding: &Finding) -> u8 {
    complain(&diag::finding(finding));
    diag::ERROR
}

fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", text.trim_end());
}
