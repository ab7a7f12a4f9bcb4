//! `v4run build`: approved npm packages run their code once, without network, and nobody else's does.
//!
//! The native module is a real one: compiled by the machine's compiler with npm's own node-gyp, loaded by node
//! afterwards. The hostile ones are judged as everywhere: bare, the script succeeds; by v4run it fails with the
//! errno, the exit status and the record entry that are said.

use std::fs;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::project::{Project, program};
use crate::registry::Registry;
use crate::registry::package::{Package, Published};
use crate::run::Run;

const ADDON: &str = r#"
#include <node_api.h>
static napi_value Answer(napi_env env, napi_callback_info info) {
  napi_value value;
  napi_create_int32(env, 42, &value);
  return value;
}
NAPI_MODULE_INIT() {
  napi_value function;
  napi_create_function(env, "answer", NAPI_AUTO_LENGTH, Answer, NULL, &function);
  napi_set_named_property(env, exports, "answer", function);
  return exports;
}
"#;

const GYP: &str = r#"{ "targets": [{ "target_name": "native", "sources": ["addon.cc"] }] }"#;

/// What loads the module, for node.
const LOAD: &str = "process.exit(require('native').answer() === 42 ? 0 : 9)";

fn native() -> Package {
    Package::new("native", "1.0.0")
        .file("binding.gyp", GYP.as_bytes())
        .file("addon.cc", ADDON.as_bytes())
        .file(
            "index.js",
            b"module.exports = require('./build/Release/native.node');\n",
        )
}

/// A project that has installed the package, and nothing more.
fn installed(registry: &Registry, package: &Package) -> (Project, Published) {
    registry.publish(package);
    let built = package.build();
    let project = Project::locked(registry, json!({ built.name.as_str(): built.version }));
    project.v4run(&["npm", "ci"]).run().succeeds();
    (project, built)
}

/// An approval as a person would write it.
fn approval(package: &Published, more: &str) -> String {
    format!(
        "[[builds]]\npurl = \"pkg:npm/{}@{}\"\ndigest = \"{}\"\nowner = \"build team\"\n\
         reason = \"needs a native module\"\nexpires = \"2999-12-31\"\n{more}\n",
        package.name, package.version, package.sha512
    )
}

const TOOLS: &str = "toolchain = [\"/usr/bin\", \"/usr/lib/gcc\"]";

fn node(project: &Project, script: &str) -> Run {
    let argv = [program("node").into_os_string(), "-e".into(), script.into()];
    project.command(argv.into()).run()
}

fn status(run: &Run, control: &str) -> String {
    let controls = run.record().summary["controls"].as_array().unwrap();
    let found = controls.iter().find(|one| one["id"] == control).unwrap();
    found["status"].as_str().unwrap().to_owned()
}

