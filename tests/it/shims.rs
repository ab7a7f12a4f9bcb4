//! Shims: that whoever calls `npm` calls v4run, what passes, and everything that tries to get round.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::project::{Project, search_path};
use crate::registry::Registry;
use crate::registry::package::Package;
use crate::run::{Invocation, Record, Run, v4run};

/// A project with a package whose install script leaves a trace, and shims for it.
struct Shimmed {
    _registry: Registry,
    project: Project,
    canary: PathBuf,
}

impl Shimmed {
    fn new(mode: &str) -> Self {
        let registry = Registry::start();
        let project = Project::new(&registry);
        let canary = project.outside("canary");
        let command = format!("echo ran > '{}'", canary.display());
        registry.publish(&Package::new("oak", "1.0.0").script("postinstall", &command));
        let scripts = json!({ "inner": "npm ci", "outer": "npm run inner", "seven": "exit 7" });
        project.lock(
            &registry,
            &json!({
                "name": "project", "version": "1.0.0", "dependencies": { "oak": "1.0.0" },
                "scripts": scripts,
            }),
        );
        let shimmed = Self {
            _registry: registry,
            project,
            canary,
        };
        let done = shimmed.shims(&["install", &shimmed.folder(), "--mode", mode]);
        done.succeeds();
        shimmed
    }

    fn folder(&self) -> String {
        self.project.outside("shims").display().to_string()
    }

    fn records(&self) -> PathBuf {
        self.project.outside("records")
    }

    fn shims(&self, words: &[&str]) -> Run {
        self.project
            .v4run_plain(&[&["shims"], words].concat())
            .run()
    }

    /// A command with the shims first in PATH.
    fn command(&self, words: &[&str]) -> Invocation {
        self.with_path(words, &[&self.folder()])
    }

    /// A command with those folders first in PATH.
    fn with_path(&self, words: &[&str], first: &[&str]) -> Invocation {
        let argv = words.iter().map(OsString::from).collect();
        let mut path = OsString::from(first.join(":"));
        path.push(":");
        path.push(search_path());
        let invocation = self.project.command(argv).env("PATH", path);
        invocation.env("V4RUN_RECORD", self.records())
    }

    fn sh(&self, line: &str) -> Invocation {
        self.command(&["/bin/sh", "-c", line])
    }

    /// The records made so far, by the arguments of their runs; checked and taken away.
    fn taken(&self) -> Vec<(String, Record)> {
        let entries = fs::read_dir(self.records()).into_iter().flatten().flatten();
        let mut found: Vec<(String, Record)> = entries
            .map(|entry| {
                let record = Record::read(&entry.path()).expect("an unsealed record");
                let words = record.summary["arguments"].as_array().unwrap();
                let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
                (words.join(" "), record)
            })
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let _ = fs::remove_dir_all(self.records());
        found
    }

    /// Requires that the install script did not run although the package is there.
    #[track_caller]
    fn clean(&self) {
        assert!(!self.canary.exists(), "the install script ran");
        fs::remove_dir_all(self.project.path("node_modules")).unwrap();
    }
}

fn passed(record: &Record) -> bool {
    let notes = record.summary["notes"].as_array().unwrap();
    notes.iter().any(|note| note["code"] == "passthrough")
}

