//! Wheels on disk: opened only with a digest that is known, and only with those bytes.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::python::Python;
use crate::python::wheel::Wheel;
use crate::registry::{On, Registry, What};

const FILE: &str = "leaf-1.0-py3-none-any.whl";

/// An honest wheel, its digest, and a tampered one.
fn wheels() -> (Vec<u8>, String, Vec<u8>) {
    let honest = Wheel::new("leaf", "1.0").build();
    let digest = hex::encode(Sha256::digest(&honest));
    let evil = Wheel::new("leaf", "1.0").file("evil.py", b"evil = 1\n");
    (honest, digest, evil.build())
}

struct Scene {
    registry: Registry,
    python: Python,
    digest: String,
    honest: Vec<u8>,
    evil: Vec<u8>,
}

impl Scene {
    fn new() -> Self {
        let registry = Registry::start();
        let python = Python::new(&registry);
        let (honest, digest, evil) = wheels();
        python
            .project
            .file("r.txt", &format!("leaf==1.0 --hash=sha256:{digest}\n"));
        python
            .project
            .file("f.txt", &format!("./{FILE} --hash=sha256:{digest}\n"));
        fs::create_dir(python.project.path("wheels")).unwrap();
        Self {
            registry,
            python,
            digest,
            honest,
            evil,
        }
    }

    fn place(&self, content: &[u8]) {
        fs::write(self.python.project.path(FILE), content).unwrap();
        fs::write(self.linked(), content).unwrap();
    }

    fn linked(&self) -> PathBuf {
        self.python.project.path("wheels").join(FILE)
    }

    fn is_clean(&self) -> bool {
        let packages = self.python.packages();
        !packages.join("leaf.py").exists() && !packages.join("evil.py").exists()
    }
}

const LINKS: [&str; 3] = ["install", "--no-index", "--find-links=wheels"];

#[test]
fn wheels_whose_digest_is_known_are_installed() {
    let scene = Scene::new();
    scene.place(&scene.honest);
    for arguments in [vec!["-r", "f.txt"], vec!["-r", "r.txt"]] {
        let mut line = LINKS.to_vec();
        line.extend(arguments);
        scene.python.v4run(&line).run().succeeds();
        assert!(scene.python.packages().join("leaf.py").exists());
        scene.python.clear();
    }
    // The policy may say it too.
    let policy = format!(
        "[[artifacts]]\nfile = '{FILE}'\nsha256 = '{}'\n",
        scene.digest
    );
    scene.python.project.file("v4run.toml", &policy);
    let file = format!("./{FILE}");
    scene.python.v4run(&["install", &file]).run().succeeds();
    assert!(scene.python.packages().join("leaf.py").exists());
    assert!(scene.registry.files_seen().is_empty());
}

#[test]
fn tampered_wheels_are_not_opened() {
    let scene = Scene::new();
    scene.place(&scene.evil);
    let file = format!("./{FILE}");
    let links = [LINKS.as_slice(), &["leaf"]].concat();
    for arguments in [vec!["install", &file], links.clone()] {
        scene.python.pip(&arguments).run().succeeds();
        let evil = scene.python.packages().join("evil.py");
        assert!(evil.exists(), "the control does not fire: {arguments:?}");
        scene.python.clear();
    }
    for arguments in [
        vec!["install", "-r", "f.txt"],
        [LINKS.as_slice(), &["-r", "r.txt"]].concat(),
    ] {
        let run = scene.python.v4run(&arguments).run();
        run.refuses(120, "file-mismatch", "4.14").says(FILE);
        assert!(scene.is_clean(), "{arguments:?}");
    }
}

#[test]
fn wheels_without_a_known_digest_are_not_opened() {
    let scene = Scene::new();
    scene.place(&scene.honest);
    let file = format!("./{FILE}");
    let run = scene.python.v4run(&["install", &file]).run();
    run.refuses(126, "file-unverified", "4.14").says("hint:");
    let links = [LINKS.as_slice(), &["leaf"]].concat();
    let run = scene.python.v4run(&links).run();
    run.refuses(120, "file-unverified", "4.14").says(FILE);
    assert!(scene.is_clean());
    // Under another name too: what it is, its first bytes tell.
    fs::rename(
        scene.linked(),
        scene.python.project.path("wheels/leaf-1.0.tar.gz"),
    )
    .unwrap();
    let run = scene.python.v4run(&links).run();
    assert_ne!(run.code(), 0, "{}", run.told());
    assert!(scene.is_clean());
}