#[test]
fn a_native_module_is_refused_with_the_approval_that_it_takes_and_builds_with_it() {
    let registry = Registry::start();
    let (project, package) = installed(&registry, &native());
    assert_ne!(node(&project, LOAD).code(), 0, "it needs a build");
    let refused = project.v4run(&["build"]).run();
    refused.refuses(126, "build-unapproved", "4.18");
    refused
        .says("[[builds]]")
        .says(&package.sha512)
        .says("node-gyp rebuild");
    assert!(!project.path("node_modules/native/build").exists());

    let proposed = project.v4run_plain(&["build", "--propose"]).run();
    proposed.succeeds();
    let proposed = &proposed.stdout;
    assert!(
        proposed.contains("# pkg:npm/native@1.0.0 in node_modules/native"),
        "{proposed}"
    );
    // As it is printed it has no owner, and the policy refuses it.
    project.file("v4run.toml", proposed);
    project
        .v4run(&["build"])
        .run()
        .exits(125)
        .says("v4run.toml");
    let filled = proposed
        .replace("owner = \"\"", "owner = \"build team\"")
        .replace("reason = \"\"", "reason = \"needs a native module\"")
        .replace("expires = \"\"", "expires = \"2999-12-31\"");
    project.file("v4run.toml", &filled);
    let run = project.v4run(&["build"]).run();
    run.succeeds();
    node(&project, LOAD).succeeds();

    let record = run.record();
    assert!(record.violations().is_empty(), "{}", run.told());
    assert_eq!(status(&run, "4.18"), "waived", "{}", run.told());
    run.says("build team answers until 2999-12-31 for code of pkg:npm/native@1.0.0");
    record.event("build-started", |event| {
        event["purl"] == "pkg:npm/native@1.0.0"
            && event["script"] == "binding.gyp"
            && event["digest"] == package.sha512.as_str()
    });
    let compiler = record.event("build-program", |event| {
        event["path"].as_str().unwrap().ends_with("/cc1plus")
    });
    assert_eq!(
        compiler["sha256"],
        sha256(Path::new(compiler["path"].as_str().unwrap()))
    );
    let arguments = compiler["arguments"].as_array().unwrap();
    assert!(
        arguments.iter().any(|word| word == "../addon.cc"),
        "{compiler}"
    );
    let file = record.event("build-file", |event| {
        event["path"] == "node_modules/native/build/Release/native.node"
    });
    let module = project.path("node_modules/native/build/Release/native.node");
    assert_eq!(file["sha256"], sha256(&module));
    let ended = record.event("build-ended", |event| event["code"] == 0);
    assert!(ended["processes"].as_u64().unwrap() > 5, "{ended}");
    assert!(ended["cpu_milliseconds"].as_u64().unwrap() > 100, "{ended}");
    assert_eq!(record.summary["builds"][0]["purl"], "pkg:npm/native@1.0.0");

    // What was built is no longer what was installed.
    let again = project.v4run(&["build"]).run();
    again
        .refuses(126, "build-unapproved", "4.18")
        .says("which its archive does not");
}

fn sha256(path: &Path) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(fs::read(path).unwrap());
    let text = base64::engine::general_purpose::STANDARD.encode(digest);
    format!("sha256-{text}")
}

#[test]
fn an_install_builds_what_is_approved_at_once() {
    let registry = Registry::start();
    let package = native();
    registry.publish(&package);
    registry.publish(&Package::new("other", "1.0.0").script("install", "touch ran"));
    let project = Project::locked(&registry, json!({ "native": "1.0.0", "other": "1.0.0" }));
    project.file("v4run.toml", &approval(&package.build(), TOOLS));
    let run = project.v4run(&["--build", "npm", "ci"]).run();
    run.succeeds();
    node(&project, LOAD).succeeds();
    assert_eq!(status(&run, "4.18"), "waived", "{}", run.told());
    // The install before it is judged as ever.
    assert_eq!(status(&run, "4.13"), "enforced", "{}", run.told());
    assert!(!project.path("node_modules/other/ran").exists());
    let listed = run
        .record()
        .suppressed()
        .iter()
        .filter(|one| one["kind"] == "script");
    let names: Vec<&Value> = listed.map(|one| &one["name"]).collect();
    assert_eq!(names, ["other"], "{}", run.told());
    run.says("not built, because nobody approves them: pkg:npm/other@1.0.0");
}

/// What makes a good approval of `digest` void, whichever manager builds: text, replacement, and what is said.
pub(crate) fn void<'a>(digest: &'a str, other: &'a str) -> [(&'a str, &'a str, &'static str); 4] {
    [
        (digest, other, "was installed from"),
        ("2999-12-31", "2020-01-01", "was over on 2020-01-01"),
        (
            "toolchain",
            "platform = \"linux-other\"\ntoolchain",
            "is for linux-other",
        ),
        (
            "\"/usr/lib/gcc\"",
            "\"/nowhere\"",
            "its toolchain `/nowhere`",
        ),
    ]
}

#[test]
fn an_approval_is_about_these_bytes_this_platform_and_these_days() {
    let registry = Registry::start();
    let package = Package::new("native", "1.0.0").script("install", "touch ran");
    let (project, built) = installed(&registry, &package);
    let good = approval(&built, TOOLS);
    let ran = || project.path("node_modules/native/ran").exists();
    let other = Package::new("native", "1.0.0").build().sha512;
    let shell = ("\"/usr/bin\", ", "", "has no `sh`");
    for (from, to, said) in void(&built.sha512, &other).into_iter().chain([shell]) {
        project.file("v4run.toml", &good.replace(from, to));
        let run = project.v4run(&["build"]).run();
        run.refuses(126, "build-unapproved", "4.18").says(said);
        assert!(!ran(), "{said}");
    }
    for (from, to, line) in [("owner", "ownr", 4), ("2999-12-31", "soon", 6)] {
        project.file("v4run.toml", &good.replace(from, to));
        project
            .v4run(&["build"])
            .run()
            .exits(125)
            .says(&format!("v4run.toml:{line}"));
    }
    // A folder that is not what was approved.
    project.file("v4run.toml", &good);
    project.file("node_modules/native/index.js", "changed");
    let run = project.v4run(&["build"]).run();
    run.refuses(126, "build-unapproved", "4.18")
        .says("`index.js` is not what its archive holds");
    assert!(!ran());
    project.v4run(&["npm", "ci"]).run().succeeds();
    project.v4run(&["build"]).run().succeeds();
    assert!(ran());
}

