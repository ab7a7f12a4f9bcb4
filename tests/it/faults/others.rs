//! SIGKILL and SIGSTOP of each process of a run of pip and of Maven, in the middle of a download.
//!
//! The same as for npm in `kills`, which has every step: nothing stays, the store is whole, the record is
//! sealed or `verify` says that it is not, the next run works. The suite kills a few, a soak hits all.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::kills::{child, record};
use super::{is_sealed, score, store_is_whole};
use crate::maven::jar::Jar;
use crate::maven::{Maven, dependency, publish};
use crate::project::Project;
use crate::python::Python;
use crate::python::wheel::Wheel;
use crate::registry::{On, Registry, What};
use crate::run::{Invocation, Run};

/// A process of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Session,
    Proxy,
    Manager,
}

const ALL: [Who; 3] = [Who::Session, Who::Proxy, Who::Manager];

/// The ending of what is under way when a process is hit.
const SLOW: (&str, &str) = ("/slow-1.0-py3-none-any.whl", "/slow-1.0.jar");

/// A manager's way to install something slow.
struct Way<'a> {
    registry: &'a Registry,
    project: &'a Project,
    slow: &'static str,
    start: &'a dyn Fn() -> Invocation,
    /// Takes away what was installed.
    clear: &'a dyn Fn(),
}

fn find(session: Pid, who: Who) -> Option<Pid> {
    match who {
        Who::Session => Some(session),
        Who::Proxy => child(session, |line| {
            line.split('\0').any(|word| word == "__proxy")
        }),
        // v4run's own roles begin with two lines; a manager that downloads is none of them any more.
        Who::Manager => child(session, |line| {
            !line.split('\0').any(|word| word.starts_with("__"))
        }),
    }
}

impl Way<'_> {
    /// Starts the install, waits until the slow file is under way, and sends a signal.
    fn hit(&self, who: Who, signal: Signal) -> Run {
        let _ = fs::remove_dir_all(self.project.home().join(".cache"));
        (self.clear)();
        let slow = What::Slow(6, Duration::from_millis(60));
        self.registry.fault_times(On::Path(self.slow), slow, 0, 1);
        let asked = |seen: usize| {
            let seen = self.registry.seen().into_iter().skip(seen);
            seen.filter(|seen| seen.path.ends_with(self.slow)).count()
        };
        let before = self.registry.seen().len();
        let invocation = (self.start)().grace(Duration::from_secs(5));
        let mut running = invocation.limit(Duration::from_secs(60)).start();
        let end = Instant::now() + Duration::from_secs(40);
        while asked(before) == 0 {
            assert!(Instant::now() < end, "{who:?}: nothing was asked for");
            sleep(Duration::from_millis(1));
        }
        let process = find(running.pid(), who).unwrap_or_else(|| panic!("{who:?} is not there"));
        kill(process, signal).unwrap();
        if signal == Signal::SIGSTOP {
            sleep(Duration::from_millis(300));
            kill(process, Signal::SIGCONT).unwrap();
        }
        let run = running.wait();
        self.registry.heal();
        store_is_whole(&self.project.home().join(".cache"));
        run
    }

    fn killed(&self, who: Who) {
        let run = self.hit(who, Signal::SIGKILL);
        let record = record(self.project);
        let sealed = record.join("events.jsonl").exists() && is_sealed(&record);
        if who == Who::Session {
            assert_eq!(run.ended.signal, Some(9), "{}", run.told());
            assert!(!sealed);
        } else {
            assert!(sealed, "{who:?}\n{}", run.told());
            assert_ne!(run.ended.code, Some(0), "{who:?}\n{}", run.told());
        }
    }

    /// Kills these, all in a soak, which stops each as well; afterwards it works.
    fn holds(&self, usual: &[Who]) {
        let long = std::env::var_os("V4RUN_SOAK_RUNS").is_some();
        let killed = if long { &ALL } else { usual };
        for &who in killed {
            self.killed(who);
        }
        let stopped: &[Who] = if long { &ALL } else { &[] };
        for &who in stopped {
            self.hit(who, Signal::SIGSTOP).succeeds();
        }
        (self.clear)();
        (self.start)().run().succeeds();
        score(killed.len() + stopped.len());
    }
}

#[test]
fn every_process_of_a_run_of_pip() {
    let registry = Registry::start();
    let content = "a = 1\n".repeat(200_000);
    Wheel::new("slow", "1.0")
        .file("slow/large.py", content.as_bytes())
        .publish(&registry);
    let python = Python::new(&registry);
    Way {
        registry: &registry,
        project: &python.project,
        slow: SLOW.0,
        start: &|| python.v4run(&["install", "slow"]),
        clear: &|| python.clear(),
    }
    .holds(&[Who::Session, Who::Manager]);
}

#[test]
fn every_process_of_a_run_of_maven() {
    let registry = Registry::start();
    let jar = Jar::plain("it.slow").file("large", &vec![b'x'; 3 << 20]);
    publish(&registry, "it.part:slow:1.0", "", &jar);
    let body = format!(
        "<dependencies>{}</dependencies>",
        dependency("it.part:slow:1.0", "")
    );
    let maven = Maven::new(&registry, &body);
    Way {
        registry: &registry,
        project: &maven.project,
        slow: SLOW.1,
        start: &|| maven.v4run(&["dependency:resolve"]),
        clear: &|| maven.clear(),
    }
    .holds(&[Who::Session]);
}
