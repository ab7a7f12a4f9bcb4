//! SIGKILL and SIGSTOP of each process of a run, at several steps of it.
//!
//! Whoever is hit and whenever: nothing of the run stays, the store holds nothing half-written, the
//! record is sealed or `verify` says that it is not, and the next run works.

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use super::{is_sealed, score, store_is_whole};
use crate::project::Project;
use crate::registry::package::Package;
use crate::registry::{On, Registry, What};
use crate::run::{Run, Running};

/// A process of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Session,
    Proxy,
    Look,
    Manager,
}

/// A step of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// As soon as the process is there.
    Early,
    /// While a body is under way.
    Downloading,
    /// The tree is complete; what is left is to compare, assess and seal.
    Late,
}

const STEPS: [When; 3] = [When::Early, When::Downloading, When::Late];

/// What is sent to end a run with a process that stays still.
const STUCK: [(Who, Signal); 4] = [
    (Who::Proxy, Signal::SIGTERM),
    (Who::Look, Signal::SIGTERM),
    (Who::Manager, Signal::SIGTERM),
    (Who::Session, Signal::SIGKILL),
];

fn setting() -> (Registry, Project) {
    let registry = Registry::start();
    let content = "const a = 1;\n".repeat(120_000);
    registry.publish(&Package::new("slow", "1.0.0").file("large.js", content.as_bytes()));
    registry.publish(&Package::new("quick", "1.0.0"));
    let project = Project::locked(&registry, json!({ "slow": "1.0.0", "quick": "1.0.0" }));
    (registry, project)
}

/// The first child of a session whose command line, with zeros between the words, is like that.
pub(super) fn child(session: Pid, is_like: impl Fn(&str) -> bool) -> Option<Pid> {
    let tasks = fs::read_dir(format!("/proc/{session}/task")).ok()?;
    let children: String = tasks
        .flatten()
        .map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default())
        .collect();
    children.split_whitespace().find_map(|child| {
        let line = fs::read_to_string(format!("/proc/{child}/cmdline")).ok()?;
        is_like(&line).then(|| Pid::from_raw(child.parse().unwrap()))
    })
}

/// The process, once it is there; the manager once it runs its own program.
fn find(session: Pid, who: Who) -> Option<Pid> {
    let word = |line: &str, role: &str| line.split('\0').any(|word| word == role);
    match who {
        Who::Session => Some(session),
        Who::Proxy => child(session, |line| word(line, "__proxy")),
        Who::Look => child(session, |line| word(line, "__look")),
        // npm soon gives itself another title.
        Who::Manager => child(session, |line| {
            line.contains("npm-cli.js") || line.starts_with("npm ")
        }),
    }
}

/// Waits for the step and sends the signal; whether the process was still there.
fn strike(running: &mut Running, project: &Project, registry: &Registry, hit: Hit) -> bool {
    let session = running.pid();
    let end = Instant::now() + Duration::from_secs(30);
    let done = project.path("node_modules/.package-lock.json");
    while Instant::now() < end {
        let arrived = match hit.when {
            When::Early => true,
            When::Downloading => registry.tarballs().iter().any(|path| path.contains("slow")),
            When::Late => done.exists(),
        };
        if arrived && let Some(process) = find(session, hit.who) {
            return kill(process, hit.signal).is_ok();
        }
        if !fs::exists(format!("/proc/{session}")).unwrap() {
            return false;
        }
        sleep(Duration::from_millis(1));
    }
    panic!("{hit:?}: the step was not reached");
}

#[derive(Clone, Copy, Debug)]
struct Hit {
    who: Who,
    when: When,
    signal: Signal,
}

/// One run that is hit; whether it was, and its record.
fn hit(registry: &Registry, project: &Project, hit: Hit) -> (Run, bool) {
    if hit.when != When::Late {
        let slow = What::Slow(6, Duration::from_millis(60));
        registry.fault_times(On::Tarball("slow"), slow, 0, 1);
    }
    let _ = fs::remove_dir_all(project.home().join(".cache"));
    let _ = fs::remove_dir_all(project.path("node_modules"));
    let before = registry.seen().len();
    let invocation = project.v4run(&["npm", "ci"]).grace(Duration::from_secs(5));
    let mut running = invocation.limit(Duration::from_secs(60)).start();
    // What earlier runs asked for does not count.
    if hit.when == When::Downloading {
        let end = Instant::now() + Duration::from_secs(30);
        while registry.seen().len() == before {
            assert!(Instant::now() < end, "{hit:?}: nothing was asked for");
            sleep(Duration::from_millis(1));
        }
    }
    let was = strike(&mut running, project, registry, hit);
    let run = running.wait();
    registry.heal();
    store_is_whole(&project.home().join(".cache"));
    (run, was)
}

/// The folder of the last record of a project.
pub(super) fn record(project: &Project) -> PathBuf {
    let number = (0..)
        .take_while(|number| project.outside(&format!("run-{number}")).exists())
        .last()
        .unwrap();
    project.outside(&format!("run-{number}/record"))
}

fn works(project: &Project) {
    project.v4run(&["npm", "ci"]).run().succeeds();
    assert!(project.path("node_modules/slow/large.js").exists());
}

