//! Runs v4run or the bare manager and checks what must hold of every run.
//!
//! Every run of v4run, whatever the test is about, must end in time, leave no process, print no
//! control character and no secret, and leave an intact record whose summary agrees with the exit
//! status. Those checks are made here, so that no test can forget them.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

mod older;
pub(crate) mod reaper;
mod record;
mod selftest;

use reaper::{Ended, Spec, Watched};
pub(crate) use record::Record;

/// The binary under test.
pub(crate) fn v4run() -> PathBuf {
    std::env::var_os("V4RUN_BIN")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_v4run")), PathBuf::from)
}

/// A command that is about to be run.
#[derive(Clone)]
pub(crate) struct Invocation {
    spec: Spec,
    folder: PathBuf,
    record: Option<PathBuf>,
    secrets: Vec<String>,
    noisy: bool,
}

impl Invocation {
    /// A command; `folder` is for its output and record. `record` says whether it is v4run's.
    pub(crate) fn new(argv: Vec<OsString>, directory: &Path, folder: PathBuf) -> Self {
        let spec = Spec {
            argv,
            environment: Vec::new(),
            directory: directory.into(),
            stdin: None,
            // Several virtual machines at once on a busy machine take their time.
            limit_ms: 240_000,
            grace_ms: 0,
            wait_for: None,
            fails: Vec::new(),
            listened: false,
            landlock: None,
        };
        Self {
            spec,
            folder,
            record: None,
            secrets: Vec::new(),
            noisy: false,
        }
    }

    /// It must leave a record there.
    pub(crate) fn recorded(mut self, folder: PathBuf) -> Self {
        self.record = Some(folder);
        self
    }

    /// It leaves no record: usage errors, or a place that cannot be written.
    pub(crate) fn unrecorded(mut self) -> Self {
        self.record = None;
        self
    }

    /// Sets a variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self = self.env_remove(name);
        self.spec
            .environment
            .push((name.into(), value.as_ref().into()));
        self
    }

    /// Removes a variable.
    pub(crate) fn env_remove(mut self, name: &str) -> Self {
        self.spec.environment.retain(|(key, _)| key != name);
        self
    }

    /// Runs in another directory.
    pub(crate) fn directory(mut self, directory: &Path) -> Self {
        self.spec.directory = directory.into();
        self
    }

    /// Inserts words before the program: `sh -c …`, `prlimit …`.
    pub(crate) fn below(mut self, words: &[&str]) -> Self {
        self.spec
            .argv
            .splice(0..0, words.iter().map(OsString::from));
        self
    }

    /// Kills it after that time.
    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.spec.limit_ms = u64::try_from(limit.as_millis()).unwrap();
        self
    }

    /// Allows what it leaves behind to take that long to end.
    pub(crate) fn grace(mut self, grace: Duration) -> Self {
        self.spec.grace_ms = u64::try_from(grace.as_millis()).unwrap();
        self
    }

    /// Lets what it leaves behind go on until that file exists.
    pub(crate) fn wait_for(mut self, file: &Path) -> Self {
        self.spec.wait_for = Some(file.into());
        self
    }

    /// Round it a call fails with an error number: an old kernel, a container engine.
    pub(crate) fn fails(mut self, number: i64, errno: i32) -> Self {
        self.spec.fails.push((number, errno));
        self
    }

    /// Round it stands somebody else's filter with a listener.
    pub(crate) fn listened(mut self) -> Self {
        self.spec.listened = true;
        self
    }

    /// The kernel seems to have that version of Landlock.
    pub(crate) fn landlock(mut self, abi: u32) -> Self {
        self.spec.landlock = Some(abi);
        self
    }

    /// Reads standard input from a file.
    pub(crate) fn stdin(mut self, file: &Path) -> Self {
        self.spec.stdin = Some(file.into());
        self
    }

    /// Names a text that must appear nowhere.
    pub(crate) fn secret(mut self, secret: &str) -> Self {
        self.secrets.push(secret.into());
        self
    }

    /// The manager of this run prints control characters itself.
    pub(crate) fn noisy(mut self) -> Self {
        self.noisy = true;
        self
    }

    /// Runs it to its end and checks what holds of every run.
    pub(crate) fn run(self) -> Run {
        self.start().wait()
    }

    /// Starts it.
    pub(crate) fn start(self) -> Running {
        let watched = Watched::start(&self.spec, &self.folder);
        Running {
            watched,
            invocation: self,
        }
    }
}

