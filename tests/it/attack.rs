//! Hostile code in the place of the package manager, run bare and run by v4run.
//!
//! The manager is a directory with the layout of an npm installation whose `npm-cli.js` is the
//! attack. Bare, the attack must work: a canary that an outside witness sees. With v4run the same
//! script must fail with a given errno, the canary must stay silent, the exit status must be 120,
//! and the record must hold an event and a violation that name the control.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::project::{Project, program};
use crate::registry::Registry;
use crate::run::{Invocation, Run};

const PRELUDE: &str = include_str!("../fixtures/prelude.js");

/// A project whose npm is hostile.
pub(crate) struct Stage {
    /// The registry that the project is allowed to use.
    pub(crate) registry: Registry,
    /// The project.
    pub(crate) project: Project,
    places: Map<String, Value>,
    prefix: PathBuf,
}

/// What an attack came to.
pub(crate) struct Outcome {
    /// The run.
    pub(crate) run: Run,
    /// What the script wrote at its end.
    pub(crate) result: Value,
}

/// How an attack must end with v4run.
#[derive(Clone, Copy)]
pub(crate) struct Refusal<'a> {
    /// Acceptable `code` properties of the error that the script sees.
    pub(crate) errno: &'a [&'a str],
    /// Acceptable codes of the violation.
    pub(crate) codes: &'a [&'a str],
    /// The control that the violation names.
    pub(crate) control: &'a str,
}

/// A refused start of a program or process.
pub(crate) const EXECUTION: Refusal<'static> = Refusal {
    errno: &["EACCES"],
    codes: &["process-refused", "exec-refused"],
    control: "4.18",
};

/// A refused file access.
pub(crate) const FILE: Refusal<'static> = Refusal {
    errno: &["EACCES"],
    codes: &["file-access-refused"],
    control: "4.18",
};

/// A refused connection or socket.
pub(crate) const NETWORK: Refusal<'static> = Refusal {
    errno: &["EACCES"],
    codes: &["network-refused"],
    control: "4.1",
};

impl Stage {
    /// A project without dependencies, so that whatever happens is the attack's doing.
    pub(crate) fn new() -> Self {
        let registry = Registry::start();
        let project = Project::locked(&registry, json!({}));
        let prefix = project.outside("fake");
        let stage = Self {
            registry,
            project,
            places: Map::new(),
            prefix,
        };
        stage.lay_out();
        let project = stage.project.directory().to_path_buf();
        let fired = project.join("node_modules/fired");
        let outside = stage.project.outside("");
        let port = stage.registry.port().to_string();
        stage
            .with("project", project.to_str().unwrap())
            .with("fired", fired.to_str().unwrap())
            .with("outside", outside.to_str().unwrap().trim_end_matches('/'))
            .with("home", "")
            .with("registry", &port)
            .home()
    }

    fn home(self) -> Self {
        let home = self.project.home();
        self.with("home", home.to_str().unwrap())
    }

