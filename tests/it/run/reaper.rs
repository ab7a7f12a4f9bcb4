//! Runs one command below a process of its own that adopts every orphan, and reports who is left.
//!
//! A test cannot see by itself whether something outlived the run: orphans go to init. So every
//! command runs below a re-execution of this test binary that is a child subreaper: when the
//! command has ended, whatever is still a child of the reaper has survived it. Survivors are
//! reported and then killed, so that a failing test leaves nothing behind either.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use v4run::sys::notify::{Instruction, install_filter, install_listener};

use super::older;

/// Name of the variable that turns a test binary into a reaper; its value is the folder.
const FOLDER: &str = "V4RUN_TEST_REAPER";
const PACE: Duration = Duration::from_millis(4);

/// A command and how it is to be watched.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    /// Program and arguments.
    pub(crate) argv: Vec<OsString>,
    /// Whole environment.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// Working directory.
    pub(crate) directory: OsString,
    /// File to read standard input from; `/dev/null` when there is none.
    pub(crate) stdin: Option<OsString>,
    /// The command is killed after so many milliseconds.
    pub(crate) limit_ms: u64,
    /// So long may an orphan take to end. Zero for an orderly end.
    pub(crate) grace_ms: u64,
    /// When set, orphans may go on until this file exists: for controls without v4run.
    pub(crate) wait_for: Option<OsString>,
    /// Calls that fail round the command, with their error numbers.
    pub(crate) fails: Vec<(i64, i32)>,
    /// Whether a filter with a listener stands round the command.
    pub(crate) listened: bool,
    /// Version of Landlock that the kernel seems to have.
    pub(crate) landlock: Option<u32>,
}

/// How it ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// Exit code.
    pub(crate) code: Option<i32>,
    /// Signal.
    pub(crate) signal: Option<i32>,
    /// It had to be killed after the limit.
    pub(crate) timed_out: bool,
    /// Command lines of processes that outlived it.
    pub(crate) survivors: Vec<String>,
}

/// A command on its way; files of the watch are in its folder.
pub(crate) struct Watched {
    child: Child,
    folder: PathBuf,
    limit: Duration,
}

impl Watched {
    /// Starts the command; `folder` is for this run alone.
    pub(crate) fn start(spec: &Spec, folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("spec.json"), serde_json::to_vec(spec).unwrap()).unwrap();
        let child = Command::new("/proc/self/exe")
            .args([
                "--exact",
                "run::reaper::as_child",
                "--test-threads=1",
                "--quiet",
            ])
            .env(FOLDER, folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("reaper")).unwrap())
            .spawn()
            .unwrap();
        let limit = Duration::from_millis(spec.limit_ms + spec.grace_ms) + Duration::from_secs(20);
        Self {
            child,
            folder: folder.into(),
            limit,
        }
    }

    /// Process id of the command, once it runs.
    pub(crate) fn pid(&mut self) -> Pid {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let text = fs::read_to_string(self.folder.join("pid")).unwrap_or_default();
            if let Some(number) = text.strip_suffix('\n') {
                return Pid::from_raw(number.parse().unwrap());
            }
            assert!(
                Instant::now() < deadline,
                "the command did not start: {}",
                self.complaint()
            );
            sleep(PACE);
        }
    }

    /// Waits for the end of command and reaper.
    pub(crate) fn wait(mut self) -> Ended {
        let deadline = Instant::now() + self.limit;
        while self.child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                let _ = self.child.kill();
                panic!("the reaper hangs: {}", self.complaint());
            }
            sleep(PACE);
        }
        let ended = fs::read(self.folder.join("ended.json"));
        serde_json::from_slice(&ended.unwrap_or_else(|_| panic!("{}", self.complaint()))).unwrap()
    }

    fn complaint(&self) -> String {
        fs::read_to_string(self.folder.join("reaper")).unwrap_or_default()
    }
}

