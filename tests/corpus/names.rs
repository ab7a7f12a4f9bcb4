//! Names, modes, attributes and mounts: what changes files without opening them.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use libc::{EACCES, EPERM, EXDEV};
use v4run::sandbox::canary::Scene;

use crate::case::Attempt::{Canary, Own};
use crate::case::{Case, FILE, FLOOR, KERNEL, case, changed, fresh, secret, unknown};
use crate::files::{link, prepared};
use crate::raw;

const RENAME: &[&str] = &["call:renameat2", "landlock"];

pub(crate) const CASES: &[Case] = &[
    case(
        "F04",
        "a second name for a file outside",
        &["call:linkat", "landlock"],
        &[EACCES],
        FILE,
        Canary("link-outside"),
    ),
    changed(
        "F04+out",
        "a name outside for a file inside",
        &["call:linkat", "landlock"],
        |scene| {
            let target = scene.outside.join("linked");
            let _ = std::fs::remove_file(&target);
            std::fs::hard_link(fresh(scene, "tolink")?, target)
        },
    ),
    case(
        "F05",
        "a file is moved out",
        &["call:rename", "landlock"],
        &[EACCES],
        FILE,
        Canary("rename-outside"),
    ),
    changed("F05+exchange", "two files change places", RENAME, |scene| {
        std::fs::write(scene.outside.join("swap"), "outside").or_else(refused)?;
        rename2(fresh(scene, "swap")?, scene.outside.join("swap"), 2)
    }),
    changed(
        "F05+whiteout",
        "a file leaves a whiteout",
        RENAME,
        |scene| rename2(fresh(scene, "white")?, scene.outside.join("white"), 4),
    ),
    changed("F05+in", "a file is moved in", RENAME, |scene| {
        rename2(prepared(scene, "movable")?, scene.inside.join("movable"), 0)
    }),
    changed(
        "F05+remove",
        "a file outside is removed",
        &["call:unlink", "landlock"],
        |scene| std::fs::remove_file(prepared(scene, "removable")?),
    ),
    changed(
        "F05+symlink",
        "a link is made outside",
        &["call:symlink", "landlock"],
        |scene| {
            let link = scene.outside.join("made");
            std::os::unix::fs::symlink("/", link)
        },
    ),
    changed(
        "F05+mkdir",
        "a directory is made outside",
        &["landlock"],
        |scene| {
            let folder = scene.outside.join("directory");
            std::fs::create_dir(folder)
        },
    )
    .silent(FLOOR),
    case(
        "F08",
        "the mode of a file outside",
        &["call:chmod"],
        &[EACCES],
        FILE,
        Canary("mode-outside"),
    ),
    case(
        "F08+setuid",
        "a setuid program is left",
        &["call:chmod"],
        &[EPERM],
        FILE,
        Canary("setuid"),
    ),
    case(
        "F08+time",
        "the time of a file outside",
        &["call:utimensat"],
        &[EACCES],
        FILE,
        Canary("time-outside"),
    ),
    changed(
        "F08+owner",
        "the owner of a file outside",
        &["call:fchownat"],
        |scene| here(libc::SYS_fchownat, scene, &[u64::MAX, u64::MAX, 0]),
    ),
    changed(
        "F08+held",
        "the mode of a file that is only held",
        &["call:fchmodat2"],
        |scene| {
            let file = OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_PATH)
                .open(secret(scene))?;
            raw::done(
                libc::SYS_fchmodat2,
                &[
                    raw::int(file.as_raw_fd()),
                    raw::at(c""),
                    0o644,
                    raw::int(libc::AT_EMPTY_PATH),
                ],
            )
        },
    ),
    changed(
        "F08+link",
        "the mode of a file outside, by a link",
        &["call:chmod"],
        |scene| {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(link(scene)?, std::fs::Permissions::from_mode(0o644))
        },
    ),
    changed(
        "F08+attribute",
        "an attribute of a file outside",
        &["call:setxattr"],
        |scene| attribute(&secret(scene)),
    ),
    changed(
        "F08+capability",
        "a capability of a file inside",
        &["call:setxattr"],
        |scene| {
            let capability = [
                1_u8, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            ];
            set_attribute(
                &fresh(scene, "capable")?,
                c"security.capability",
                &capability,
            )
        },
    ),
    changed(
        "F08+acl",
        "an access list of a file inside",
        &["call:setxattr"],
        |scene| {
            let list = [
                2_u8, 0, 0, 0, 1, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, 4, 0, 4, 0, 0xff, 0xff, 0xff,
                0xff, 0x20, 0, 4, 0, 0xff, 0xff, 0xff, 0xff,
            ];
            set_attribute(&fresh(scene, "listed")?, c"system.posix_acl_access", &list)
        },
    ),
    changed(
        "F09",
        "the mode by the newest call",
        &["call:fchmodat2"],
        |scene| here(libc::SYS_fchmodat2, scene, &[0o644, 0]),
    ),
    unknown(
        "F09+setxattrat",
        "an attribute by the newest call",
        &["unknown:463"],
        |scene| {
            let value = [raw::at(b"x"), 1];
            let path = raw::path(secret(scene));
            let words = [
                raw::int(libc::AT_FDCWD),
                raw::at(path.as_c_str()),
                0,
                raw::at(c"user.v4run"),
                raw::at(&value),
                16,
            ];
            raw::done(463, &words)
        },
    ),
    unknown(
        "F09+listxattrat",
        "attributes by the newest call",
        &["unknown:465"],
        |scene| here(465, scene, &[0, 0, 0]),
    ),
    unknown(
        "F09+getattr",
        "flags of a file",
        &["unknown:468"],
        |scene| {
            let mut attributes = [0_u64; 3];
            here(468, scene, &[raw::room(&mut attributes), 24, 0])
        },
    ),
    unknown(
        "F09+setattr",
        "flags of a file, set",
        &["unknown:468", "unknown:469"],
        |scene| {
            let mut attributes = [0_u64; 3];
            here(468, scene, &[raw::room(&mut attributes), 24, 0])?;
            here(469, scene, &[raw::room(&mut attributes), 24, 0])
        },
    ),
    case(
        "F12",
        "a file by its handle",
        &["call:name_to_handle_at"],
        &[EACCES],
        FILE,
        Own(handle),
    ),
    case(
        "F12+open",
        "a handle that is opened",
        &[
            "call:name_to_handle_at",
            "call:open_by_handle_at",
            "landlock",
        ],
        &[EACCES],
        FILE,
        Own(open_handle),
    ),
    case(
        "F13",
        "a mount",
        &["call:mount", "call:umount2", "landlock"],
        &[EPERM],
        KERNEL,
        Own(|scene| {
            let (from, to) = (
                raw::path(&scene.outside),
                raw::path(scene.inside.join("mount")),
            );
            raw::done(
                libc::SYS_mount,
                &[raw::at(from.as_c_str()), raw::at(to.as_c_str()), 0, 4096, 0],
            )?;
            raw::done(libc::SYS_umount2, &[raw::at(to.as_c_str()), 2])
        }),
    ),
    case(
        "F13+fsopen",
        "a file system that is set up in steps",
        &["call:fsopen"],
        &[EPERM],
        KERNEL,
        Own(|_| raw::made(libc::SYS_fsopen, &[raw::at(c"tmpfs"), 1]).map(drop)),
    ),
    case(
        "F13+fspick",
        "a file system that is set up anew",
        &["call:fspick"],
        &[EPERM],
        KERNEL,
        Own(|_| {
            raw::made(
                libc::SYS_fspick,
                &[raw::int(libc::AT_FDCWD), raw::at(c"/"), 0],
            )
            .map(drop)
        }),
    ),
    case(
        "F13+tree",
        "a tree that is taken off",
        &["call:open_tree"],
        &[EPERM],
        KERNEL,
        Own(|_| {
            raw::made(
                libc::SYS_open_tree,
                &[raw::int(libc::AT_FDCWD), raw::at(c"/"), 1],
            )
            .map(drop)
        }),
    ),
    unknown(
        "F13+attr",
        "a tree with attributes of its own",
        &["unknown:467"],
        |_| {
            let mut attributes = [0_u64; 4];
            raw::made(
                467,
                &[
                    raw::int(libc::AT_FDCWD),
                    raw::at(c"/"),
                    1,
                    raw::room(&mut attributes),
                    32,
                ],
            )
            .map(drop)
        },
    ),
    case(
        "F13+chroot",
        "another root",
        &["call:chroot"],
        &[EACCES],
        FILE,
        Own(|_| raw::done(libc::SYS_chroot, &[raw::at(c"/")])),
    ),
    case(
        "F14",
        "a pipe",
        &["call:mknodat", "landlock"],
        &[EACCES],
        FILE,
        Own(|scene| node(scene, "pipe", libc::S_IFIFO, 0)),
    ),
    case(
        "F14+pipe",
        "a pipe by the library's call",
        &["call:mknodat", "landlock"],
        &[EACCES],
        FILE,
        Canary("node"),
    ),
    case(
        "F14+device",
        "a device",
        &["call:mknodat", "landlock"],
        &[EACCES],
        FILE,
        Own(|scene| node(scene, "null", libc::S_IFCHR, 0x103)),
    ),
    case(
        "F14+block",
        "a disk",
        &["call:mknodat", "landlock"],
        &[EACCES],
        FILE,
        Own(|scene| node(scene, "disk", libc::S_IFBLK, 0x700)),
    ),
    case(
        "F14+socket",
        "the name of a service",
        &["call:mknodat", "landlock"],
        &[EACCES],
        FILE,
        Own(|scene| node(scene, "service", libc::S_IFSOCK, 0)),
    ),
    case(
        "F22",
        "files of others are watched",
        &["call:inotify_init1"],
        &[EACCES],
        FILE,
        Canary("watch"),
    ),
    case(
        "F22+all",
        "all files are watched",
        &["call:fanotify_init"],
        &[EPERM],
        KERNEL,
        Own(|_| raw::made(libc::SYS_fanotify_init, &[0x200, 0]).map(drop)),
    ),
    case(
        "F22+notify",
        "a directory reports by signals",
        &["filter:fcntl:4"],
        &[EPERM],
        KERNEL,
        Own(|scene| {
            let folder = File::open(&scene.inside)?;
            raw::done(libc::SYS_fcntl, &[raw::int(folder.as_raw_fd()), 1026, 2])
        }),
    ),
    case(
        "F23",
        "a lease on a file",
        &["filter:fcntl:3"],
        &[EPERM],
        KERNEL,
        Own(|scene| {
            let file = File::open(fresh(scene, "leased")?)?;
            raw::done(libc::SYS_fcntl, &[raw::int(file.as_raw_fd()), 1024, 0])
        }),
    ),
    case(
        "F25+flags",
        "a file that nobody can change",
        &["call:ioctl"],
        &[EPERM],
        KERNEL,
        Own(|scene| {
            let file = File::open(fresh(scene, "flags")?)?;
            let mut flags = [0_u64];
            raw::done(
                libc::SYS_ioctl,
                &[
                    raw::int(file.as_raw_fd()),
                    0x8008_6601,
                    raw::room(&mut flags),
                ],
            )
        }),
    ),
    case(
        "F25+range",
        "blocks shared between files",
        &["call:ioctl"],
        &[EPERM],
        KERNEL,
        Own(|scene| {
            // What a file system without shared blocks answers shows that the way is open.
            let file = File::open(fresh(scene, "range")?)?;
            let mut range = [0_u64; 4];
            match raw::done(
                libc::SYS_ioctl,
                &[
                    raw::int(file.as_raw_fd()),
                    0x4020_940d,
                    raw::room(&mut range),
                ],
            ) {
                Err(error) if error.raw_os_error() == Some(EPERM) => Err(error),
                _ => Ok(()),
            }
        }),
    ),
    case(
        "F25+disk",
        "numbers of a file's blocks",
        &["call:ioctl"],
        &[EPERM],
        KERNEL,
        Own(|scene| {
            let file = File::open(fresh(scene, "map")?)?;
            let mut request = [0_u64; 4];
            match raw::done(
                libc::SYS_ioctl,
                &[
                    raw::int(file.as_raw_fd()),
                    0xc020_660b,
                    raw::room(&mut request),
                ],
            ) {
                Err(error) if error.raw_os_error() == Some(EPERM) => Err(error),
                _ => Ok(()),
            }
        }),
    ),
];

