//! A machine that has too little of something: descriptors, memory, disk, threads.
//!
//! A call that fails round v4run stands for the disk or kernel that makes it fail; the limits are the
//! kernel's own. A run either works or says that it does not: what must not be is a tree or a store
//! with less in it than it says, a process that stays, or a broken record that looks whole.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::kills::record;
use super::{is_sealed, score, store_is_whole};
use crate::project::{Project, program};
use crate::registry::Registry;
use crate::registry::package::Package;
use crate::run::Invocation;

/// Calls that fail, with what a disk or a kernel in trouble says.
const FAILING: [(&str, i64, i32); 10] = [
    ("linkat: no space", libc::SYS_linkat, libc::ENOSPC),
    ("fsync: broken disk", libc::SYS_fsync, libc::EIO),
    ("fdatasync: broken disk", libc::SYS_fdatasync, libc::EIO),
    ("renameat2: read-only", libc::SYS_renameat2, libc::EROFS),
    (
        "memfd_create: no descriptor",
        libc::SYS_memfd_create,
        libc::EMFILE,
    ),
    ("ftruncate: no space", libc::SYS_ftruncate, libc::ENOSPC),
    ("flock: no locks", libc::SYS_flock, libc::ENOLCK),
    (
        "socketpair: no descriptor",
        libc::SYS_socketpair,
        libc::ENFILE,
    ),
    ("eventfd2: no descriptor", libc::SYS_eventfd2, libc::EMFILE),
    ("sendmsg: no memory", libc::SYS_sendmsg, libc::ENOMEM),
];

/// Open files; a run needs some forty in each process.
const DESCRIPTORS: [u32; 3] = [8, 16, 24];

/// Megabytes of address space: from less than v4run itself needs to less than the manager does.
const MEMORY: [u32; 3] = [24, 60, 700];

fn setting() -> (Registry, Project) {
    let registry = Registry::start();
    registry.publish(&Package::new("one", "1.0.0"));
    // Larger than what is held in memory: it goes through a file of the store.
    let large = vec![b'x'; 3 << 20];
    registry.publish(&Package::new("large", "1.0.0").file("large", &large));
    let project = Project::locked(&registry, json!({ "one": "1.0.0", "large": "1.0.0" }));
    (registry, project)
}

/// Runs `npm ci` in trouble and looks at what is left; the exit status.
fn trouble(project: &Project, what: &str, change: impl FnOnce(Invocation) -> Invocation) -> i32 {
    let _ = fs::remove_dir_all(project.home().join(".cache"));
    let _ = fs::remove_dir_all(project.path("node_modules"));
    let invocation = project.v4run(&["npm", "ci"]).unrecorded();
    let invocation = change(invocation.limit(Duration::from_secs(60)));
    let run = invocation.grace(Duration::from_secs(2)).run();
    let record = record(project);
    let sealed = record.join("events.jsonl").exists() && is_sealed(&record);
    let code = run.ended.code.unwrap_or(-1);
    if code == 0 {
        assert!(
            sealed,
            "{what}: success without a sealed record\n{}",
            run.told()
        );
        assert!(
            project.path("node_modules/large/large").exists(),
            "{what}\n{}",
            run.told()
        );
    } else if run.ended.signal.is_none() {
        assert!(
            !run.stderr.is_empty(),
            "{what}: ended with {code} and said nothing"
        );
    }
    assert!(!run.stderr.contains("panicked"), "{what}\n{}", run.told());
    // What cannot be done is not what was refused.
    assert!(![120, 126].contains(&code), "{what}\n{}", run.told());
    store_is_whole(&project.home().join(".cache"));
    code
}

fn works(project: &Project) {
    let _ = fs::remove_dir_all(project.path("node_modules"));
    project.v4run(&["npm", "ci"]).run().succeeds();
    assert!(project.path("node_modules/large/large").exists());
}

#[test]
fn calls_that_fail() {
    let (_registry, project) = setting();
    let mut codes = Vec::new();
    for (what, number, errno) in FAILING {
        codes.push((
            what,
            trouble(&project, what, |run| run.fails(number, errno)),
        ));
    }
    // The fault is real where nothing can do without the call.
    let failed = |name: &str| {
        codes
            .iter()
            .any(|(what, code)| what.starts_with(name) && *code != 0)
    };
    for name in ["socketpair", "eventfd2"] {
        assert!(failed(name), "{codes:?}");
    }
    works(&project);
    score(codes.len());
}

/// Runs under each of these limits, the tightest first; that one must be felt.
fn limited(limits: impl Iterator<Item = String>) {
    let (_registry, project) = setting();
    let prlimit = program("prlimit");
    let mut codes = Vec::new();
    for limit in limits {
        let words = [prlimit.to_str().unwrap(), &limit];
        codes.push(trouble(&project, &limit, |run| run.below(&words)));
    }
    assert_ne!(codes[0], 0, "the limit does not count");
    works(&project);
    score(codes.iter().filter(|code| **code != 0).count());
}

#[test]
fn too_few_descriptors() {
    limited(DESCRIPTORS.iter().map(|count| format!("--nofile={count}")));
}

#[test]
fn too_little_memory() {
    let bytes = MEMORY.iter().map(|megabytes| u64::from(*megabytes) << 20);
    limited(bytes.map(|bytes| format!("--as={bytes}")));
}

/// What a clock that jumped leaves: a store whose files are of the far past or of the future.
#[test]
fn a_store_of_another_time() {
    let (registry, project) = setting();
    works(&project);
    let cache = project.home().join(".cache");
    let fetched = registry.tarballs().len();
    let century = Duration::from_secs(60 * 365 * 24 * 3600);
    let now = SystemTime::now();
    for time in [
        now + century,
        SystemTime::UNIX_EPOCH + Duration::from_secs(1),
    ] {
        let mut folders = vec![cache.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if kind.is_file() {
                    let _ = File::open(entry.path()).unwrap().set_modified(time);
                }
            }
        }
        works(&project);
        assert_eq!(store_is_whole(&cache), 2);
    }
    // Old is not wrong: what was there was used.
    assert_eq!(registry.tarballs().len(), fetched);
    score(2);
}
