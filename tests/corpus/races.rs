//! Races: what a call names changes while the call is judged.
//!
//! One thread changes memory, links, directories or descriptors; the other makes the call over and
//! over and looks whether it reached what is outside. What was reached is told by the object itself
//! (its content, its place, its mode), never by what the call answered.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use v4run::sandbox::canary::{PAYLOAD, RESULTS, Scene};
use v4run::sys::attempt;

use crate::case::secret;
use crate::raw;

/// Changes what the call names, there and back.
type Flip = Box<dyn FnMut() + Send>;
/// Makes the call; whether it reached what is outside.
type Try = Box<dyn FnMut() -> bool>;

/// One race.
struct Race {
    name: &'static str,
    /// Without these layers it must be won, or it is none.
    control: &'static [&'static str],
    /// Where it can be won, why that is no escape.
    known: &'static str,
    set: fn(&Scene) -> (Flip, Try),
}

const fn race(
    name: &'static str,
    control: &'static [&'static str],
    set: fn(&Scene) -> (Flip, Try),
) -> Race {
    Race {
        name,
        control,
        known: "",
        set,
    }
}

const FLOOR: &[&str] = &["landlock"];
/// Reads are answered with a descriptor: what is then missing is the judgement itself.
const READ: &[&str] = &["call:openat", "landlock"];

const RACES: &[Race] = &[
    race("read, path", READ, |scene| {
        (flip(inner(scene), secret(scene)), reads())
    }),
    race("read, link", READ, |scene| {
        (relink(scene), reads_at(scene.inside.join("link")))
    }),
    race("read, directory", READ, |scene| {
        (exchange(scene), reads_at(scene.inside.join("way/secret")))
    }),
    race("read, descriptor", READ, |scene| {
        let number = doubled(scene);
        (swap(scene, number), reads_below(number))
    }),
    race("read, working directory", READ, |scene| {
        (wander(scene), reads_at("secret".into()))
    }),
    race("read, flags", &["landlock"], |scene| {
        (flags(), reads_how(scene))
    }),
    race("create, path", FLOOR, |scene| {
        (
            flip(scene.inside.join("made"), scene.outside.join("made")),
            creates(scene),
        )
    }),
    race("create, directory", FLOOR, |scene| {
        (
            exchange(scene),
            creates_at(scene, scene.inside.join("way/made")),
        )
    }),
    race("rename, path", FLOOR, |scene| {
        let (inside, outside) = (scene.inside.join("moved"), scene.outside.join("moved"));
        (
            flip(inside.clone(), outside.clone()),
            renames(inside, outside),
        )
    }),
    race("link, path", FLOOR, |scene| {
        (flip(inner(scene), secret(scene)), links(scene))
    }),
    race("symlink, path", FLOOR, |scene| {
        let (inside, outside) = (scene.inside.join("linked"), scene.outside.join("linked"));
        (
            flip(inside.clone(), outside.clone()),
            symlinks(inside, outside),
        )
    }),
    race("unlink, path", FLOOR, |scene| {
        (
            flip(scene.inside.join("gone"), scene.outside.join("removable")),
            unlinks(scene),
        )
    }),
    race("truncate, path", FLOOR, |scene| {
        (
            flip(inner(scene), scene.outside.join("cut")),
            truncates(scene),
        )
    }),
    race("mode, path", &["call:fchmodat"], |scene| {
        (flip(inner(scene), secret(scene)), modes(scene, None))
    }),
    race("mode, link", &["call:fchmodat"], |scene| {
        (relink(scene), modes(scene, Some(scene.inside.join("link"))))
    }),
    race("mode, directory", &["call:fchmodat"], |scene| {
        (
            exchange(scene),
            modes(scene, Some(scene.inside.join("way/secret"))),
        )
    }),
    race("time, path", &["call:utimensat"], |scene| {
        (flip(inner(scene), secret(scene)), times(scene))
    }),
    race("connect, address", &["call:connect", "landlock"], connects),
    race("exec, path", &["call:execve", "landlock"], |scene| {
        (
            flip("/nowhere".into(), scene.inside.join(PAYLOAD)),
            executes(scene),
        )
    }),
    Race {
        known: "a mapping by code that already runs: SECURITY.md",
        ..race("map, descriptor", &["filter:mmap:0"], maps)
    },
];

/// For the runner.
pub(crate) fn data() -> Vec<Value> {
    let all = RACES.iter();
    all.map(|race| json!({ "name": race.name, "control": race.control, "known": race.known }))
        .collect()
}