fn refused(error: io::Error) -> io::Result<()> {
    match error.raw_os_error() {
        Some(EACCES | EXDEV) => Ok(()),
        _ => Err(error),
    }
}

fn here(number: i64, scene: &Scene, more: &[u64]) -> io::Result<()> {
    let path = raw::path(secret(scene));
    let mut words = vec![raw::int(libc::AT_FDCWD), raw::at(path.as_c_str())];
    words.extend(more);
    raw::done(number, &words)
}

fn rename2(from: PathBuf, to: PathBuf, flags: u64) -> io::Result<()> {
    let (from, to) = (raw::path(from), raw::path(to));
    let directory = raw::int(libc::AT_FDCWD);
    let words = [
        directory,
        raw::at(from.as_c_str()),
        directory,
        raw::at(to.as_c_str()),
        flags,
    ];
    raw::done(libc::SYS_renameat2, &words)
}

fn set_attribute(path: &std::path::Path, name: &std::ffi::CStr, value: &[u8]) -> io::Result<()> {
    let path = raw::path(path);
    let words = [
        raw::at(path.as_c_str()),
        raw::at(name),
        raw::at(value),
        value.len() as u64,
        0,
    ];
    raw::done(libc::SYS_setxattr, &words)
}

fn attribute(path: &std::path::Path) -> io::Result<()> {
    set_attribute(path, c"user.v4run", b"x")
}

