//! The built-in canaries: each fires bare, none fires inside, and `doctor` says so.
//!
//! These are the cases that no script language can try: descriptors, memory files, rings, raw
//! sockets, other processes' memory. The scripted ones are in `exec`, `network`, `files`, `process`.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use v4run::sandbox::canary;
use v4run::sandbox::canary::Canary;

use crate::attack::Stage;
use crate::run::Run;
use crate::run::v4run as binary;

/// What only a privileged user, or a kernel without an outer filter, may do at all: the bare attempt
/// fails there, and the case says nothing on that machine.
const NEEDS_A_FREE_KERNEL: &[&str] = &[
    "keyring",
    "own-filter",
    "personality",
    "read-environment",
    "read-memory",
    "renice",
    "ring",
    "signal-descriptor",
    "terminal",
    "trace",
    "unshare",
    "userfault",
];

/// Whether a filter stands around the suite.
pub(crate) fn filtered() -> bool {
    !std::fs::read_to_string("/proc/self/status")
        .unwrap()
        .lines()
        .any(|line| line.starts_with("Seccomp:") && line.ends_with('0'))
}

/// Positive control: without the sandbox every attempt succeeds, or the case proves nothing.
#[test]
fn every_canary_fires_bare() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().canonicalize().unwrap();
    let (inside, outside) = (root.join("inside"), root.join("outside"));
    std::fs::create_dir(&inside).unwrap();
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "secret").unwrap();
    canary::prepare(&inside).unwrap();
    let _service = UnixListener::bind(outside.join("socket")).unwrap();
    let sentinel = TcpListener::bind("127.0.0.1:0").unwrap();
    let restricted = filtered() || !nix::unistd::geteuid().is_root();
    let mut invalid = Vec::new();
    for canary in canary::ALL {
        let results = inside.join(canary::RESULTS);
        let _ = std::fs::remove_file(&results);
        let mut bystander = Command::new("sleep")
            .arg("60")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let output = Command::new(binary())
            .arg(canary::ARGUMENT)
            .args([&inside, &outside])
            .arg(sentinel.local_addr().unwrap().to_string())
            .arg(bystander.id().to_string())
            .arg(canary.name)
            .output()
            .unwrap();
        bystander.kill().unwrap();
        bystander.wait().unwrap();
        let said = std::fs::read_to_string(&results).unwrap_or_default();
        let fired = said == format!("{} fired\n", canary.name);
        if !fired && restricted && NEEDS_A_FREE_KERNEL.contains(&canary.name) {
            invalid.push(canary.name);
            continue;
        }
        assert!(
            fired,
            "{} did not fire bare: {said:?} {output:?}",
            canary.name
        );
    }
    // Most must be valid anywhere, or the machine says nothing about the sandbox.
    assert!(invalid.len() * 3 < canary::ALL.len(), "{invalid:?}");
}

