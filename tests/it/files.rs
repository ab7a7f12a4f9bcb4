//! Nothing is read or changed outside the places of the run. Rows F01 to F05, F08, F10, F11, F15.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::attack::{FILE, Refusal, Stage, write_all};

/// Kernel and supervisor refuse some of them in different words.
const CROSSING: Refusal<'static> = Refusal {
    errno: &["EACCES", "EXDEV", "EPERM"],
    ..FILE
};

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn f01_files_that_run_code_later() {
    for target in [
        "project/.git/hooks/pre-commit",
        "project/.git/config",
        "project/.github/workflows/ci.yml",
        "project/.vscode/tasks.json",
        "project/.npmrc",
        "project/package.json",
        "project/src/index.js",
        "home/.bashrc",
        "home/.npmrc",
        "home/.config/autostart",
    ] {
        let stage = Stage::new();
        let path = stage.project.outside(target);
        let before = if path.exists() {
            text(&path)
        } else {
            "before\n".into()
        };
        write_all(&path, &before);
        let stage = stage.with("target", path.to_str().unwrap());
        stage.case("fs.appendFileSync(where.target, '\\n');", FILE, |_| {
            let changed = text(&path) != before;
            fs::write(&path, &before).unwrap();
            changed
        });
    }
}

#[test]
fn f01_new_files_beside_the_install_tree() {
    for target in [
        "project/.git/hooks/post-checkout",
        "project/.husky/x",
        "tmp/drop",
        "home/x",
    ] {
        let stage = Stage::new();
        let path = stage.project.outside(target);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let stage = stage.with("target", path.to_str().unwrap());
        stage.case("fs.writeFileSync(where.target, 'new');", FILE, |_| {
            fs::remove_file(&path).is_ok()
        });
    }
}

#[test]
fn f02_secrets_of_the_user() {
    for target in [
        "home/.ssh/id_ed25519",
        "home/.npmrc",
        "home/.aws/credentials",
        "other/.netrc",
    ] {
        let stage = Stage::new();
        let path = stage.victim(target, "nonce-of-a-secret");
        let stage = stage.with("target", path.to_str().unwrap());
        stage.fires("fs.copyFileSync(where.target, where.fired);", FILE);
    }
}

#[test]
fn f02_directories_of_the_user_are_not_listed() {
    let stage = Stage::new();
    stage.victim("home/.ssh/id_ed25519", "");
    let attack = "fs.writeFileSync(where.fired, fs.readdirSync(`${where.home}/.ssh`).join());";
    stage.fires(attack, FILE);
}

#[test]
fn f02_the_environment_of_the_caller() {
    let stage = Stage::new();
    let attack = r"
        const pid = fs.readFileSync('/proc/self/stat', 'utf8').split(') ')[1].split(' ')[1];
        fs.writeFileSync(where.fired, fs.readFileSync(`/proc/${pid}/environ`));
    ";
    stage.fires(attack, FILE);
}

#[test]
fn f02_system_secrets() {
    // Bare only root can read these; the refusal must be the sandbox's for everybody.
    for target in [
        "/etc/shadow",
        "/proc/1/environ",
        "/root/.bashrc",
        "/var/log",
    ] {
        let stage = Stage::new().with("target", target);
        let ours = stage.outcome(stage.hostile("fs.openSync(where.target, 'r');"));
        ours.is_refused(FILE);
    }
}

#[test]
fn f02_the_environment_of_the_manager_holds_nothing_of_the_caller() {
    let stage = Stage::new();
    let attack = "fs.writeFileSync(where.fired, JSON.stringify(process.env));";
    let loud = |invocation: crate::run::Invocation| {
        invocation
            .env("CLOUD_SECRET_KEY", "nonce-of-a-secret")
            .env("npm_config__auth", "nonce-of-a-secret")
            .env("GIT_ASKPASS", "nonce-of-a-secret")
    };
    stage.outcome(loud(stage.bare(attack)));
    assert!(text(&stage.project.path("node_modules/fired")).contains("nonce-of-a-secret"));
    stage.fired();
    let ours = stage.outcome(loud(stage.hostile(attack)));
    let environment = text(&stage.project.path("node_modules/fired"));
    assert!(environment.contains("PATH"), "{}", ours.run.told());
    assert!(!environment.contains("nonce-of-a-secret"), "{environment}");
}

#[test]
fn f03_a_link_that_leads_outside() {
    for link in [
        "fs.symlinkSync(where.target, name);",
        "fs.symlinkSync(path.relative(path.dirname(name), where.target), name);",
    ] {
        let stage = Stage::new();
        let path = stage.victim("victim", "before");
        let attack = format!(
            "const name = path.join(where.project, 'node_modules', 'link');
             fs.rmSync(name, {{ force: true }});
             {link}
             fs.writeFileSync(name, 'changed');"
        );
        let stage = stage.with("target", path.to_str().unwrap());
        stage.case(&attack, FILE, |_| {
            let changed = text(&path) == "changed";
            fs::write(&path, "before").unwrap();
            changed
        });
    }
}

#[test]
fn f03_a_path_that_climbs_out() {
    let stage = Stage::new();
    let path = stage.victim("victim", "before");
    let attack = "fs.writeFileSync(`${where.project}/node_modules/../../victim`, 'changed');";
    stage.case(attack, FILE, |_| {
        let changed = text(&path) == "changed";
        fs::write(&path, "before").unwrap();
        changed
    });
}

