//! Nothing outside is signalled, and the end of v4run is the end of everything. I05, T03.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

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