/// Runs a race for that time, or until it is won where that is asked for.
pub(crate) fn run(scene: &Value, stage: &Scene) {
    let name = scene["race"].as_str().unwrap();
    let race = RACES.iter().find(|race| race.name == name).unwrap();
    fs::write(inner(stage), "inside").unwrap();
    let (mut flip, mut attempt) = (race.set)(stage);
    let over = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&over);
    let flipping = std::thread::spawn(move || {
        let mut flips = 0_u64;
        while !seen.load(Ordering::Relaxed) {
            flip();
            flips += 1;
            // With fewer processors than threads the other side must have its turn.
            std::thread::yield_now();
        }
        flips
    });
    let end = Instant::now() + Duration::from_millis(scene["milliseconds"].as_u64().unwrap());
    let (mut tries, mut won) = (0_u64, 0_u64);
    while Instant::now() < end && !(won > 0 && scene["stop"] == true) {
        tries += 1;
        won += u64::from(attempt());
    }
    over.store(true, Ordering::Relaxed);
    let flips = flipping.join().unwrap();
    let result = json!({ "tries": tries, "won": won, "flips": flips });
    fs::write(stage.inside.join("race.json"), result.to_string()).unwrap();
}

/// Memory that a call reads its path or address from while it changes.
static SHARED: [AtomicU8; 4096] = [const { AtomicU8::new(0) }; 4096];

fn put(bytes: &[u8]) {
    for (cell, byte) in SHARED.iter().zip(bytes) {
        cell.store(*byte, Ordering::Relaxed);
    }
}

fn inner(scene: &Scene) -> PathBuf {
    scene.inside.join("inner")
}

/// Two paths in the same memory.
fn flip(first: PathBuf, second: PathBuf) -> Flip {
    let (first, second) = (raw::path(first), raw::path(second));
    put(first.as_bytes_with_nul());
    Box::new(move || {
        put(second.as_bytes_with_nul());
        std::thread::yield_now();
        put(first.as_bytes_with_nul());
    })
}

/// A link that leads in and out.
fn relink(scene: &Scene) -> Flip {
    let (link, next) = (scene.inside.join("link"), scene.inside.join("next"));
    let targets = [inner(scene), secret(scene)];
    symlink(&targets[0], &link).unwrap();
    Box::new(move || {
        for target in &targets {
            let _ = symlink(target, &next);
            let _ = fs::rename(&next, &link);
        }
    })
}

/// A directory that changes places with a link to the one outside.
fn exchange(scene: &Scene) -> Flip {
    let (way, other) = (scene.inside.join("way"), scene.inside.join("other"));
    fs::create_dir(&way).unwrap();
    fs::write(way.join("secret"), "inside").unwrap();
    symlink(&scene.outside, &other).unwrap();
    let (way, other) = (raw::path(way), raw::path(other));
    let here = raw::int(libc::AT_FDCWD);
    Box::new(move || {
        let words = [
            here,
            raw::at(way.as_c_str()),
            here,
            raw::at(other.as_c_str()),
            2,
        ];
        let _ = raw::done(libc::SYS_renameat2, &words);
    })
}

fn held(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY);
    options.open(path).unwrap()
}

/// A number that stands for the directory inside.
fn doubled(scene: &Scene) -> i32 {
    fs::write(scene.inside.join("secret"), "inside").unwrap();
    let number = 200;
    let directory = held(&scene.inside);
    let words = [raw::int(directory.as_raw_fd()), raw::int(number), 0];
    raw::done(libc::SYS_dup3, &words).unwrap();
    number
}

/// The number stands for one directory and the other.
fn swap(scene: &Scene, number: i32) -> Flip {
    let both = [held(&scene.outside), held(&scene.inside)];
    Box::new(move || {
        for one in &both {
            let _ = raw::done(
                libc::SYS_dup3,
                &[raw::int(one.as_raw_fd()), raw::int(number), 0],
            );
        }
    })
}

/// The working directory of all threads.
fn wander(scene: &Scene) -> Flip {
    fs::write(scene.inside.join("secret"), "inside").unwrap();
    let both = [scene.outside.clone(), scene.inside.clone()];
    Box::new(move || {
        for one in &both {
            let _ = std::env::set_current_dir(one);
        }
    })
}

/// Whether a descriptor that a call made reads the secret.
fn is_secret(opened: std::io::Result<std::os::fd::OwnedFd>) -> bool {
    let mut text = [0; 6];
    let read = opened.and_then(|file| File::from(file).read_exact(&mut text));
    read.is_ok() && &text == b"secret"
}