    /// Tells the script something.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.places.insert(name.into(), value.into());
        self
    }

    fn lay_out(&self) {
        let npm = self.prefix.join("lib/node_modules/npm");
        let definitions = npm.join("node_modules/@npmcli/config/lib/definitions");
        for folder in [
            &self.prefix.join("bin"),
            &npm.join("bin"),
            &npm.join("lib"),
            &definitions,
        ] {
            fs::create_dir_all(folder).unwrap();
        }
        symlink(
            fs::canonicalize(program("node")).unwrap(),
            self.prefix.join("bin/node"),
        )
        .unwrap();
        symlink(
            "../lib/node_modules/npm/bin/npm-cli.js",
            self.prefix.join("bin/npm"),
        )
        .unwrap();
        let manifest = json!({
            "name": "npm",
            "version": "11.19.1",
            "bin": { "npm": "bin/npm-cli.js" },
        });
        fs::write(npm.join("package.json"), manifest.to_string()).unwrap();
        let text = format!(
            "module.exports = {{\n  registry: new Definition('registry', {{\n    default: \
             '{}',\n    type: url,\n  }}),\n}}\n",
            self.registry.base()
        );
        fs::write(definitions.join("definitions.js"), text).unwrap();
    }

    /// The npm of this stage becomes that script.
    fn write(&self, attack: &str) {
        let script = format!(
            "#!/usr/bin/env node\nconst where = {};\n{PRELUDE}\nrun(async () => {{\n{attack}\n}});\n",
            Value::Object(self.places.clone())
        );
        let path = self.prefix.join("lib/node_modules/npm/bin/npm-cli.js");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn path_variable(&self) -> OsString {
        let mut value = self.prefix.join("bin").into_os_string();
        value.push(":/usr/bin:/bin");
        value
    }

    /// The runtime of this stage becomes that program, with something to read beside the script.
    pub(crate) fn runtime(&self, program: &Path, scene: &Value) {
        let node = self.prefix.join("bin/node");
        fs::remove_file(&node).unwrap();
        fs::copy(program, &node).unwrap();
        let scene_file = self.prefix.join("lib/node_modules/npm/bin/scene.json");
        fs::write(scene_file, scene.to_string()).unwrap();
    }

    /// The attack without v4run, about to start.
    pub(crate) fn bare(&self, attack: &str) -> Invocation {
        self.write(attack);
        let argv = vec![self.prefix.join("bin/npm").into(), "ci".into()];
        self.project.command(argv).env("PATH", self.path_variable())
    }

    /// The attack with v4run, about to start.
    pub(crate) fn hostile(&self, attack: &str) -> Invocation {
        self.write(attack);
        self.project
            .v4run(&["npm", "ci"])
            .env("PATH", self.path_variable())
            .noisy()
    }

    /// Runs to the end and reads the outcome.
    #[track_caller]
    pub(crate) fn outcome(&self, invocation: Invocation) -> Outcome {
        let file = self.project.path("node_modules/result.json");
        let _ = fs::remove_file(&file);
        let run = invocation.run();
        let result = fs::read(&file).map_or(Value::Null, |b| serde_json::from_slice(&b).unwrap());
        Outcome { run, result }
    }

    /// Whether the canary inside the install tree was written; takes it away.
    pub(crate) fn fired(&self) -> bool {
        fs::remove_file(self.project.path("node_modules/fired")).is_ok()
    }

    /// The whole case: bare the witness must see the attack, with v4run it must not, and the
    /// refusal must be the given one.
    #[track_caller]
    pub(crate) fn case(&self, attack: &str, refusal: Refusal<'_>, witness: impl Fn(&Self) -> bool) {
        let bare = self.outcome(self.bare(attack));
        assert!(
            witness(self),
            "the control does not fire: {}\n{}",
            bare.result,
            bare.run.told()
        );
        assert!(
            bare.result["error"].is_null(),
            "the control fails: {}",
            bare.result
        );
        let ours = self.outcome(self.hostile(attack));
        assert!(
            !witness(self),
            "the attack works: {}\n{}",
            ours.result,
            ours.run.told()
        );
        ours.is_refused(refusal);
    }

    /// One attack on many items, each on its own: `body` sees `item`. Two runs for all of them;
    /// every item must be seen by the witness bare, and refused and recorded with v4run.
    #[track_caller]
    pub(crate) fn every(
        self,
        items: &[&str],
        body: &str,
        refusal: Refusal<'_>,
        witness: impl Fn(&Self, &str) -> bool,
    ) {
        let attack = format!(
            "const found = {{}};
             for (const item of JSON.parse(where.items)) {{
                 try {{ await (async () => {{ {body} }})(); found[item] = null; }}
                 catch (error) {{ found[item] = error.code ?? error.message; }}
             }}
             return found;"
        );
        let stage = self.with("items", &json!(items).to_string());
        let bare = stage.outcome(stage.bare(&attack));
        for item in items {
            let result = &bare.result["value"][item];
            assert!(
                witness(&stage, item),
                "the control does not fire: {item}: {}",
                bare.result
            );
            assert!(result.is_null(), "the control fails: {item}: {result}");
        }
        let ours = stage.outcome(stage.hostile(&attack));
        for item in items {
            let told = || format!("{item}: {}\n{}", ours.result, ours.run.told());
            assert!(!witness(&stage, item), "the attack works: {}", told());
            let errno = ours.result["value"][item].as_str().unwrap_or_default();
            assert!(
                refusal.errno.contains(&errno),
                "expected {:?}: {}",
                refusal.errno,
                told()
            );
        }
        ours.is_violation(refusal.codes, refusal.control);
        let violations = ours.run.record().violations().iter();
        let codes = violations.filter_map(|violation| violation["code"].as_str());
        let count = codes.filter(|code| refusal.codes.contains(code)).count();
        assert!(
            count >= items.len(),
            "{count} violations of {}\n{}",
            items.len(),
            ours.run.told()
        );
    }

    /// A case whose canary is [`Stage::fired`].
    #[track_caller]
    pub(crate) fn fires(&self, attack: &str, refusal: Refusal<'_>) {
        self.case(attack, refusal, Self::fired);
    }

    /// A path beside the project, made with that content.
    pub(crate) fn victim(&self, path: &str, content: &str) -> PathBuf {
        let path = self.project.outside(path);
        write_all(&path, content);
        path
    }
}

/// Writes a file and the directories that it needs.
pub(crate) fn write_all(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

impl Outcome {
    /// Requires the refusal that an attack must meet.
    #[track_caller]
    pub(crate) fn is_refused(&self, refusal: Refusal<'_>) {
        let errno = self.result["error"]["code"].as_str().unwrap_or_default();
        assert!(
            refusal.errno.contains(&errno),
            "expected {:?}, the script saw {}\n{}",
            refusal.errno,
            self.result,
            self.run.told()
        );
        self.is_violation(refusal.codes, refusal.control);
    }

    /// Requires exit status 120 and a violation with one of those codes.
    #[track_caller]
    pub(crate) fn is_violation(&self, codes: &[&str], control: &str) {
        self.run.exits(120);
        let record = self.run.record();
        let found = record
            .violations()
            .iter()
            .filter_map(|violation| violation["code"].as_str())
            .find(|code| codes.contains(code));
        let Some(code) = found else {
            panic!("no violation of {codes:?}\n{}", self.run.told());
        };
        record.violation(code, control, &self.run.told());
    }
}