#[test]
fn a_script_that_fails_is_told_and_a_project_without_any_is_fine() {
    let registry = Registry::start();
    let package = Package::new("native", "1.0.0")
        .script("preinstall", "touch first")
        .script("install", "exit 7")
        .script("postinstall", "touch last");
    let (project, built) = installed(&registry, &package);
    project.file("v4run.toml", &approval(&built, TOOLS));
    let run = project.v4run(&["build"]).run();
    run.exits(7)
        .says("install of `pkg:npm/native@1.0.0` did not succeed");
    run.record()
        .event("found", |event| event["code"] == "build-failed");
    assert!(project.path("node_modules/native/first").exists());
    assert!(!project.path("node_modules/native/last").exists());

    // What cannot be built says so before it installs.
    let run = project.v4run(&["--build", "uv", "sync"]).run();
    run.exits(125).says("uv has no builds");

    let (plain, _) = installed(&registry, &Package::new("plain", "1.0.0"));
    plain
        .v4run(&["build"])
        .run()
        .succeeds()
        .says("nothing that is installed here");
}

#[test]
fn the_project_s_own_scripts_run_by_a_switch_of_their_own() {
    let registry = Registry::start();
    registry.publish(&Package::new("tool", "1.0.0").bin("tool", "cli.js"));
    let project = Project::new(&registry);
    let scripts = |prepare: &str| {
        let manifest = json!({
            "name": "project", "version": "1.0.0", "scripts": { "prepare": prepare },
            "dependencies": { "tool": "1.0.0" },
        });
        project.lock(&registry, &manifest);
    };
    scripts("tool > made.txt");
    project.file(".git/config", "as it was");
    project.v4run(&["npm", "ci"]).run().succeeds();
    project
        .v4run(&["build"])
        .run()
        .succeeds()
        .says("nothing that is installed here");
    assert!(!project.path("made.txt").exists());
    let run = project.v4run(&["build", "--project"]).run();
    run.succeeds().says("the command line answers until");
    assert_eq!(fs::read_to_string(project.path("made.txt")).unwrap(), "1\n");
    assert_eq!(status(&run, "4.18"), "waived");
    run.record()
        .event("build-file", |event| event["path"] == "made.txt");
    for place in [".git/config", "node_modules/tool/cli.js", "v4run.toml"] {
        scripts(&format!("echo evil > {place}"));
        let run = project.v4run(&["build", "--project"]).run();
        run.refuses(120, "file-access-refused", "4.18");
        let text = fs::read_to_string(project.path(place)).unwrap_or_default();
        assert!(!text.contains("evil"), "{place}");
    }
}

/// A hostile package: what its script comes to bare, and by v4run under an approval.
struct Hostile {
    project: Project,
    bare: Value,
    ours: Value,
    run: Run,
}