/// The reaper's own life; an empty test unless this process is one.
#[test]
fn as_child() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    prctl::set_child_subreaper(true).unwrap();
    let spec: Spec = serde_json::from_slice(&fs::read(folder.join("spec.json")).unwrap()).unwrap();
    let stdin = match &spec.stdin {
        Some(path) => Stdio::from(File::open(path).unwrap()),
        None => Stdio::null(),
    };
    let _listener = surround(&spec);
    let mut argv = spec.argv.clone();
    if spec.landlock.is_some() {
        argv.splice(0..0, older::WAITING.map(OsString::from));
    }
    let mut child = Command::new(&argv[0])
        .args(&argv[1..])
        .env_clear()
        .envs(spec.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&spec.directory)
        .stdin(stdin)
        .stdout(File::create(folder.join("stdout")).unwrap())
        .stderr(File::create(folder.join("stderr")).unwrap())
        .spawn()
        .unwrap();
    fs::write(folder.join("pid.new"), format!("{}\n", child.id())).unwrap();
    fs::rename(folder.join("pid.new"), folder.join("pid")).unwrap();
    let limit = Duration::from_millis(spec.limit_ms);
    let (code, signal, timed_out) = match spec.landlock {
        Some(abi) => {
            let command = Pid::from_raw(child.id().cast_signed());
            older::trace(command, abi, limit)
        }
        None => {
            let (status, timed_out) = wait_within(&mut child, limit);
            (status.code(), status.signal(), timed_out)
        }
    };
    if let Some(file) = &spec.wait_for {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !Path::new(file).exists() && Instant::now() < deadline {
            sleep(PACE);
        }
    }
    let survivors = survivors(Duration::from_millis(spec.grace_ms));
    end_all();
    let ended = Ended {
        code,
        signal,
        timed_out,
        survivors,
    };
    fs::write(
        folder.join("ended.json"),
        serde_json::to_vec(&ended).unwrap(),
    )
    .unwrap();
}

/// Puts the filters round this process and so round the command: what a container engine or
/// another supervisor does, and what a kernel that lacks a call looks like.
fn surround(spec: &Spec) -> Option<OwnedFd> {
    const LOAD_NUMBER: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const ALLOW: u32 = 0x7fff_0000;
    const ERRNO: u32 = 0x0005_0000;
    let step = |code, jf, k| Instruction { code, jt: 0, jf, k };
    const TRACE: u32 = 0x7ff0_0000;
    if spec.fails.is_empty() && !spec.listened && spec.landlock.is_none() {
        return None;
    }
    prctl::set_no_new_privs().unwrap();
    let mut program = vec![step(LOAD_NUMBER, 0, 0)];
    for (number, errno) in &spec.fails {
        program.push(step(JUMP_IF_EQUAL, 1, u32::try_from(*number).unwrap()));
        program.push(step(RETURN, 0, ERRNO | u32::try_from(*errno).unwrap()));
    }
    if spec.landlock.is_some() {
        let number = u32::try_from(libc::SYS_landlock_create_ruleset).unwrap();
        program.push(step(JUMP_IF_EQUAL, 1, number));
        program.push(step(RETURN, 0, TRACE));
    }
    program.push(step(RETURN, 0, ALLOW));
    if spec.listened {
        return Some(install_listener(&program).unwrap());
    }
    install_filter(&program).unwrap();
    None
}

fn wait_within(child: &mut Child, limit: Duration) -> (ExitStatus, bool) {
    let deadline = Instant::now() + limit;
    let mut pace = Duration::from_micros(500);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return (status, false);
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            return (child.wait().unwrap(), true);
        }
        sleep(pace);
        pace = (pace * 2).min(PACE);
    }
}

/// Children of this process that run although the command has ended.
fn survivors(grace: Duration) -> Vec<String> {
    let deadline = Instant::now() + grace;
    loop {
        let left: Vec<String> = children().into_iter().map(|(_, line)| line).collect();
        if left.is_empty() || Instant::now() >= deadline {
            return left;
        }
        sleep(PACE);
    }
}

/// Running children: process id and command line. A zombie has ended and is none.
fn children() -> Vec<(Pid, String)> {
    let me = std::process::id().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(number) = entry.file_name().to_string_lossy().parse::<i32>() else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let Some((_, fields)) = stat.rsplit_once(") ") else {
            continue;
        };
        let mut fields = fields.split(' ');
        let (state, parent) = (fields.next(), fields.next());
        if state == Some("Z") || parent != Some(me.as_str()) {
            continue;
        }
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        found.push((Pid::from_raw(number), format!("{number}: {line}")));
    }
    found
}

/// Kills until nothing is left: the orphans of orphans come up as children in turn.
fn end_all() {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        for (pid, _) in children() {
            let _ = kill(pid, Signal::SIGKILL);
        }
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Err(_) => return,
            Ok(WaitStatus::StillAlive) => sleep(PACE),
            Ok(_) => {}
        }
    }
}
