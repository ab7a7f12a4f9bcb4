//! Loads: what whoever judges must bear when a run asks too fast, too much, or dies on the way.
//!
//! Each leaves what it saw in `load.json`; the runner looks at that, at the run's end and at its record.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, raise};
use serde_json::{Value, json};
use v4run::sandbox::canary::Scene;

use crate::case::secret;
use crate::raw;

/// Signals that one storm must bring.
const SIGNALS: u64 = 200;
/// Threads that ask at once.
const ASKING: usize = 8;
/// Files that are open at most while that is tried.
const OPEN: u64 = 64;

/// Does what the scene names.
pub(crate) fn run(scene: &Value, stage: &Scene) {
    let own = stage.inside.join("own");
    fs::write(&own, "own").unwrap();
    let seen = match scene["load"].as_str().unwrap() {
        "signals" => signals(&own),
        "death" => death(&own),
        "descriptors" => descriptors(&own),
        "flood" => flood(&own, &secret(stage)),
        "pipe" => pipe(&own, stage.inside.join("pipe")),
        other => panic!("no such load: {other}"),
    };
    fs::write(stage.inside.join("load.json"), seen.to_string()).unwrap();
}

/// Signals come all the time: a judged call is neither broken off nor asked for again and again.
fn signals(own: &Path) -> Value {
    raw::storm(1000).unwrap();
    let pause = [1_i64, 0];
    let broken = raw::done(libc::SYS_nanosleep, &[raw::at(&pause), 0]).is_err();
    let (mut opened, mut failed) = (0_u64, 0_u64);
    let end = Instant::now() + Duration::from_secs(10);
    let path = raw::path(own);
    let words = [raw::int(libc::AT_FDCWD), raw::at(path.as_c_str()), 0];
    while raw::signals() < SIGNALS && Instant::now() < end {
        match raw::made(libc::SYS_openat, &words) {
            Ok(_) => opened += 1,
            Err(_) => failed += 1,
        }
    }
    let signals = raw::signals();
    raw::storm(0).unwrap();
    json!({ "signals": signals, "opened": opened, "failed": failed, "broken": broken })
}

/// Dies while its threads are being answered.
fn death(own: &Path) -> Value {
    for _ in 0..ASKING {
        let own = own.to_owned();
        thread::spawn(move || {
            while let Ok(file) = File::open(&own) {
                drop(file);
            }
        });
    }
    thread::sleep(Duration::from_millis(50));
    raise(Signal::SIGKILL).unwrap();
    json!(null)
}

/// Has no descriptor left for what it is handed.
fn descriptors(own: &Path) -> Value {
    setrlimit(Resource::RLIMIT_NOFILE, OPEN, OPEN).unwrap();
    let mut held = Vec::new();
    let errno = loop {
        match File::open(own) {
            Ok(file) => held.push(file),
            Err(error) => break error.raw_os_error(),
        }
    };
    let count = held.len();
    drop(held);
    json!({ "held": count, "errno": errno, "again": File::open(own).is_ok() })
}

/// Asks from all sides at once, for what it may have and for what it may not.
fn flood(own: &Path, secret: &Path) -> Value {
    let end = Instant::now() + Duration::from_millis(1000);
    let ask = || {
        let (mut right, mut wrong) = (0_u64, 0_u64);
        while Instant::now() < end {
            let given = File::open(own).is_ok();
            let refused = File::open(secret).is_err_and(|e| e.raw_os_error() == Some(libc::EACCES));
            match given && refused {
                true => right += 1,
                false => wrong += 1,
            }
        }
        (right, wrong)
    };
    let counts: Vec<(u64, u64)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..ASKING).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|one| one.join().unwrap()).collect()
    });
    json!({
        "right": counts.iter().map(|count| count.0).collect::<Vec<_>>(),
        "wrong": counts.iter().map(|count| count.1).sum::<u64>(),
    })
}

/// Waits at a pipe in one thread and goes on in another.
fn pipe(own: &Path, pipe: PathBuf) -> Value {
    let name = pipe.clone();
    let waiting = thread::spawn(move || {
        let mut text = String::new();
        File::open(name).unwrap().read_to_string(&mut text).unwrap();
        text
    });
    let opened = (0..100).filter(|_| File::open(own).is_ok()).count();
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(libc::O_NONBLOCK);
    let end = Instant::now() + Duration::from_secs(10);
    // There is nobody to write to before the other thread has come that far.
    while Instant::now() < end {
        if let Ok(mut pipe) = options.open(&pipe) {
            pipe.write_all(b"through").unwrap();
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    json!({ "opened": opened, "told": waiting.join().unwrap() })
}
