//! Opening files: by every name and door that leads out of the places of a run.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use libc::EACCES;
use v4run::sandbox::canary::Scene;

use crate::case::Attempt::{Canary, Own};
use crate::case::{Case, FILE, case, changed, secret};
use crate::raw;

const READ: &[&str] = &["call:openat", "landlock"];
const READ_2: &[&str] = &["call:openat2", "landlock"];

pub(crate) const CASES: &[Case] = &[
    case(
        "F01",
        "a file of the user is changed",
        READ,
        &[EACCES],
        FILE,
        Canary("write-outside"),
    ),
    case(
        "F01+new",
        "a file outside is made",
        READ,
        &[EACCES],
        FILE,
        Canary("create-outside"),
    ),
    case(
        "F02",
        "a secret of the user is read",
        READ,
        &[EACCES],
        FILE,
        Canary("read-outside"),
    ),
    changed("F02+list", "the secrets are listed", READ, |scene| {
        std::fs::read_dir(&scene.outside).map(drop)
    }),
    changed(
        "F02+old",
        "the same by the old call",
        &["call:open", "landlock"],
        by_old_open,
    ),
    changed("F02+how", "the same by the new call", READ_2, |scene| {
        by_how(scene, 0)
    }),
    changed(
        "F02+root",
        "the same inside a root that is a descriptor",
        READ_2,
        |scene| by_how(scene, 0x10),
    ),
    changed(
        "F02+walk",
        "the same from a directory that was entered",
        READ,
        walked,
    ),
    changed(
        "F02+hold",
        "the same from a directory that is only held",
        READ,
        held,
    ),
    changed("F02+climb", "a path that climbs out", READ, |scene| {
        File::open(
            scene.inside.join(
                "../".repeat(40) + secret(scene).strip_prefix("/").unwrap().to_str().unwrap(),
            ),
        )
        .map(drop)
    }),
    changed(
        "F02+slashes",
        "a path with empty and dot parts",
        READ,
        |scene| File::open(format!("//{}/./secret", scene.outside.display())).map(drop),
    ),
    case(
        "F03",
        "a link that leads out",
        READ,
        &[EACCES],
        FILE,
        Canary("read-by-link"),
    ),
    changed("F03+write", "writing through such a link", READ, |scene| {
        OpenOptions::new().append(true).open(link(scene)?).map(drop)
    }),
    changed("F03+chain", "a chain of links", READ, |scene| {
        let (first, second) = (link(scene)?, scene.inside.join("second"));
        let _ = std::fs::remove_file(&second);
        std::os::unix::fs::symlink(first, &second)?;
        File::open(second).map(drop)
    }),
    changed(
        "F03+folder",
        "a link to the folder outside",
        READ,
        |scene| {
            let folder = scene.inside.join("folder");
            let _ = std::fs::remove_file(&folder);
            std::os::unix::fs::symlink(&scene.outside, &folder)?;
            File::open(folder.join("secret")).map(drop)
        },
    ),
    changed(
        "F10",
        "a file that is held and opened again",
        READ,
        |scene| {
            let file = OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_PATH)
                .open(secret(scene))?;
            File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).map(drop)
        },
    ),
    case(
        "F10+other",
        "the same by the other name of descriptors",
        &["landlock"],
        &[EACCES],
        "",
        Own(|scene| {
            let file = OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_PATH)
                .open(secret(scene))?;
            File::open(format!("/dev/fd/{}", file.as_raw_fd())).map(drop)
        }),
    )
    .silent("a name of the run's own descriptors: Landlock judges the file behind it"),
    changed("F11", "the kernel's link to the root", READ, |scene| {
        File::open(format!("/proc/self/root{}", secret(scene).display())).map(drop)
    }),
    changed(
        "F11+cwd",
        "the kernel's link to a working directory",
        READ,
        |scene| File::open(format!("/proc/{}/cwd/.", scene.bystander)).map(drop),
    ),
    changed(
        "F11+task",
        "the same by a thread of its own",
        READ,
        |scene| File::open(format!("/proc/thread-self/root{}", secret(scene).display())).map(drop),
    ),
    case(
        "F15",
        "a file outside is cut",
        &["call:truncate", "landlock"],
        &[EACCES],
        FILE,
        Own(|scene| {
            let path = raw::path(secret(scene));
            raw::done(libc::SYS_truncate, &[raw::at(path.as_c_str()), 6])
        }),
    ),
    changed("F15+open", "the same by opening it", READ, |scene| {
        OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(prepared(scene, "cut")?)
            .map(drop)
    }),
    changed(
        "F15+creat",
        "the same by the oldest call",
        &["call:creat", "landlock"],
        |scene| {
            let path = raw::path(prepared(scene, "cut")?);
            raw::made(libc::SYS_creat, &[raw::at(path.as_c_str()), 0o600]).map(drop)
        },
    ),
    changed(
        "F15+nameless",
        "a file without a name outside",
        READ,
        |scene| {
            OpenOptions::new()
                .write(true)
                .custom_flags(libc::O_TMPFILE)
                .open(&scene.outside)
                .map(drop)
        },
    ),
    changed("F24", "a drop in shared memory", READ, |_| {
        std::fs::write("/dev/shm/v4run-corpus", "drop")
    }),
    changed("F24+tmp", "a drop among temporary files", READ, |_| {
        std::fs::write("/var/tmp/v4run-corpus", "drop")
    }),
    changed("P21", "the memory of the program itself", READ, |_| {
        OpenOptions::new()
            .write(true)
            .open("/proc/self/mem")
            .map(drop)
    }),
    changed("P21+exe", "the program itself", READ, |scene| {
        let _ = scene;
        OpenOptions::new()
            .append(true)
            .open("/proc/self/oom_score_adj")
            .map(drop)
    }),
];

/// A file outside that the attempt uses up; made by whoever may, as the runner does before.
pub(crate) fn prepared(scene: &Scene, name: &str) -> io::Result<PathBuf> {
    let path = scene.outside.join(name);
    let _ = std::fs::write(&path, "outside");
    Ok(path)
}

fn by_old_open(scene: &Scene) -> io::Result<()> {
    let path = raw::path(secret(scene));
    raw::made(libc::SYS_open, &[raw::at(path.as_c_str()), 0]).map(drop)
}

fn by_how(scene: &Scene, resolve: u64) -> io::Result<()> {
    let how = [0_u64, 0, resolve];
    let root = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH)
        .open(&scene.outside)?;
    raw::made(
        libc::SYS_openat2,
        &[
            raw::int(root.as_raw_fd()),
            raw::at(c"secret"),
            raw::at(&how),
            24,
        ],
    )
    .map(drop)
}

fn walked(scene: &Scene) -> io::Result<()> {
    let before = std::env::current_dir()?;
    std::env::set_current_dir(&scene.outside)?;
    let opened = File::open("secret");
    std::env::set_current_dir(before)?;
    opened.map(drop)
}

fn held(scene: &Scene) -> io::Result<()> {
    let root = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH)
        .open(&scene.outside)?;
    raw::made(
        libc::SYS_openat,
        &[raw::int(root.as_raw_fd()), raw::at(c"secret"), 0],
    )
    .map(drop)
}

pub(crate) fn link(scene: &Scene) -> io::Result<PathBuf> {
    let link = scene.inside.join("way-out");
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(secret(scene), &link)?;
    Ok(link)
}