#[test]
fn doctor_finds_every_canary_refused() {
    let output = Command::new(binary())
        .args(["doctor", "--format", "json"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let diagnosis: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let refused = diagnosis["refused"].as_array().unwrap();
    assert_eq!(refused.len(), canary::ALL.len(), "{diagnosis:#}");
    assert_eq!(diagnosis["failed"].as_array().unwrap().len(), 0);
    // Every refusal that the supervisor can see is also reported by it; an outer filter answers
    // some of the calls before it.
    let reported = diagnosis["reported"].as_u64().unwrap();
    let seen = canary::ALL.len()
        - if filtered() {
            NEEDS_A_FREE_KERNEL.len()
        } else {
            0
        };
    assert!(reported >= seen as u64, "{diagnosis:#}");
}

/// The program in node's place; `cargo test` builds it beside the tested binary.
pub(crate) fn hostile() -> PathBuf {
    std::env::var_os("V4RUN_HOSTILE").map_or_else(
        || Path::new(env!("CARGO_BIN_EXE_v4run")).with_file_name("examples/hostile"),
        PathBuf::from,
    )
}

/// The same attempts by the manager of one real run: exact errno, exit status 120, and violations that name
/// their control. Which event and violation each attempt leaves is the corpus's, which has them all.
#[test]
fn every_canary_is_refused_in_a_run() {
    let others = canary::ALL.iter().filter(|one| one.name != "netlink");
    let others: Vec<&Canary> = others.collect();
    let run = in_a_run(&others, None);
    run.exits(120);
    let violations = run.record().violations();
    assert!(
        violations.iter().all(|v| v["control"].is_string()),
        "{}",
        run.told()
    );
    let refused = |event: &serde_json::Value| event["decision"]["refused"].is_number();
    let events = [run.record().events("call"), run.record().events("exec")].concat();
    let events = events.iter().filter(|event| refused(event)).count();
    assert!(events * 2 > others.len(), "{events}\n{}", run.told());
}

/// Refused like the others, but libc does it in every run: the profile expects it.
#[test]
fn what_libc_asks_of_the_network_is_refused_and_expected() {
    let run = in_a_run(&expected(), None);
    run.exits(0);
    let subject = |entry: &serde_json::Value| entry["subject"].to_string().contains("NETLINK");
    assert!(
        run.record().suppressed().iter().any(subject),
        "{}",
        run.told()
    );
}

/// So is the ring of a newer runtime's event loop; one of another size is nobody's.
#[test]
fn the_ring_of_an_event_loop_is_refused_and_expected() {
    let run = in_a_run(&expected(), Some(256));
    run.exits(0);
    let ring = |entry: &serde_json::Value| entry["subject"] == "io_uring_setup(256)";
    if !filtered() {
        assert!(run.record().suppressed().iter().any(ring), "{}", run.told());
        in_a_run(&expected(), Some(255)).refuses(120, "kernel-surface-refused", "4.18");
    }
}

fn expected() -> Vec<&'static Canary> {
    let netlink = canary::ALL.iter().filter(|one| one.name == "netlink");
    netlink.collect()
}

/// Runs these in npm's place and requires the errno of each; then a ring with so many entries.
fn in_a_run(canaries: &[&Canary], ring: Option<u32>) -> Run {
    let stage = Stage::new();
    let inside = stage.project.path("node_modules");
    let outside = stage.project.outside("wild");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "secret").unwrap();
    let _service = UnixListener::bind(outside.join("socket")).unwrap();
    let sentinel = TcpListener::bind("127.0.0.1:0").unwrap();
    let names: Vec<&str> = canaries.iter().map(|one| one.name).collect();
    let scene = json!({
        "inside": inside,
        "outside": outside,
        "listener": sentinel.local_addr().unwrap().to_string(),
        "bystander": std::process::id().to_string(),
        "names": names,
        "ring": ring,
    });
    stage.runtime(&hostile(), &scene);
    std::fs::create_dir_all(&inside).unwrap();
    canary::prepare(&inside).unwrap();
    let run = stage.hostile("").run();
    let said = std::fs::read_to_string(inside.join(canary::RESULTS)).unwrap_or_default();
    assert_eq!(said.lines().count(), names.len(), "{said}\n{}", run.told());
    for one in canaries {
        // A terminal's device is no place of a run, so typing into one is refused at the door.
        let errno = if one.name == "terminal" {
            13
        } else {
            one.errno
        };
        let expected = if filtered() && NEEDS_A_FREE_KERNEL.contains(&one.name) {
            format!("{} errno ", one.name)
        } else {
            format!("{} errno {errno}", one.name)
        };
        let met = said.lines().any(|line| line.starts_with(&expected));
        assert!(met, "{expected}: {said}\n{}", run.told());
    }
    run
}

#[test]
fn doctor_says_one_line_in_ci() {
    let output = Command::new(binary())
        .args(["doctor", "--ci"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("enforceable here"), "{text}");
}