/// A command on its way.
pub(crate) struct Running {
    watched: Watched,
    invocation: Invocation,
}

impl Running {
    /// Process id of the command.
    pub(crate) fn pid(&mut self) -> Pid {
        self.watched.pid()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&mut self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits for its end and checks what holds of every run.
    pub(crate) fn wait(self) -> Run {
        let Self {
            watched,
            invocation,
        } = self;
        let ended = watched.wait();
        let read = |name: &str| {
            let bytes = fs::read(invocation.folder.join(name)).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let run = Run {
            ended,
            stdout: read("stdout"),
            stderr: read("stderr"),
            record: invocation.record.as_deref().and_then(Record::read),
        };
        run.check(&invocation);
        run
    }
}

/// What a command left.
pub(crate) struct Run {
    /// Exit status, survivors.
    pub(crate) ended: Ended,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
    record: Option<Record>,
}

impl Run {
    /// Exit code; fails for a signal.
    pub(crate) fn code(&self) -> i32 {
        self.ended
            .code
            .unwrap_or_else(|| panic!("ended by a signal\n{}", self.told()))
    }

    /// Requires an exit code.
    #[track_caller]
    pub(crate) fn exits(&self, code: i32) -> &Self {
        assert_eq!(self.ended.code, Some(code), "exit status\n{}", self.told());
        self
    }

    /// Requires success.
    #[track_caller]
    pub(crate) fn succeeds(&self) -> &Self {
        self.exits(0)
    }

    /// Requires a refusal: the exit status, and a violation with that code and control.
    #[track_caller]
    pub(crate) fn refuses(&self, status: i32, code: &str, control: &str) -> &Self {
        self.exits(status);
        self.record().violation(code, control, &self.told());
        self
    }

    /// Requires a text on standard error.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) -> &Self {
        assert!(
            self.stderr.contains(text),
            "`{text}` is not on stderr\n{}",
            self.told()
        );
        self
    }

    /// The record.
    #[track_caller]
    pub(crate) fn record(&self) -> &Record {
        self.record
            .as_ref()
            .unwrap_or_else(|| panic!("no record\n{}", self.told()))
    }

    /// Everything, for a failing assertion.
    pub(crate) fn told(&self) -> String {
        let summary = self.record.as_ref().map(Record::told).unwrap_or_default();
        format!(
            "{:?}\n--- stdout\n{}\n--- stderr\n{}\n--- record\n{summary}",
            self.ended, self.stdout, self.stderr
        )
    }

    #[track_caller]
    fn check(&self, invocation: &Invocation) {
        assert!(
            !self.ended.timed_out,
            "it did not end in time\n{}",
            self.told()
        );
        if invocation.spec.wait_for.is_none() {
            assert!(
                self.ended.survivors.is_empty(),
                "processes survived\n{}",
                self.told()
            );
        }
        let Some(folder) = &invocation.record else {
            return;
        };
        if !invocation.noisy {
            let control = |c: char| c.is_control() && c != '\n' && c != '\t';
            assert!(
                !self.stderr.contains(control),
                "control characters\n{:?}",
                self.stderr
            );
        }
        for secret in &invocation.secrets {
            assert!(
                !self.stdout.contains(secret),
                "secret on stdout\n{}",
                self.told()
            );
            assert!(
                !self.stderr.contains(secret),
                "secret on stderr\n{}",
                self.told()
            );
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let content = fs::read(entry.path()).unwrap_or_default();
                let text = String::from_utf8_lossy(&content);
                assert!(
                    !text.contains(secret),
                    "secret in {}: {}",
                    entry.path().display(),
                    around(&text, secret)
                );
            }
        }
        // Only a kill takes away the chance to seal.
        if let Some(code) = self.ended.code {
            self.record().check(code, &self.told());
        }
    }
}

/// Where a text was found, for a failing assertion.
fn around(text: &str, found: &str) -> String {
    let before = text.split(found).next().unwrap_or_default();
    let start: Vec<char> = before.chars().rev().take(120).collect();
    start.into_iter().rev().collect()
}
