//! Nothing outside is signalled, and the end of v4run is the end of everything. I05, T03.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::attack::{Refusal, Stage};
use crate::exec::wait_until;
use crate::project::Project;
use crate::registry::package::Package;
use crate::registry::{On, Registry, What};

const SIGNAL: Refusal<'static> = Refusal {
    errno: &["EPERM"],
    codes: &["kernel-surface-refused", "process-refused"],
    control: "4.18",
};

/// A bystander that ends when it is signalled.
struct Bystander(Child);

impl Bystander {
    fn new() -> Self {
        Self(
            Command::new("sleep")
                .arg("60")
                .stdin(Stdio::null())
                .spawn()
                .unwrap(),
        )
    }

    fn ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn i05_a_signal_to_another_process() {
    let attack = "process.kill(Number(where.pid), 'SIGTERM');";
    let mut bystander = Bystander::new();
    let stage = Stage::new().with("pid", &bystander.0.id().to_string());
    let bare = stage.outcome(stage.bare(attack));
    wait_until_mut(|| bystander.ended());
    assert!(bare.result["error"].is_null(), "{}", bare.result);
    let mut bystander = Bystander::new();
    let stage = Stage::new().with("pid", &bystander.0.id().to_string());
    let ours = stage.outcome(stage.hostile(attack));
    assert!(!bystander.ended(), "{}", ours.run.told());
    ours.is_refused(SIGNAL);
}

#[test]
fn i05_a_signal_to_v4run_itself() {
    let stage = Stage::new();
    let ours = stage.outcome(stage.hostile("process.kill(process.ppid, 'SIGKILL');"));
    ours.is_refused(SIGNAL);
}

#[test]
fn i15_the_priority_of_another_process() {
    let bystander = Bystander::new();
    let attack = "os.setPriority(Number(where.pid), 10); fs.writeFileSync(where.fired, '');";
    let stage = Stage::new().with("pid", &bystander.0.id().to_string());
    stage.fires(
        attack,
        Refusal {
            errno: &["EPERM", "EACCES", "ERR_SYSTEM_ERROR"],
            ..SIGNAL
        },
    );
}

fn wait_until_mut(mut condition: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(
            std::time::Instant::now() < deadline,
            "the condition does not come true"
        );
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// A project whose install hangs in the middle: the registry trickles one archive.
fn hanging() -> (Registry, Project) {
    let registry = Registry::start();
    registry.publish(&Package::new("slow", "1.0.0"));
    registry.fault(
        On::Tarball("slow"),
        What::Slow(8, Duration::from_millis(250)),
    );
    let project = Project::locked(&registry, json!({ "slow": "1.0.0" }));
    (registry, project)
}

#[test]
fn t03_nothing_survives_a_kill_of_v4run() {
    let (registry, project) = hanging();
    let mut running = project
        .v4run(&["npm", "ci"])
        .grace(Duration::from_secs(3))
        .start();
    assert!(registry.wait_for(".tgz", Duration::from_secs(20)));
    running.signal(Signal::SIGKILL);
    // `wait` fails if anything is left after the grace.
    let run = running.wait();
    assert_eq!(run.ended.signal, Some(9));
}

#[test]
fn t03_nothing_survives_a_kill_while_hostile_code_holds_on() {
    let stage = Stage::new();
    let attack = r"
        for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT']) process.on(name, () => {});
        fs.writeFileSync(path.join(where.project, 'node_modules', 'started'), '');
        for (;;) await sleep(1000);
    ";
    let mut running = stage.hostile(attack).grace(Duration::from_secs(3)).start();
    wait_until(|| stage.project.path("node_modules/started").exists());
    running.signal(Signal::SIGKILL);
    assert_eq!(running.wait().ended.signal, Some(9));
}

#[test]
fn an_interrupted_run_is_sealed_and_has_the_usual_status() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let (registry, project) = hanging();
        let mut bare = project.npm(&["ci"]).start();
        assert!(registry.wait_for(".tgz", Duration::from_secs(20)));
        bare.signal(signal);
        let bare = bare.wait();
        let (registry, project) = hanging();
        let mut running = project.v4run(&["npm", "ci"]).start();
        assert!(registry.wait_for(".tgz", Duration::from_secs(20)));
        running.signal(signal);
        let run = running.wait();
        let status = |ended: &crate::run::reaper::Ended| {
            ended.code.or(ended.signal.map(|number| number + 128))
        };
        assert_eq!(
            status(&run.ended),
            status(&bare.ended),
            "{}\n{}",
            bare.told(),
            run.told()
        );
        assert!(run.record().events("sealed").len() == 1);
        let left = fs::read_dir(project.outside("tmp")).unwrap().count();
        assert_eq!(left, 0, "private directories are left behind");
    }
}

/// Seccomp filters of each thread of a process.
fn filters(process: &str) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    tasks
        .map(|task| {
            let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("Seccomp_filters:"));
            line.unwrap().trim().parse().unwrap()
        })
        .collect()
}

#[test]
fn every_thread_of_a_helper_is_confined() {
    let (registry, project) = hanging();
    let mut running = project.v4run(&["npm", "ci"]).start();
    assert!(registry.wait_for(".tgz", Duration::from_secs(20)));
    let session = running.pid().to_string();
    let around = filters("self")[0];
    // Positive control: the session itself has none, so what is counted below is the helper's own.
    assert!(filters(&session).iter().all(|&count| count == around));
    // The proxy's second thread reads what is in artifacts.
    let expected = [
        ("__look".to_owned(), vec![around + 2]),
        ("__proxy".to_owned(), vec![around + 2; 2]),
    ];
    // The look has the processor time that nobody else wants, so it may not have begun.
    let end = Instant::now() + Duration::from_secs(60);
    let mut found = helpers(&session);
    while found != expected && Instant::now() < end {
        thread::sleep(Duration::from_millis(20));
        found = helpers(&session);
    }
    assert_eq!(found, expected);
    running.signal(Signal::SIGTERM);
    running.wait();
}

#[test]
fn a_stop_in_the_midst_of_a_download_is_sealed_in_time() {
    // What an engine gives a container between its stop signal and the end is ten seconds.
    let registry = Registry::start();
    registry.publish(&Package::new("thing", "1.0.0"));
    let project = Project::locked(&registry, json!({ "thing": "1.0.0" }));
    let pause = Duration::from_secs(2);
    registry.fault(On::Tarball("thing"), What::Slow(60, pause));
    let mut running = project.v4run(&["npm", "ci"]).start();
    assert!(registry.wait_for(".tgz", Duration::from_secs(60)));
    thread::sleep(Duration::from_secs(1));
    let start = Instant::now();
    running.signal(Signal::SIGTERM);
    let run = running.wait();
    let took = start.elapsed();
    run.exits(143);
    assert!(took < Duration::from_secs(9), "{took:?}");
    run.says("was killed");
    assert_eq!(run.record().events("sealed").len(), 1);
}

/// The helpers of a session: role, and how many filters each thread has.
fn helpers(session: &str) -> Vec<(String, Vec<u32>)> {
    let children = fs::read_dir(format!("/proc/{session}/task")).unwrap();
    let children: String = children
        .map(|task| fs::read_to_string(task.unwrap().path().join("children")).unwrap())
        .collect();
    let roles = children.split_whitespace().filter_map(|child| {
        let line = fs::read_to_string(format!("/proc/{child}/cmdline")).unwrap();
        let role = line.split('\0').find(|word| word.starts_with("__"))?;
        Some((role.to_owned(), filters(child)))
    });
    let mut roles: Vec<_> = roles.collect();
    roles.sort();
    roles
}