fn reads() -> Try {
    let here = raw::int(libc::AT_FDCWD);
    Box::new(move || is_secret(raw::made(libc::SYS_openat, &[here, raw::at(&SHARED), 0])))
}

fn reads_at(path: PathBuf) -> Try {
    let (path, here) = (raw::path(path), raw::int(libc::AT_FDCWD));
    Box::new(move || {
        is_secret(raw::made(
            libc::SYS_openat,
            &[here, raw::at(path.as_c_str()), 0],
        ))
    })
}

fn reads_below(number: i32) -> Try {
    let words = [raw::int(number), raw::at(c"secret"), 0];
    Box::new(move || is_secret(raw::made(libc::SYS_openat, &words)))
}

/// An open that only holds, and one that reads.
fn flags() -> Flip {
    let flags = libc::O_PATH.to_ne_bytes();
    Box::new(move || {
        put(&[0; 4]);
        std::thread::yield_now();
        put(&flags);
    })
}

fn reads_how(scene: &Scene) -> Try {
    let path = raw::path(secret(scene));
    let here = raw::int(libc::AT_FDCWD);
    Box::new(move || {
        let words = [here, raw::at(path.as_c_str()), raw::at(&SHARED), 24];
        is_secret(raw::made(libc::SYS_openat2, &words))
    })
}

/// Whether a descriptor that a call made is of a file outside; the file is closed.
fn is_outside(opened: std::io::Result<std::os::fd::OwnedFd>, outside: &Path) -> bool {
    opened.is_ok_and(|file| {
        let place = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
        place.is_ok_and(|place| place.starts_with(outside))
    })
}

const MAKE: i32 = libc::O_CREAT | libc::O_WRONLY;

fn creates(scene: &Scene) -> Try {
    let (outside, here) = (scene.outside.clone(), raw::int(libc::AT_FDCWD));
    let words = [here, raw::at(&SHARED), raw::int(MAKE), 0o600];
    Box::new(move || is_outside(raw::made(libc::SYS_openat, &words), &outside))
}

fn creates_at(scene: &Scene, path: PathBuf) -> Try {
    let (outside, here, path) = (
        scene.outside.clone(),
        raw::int(libc::AT_FDCWD),
        raw::path(path),
    );
    Box::new(move || {
        let words = [here, raw::at(path.as_c_str()), raw::int(MAKE), 0o600];
        is_outside(raw::made(libc::SYS_openat, &words), &outside)
    })
}