#[test]
fn a_wheel_that_is_swapped_after_the_check() {
    for ours in [false, true] {
        let scene = Scene::new();
        scene.place(&scene.honest);
        Wheel::new("slow", "1.0").publish(&scene.registry);
        // While pip waits for this page, the plan is made and the wheel is not open yet.
        scene.registry.fault(
            On::Path("/simple/slow/"),
            What::Slow(2, Duration::from_millis(700)),
        );
        let mut line = vec!["install", "--find-links=wheels", "slow", "leaf"];
        if ours {
            // pip would compare the digest itself; here only v4run knows it.
            let lock = format!(
                "version = 1\n[[package]]\nname = 'leaf'\nversion = '1.0'\n\
                 source = {{ registry = 'x' }}\nwheels = [{{ url = \
                 'https://files.invalid/{FILE}', hash = 'sha256:{}' }}]\n",
                scene.digest
            );
            scene.python.project.file("uv.lock", &lock);
        }
        let invocation = match ours {
            true => scene.python.v4run(&line),
            false => {
                line.insert(1, "--no-cache-dir");
                scene.python.pip(&line)
            }
        };
        let running = invocation.start();
        assert!(
            scene
                .registry
                .wait_for("/simple/slow/", Duration::from_secs(20))
        );
        let other = scene.python.project.outside("swapped");
        fs::write(&other, &scene.evil).unwrap();
        fs::rename(&other, scene.linked()).unwrap();
        let run = running.wait();
        if ours {
            run.refuses(120, "file-mismatch", "4.14").says(FILE);
            assert!(scene.is_clean(), "{}", run.told());
        } else {
            run.succeeds();
            let evil = scene.python.packages().join("evil.py");
            assert!(evil.exists(), "the control does not fire\n{}", run.told());
        }
    }
}

#[test]
fn a_wheel_on_disk_is_looked_into_too() {
    let scene = Scene::new();
    let lie = Wheel::new("leaf", "1.0")
        .record(|text| text.replacen("sha256=", "sha256=AAAA", 1))
        .build();
    let digest = hex::encode(Sha256::digest(&lie));
    fs::write(scene.linked(), &lie).unwrap();
    scene
        .python
        .project
        .file("r.txt", &format!("leaf==1.0 --hash=sha256:{digest}\n"));
    let line = [LINKS.as_slice(), &["-r", "r.txt"]].concat();
    scene.python.pip(&line).run().succeeds();
    assert!(!scene.is_clean(), "the control does not fire");
    scene.python.clear();
    let run = scene.python.v4run(&line).run();
    run.refuses(120, "artifact-invalid", "4.13");
    assert!(scene.is_clean());
}

#[test]
fn a_requirements_file_that_is_swapped_after_the_check() {
    let scene = Scene::new();
    let evil = Wheel::new("evil", "1.0");
    evil.publish(&scene.registry);
    Wheel::new("slow", "1.0").publish(&scene.registry);
    let project = &scene.python.project;
    project.file("c.txt", "slow==1.0\n");
    project.file("late.txt", "slow\n");
    // pip is shown what was checked, whatever lies there by the time that it looks.
    let line = ["install", "-c", "c.txt", "-r", "late.txt"];
    let running = scene.python.v4run(&line).start();
    let folder = project.home().join(".cache/v4run");
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !folder.exists() && std::time::Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    project.file("late.txt", "evil\n");
    let run = running.wait();
    // Read before or after the swap: whatever v4run read is what it checked and recorded.
    let evil = scene.python.packages().join("evil.py").exists();
    let slow = scene.python.packages().join("slow.py").exists();
    assert!(evil != slow, "{}", run.told());
    let name = if evil { "evil\n" } else { "slow\n" };
    let digest = STANDARD.encode(Sha256::digest(name));
    let inputs = run.record().events("input-read");
    let read = inputs.iter().find(|event| event["name"] == "late.txt");
    assert!(read.unwrap().to_string().contains(&digest), "{read:?}");
}