#[test]
fn f04_a_second_name_for_a_file_outside() {
    let stage = Stage::new();
    let path = stage.victim("victim", "before");
    let attack = r"
        const name = path.join(where.project, 'node_modules', 'hard');
        fs.rmSync(name, { force: true });
        fs.linkSync(path.join(where.outside, 'victim'), name);
        fs.writeFileSync(name, 'changed');
    ";
    stage.case(attack, CROSSING, |_| {
        let changed = text(&path) == "changed";
        fs::write(&path, "before").unwrap();
        changed
    });
}

#[test]
fn f05_moving_in_and_out() {
    let stage = Stage::new();
    let outside = stage.project.outside("moved");
    let attack = r"
        const name = path.join(where.project, 'node_modules', 'folder');
        fs.mkdirSync(name, { recursive: true });
        fs.renameSync(name, path.join(where.outside, 'moved'));
    ";
    stage.case(attack, CROSSING, |_| fs::remove_dir(&outside).is_ok());
    let stage = Stage::new();
    let victim = stage.victim("victim", "before");
    let attack = r"
        fs.renameSync(path.join(where.outside, 'victim'), path.join(where.project, 'node_modules', 'v'));
    ";
    stage.case(attack, CROSSING, |_| {
        let gone = !victim.exists();
        fs::write(&victim, "before").unwrap();
        gone
    });
}

#[test]
fn f05_removing_outside() {
    let stage = Stage::new();
    let victim = stage.victim("victim", "before");
    let attack = "fs.unlinkSync(path.join(where.outside, 'victim'));";
    stage.case(attack, CROSSING, |_| {
        let gone = !victim.exists();
        fs::write(&victim, "before").unwrap();
        gone
    });
}

#[test]
fn f08_mode_and_times_of_a_file_outside() {
    let stage = Stage::new();
    let victim = stage.victim("victim", "");
    let mode = || fs::metadata(&victim).unwrap().permissions().mode() & 0o7777;
    let reset = || fs::set_permissions(&victim, fs::Permissions::from_mode(0o644)).unwrap();
    reset();
    let attack = "fs.chmodSync(path.join(where.outside, 'victim'), 0o4777);";
    stage.case(attack, FILE, |_| {
        let changed = mode() == 0o4777;
        reset();
        changed
    });
    let stage = Stage::new();
    let victim = stage.victim("victim", "");
    let attack = "fs.utimesSync(path.join(where.outside, 'victim'), 1, 1);";
    let stamp = || fs::metadata(&victim).unwrap().modified().unwrap();
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1);
    stage.case(attack, FILE, |_| {
        let changed = stamp() == old;
        fs::write(&victim, "again").unwrap();
        changed
    });
}

#[test]
fn f10_f11_the_kernel_s_links_to_places_outside() {
    for path in ["/proc/self/root", "/proc/1/root", "/proc/self/cwd/../.."] {
        let stage = Stage::new();
        stage.victim("home/.ssh/id_ed25519", "nonce-of-a-secret");
        let stage = stage.with("way", path);
        let attack = if path.ends_with("..") {
            "fs.copyFileSync(`${where.way}/home/.ssh/id_ed25519`, where.fired);"
        } else {
            "fs.copyFileSync(`${where.way}${where.home}/.ssh/id_ed25519`, where.fired);"
        };
        if path.contains("/1/") {
            // Another process's root: bare only root may follow it.
            stage.outcome(stage.hostile(attack)).is_refused(FILE);
            assert!(!stage.fired());
        } else if path.ends_with("..") {
            // `cwd/../..` leads from the project to the folder above it.
            let attack = "fs.copyFileSync('/proc/self/cwd/../home/.ssh/id_ed25519', where.fired);";
            stage.fires(attack, FILE);
        } else {
            stage.fires(attack, FILE);
        }
    }
}

#[test]
fn f15_cutting_a_file_outside() {
    let stage = Stage::new();
    let victim = stage.victim("victim", "before");
    let attack = "fs.truncateSync(path.join(where.outside, 'victim'));";
    stage.case(attack, FILE, |_| {
        let cut = text(&victim).is_empty();
        fs::write(&victim, "before").unwrap();
        cut
    });
}

#[test]
fn f14_devices_and_pipes_are_not_made_by_an_archive() {
    use crate::project::{Project, tree};
    use crate::registry::Registry;
    use crate::registry::package::Package;
    use tar::EntryType;
    let registry = Registry::start();
    registry.publish(
        &Package::new("odd", "1.0.0")
            .link(EntryType::Char, "package/null", "")
            .link(EntryType::Fifo, "package/pipe", "")
            .link(EntryType::Symlink, "package/link", "/etc/passwd")
            .link(EntryType::Link, "package/hard", "/etc/passwd")
            .entry(
                "package/../../../climbed",
                EntryType::Regular,
                "",
                0o644,
                b"x",
            )
            .entry("/absolute-v4run-it", EntryType::Regular, "", 0o644, b"x"),
    );
    let project = Project::locked(&registry, serde_json::json!({ "odd": "1.0.0" }));
    let before = tree::read(&project.outside(""));
    let run = project.v4run(&["npm", "ci"]).run();
    let after = tree::read(&project.outside(""));
    let added: Vec<&String> = after
        .keys()
        .filter(|path| !before.contains_key(*path))
        .collect();
    let stray = added.iter().find(|path| {
        !path.starts_with("project/node_modules")
            && !path.starts_with("home/.")
            && !path.starts_with("run-")
    });
    assert_eq!(stray, None, "{}", run.told());
    let odd = tree::read(&project.path("node_modules/odd"));
    assert!(
        odd.values()
            .all(|node| matches!(node, tree::Node::File(..) | tree::Node::Directory(_))),
        "{odd:?}"
    );
    assert!(!Path::new("/absolute-v4run-it").exists());
}