/// Whether something came to be there; it is taken away again where that is possible.
fn appeared(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn renames(inside: PathBuf, outside: PathBuf) -> Try {
    let from = inside.with_file_name("tomove");
    let (name, here) = (raw::path(&from), raw::int(libc::AT_FDCWD));
    Box::new(move || {
        let _ = fs::write(&from, "inside");
        let words = [here, raw::at(name.as_c_str()), here, raw::at(&SHARED)];
        let _ = raw::done(libc::SYS_renameat, &words);
        appeared(&outside)
    })
}

fn links(scene: &Scene) -> Try {
    let to = scene.inside.join("second");
    let (name, here) = (raw::path(&to), raw::int(libc::AT_FDCWD));
    let wanted = fs::metadata(secret(scene)).unwrap().ino();
    Box::new(move || {
        let _ = fs::remove_file(&to);
        let words = [here, raw::at(&SHARED), here, raw::at(name.as_c_str()), 0];
        let _ = raw::done(libc::SYS_linkat, &words);
        fs::metadata(&to).is_ok_and(|found| found.ino() == wanted)
    })
}

fn symlinks(inside: PathBuf, outside: PathBuf) -> Try {
    let here = raw::int(libc::AT_FDCWD);
    Box::new(move || {
        let _ = fs::remove_file(&inside);
        let _ = raw::done(
            libc::SYS_symlinkat,
            &[raw::at(c"/"), here, raw::at(&SHARED)],
        );
        appeared(&outside)
    })
}

fn unlinks(scene: &Scene) -> Try {
    let (inside, outside) = (scene.inside.join("gone"), scene.outside.join("removable"));
    let here = raw::int(libc::AT_FDCWD);
    Box::new(move || {
        let _ = fs::write(&inside, "inside");
        let _ = raw::done(libc::SYS_unlinkat, &[here, raw::at(&SHARED), 0]);
        !appeared(&outside)
    })
}

fn truncates(scene: &Scene) -> Try {
    let outside = scene.outside.join("cut");
    Box::new(move || {
        let _ = raw::done(libc::SYS_truncate, &[raw::at(&SHARED), 1]);
        fs::metadata(&outside).is_ok_and(|found| found.len() == 1)
    })
}

/// To what a race by memory, or by the name that is given, sets the mode.
fn modes(scene: &Scene, name: Option<PathBuf>) -> Try {
    let (outside, here) = (secret(scene), raw::int(libc::AT_FDCWD));
    let name: Option<CString> = name.map(raw::path);
    Box::new(move || {
        let path = name
            .as_ref()
            .map_or(raw::at(&SHARED), |name| raw::at(name.as_c_str()));
        let _ = raw::done(libc::SYS_fchmodat, &[here, path, 0o644]);
        fs::metadata(&outside).is_ok_and(|found| found.mode() & 0o777 == 0o644)
    })
}

fn times(scene: &Scene) -> Try {
    let (outside, here) = (secret(scene), raw::int(libc::AT_FDCWD));
    let longago = [7_i64, 0, 7, 0];
    Box::new(move || {
        let words = [here, raw::at(&SHARED), raw::at(&longago), 0];
        let _ = raw::done(libc::SYS_utimensat, &words);
        fs::metadata(&outside).is_ok_and(|found| found.mtime() == 7)
    })
}

/// The proxy's address, which the scene names in the listener's place for this race, and another's.
fn connects(scene: &Scene) -> (Flip, Try) {
    let sentinel = scene.listener.port();
    let gate: u16 = fs::read_to_string(scene.inside.join("gate"))
        .map_or(9, |text| text.trim().parse().unwrap());
    let address = |port: u16| {
        let [high, low] = port.to_be_bytes();
        [2, 0, high, low, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    };
    let both = [address(sentinel), address(gate)];
    put(&both[1]);
    let flip = move || {
        for one in &both {
            put(one);
            std::thread::yield_now();
        }
    };
    let connect = move || {
        let socket = attempt::socket(2, 1, 0).unwrap();
        let number = raw::int(socket.as_raw_fd());
        // Nobody answers for long where nobody judges.
        let patience = [0_i64, 200_000];
        let words = [number, 1, 21, raw::at(&patience), 16];
        raw::done(libc::SYS_setsockopt, &words).unwrap();
        let _ = raw::done(libc::SYS_connect, &[number, raw::at(&SHARED), 16]);
        let (mut peer, mut length) = ([0_u8; 16], [16_u32]);
        let words = [number, raw::room(&mut peer), raw::room(&mut length)];
        raw::done(libc::SYS_getpeername, &words).is_ok() && peer[2..4] == sentinel.to_be_bytes()
    };
    (Box::new(flip), Box::new(connect))
}

/// A program that starts never comes back: its line is the witness.
fn executes(scene: &Scene) -> Try {
    let line = format!(
        "echo 'exec won' >> '{}'",
        scene.inside.join(RESULTS).display()
    );
    let line = raw::path(line);
    Box::new(move || {
        let words = [raw::at(c"sh"), raw::at(c"-c"), raw::at(line.as_c_str()), 0];
        let environment = [0_u64];
        let words = [raw::at(&SHARED), raw::at(&words), raw::at(&environment)];
        let _ = raw::done(libc::SYS_execve, &words);
        false
    })
}

/// A number that stands for a library of the system and for a file of a package.
fn maps(scene: &Scene) -> (Flip, Try) {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let library = maps
        .split_ascii_whitespace()
        .find(|word| word.contains("libc.so"));
    let both = [
        File::open(scene.inside.join(PAYLOAD)),
        File::open(library.unwrap()),
    ];
    let both = both.map(Result::unwrap);
    let wanted = fs::metadata(scene.inside.join(PAYLOAD)).unwrap().len();
    let number = 201;
    let turn = move || {
        for one in &both {
            let _ = raw::done(
                libc::SYS_dup3,
                &[raw::int(one.as_raw_fd()), raw::int(number), 0],
            );
        }
    };
    let map = move || {
        let words = [0, 4096, 5, raw::int(libc::MAP_PRIVATE), raw::int(number), 0];
        let Ok(place) = raw::call(libc::SYS_mmap, &words) else {
            return false;
        };
        let place = place.cast_unsigned();
        let start = format!("{place:x}-");
        let mapped = fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let won = mapped
            .lines()
            .any(|line| line.starts_with(&start) && line.ends_with(PAYLOAD));
        let _ = raw::done(libc::SYS_munmap, &[place, 4096]);
        won && wanted > 0
    };
    (Box::new(turn), Box::new(map))
}