/// Kills a process at every step; what it ended with each time, where it was hit in time.
fn killed(who: Who, steps: &[When]) -> Vec<(When, Option<i32>, Option<i32>, bool)> {
    let (registry, project) = setting();
    let mut ends = Vec::new();
    for &when in steps {
        let signal = Signal::SIGKILL;
        let (run, was) = hit(&registry, &project, Hit { who, when, signal });
        let record = record(&project);
        let sealed = record.join("events.jsonl").exists() && is_sealed(&record);
        assert!(
            sealed || who == Who::Session,
            "{who:?} {when:?}: the record is not sealed\n{}",
            run.told()
        );
        // A run says success only of a tree that is there.
        if run.ended.code == Some(0) {
            assert!(
                project.path("node_modules/slow/large.js").exists(),
                "{}",
                run.told()
            );
        }
        assert!(
            was || when == When::Late,
            "{who:?} {when:?}: not hit\n{}",
            run.told()
        );
        if was {
            ends.push((when, run.ended.code, run.ended.signal, sealed));
        }
    }
    works(&project);
    score(ends.len());
    ends
}

#[test]
fn the_session_is_killed() {
    for (when, _, signal, sealed) in killed(Who::Session, &STEPS) {
        // At the last step it may have sealed already.
        assert_eq!(signal, Some(9), "{when:?}");
        assert!(!sealed || when == When::Late, "{when:?}");
    }
}

#[test]
fn the_proxy_is_killed() {
    for (when, code, ..) in killed(Who::Proxy, &STEPS) {
        let fine = code == Some(125) || (when == When::Late && code == Some(0));
        assert!(fine, "{when:?}: {code:?}");
    }
}

#[test]
fn the_manager_is_killed() {
    for (when, code, ..) in killed(Who::Manager, &STEPS) {
        let fine = code == Some(137) || (when == When::Late && code == Some(0));
        assert!(fine, "{when:?}: {code:?}");
    }
}

#[test]
fn the_look_is_killed() {
    // It refuses nothing unless the policy says so; that it is gone is told.
    for (when, code, ..) in killed(Who::Look, &[When::Early]) {
        assert_eq!(code, Some(0), "{when:?}");
    }
}

#[test]
fn a_process_that_stands_still_goes_on_where_it_was() {
    let (registry, project) = setting();
    let processes = [Who::Session, Who::Proxy, Who::Look, Who::Manager];
    for who in processes {
        registry.fault_times(
            On::Tarball("slow"),
            What::Slow(6, Duration::from_millis(60)),
            0,
            1,
        );
        let _ = fs::remove_dir_all(project.home().join(".cache"));
        let mut running = project.v4run(&["npm", "ci"]).start();
        let session = running.pid();
        let end = Instant::now() + Duration::from_secs(30);
        let process = loop {
            if let Some(process) = find(session, who) {
                break process;
            }
            assert!(Instant::now() < end, "{who:?} does not appear");
            sleep(Duration::from_millis(1));
        };
        kill(process, Signal::SIGSTOP).unwrap();
        // A busy machine may let an idle process wait before it notices.
        let stat = format!("/proc/{process}/stat");
        while !fs::read_to_string(&stat).unwrap().contains(") T ") {
            assert!(Instant::now() < end, "{who:?} does not stand still");
            sleep(Duration::from_millis(1));
        }
        sleep(Duration::from_millis(300));
        kill(process, Signal::SIGCONT).unwrap();
        running.wait().succeeds();
        registry.heal();
    }
    score(processes.len());
}

/// Stops a process for good, tells the run to end, and looks at what is left.
fn stuck(registry: &Registry, project: &Project, who: Who, when: When, end: Signal) {
    let slow = What::Slow(20, Duration::from_millis(100));
    registry.fault_times(On::Tarball("slow"), slow, 0, 1);
    let _ = fs::remove_dir_all(project.home().join(".cache"));
    let invocation = project.v4run(&["npm", "ci"]).grace(Duration::from_secs(5));
    let mut running = invocation.limit(Duration::from_secs(40)).start();
    let signal = Signal::SIGSTOP;
    assert!(strike(
        &mut running,
        project,
        registry,
        Hit { who, when, signal }
    ));
    sleep(Duration::from_millis(300));
    running.signal(end);
    if when == When::Downloading && end == Signal::SIGTERM {
        // npm ends a download that is under way before it obeys the first one.
        sleep(Duration::from_millis(500));
        running.signal(end);
    }
    let run = running.wait();
    registry.heal();
    assert_ne!(run.ended.code, Some(0), "{who:?}\n{}", run.told());
    store_is_whole(&project.home().join(".cache"));
    if who != Who::Session {
        assert!(is_sealed(&record(project)), "{who:?}\n{}", run.told());
    }
}

#[test]
fn a_process_that_stays_still_does_not_keep_the_run_from_ending() {
    let (registry, project) = setting();
    for (who, end) in STUCK {
        stuck(&registry, &project, who, When::Early, end);
    }
    works(&project);
    score(STUCK.len());
}

/// Long: the proxy is given time for its last words.
#[test]
fn a_process_that_stays_still_in_the_middle_of_a_download() {
    for (who, end) in STUCK {
        let (registry, project) = setting();
        stuck(&registry, &project, who, When::Downloading, end);
        works(&project);
    }
    score(STUCK.len());
}