/// `script` is the body of an async function that returns what it came to; `out` is a place outside, `home` the
/// user's, `port` a listener. An error is its `code`.
fn hostile(script: &str, limits: &str) -> Hostile {
    let registry = Registry::start();
    let port = registry.port();
    let stage = |name: &str| {
        let project = Project::new(&registry);
        let text = format!(
            "const fs = require('fs'), net = require('net'), cp = require('child_process');\n\
             const out = {:?}, home = {:?}, port = {port};\n\
             const sleep = (ms) => new Promise((done) => setTimeout(done, ms));\n\
             const tell = (what) => fs.writeFileSync('result.json', JSON.stringify(what));\n\
             (async () => {{ {script} }})().then((what) => tell(what ?? 'done'), (error) => tell(error.code ?? String(error)));\n",
            project.outside("canary").display().to_string(),
            project.home().display().to_string(),
        );
        fs::write(project.home().join("secret"), "a secret of the user").unwrap();
        let listener = UnixListener::bind(project.home().join("socket")).unwrap();
        let package = Package::new(name, "1.0.0")
            .file("attack.js", text.as_bytes())
            .script("install", "node attack.js");
        registry.publish(&package);
        project.lock(
            &registry,
            &json!({ "name": "project", "version": "1.0.0", "dependencies": { name: "1.0.0" } }),
        );
        (project, package.build(), listener)
    };
    let result = |project: &Project, name: &str| {
        let text = fs::read(project.path(&format!("node_modules/{name}/result.json")));
        text.map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap())
    };
    let (project, _, _listener) = stage("bare");
    let npm = project.npm(&["ci", "--foreground-scripts"]);
    npm.grace(Duration::from_secs(5)).run().succeeds();
    let bare = result(&project, "bare");
    let (project, package, _listener) = stage("ours");
    project.v4run(&["npm", "ci"]).run().succeeds();
    project.file(
        "v4run.toml",
        &approval(&package, &format!("{TOOLS}\n{limits}")),
    );
    let run = project.v4run(&["build"]).run();
    Hostile {
        bare,
        ours: result(&project, "ours"),
        run,
        project,
    }
}

impl Hostile {
    /// Bare it comes to that, by v4run to that errno and finding.
    #[track_caller]
    fn ends(&self, bare: &Value, ours: &Value, code: &str, control: &str) -> &Self {
        assert_eq!(&self.bare, bare, "the control\n{}", self.run.told());
        assert_eq!(&self.ours, ours, "{}", self.run.told());
        self.run.refuses(120, code, control);
        self
    }
}

#[test]
fn a_build_has_no_network() {
    let connect = |to: &str| {
        format!(
            "return await new Promise((done, failed) => {{ const socket = net.connect({to}, () => \
             {{ socket.destroy(); done('connected'); }}).on('error', failed); }});"
        )
    };
    hostile(&connect("port, '127.0.0.1'"), "").ends(
        &json!("connected"),
        &json!("EACCES"),
        "network-refused",
        "4.1",
    );
    let ended = hostile(&connect("home + '/socket'"), "");
    ended.ends(
        &json!("connected"),
        &json!("EACCES"),
        "network-refused",
        "4.1",
    );
    let script = "const place = require('os').tmpdir() + '/s'; const server = net.createServer(); await new Promise((done, failed) => server.on('error', failed).listen(place, done)); server.close(); return 'listening';";
    hostile(script, "").ends(
        &json!("listening"),
        &json!("EACCES"),
        "network-refused",
        "4.1",
    );
}

#[test]
fn a_build_neither_writes_outside_nor_reads_secrets() {
    let ended = hostile("fs.writeFileSync(out, 'x'); return 'written';", "");
    ended.ends(
        &json!("written"),
        &json!("EACCES"),
        "file-access-refused",
        "4.18",
    );
    assert!(!ended.project.outside("canary").exists());
    hostile("return fs.readFileSync(home + '/secret', 'utf8');", "").ends(
        &json!("a secret of the user"),
        &json!("EACCES"),
        "file-access-refused",
        "4.18",
    );
    hostile(
        "fs.writeFileSync('../neighbour.js', 'x'); return 'written';",
        "",
    )
    .ends(
        &json!("written"),
        &json!("EACCES"),
        "file-access-refused",
        "4.18",
    );
}

#[test]
fn a_build_executes_its_toolchain_only() {
    let copy = "fs.copyFileSync('/usr/bin/true', 'own'); fs.chmodSync('own', 0o755);";
    let script = format!("{copy} cp.execFileSync('./own'); return 'ran';");
    hostile(&script, "").ends(&json!("ran"), &json!("EACCES"), "exec-refused", "4.18");
    // The program loader runs what it is given: it is not started by itself, nor by what is allowed.
    let loader = "const loader = fs.realpathSync(fs.existsSync('/lib64/ld-linux-x86-64.so.2') ? '/lib64/ld-linux-x86-64.so.2' : '/lib/ld-linux-aarch64.so.1');";
    let script = format!("{copy} {loader} cp.execFileSync(loader, ['./own']); return 'ran';");
    hostile(&script, "").ends(&json!("ran"), &json!("EACCES"), "exec-refused", "4.18");
    let script = "fs.copyFileSync(fs.readFileSync('/proc/self/maps', 'utf8').match(/\\/\\S*libm\\.so\\S*/)[0], 'own.so'); try { process.dlopen({ exports: {} }, process.cwd() + '/own.so'); } catch (error) { if (!error.message.includes('did not self-register')) return 'not mapped'; } return 'mapped';";
    hostile(script, "").ends(
        &json!("mapped"),
        &json!("not mapped"),
        "code-map-refused",
        "4.18",
    );
}

