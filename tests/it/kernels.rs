//! Kernels with an older Landlock: refused by name, or the right layer in the place of the one that lacks.
//!
//! ABI 1 and 2 (Linux 5.13 and 5.19) cannot keep a file from being cut off: refused. From 3 on the filter
//! stands alone for what Landlock does not know yet, and the record and `doctor` say for what. Yama is not
//! in every kernel; what depends on it, memory that cannot be read by `process_vm_readv`, is in
//! `surroundings`.
#![cfg(target_arch = "x86_64")]

use crate::attack::{NETWORK, Stage};
use crate::run::Run;
use crate::sentinel::Tcp;
use crate::surroundings::one;

/// Newer versions, and how many protections the filter then has to itself.
const LAYERS: [(u32, usize); 3] = [(4, 2), (5, 1), (6, 0)];

#[test]
fn a_landlock_that_is_too_old_is_refused_by_name() {
    let (registry, project) = one();
    for abi in [1, 2] {
        let named = format!("ABI {abi}");
        let run = project.v4run(&["npm", "ci"]).landlock(abi).run();
        run.exits(125).says("sandbox-unenforceable").says(&named);
        assert!(registry.tarballs().is_empty());
        assert!(!project.path("node_modules").exists());
        let doctor = project.v4run(&["doctor"]).unrecorded().landlock(abi).run();
        assert_ne!(doctor.ended.code, Some(0), "{}", doctor.told());
        assert!(doctor.told().contains(&named), "{}", doctor.told());
    }
}

/// Requires that the record says which version and how many single layers there are.
fn said(run: &Run, abi: u32, layers: usize) {
    let enforced = run.record().event("enforced", |_| true);
    assert_eq!(enforced["landlock_abi"], abi, "{enforced}");
    let single = enforced["single_layer"].as_array().unwrap();
    assert_eq!(single.len(), layers, "{enforced}");
}

#[test]
fn an_older_landlock_is_said_to_leave_one_layer() {
    let (_registry, project) = one();
    let run = project.v4run(&["npm", "ci"]).landlock(3).run();
    run.succeeds();
    assert!(project.path("node_modules/thing/index.js").exists());
    said(&run, 3, 3);
    let stage = Stage::new();
    for (abi, layers) in LAYERS {
        let ours = stage.outcome(stage.hostile("").landlock(abi));
        ours.run.succeeds();
        said(&ours.run, abi, layers);
    }
}

/// The canaries of `doctor` against the filter alone, where Landlock knows files only.
#[test]
fn every_canary_is_refused_with_the_oldest_landlock_that_does() {
    let (_registry, project) = one();
    let run = project.v4run(&["doctor"]).unrecorded().landlock(3).run();
    run.succeeds();
    let told = run.told();
    for word in [
        "ABI 3",
        "canaries refused",
        "tcp connect and bind",
        "signals",
    ] {
        assert!(told.contains(word), "{word}: {told}");
    }
}

#[test]
fn a_connection_is_refused_where_landlock_knows_no_network() {
    let sentinel = Tcp::new();
    let stage = Stage::new().with("port", &sentinel.port());
    let attack = "await tell({ host: '127.0.0.1', port: Number(where.port) }, 'out');";
    stage.outcome(stage.bare(attack));
    assert_eq!(sentinel.heard().len(), 1, "the control does not fire");
    stage
        .outcome(stage.hostile(attack).landlock(3))
        .is_refused(NETWORK);
    assert!(sentinel.heard().is_empty());
}