fn handle(scene: &Scene) -> io::Result<()> {
    name_handle(scene).map(drop)
}

fn open_handle(scene: &Scene) -> io::Result<()> {
    let mut handle = name_handle(scene)?;
    let root: OwnedFd = OpenOptions::new()
        .read(true)
        .open(&scene.outside)
        .or_else(|_| File::open(&scene.inside))?
        .into();
    raw::made(
        libc::SYS_open_by_handle_at,
        &[raw::int(root.as_raw_fd()), raw::room(&mut handle), 0],
    )
    .map(drop)
}

fn node(scene: &Scene, name: &str, kind: u32, device: u64) -> io::Result<()> {
    let path = scene.inside.join(name);
    let name = raw::path(path);
    let mode = u64::from(kind | 0o600);
    raw::done(
        libc::SYS_mknodat,
        &[
            raw::int(libc::AT_FDCWD),
            raw::at(name.as_c_str()),
            mode,
            device,
        ],
    )
}

/// Room for the largest handle, its length in the first word.
fn name_handle(scene: &Scene) -> io::Result<[u64; 18]> {
    let mut handle = [0_u64; 18];
    handle[0] = 128;
    let path = raw::path(secret(scene));
    let mut mount = [0_u64];
    let words = [
        raw::int(libc::AT_FDCWD),
        raw::at(path.as_c_str()),
        raw::room(&mut handle),
        raw::room(&mut mount),
        0,
    ];
    raw::done(libc::SYS_name_to_handle_at, &words)?;
    Ok(handle)
}