#[test]
fn a_build_signals_nobody_outside() {
    let mut bystander = Command::new("sh")
        .args(["-c", "trap '' USR1; sleep 120 & wait; wait"])
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let script = format!(
        "process.kill({}, 'SIGUSR1'); return 'sent';",
        bystander.id()
    );
    let ended = hostile(&script, "");
    let group = Pid::from_raw(bystander.id().cast_signed());
    killpg(group, Signal::SIGKILL).unwrap();
    bystander.wait().unwrap();
    ended.ends(
        &json!("sent"),
        &json!("EPERM"),
        "kernel-surface-refused",
        "4.18",
    );
    // What it started itself it may end.
    let script = "const child = cp.spawn('sleep', ['60']); child.kill('SIGTERM'); return await \
                  new Promise((done) => child.on('exit', (_, signal) => done(signal)));";
    let ended = hostile(script, "");
    assert_eq!(
        (&ended.bare, &ended.ours),
        (&json!("SIGTERM"), &json!("SIGTERM"))
    );
    ended.run.succeeds();
}

#[test]
fn a_build_leaves_nothing_behind() {
    let script =
        "cp.spawn('sleep', ['2'], { detached: true, stdio: 'ignore' }).unref(); return 'left';";
    let ended = hostile(script, "");
    ended.ends(&json!("left"), &json!("left"), "process-refused", "4.18");
    ended
        .run
        .says("1 processes had to be ended after the build");
}

#[test]
fn a_build_ends_at_its_limits() {
    let bomb = "let count = 0; for (; count < 80; count++) { const child = cp.spawn('sleep', ['1'], { stdio: 'ignore' }); await new Promise((done, failed) => child.on('spawn', done).on('error', failed)); } return count;";
    let ended = hostile(bomb, "limits = { processes = 60 }");
    assert_eq!(ended.bare, 80);
    ended
        .run
        .refuses(120, "build-limit", "4.18")
        .says("its limit");
    assert!(
        [json!("EAGAIN"), Value::Null].contains(&ended.ours),
        "{}",
        ended.ours
    );

    let hang = "await sleep(4000); return 'late';";
    let ended = hostile(hang, "limits = { seconds = 1 }");
    ended.ends(&json!("late"), &Value::Null, "build-limit", "4.18");
    ended.run.says("it took longer than 1 s");

    let spin = "while (process.cpuUsage().user < 4e6); return 'spun';";
    let ended = hostile(spin, "limits = { cpu-seconds = 1 }");
    ended.ends(&json!("spun"), &Value::Null, "build-limit", "4.18");

    let large =
        "fs.writeFileSync('large', Buffer.alloc(8 << 20)); return fs.statSync('large').size;";
    let ended = hostile(large, "limits = { file-mib = 2 }");
    ended.ends(&json!(8 << 20), &json!("EFBIG"), "build-limit", "4.18");
    ended.run.says("reached the limit of 2 MiB");

    let fill = "for (let n = 0; n < 30; n++) { fs.writeFileSync('part' + n, Buffer.alloc(2 << 20, 1)); await sleep(60); } return 'full';";
    let ended = hostile(fill, "limits = { disk-mib = 8 }");
    ended.ends(&json!("full"), &Value::Null, "build-limit", "4.18");

    let grow = "const kept = []; for (let n = 0; n < 30; n++) { kept.push(Buffer.alloc(16 << 20, 1)); await sleep(40); } return kept.length;";
    let ended = hostile(grow, "limits = { memory-mib = 250 }");
    ended.ends(&json!(30), &Value::Null, "build-limit", "4.18");
    ended.run.says("more than 250 MiB of memory");
}
