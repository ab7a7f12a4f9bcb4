//! A disk that stands still in the middle of a run, and goes on: a file system that is frozen.
//!
//! Writers wait in the kernel then, where nothing can end them. Only root can make such a disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{is_sealed, score, store_is_whole};
use crate::project::{Project, program};
use crate::registry::Registry;
use crate::registry::package::Package;

/// How long it stands still.
const STILL: Duration = Duration::from_secs(3);

fn does(name: &str, words: &[&str]) {
    let status = Command::new(program(name)).args(words).status().unwrap();
    assert!(status.success(), "{name} {words:?}");
}

/// A small file system in a file.
struct Disk(PathBuf);

impl Disk {
    fn at(place: &Path, image: &Path) -> Self {
        fs::File::create(image).unwrap().set_len(64 << 20).unwrap();
        let (place_text, image) = (place.to_str().unwrap(), image.to_str().unwrap());
        fs::create_dir_all(place).unwrap();
        does("mkfs.ext4", &["-q", image]);
        does("mount", &["-o", "loop", image, place_text]);
        Self(place.to_owned())
    }

    fn frozen<T>(&self, meanwhile: impl FnOnce() -> T) -> T {
        does("fsfreeze", &["--freeze", self.0.to_str().unwrap()]);
        let result = meanwhile();
        does("fsfreeze", &["--unfreeze", self.0.to_str().unwrap()]);
        result
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let place = self.0.to_str().unwrap();
        // It may be frozen still, where an assertion failed.
        let _ = Command::new(program("fsfreeze"))
            .args(["--unfreeze", place])
            .output();
        let _ = Command::new(program("umount")).arg(place).output();
    }
}

#[test]
#[allow(
    clippy::print_stdout,
    reason = "what is not run is said and not counted"
)]
fn a_disk_that_stands_still() {
    // A container has none to give.
    let loops = Command::new(program("losetup")).arg("--find").output();
    if !nix::unistd::geteuid().is_root() || !loops.unwrap().status.success() {
        println!("not runnable here: a file system in a file takes root and a loop device");
        return;
    }
    for part in [".cache", "project"] {
        let registry = Registry::start();
        let names: Vec<String> = (0..40).map(|number| format!("p{number}")).collect();
        for name in &names {
            let content = vec![b'x'; 200_000];
            registry.publish(&Package::new(name, "1.0.0").file("content", &content));
        }
        let wanted = names.iter().map(|name| (name.clone(), json!("1.0.0")));
        let wanted = serde_json::Value::Object(wanted.collect());
        let project = Project::locked(&registry, wanted);
        let place = match part {
            ".cache" => project.home().join(part),
            _ => project.path("node_modules"),
        };
        let disk = Disk::at(&place, &project.home().join("disk.img"));
        let started = Instant::now();
        let run = thread::scope(|scope| {
            let running = scope.spawn(|| project.v4run(&["npm", "ci"]).run());
            while registry.tarballs().len() < 5 && !running.is_finished() {
                thread::sleep(Duration::from_millis(5));
            }
            assert!(!running.is_finished(), "it was over before");
            let still = disk.frozen(|| {
                thread::sleep(STILL);
                !running.is_finished()
            });
            assert!(still, "{part}: nobody waited for the disk");
            running.join().unwrap()
        });
        assert!(started.elapsed() > STILL);
        run.succeeds();
        for name in &names {
            let content = project.path("node_modules").join(name).join("content");
            assert_eq!(content.metadata().unwrap().len(), 200_000);
        }
        assert!(is_sealed(&run.record().folder), "{}", run.told());
        store_is_whole(&project.home().join(".cache"));
    }
    score(2);
}
