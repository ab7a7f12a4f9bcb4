//! Nothing is read or changed outside the places of the run. Rows F01 to F05, F08, F10, F11, F15.

use std::collections::BTreeMap;
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
    let stage = Stage::new();
    let targets = [
        "project/.git/hooks/pre-commit",
        "project/.git/config",
        "project/.github/workflows/ci.yml",
        "project/.vscode/tasks.json",
        "project/package.json",
        "project/src/index.js",
        "home/.bashrc",
        "home/.npmrc",
        "home/.config/autostart",
    ];
    let before: BTreeMap<&str, String> = targets
        .iter()
        .map(|target| {
            let path = stage.project.outside(target);
            let before = if path.exists() {
                text(&path)
            } else {
                "before\n".into()
            };
            write_all(&path, &before);
            (*target, before)
        })
        .collect();
    let body = "fs.appendFileSync(path.join(where.outside, item), '\\n');";
    stage.every(&targets, body, FILE, |stage, target| {
        let path = stage.project.outside(target);
        let changed = text(&path) != before[target];
        fs::write(&path, &before[target]).unwrap();
        changed
    });
}

#[test]
fn f01_new_files_beside_the_install_tree() {
    let stage = Stage::new();
    let targets = [
        "project/.git/hooks/post-checkout",
        "project/.husky/pre-push",
        "project/.npmrc",
        "tmp/drop",
        "home/.profile",
    ];
    for target in targets {
        fs::create_dir_all(stage.project.outside(target).parent().unwrap()).unwrap();
    }
    let body = "fs.writeFileSync(path.join(where.outside, item), 'new');";
    stage.every(&targets, body, FILE, |stage, target| {
        fs::remove_file(stage.project.outside(target)).is_ok()
    });
}

#[test]
fn f02_secrets_of_the_user() {
    let stage = Stage::new();
    let targets = [
        "home/.ssh/id_ed25519",
        "home/.aws/credentials",
        "other/.netrc",
        "ca.key",
    ];
    for target in targets {
        stage.victim(target, "nonce-of-a-secret");
    }
    let body = r"
        const text = fs.readFileSync(path.join(where.outside, item));
        fs.writeFileSync(path.join(where.project, 'node_modules', item.replace(/\W/g, '_')), text);
    ";
    stage.every(&targets, body, FILE, taken);
}

/// Whether the script took a copy into the install tree.
fn taken(stage: &Stage, item: &str) -> bool {
    let name = item.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_', "_");
    fs::remove_file(stage.project.path("node_modules").join(name)).is_ok()
}

#[test]
fn f02_the_user_s_own_configuration() {
    // It may hold tokens; v4run hands on a copy without them.
    let stage = Stage::new();
    stage.fires(
        "fs.copyFileSync(`${where.home}/.npmrc`, where.fired);",
        FILE,
    );
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
    let targets = ["/etc/shadow", "/proc/1/environ", "/var/log"];
    let attack = r"
        const found = {};
        for (const item of JSON.parse(where.items)) {
            try { fs.openSync(item, 'r'); found[item] = null; } catch (error) { found[item] = error.code; }
        }
        return found;
    ";
    let stage = Stage::new().with("items", &serde_json::json!(targets).to_string());
    let ours = stage.outcome(stage.hostile(attack));
    for target in targets {
        assert_eq!(
            ours.result["value"][target],
            "EACCES",
            "{target}\n{}",
            ours.run.told()
        );
    }
    ours.is_violation(FILE.codes, FILE.control);
    assert_eq!(
        ours.run.record().violations().len(),
        targets.len(),
        "{}",
        ours.run.told()
    );
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
fn f05_making_a_directory_outside() {
    // npm makes thousands of directories, so Landlock alone refuses and nothing is recorded.
    let stage = Stage::new();
    let made = stage.project.outside("made");
    let attack = "fs.mkdirSync(path.join(where.outside, 'made'));";
    stage.outcome(stage.bare(attack));
    assert!(fs::remove_dir(&made).is_ok(), "the control does not fire");
    let ours = stage.outcome(stage.hostile(attack));
    assert_eq!(
        ours.result["error"]["code"],
        "EACCES",
        "{}",
        ours.run.told()
    );
    assert!(!made.exists());
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
    let stage = Stage::new();
    stage.victim("home/.ssh/id_ed25519", "nonce-of-a-secret");
    let ways = [
        "/proc/self/root",
        "/proc/PARENT/root",
        "/proc/self/cwd/../../../../../../../..",
    ];
    let body = r"
        const way = item.replace('PARENT', process.ppid);
        const text = fs.readFileSync(`${way}${where.home}/.ssh/id_ed25519`);
        fs.writeFileSync(path.join(where.project, 'node_modules', item.replace(/\W/g, '_')), text);
    ";
    stage.every(&ways, body, FILE, taken);
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