fn program(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn every_way_of_calling_npm_is_covered_and_scripts_are_told() {
    let shimmed = Shimmed::new("gate");
    shimmed.project.npm(&["ci"]).run().succeeds();
    assert!(shimmed.canary.exists(), "the control does not fire");
    fs::remove_file(&shimmed.canary).unwrap();
    let shim = format!("{}/npm", shimmed.folder());
    for words in [
        &["/bin/sh", "-c", "npm ci"][..],
        // The name that a caller gives is not what was started.
        &["/bin/bash", "-c", "exec -a v4run npm ci"],
        &["/usr/bin/env", "npm", "ci"],
        &[&shim, "ci"],
    ] {
        shimmed.command(words).run().succeeds();
        let records = shimmed.taken();
        assert_eq!(records.len(), 1, "{words:?}");
        assert_eq!(records[0].0, "ci");
        assert_eq!(records[0].1.summary["components"], 1, "{words:?}");
        shimmed.clean();
    }
    // A script in a script: the install in it goes through the shim again.
    let run = shimmed.sh("npm run outer").run();
    run.succeeds().says("npm run: handed to `");
    let records = shimmed.taken();
    let words: Vec<(&str, bool)> = records
        .iter()
        .map(|(words, record)| (words.as_str(), passed(record)))
        .collect();
    assert_eq!(
        words,
        [("ci", false), ("run inner", true), ("run outer", true)]
    );
    let handed = &records[2].1.summary;
    assert_eq!(
        (&handed["manager_exit_code"], &handed["level"]),
        (&Value::Null, &Value::Null)
    );
    let controls = handed["controls"].as_array().unwrap();
    assert!(
        controls
            .iter()
            .all(|control| control["status"] == "unknown")
    );
    shimmed.clean();
    shimmed.sh("npm run seven").run().exits(7);
    // Words that are v4run's own elsewhere are the manager's here.
    for line in ["npm __launch 0 0", "npm frobnicate", "npm --frob run seven"] {
        shimmed.sh(line).run().exits(126);
    }
    shimmed.sh("npm exec oak").run().exits(126);
}

#[test]
fn nothing_but_the_installation_makes_a_shim_hand_on() {
    let shimmed = Shimmed::new("strict");
    let refused = |invocation: Invocation| {
        let run = invocation.run();
        run.exits(126).says("[command-runs-code, 4.18]");
        assert!(!shimmed.taken().iter().any(|(_, record)| passed(record)));
    };
    refused(shimmed.sh("npm run seven"));
    refused(shimmed.sh("npx oak"));
    let named = shimmed.sh("npm run seven").env("V4RUN_MODE", "gate");
    refused(named.env("V4RUN_PASSED", "1.1.1"));
    let marker = shimmed.project.outside("shims").join(".v4run-shims");
    let text = fs::read_to_string(&marker).unwrap();
    for wrong in [
        "",
        "mode = \"open\"",
        "mode = \"gate\"",
        &format!("{text}\nmore = 1"),
    ] {
        fs::write(&marker, wrong).unwrap();
        refused(shimmed.sh("npm run seven"));
    }
    // Who can write the folder could have written this: it does not count.
    fs::write(&marker, text.replace("strict", "gate")).unwrap();
    shimmed.sh("npm run seven").run().exits(7);
    shimmed.taken();
    let open = |mode| {
        let folder = shimmed.project.outside("shims");
        fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
    };
    open(0o777);
    refused(shimmed.sh("npm run seven"));
    open(0o755);
    // A link of somebody else's has no say either, nor has a name that is not in the marker.
    let elsewhere = shimmed.project.outside("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(format!("{}/npm", shimmed.folder()), elsewhere.join("npm")).unwrap();
    refused(shimmed.with_path(
        &["/bin/sh", "-c", "npm run seven"],
        &[elsewhere.to_str().unwrap()],
    ));
    // The project has no say: neither its files nor its policy.
    fs::write(&marker, &text).unwrap();
    shimmed.project.file("v4run.toml", "level = \"L1\"\n");
    shimmed
        .project
        .file(".v4run-shims", &text.replace("strict", "gate"));
    refused(shimmed.sh("npm run seven"));
}

#[test]
fn what_lies_in_the_project_is_not_the_manager() {
    let shimmed = Shimmed::new("gate");
    let trap = shimmed.project.outside("trap");
    let text = format!("echo trapped > '{}'; exit 0", trap.display());
    for place in ["npm", "node_modules/.bin/npm", "tools/npm", "tools/node"] {
        program(&shimmed.project.path(place), &text);
    }
    let open = shimmed.project.outside("open");
    program(&open.join("npm"), &text);
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let tools = shimmed.project.path("tools").display().to_string();
    let bin = shimmed
        .project
        .path("node_modules/.bin")
        .display()
        .to_string();
    let (folder, open) = (shimmed.folder(), open.display().to_string());
    let first = [folder.as_str(), ".", "tools", &bin, &tools, &open];
    // Positive control: without the shims the trap is what runs.
    let bare = shimmed.with_path(&["/bin/sh", "-c", "npm run seven"], &first[1..]);
    bare.run().succeeds();
    assert!(trap.exists(), "the control does not fire");
    fs::remove_file(&trap).unwrap();
    let through = |line: &str| shimmed.with_path(&["/bin/sh", "-c", line], &first).run();
    through("npm ci").succeeds();
    assert!(!trap.exists() && !shimmed.canary.exists());
    // The bare npm is the machine's; the `node` that it looks for by itself is no longer ours to choose.
    fs::remove_file(shimmed.project.path("tools/node")).unwrap();
    through("npm run seven").exits(7);
    assert!(!trap.exists());
    // Without a real one nothing else is taken.
    let alone = shimmed.sh("npm run seven").env("PATH", first.join(":"));
    alone.run().exits(127).says("lies inside the project");
}

#[test]
fn a_wrapper_that_calls_the_shim_ends_at_once() {
    let shimmed = Shimmed::new("gate");
    let wrapper = shimmed.project.outside("wrapper");
    let folder = wrapper.display().to_string();
    let first = [shimmed.folder(), folder];
    let first: Vec<&str> = first.iter().map(String::as_str).collect();
    let line = ["/bin/sh", "-c", "npm run seven"];
    program(&wrapper.join("npm"), "exec npm \"$@\"");
    let run = shimmed.with_path(&line, &first).run();
    run.exits(125).says("v4run called itself");
    assert_eq!(shimmed.taken().len(), 1);
    program(&wrapper.join("npm"), "npm \"$@\"\nexit $?");
    let run = shimmed.with_path(&line, &first).run();
    run.exits(125).says("one in the other");
    assert_eq!(shimmed.taken().len(), 16);
    // Another copy of v4run is not taken for npm, whatever it is called.
    fs::remove_file(wrapper.join("npm")).unwrap();
    fs::copy(v4run(), wrapper.join("other")).unwrap();
    symlink("other", wrapper.join("npm")).unwrap();
    shimmed.with_path(&line, &first).run().exits(7);
}

#[test]
fn check_names_what_wins() {
    let shimmed = Shimmed::new("gate");
    let project = &shimmed.project;
    let profile = format!("PATH={}:$PATH\n", shimmed.folder());
    for name in [".profile", ".bash_profile", ".zprofile"] {
        fs::write(project.home().join(name), &profile).unwrap();
    }
    let own = v4run().display().to_string();
    let check = |first: &[&str]| shimmed.with_path(&[&own, "shims", "check"], first);
    let folder = shimmed.folder();
    let run = check(&[&folder]).run();
    run.succeeds();
    for word in [
        "ok    PATH",
        "ok    sh -c",
        "ok    bash -c",
        "python -m pip",
        "npx",
    ] {
        assert!(run.stdout.contains(word), "{word}\n{}", run.told());
    }
    let fails = |invocation: Invocation, words: &[&str]| {
        let run = invocation.run();
        run.exits(125);
        for word in words {
            assert!(
                run.stdout.contains(word) || run.stderr.contains(word),
                "{word}\n{}",
                run.told()
            );
        }
    };
    let other = project.outside("other");
    program(&other.join("npm"), "exit 0");
    let other = other.display().to_string();
    let wins = format!("`npm` is {other}/npm");
    fails(
        check(&[&other, &folder]),
        &[&format!("PATH: {wins}"), &format!("sh -c: {wins}")],
    );
    // A relative entry is whatever the working directory says.
    project.file("npm", "#!/bin/sh\n");
    fs::set_permissions(project.path("npm"), fs::Permissions::from_mode(0o755)).unwrap();
    fails(
        check(&[".", &folder]),
        &["PATH: `npm` is ./npm (a relative"],
    );
    // bash alone reads this, and a function is no file at all.
    let file = project.outside("bash-env");
    fs::write(&file, "pip() { true; }\n").unwrap();
    let run = check(&[&folder]).env("BASH_ENV", &file).run();
    run.exits(125);
    assert!(run.stdout.contains("ok    sh -c"), "{}", run.told());
    assert!(
        run.stdout.contains("FAIL  bash -c: `pip` is pip (a"),
        "{}",
        run.told()
    );
    fails(
        check(&[]),
        &["has no shims of v4run", "hint: `v4run shims install DIR`"],
    );
    // A link to another copy, a link that leads nowhere, and something else in its place.
    let link = |name: &str, target: &str| {
        let path = Path::new(&folder).join(name);
        fs::remove_file(&path).unwrap();
        symlink(target, path).unwrap();
    };
    fs::copy(v4run(), project.outside("copy")).unwrap();
    link("npm", &project.outside("copy").display().to_string());
    link("pip", "/nowhere/v4run");
    link("mvn", "/bin/true");
    let words = ["another copy", "pip` leads nowhere", "is no shim: "];
    fails(check(&[&folder]), &words);
    // Removed is what is v4run's, and nothing else.
    let run = shimmed.shims(&["remove", &folder]);
    run.succeeds().says("left, because it is no shim");
    let left: Vec<OsString> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(
        left.contains(&"mvn".into()) && left.contains(&"pip".into()),
        "{left:?}"
    );
}

#[test]
fn check_fails_where_one_way_alone_is_lost() {
    let shimmed = Shimmed::new("gate");
    let project = &shimmed.project;
    let folder = shimmed.folder();
    let own = v4run().display().to_string();
    let other = project.outside("other");
    program(&other.join("npm"), "exit 0");
    let other = other.display().to_string();
    let profile = |first: &str| {
        for name in [".profile", ".bash_profile", ".zprofile"] {
            let text = format!("PATH={first}:$PATH\n");
            fs::write(project.home().join(name), text).unwrap();
        }
    };
    profile(&folder);
    // A job's step begins with the runner's PATH and sets its own.
    let file = project.outside("path-file");
    let line = format!("PATH={folder}:$PATH; export PATH; '{own}' shims check; exit $?");
    let step = |text: Option<&str>| {
        let _ = fs::remove_file(&file);
        text.iter().for_each(|text| fs::write(&file, text).unwrap());
        let step = shimmed.with_path(&["/bin/sh", "-c", &line], &["/nonexistent"]);
        step.env("GITHUB_PATH", &file).run()
    };
    let failed = |run: &Run| -> Vec<String> {
        let lines = run.stdout.lines().filter(|line| line.starts_with("FAIL  "));
        lines.map(ToOwned::to_owned).collect()
    };
    let run = step(Some(&format!("{folder}\n")));
    run.succeeds();
    let next = "next step (GITHUB_PATH)";
    assert!(
        run.stdout.contains(&format!("ok    {next}")),
        "{}",
        run.told()
    );
    let real = crate::project::program("npm");
    for (text, what) in [
        // What a step exports is gone when it ends.
        (
            Some(String::new()),
            format!("FAIL  {next}: `npm` is {}", real.display()),
        ),
        // The last line comes first.
        (
            Some(format!("{folder}\n{other}\n")),
            format!("FAIL  {next}: `npm` is {other}/npm"),
        ),
        (
            None,
            format!("FAIL  {next}: `{}` cannot be read", file.display()),
        ),
    ] {
        let run = step(text.as_deref());
        run.exits(125).says("hint: ");
        let lost = failed(&run);
        assert!(
            lost.iter().any(|line| line.starts_with(&what)),
            "{what}\n{}",
            run.told()
        );
        assert!(lost.iter().all(|line| line.contains(next)), "{lost:?}");
    }
    // Nor does anything but the login shell read this.
    let check = shimmed.with_path(&[&own, "shims", "check"], &[&folder]);
    if run.stdout.contains("ok    login shell") {
        profile(&format!("{other}:{folder}"));
        let run = check.run();
        run.exits(125);
        let lost = failed(&run);
        assert_eq!(lost.len(), 1, "{}", run.told());
        assert!(
            lost[0].contains(&format!(": `npm` is {other}/npm")),
            "{lost:?}"
        );
    }
}

#[test]
fn shims_of_an_image_lead_to_where_v4run_will_be() {
    let shimmed = Shimmed::new("gate");
    let stage = shimmed.project.outside("stage");
    let folder = stage.join("usr/lib/v4run/shims").display().to_string();
    let words = ["install", "--program", "/nowhere/v4run", &folder];
    shimmed.shims(&words).succeeds();
    for name in ["npm", "pip", "mvn"] {
        let target = fs::read_link(Path::new(&folder).join(name)).unwrap();
        assert_eq!(target, Path::new("/nowhere/v4run"), "{name}");
    }
    // On this machine they are none, and `check` says so.
    let run = shimmed.shims(&["check", &folder]);
    run.exits(125);
    assert!(run.stdout.contains("leads nowhere"), "{}", run.told());
    for wrong in ["v4run", "/usr/../v4run", "/"] {
        let words = ["install", "--program", wrong, &folder];
        shimmed
            .shims(&words)
            .exits(125)
            .says("is no place in an image")
            .says("hint: ");
    }
}

#[test]
fn shims_are_only_made_where_nobody_else_writes() {
    let shimmed = Shimmed::new("gate");
    let project = &shimmed.project;
    let refuses = |folder: &Path, word: &str| {
        let run = shimmed.shims(&["install", folder.to_str().unwrap()]);
        run.exits(125).says(word).says("hint: ");
    };
    refuses(&project.path("bin"), "lies inside the project");
    assert!(!project.path("bin").exists());
    let open = project.outside("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    refuses(&open, "can be written by other users");
    refuses(&open.join("below"), "can be written by other users");
    refuses(Path::new("/tmp"), "can be written by other users");
    refuses(&project.authority_file(), "is no folder");
    refuses(Path::new("/proc/v4run/shims"), "cannot be made");
    let taken = project.outside("taken");
    program(&taken.join("pip3"), "exit 0");
    refuses(&taken, "is there already and is no shim");
    assert_eq!(
        fs::read_dir(&taken).unwrap().count(),
        1,
        "half of it was made"
    );
    assert!(shimmed.shims(&["remove", taken.to_str().unwrap()]).code() == 125);
    // Again, and in the other mode.
    let folder = shimmed.folder();
    shimmed
        .shims(&["install", &folder, "--mode", "strict"])
        .succeeds();
    assert!(Path::new(&folder).join("npx").is_symlink());
    shimmed.shims(&["install", &folder]).succeeds();
    assert!(!Path::new(&folder).join("npx").is_symlink());
    // Runs beside each other have records of their own.
    let runs: Vec<_> = (0..3)
        .map(|_| shimmed.sh("npm --version").start())
        .collect();
    for run in runs {
        run.wait().succeeds();
    }
    assert_eq!(shimmed.taken().len(), 3);
    // Without a place for the record nothing is handed on.
    let homeless = shimmed
        .sh("npm run seven")
        .env_remove("V4RUN_RECORD")
        .env_remove("HOME");
    homeless
        .run()
        .exits(125)
        .says("hint: name one with --record DIR, V4RUN_RECORD or");
}
