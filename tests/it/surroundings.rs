//! Kernels and container engines that lack something: v4run works another way or refuses by name.
//!
//! The lack is made by a filter round the run, which answers the call as such a kernel would.

use libc::{ENOSYS, EOPNOTSUPP, EPERM};
use serde_json::json;

use crate::attack::{EXECUTION, Stage};
use crate::project::Project;
use crate::registry::Registry;
use crate::registry::package::Package;

/// A project that needs one package.
pub(crate) fn one() -> (Registry, Project) {
    let registry = Registry::start();
    registry.publish(&Package::new("thing", "1.0.0"));
    let project = Project::locked(&registry, json!({ "thing": "1.0.0" }));
    (registry, project)
}

#[test]
fn a_kernel_without_landlock() {
    for errno in [ENOSYS, EOPNOTSUPP, EPERM] {
        let (registry, project) = one();
        let invocation = project.v4run(&["npm", "ci"]);
        let run = invocation
            .fails(libc::SYS_landlock_create_ruleset, errno)
            .run();
        run.exits(125)
            .says("sandbox-unenforceable")
            .says("Landlock")
            .says("hint:");
        assert!(!project.path("node_modules/thing").exists());
        assert!(registry.tarballs().is_empty());
    }
}

#[test]
fn a_kernel_without_filters() {
    for errno in [ENOSYS, EPERM] {
        let (_registry, project) = one();
        let run = project
            .v4run(&["npm", "ci"])
            .fails(libc::SYS_seccomp, errno)
            .run();
        run.exits(125).says("sandbox-unenforceable").says("hint:");
        assert!(!project.path("node_modules/thing").exists());
    }
}

#[test]
fn somebody_else_listens_already() {
    // v4run inside v4run, or a container engine with a listener of its own.
    let (_registry, project) = one();
    let run = project.v4run(&["npm", "ci"]).listened().run();
    run.exits(125).says("listener-busy").says("hint:");
    assert!(!project.path("node_modules/thing").exists());
    run.record()
        .event("found", |event| event["code"] == "listener-busy");
}

#[test]
fn an_engine_that_keeps_memory_reads_and_descriptor_theft_for_itself() {
    // The default profile of older engines: the manager's memory is read through /proc.
    let (_registry, project) = one();
    let run = project
        .v4run(&["npm", "ci"])
        .fails(libc::SYS_process_vm_readv, EPERM)
        .fails(libc::SYS_process_vm_writev, EPERM)
        .fails(libc::SYS_pidfd_getfd, EPERM)
        .fails(libc::SYS_ptrace, EPERM)
        .fails(libc::SYS_kcmp, EPERM)
        .fails(libc::SYS_clone3, ENOSYS)
        .fails(libc::SYS_unshare, EPERM)
        .fails(libc::SYS_setns, EPERM)
        .fails(libc::SYS_io_uring_setup, ENOSYS)
        .run();
    run.succeeds();
    let memory = run.record().event("enforced", |_| true)["memory"]
        .as_str()
        .unwrap();
    assert_ne!(memory, "process_vm_readv");
    assert!(project.path("node_modules/thing/index.js").exists());
}

#[test]
fn refusals_hold_when_memory_is_read_the_other_way() {
    let stage = Stage::new();
    let secret = stage.victim("home/.ssh/id_ed25519", "nonce-of-a-secret");
    let stage = stage.with("target", secret.to_str().unwrap());
    let attack = "fs.copyFileSync(where.target, where.fired);";
    let ours = stage.outcome(
        stage
            .hostile(attack)
            .fails(libc::SYS_process_vm_readv, EPERM),
    );
    ours.is_refused(crate::attack::FILE);
    assert!(!stage.fired());
    let attack = "cp.execSync(`echo ran > '${where.fired}'`);";
    let ours = stage.outcome(
        stage
            .hostile(attack)
            .fails(libc::SYS_process_vm_readv, EPERM),
    );
    ours.is_refused(EXECUTION);
    assert!(!stage.fired());
}

#[test]
fn a_kernel_without_the_newest_file_calls() {
    let (_registry, project) = one();
    let run = project
        .v4run(&["npm", "ci"])
        .fails(libc::SYS_fchmodat2, ENOSYS)
        .fails(libc::SYS_copy_file_range, ENOSYS)
        .run();
    run.succeeds();
}
