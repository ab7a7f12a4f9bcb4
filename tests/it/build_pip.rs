//! `--build` with pip: approved source archives become wheels without network, and nobody else's code runs.
//!
//! The native module is a real one: compiled by the machine's compiler against Python's headers, imported
//! afterwards. Its backend comes as a verified wheel from the registry. The hostile ones are judged as
//! everywhere: bare, the build succeeds in what it tries; by v4run it fails with the errno, the exit status and
//! the record entry that are said.

use std::fs;
use std::net::TcpListener;

use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use crate::build_npm::void;
use crate::python::Python;
use crate::python::source::{DESCRIBED, SOURCE, archive};
use crate::python::wheel::Wheel;
use crate::registry::Registry;
use crate::run::Run;

/// A backend that runs what the source holds, compiles its module, and packs everything into a wheel.
const BACKEND: &str = r#"
import base64, hashlib, os, subprocess, sysconfig, zipfile

def build_wheel(out, settings=None, metadata=None):
    files = {}
    if os.path.exists("attack.py"):
        scope = {}
        try:
            exec(open("attack.py").read(), scope)
            told = scope["attack"]()
        except OSError as error:
            told = error.errno
        print("RESULT", told, "END")
        files["result.txt"] = str(told).encode()
    if os.path.exists("answer.c"):
        made = "answer" + sysconfig.get_config_var("EXT_SUFFIX")
        subprocess.run(["cc", "-shared", "-fPIC", "-I" + sysconfig.get_path("include"), "answer.c",
                        "-o", made], check=True)
        files[made] = open(made, "rb").read()
    return pack(out, files)

def build_editable(out, settings=None, metadata=None):
    return pack(out, {"thing.pth": os.getcwd().encode()})

def pack(out, files):
    said = open("PKG-INFO", "rb").read()
    files["thing-1.0.dist-info/METADATA"] = said
    files["thing-1.0.dist-info/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    rows = []
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.append("%s,sha256=%s,%d\n" % (name, digest, len(content)))
    rows.append("thing-1.0.dist-info/RECORD,,\n")
    files["thing-1.0.dist-info/RECORD"] = "".join(rows).encode()
    name = "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(out, name), "w") as wheel:
        for path, content in files.items():
            wheel.writestr(path, content)
    return name
"#;

const ANSWER: &str = r#"
#include <Python.h>
static PyObject *value(PyObject *self, PyObject *none) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"value", value, METH_NOARGS, ""}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "answer", NULL, -1, methods};
PyMODINIT_FUNC PyInit_answer(void) { return PyModule_Create(&module); }
"#;

const PROJECT: &str = "[build-system]\nrequires = ['builder>=1']\nbuild-backend = 'builder'\n\
                       [project]\nname = 'thing'\nversion = '1.0'\n";

/// As policies and records write it.
fn sri(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    let text = base64::engine::general_purpose::STANDARD.encode(digest);
    format!("sha256-{text}")
}

/// A registry with the backend and the source, and an environment with pip.
struct Scene {
    registry: Registry,
    python: Python,
    content: Vec<u8>,
}

impl Scene {
    fn new(files: &[(&str, &str)]) -> Self {
        let registry = Registry::start();
        let python = Python::new(&registry);
        Wheel::bare("builder", "1.0")
            .file("builder.py", BACKEND.as_bytes())
            .publish(&registry);
        let described = [files, &[("pyproject.toml", PROJECT)]].concat();
        let content = archive(&described);
        registry.publish_file("thing", SOURCE, &content);
        Self {
            registry,
            python,
            content,
        }
    }

    /// An approval as a person would write it.
    fn approve(&self, more: &str) {
        let text = format!(
            "[[builds]]\npurl = \"pkg:pypi/thing@1.0\"\ndigest = \"{}\"\nowner = \"build team\"\n\
             reason = \"needs a native module\"\nexpires = \"2999-12-31\"\n{more}\n",
            sri(&self.content)
        );
        self.python.project.file("v4run.toml", &text);
    }

    /// The toolchain that it takes on this machine.
    fn tools(&self) -> String {
        let python = self.python.program("python").canonicalize().unwrap();
        let own = python.parent().unwrap().display().to_string();
        format!("toolchain = [{own:?}, \"/usr/bin\", \"/usr/lib/gcc\"]")
    }

    /// `v4run OPTIONS pip ARGUMENTS`.
    fn v4run(&self, options: &[&str], arguments: &[&str]) -> Run {
        let pip = self.python.program("pip").display().to_string();
        let mut words: Vec<&str> = options.to_vec();
        words.push(&pip);
        words.extend(arguments);
        self.python.v4run_word(&words).run()
    }

    fn is_installed(&self) -> bool {
        self.python.packages().join("thing-1.0.dist-info").exists()
    }

    /// Imports the module in the environment.
    fn imports(&self, code: &str) -> bool {
        let argv = [
            self.python.program("python").into_os_string(),
            "-c".into(),
            code.into(),
        ];
        self.python.project.command(argv.into()).run().code() == 0
    }
}

fn status(run: &Run, control: &str) -> String {
    let controls = run.record().summary["controls"].as_array().unwrap();
    let found = controls.iter().find(|one| one["id"] == control).unwrap();
    found["status"].as_str().unwrap().to_owned()
}

const IMPORT: &str = "import answer, sys; sys.exit(answer.value() != 42)";

#[test]
fn a_source_is_refused_with_the_approval_that_it_takes_and_builds_with_it() {
    let scene = Scene::new(&[
        ("answer.c", ANSWER),
        ("setup.py", "raise SystemExit('# ]]')\n"),
    ]);
    let digest = sri(&scene.content);
    scene
        .v4run(&[], &["install", "thing"])
        .exits(1)
        .says("offered as source only")
        .says("v4run build --propose pip install");
    let refused = scene.v4run(&["--build"], &["install", "thing"]);
    refused.refuses(126, "build-unapproved", "4.18");
    refused
        .says("[[builds]]")
        .says(&digest)
        .says("builder, which requires builder>=1");
    assert!(!scene.is_installed());

    let proposed = scene.v4run(&["build", "--propose"], &["install", "thing"]);
    proposed.succeeds();
    let text = &proposed.stdout;
    assert!(
        text.contains("# pkg:pypi/thing@1.0 in thing-1.0 wants to run:"),
        "{text}"
    );
    assert!(text.contains("#   | raise SystemExit('# ]]')"), "{text}");
    assert!(!scene.is_installed());
    // As it is printed it has no owner, and the policy refuses it.
    scene.python.project.file("v4run.toml", text);
    scene
        .v4run(&["--build"], &["install", "thing"])
        .exits(125)
        .says("v4run.toml");
    let filled = text
        .replace("owner = \"\"", "owner = \"build team\"")
        .replace("reason = \"\"", "reason = \"needs a native module\"")
        .replace("expires = \"\"", "expires = \"2999-12-31\"");
    scene.python.project.file("v4run.toml", &filled);
    let run = scene.v4run(&["--build"], &["install", "thing"]);
    run.succeeds();
    assert!(scene.imports(IMPORT));

    let record = run.record();
    assert!(record.violations().is_empty(), "{}", run.told());
    assert_eq!(status(&run, "4.18"), "waived", "{}", run.told());
    assert_eq!(status(&run, "4.13"), "enforced", "{}", run.told());
    run.says("build team answers until 2999-12-31 for code of pkg:pypi/thing@1.0");
    record.event("build-started", |event| {
        event["purl"] == "pkg:pypi/thing@1.0"
            && event["script"] == "build_wheel"
            && event["digest"] == digest.as_str()
    });
    // What it required came verified, and nothing of it was installed beside.
    record.event("released", |event| event["name"] == "builder");
    assert!(!scene.python.packages().join("builder.py").exists());
    record.event("build-program", |event| {
        event["path"].as_str().unwrap().ends_with("/cc1")
    });
    let wheel = record.event("build-file", |event| {
        event["path"] == "dist/thing-1.0-py3-none-any.whl"
    });
    record.event("installed", |event| {
        let digest = wheel["sha256"].as_str().unwrap();
        event["purl"] == "pkg:pypi/thing@1.0" && event["integrity"].to_string().contains(digest)
    });
    let ended = record.event("build-ended", |event| event["code"] == 0);
    assert!(ended["processes"].as_u64().unwrap() > 2, "{ended}");
    // The environment ends as if the index had offered that wheel.
    assert!(
        !scene
            .python
            .packages()
            .join("thing-1.0.dist-info/direct_url.json")
            .exists()
    );
}

#[test]
fn a_pinned_source_is_built_and_its_wheel_stands_for_it() {
    let scene = Scene::new(&[("answer.c", ANSWER)]);
    // A wheel is there too, but the pin does not name it.
    let other = Wheel::bare("thing", "1.0").publish(&scene.registry);
    scene.approve(&scene.tools());
    let builder = hex::encode(Sha256::digest(
        Wheel::bare("builder", "1.0")
            .file("builder.py", BACKEND.as_bytes())
            .build(),
    ));
    let pin = hex::encode(Sha256::digest(&scene.content));
    scene.python.project.file(
        "requirements.txt",
        &format!("thing==1.0 --hash=sha256:{pin}\n"),
    );
    scene.approve(&format!(
        "{}\nrequires = [\"builder==1.0 --hash=sha256:{builder}\"]",
        scene.tools()
    ));
    let run = scene.v4run(&["--build"], &["install", "-r", "requirements.txt"]);
    run.succeeds();
    assert!(scene.imports(IMPORT), "{}", run.told());

    // Where the wheel is pinned, nothing is built.
    scene.python.clear();
    scene.python.project.file(
        "requirements.txt",
        &format!("thing==1.0 --hash=sha256:{pin} --hash=sha256:{other}\n"),
    );
    let run = scene.v4run(&["--build"], &["install", "-r", "requirements.txt"]);
    run.succeeds();
    assert!(run.record().events("build-started").is_empty());
    assert!(scene.is_installed() && !scene.imports(IMPORT));

    // Another backend than the one that the approval pins.
    scene.python.clear();
    scene.python.project.file(
        "requirements.txt",
        &format!("thing==1.0 --hash=sha256:{pin}\n"),
    );
    scene.approve(&format!(
        "{}\nrequires = [\"builder==1.0 --hash=sha256:{pin}\"]",
        scene.tools()
    ));
    let run = scene.v4run(&["--build"], &["install", "-r", "requirements.txt"]);
    assert_eq!(run.code(), 120, "{}", run.told());
    assert!(run.record().events("build-started").is_empty() && !scene.is_installed());
}

#[test]
fn an_approval_is_about_these_bytes_and_these_days() {
    let scene = Scene::new(&[("answer.c", ANSWER)]);
    let path = scene.python.project.path("v4run.toml");
    scene.approve(&scene.tools());
    let good = fs::read_to_string(&path).unwrap();
    let other = sri(b"other bytes");
    let own = scene.python.program("python").canonicalize().unwrap();
    let own = format!("{:?}", own.parent().unwrap());
    let good = good.replace("\"/usr/bin\", ", "");
    let own = (own.as_str(), "\"/usr/share\"", "which runs every build");
    for (from, to, said) in void(&sri(&scene.content), &other).into_iter().chain([own]) {
        scene
            .python
            .project
            .file("v4run.toml", &good.replace(from, to));
        let run = scene.v4run(&["--build"], &["install", "thing"]);
        run.refuses(126, "build-unapproved", "4.18").says(said);
        assert!(!scene.is_installed(), "{said}");
    }
    // A page that does not hold to what it promises: the manager never sees those bytes.
    let registry = &scene.registry;
    let wrong = hex::encode(Sha256::digest(b"promised"));
    registry.publish_file_as(
        "late",
        "late-1.0.tar.gz",
        &scene.content,
        &format!("sha256={wrong}"),
    );
    let run = scene.v4run(&["--build"], &["install", "late"]);
    run.refuses(120, "integrity-mismatch", "4.13");
    assert!(run.record().events("build-started").is_empty());
}

/// A hostile build: what it came to bare, and by v4run under an approval.
struct Hostile {
    scene: Scene,
    bare: Option<String>,
    run: Run,
}

/// `attack` is the body of a function that returns what it came to; OUT is a place outside, SECRET a file
/// there, PORT a listener. Of an error its number is told.
fn hostile(attack: &str, limits: &str) -> Hostile {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let outside = tempfile::tempdir().unwrap();
    let (out, secret) = (outside.path().join("canary"), outside.path().join("secret"));
    fs::write(&secret, "a secret of the user").unwrap();
    let source = format!(
        "import os, socket, subprocess, sys, time\nOUT, SECRET, PORT = {out:?}, {secret:?}, {port}\n\n\
         def attack():\n    {attack}\n"
    );
    let scene = Scene::new(&[("attack.py", &source)]);
    let result = || fs::read_to_string(scene.python.packages().join("result.txt")).ok();
    scene
        .python
        .pip(&["install", "--no-cache-dir", "thing"])
        .run()
        .succeeds();
    let bare = result();
    scene.python.clear();
    let _ = fs::remove_file(&out);
    scene.approve(&format!("{}\n{limits}", scene.tools()));
    let run = scene.v4run(&["--build"], &["install", "thing"]);
    assert!(!out.exists());
    Hostile { scene, bare, run }
}

impl Hostile {
    /// Bare it comes to that, by v4run to that errno and finding.
    #[track_caller]
    fn ends(&self, bare: &str, ours: Option<i32>, code: &str, control: &str) {
        assert_eq!(
            self.bare.as_deref(),
            Some(bare),
            "the control\n{}",
            self.run.told()
        );
        if let Some(errno) = ours {
            let said = format!("RESULT {errno} END");
            assert!(self.run.stdout.contains(&said), "{}", self.run.told());
        }
        assert!(!self.scene.is_installed(), "{}", self.run.told());
        self.run.refuses(120, code, control);
    }
}

#[test]
fn a_build_has_no_network_and_no_place_outside() {
    hostile(
        "socket.create_connection(('127.0.0.1', PORT)); return 'connected'",
        "",
    )
    .ends("connected", Some(libc::EACCES), "network-refused", "4.1");
    hostile("open(OUT, 'w').write('x'); return 'written'", "").ends(
        "written",
        Some(libc::EACCES),
        "file-access-refused",
        "4.18",
    );
}

#[test]
fn a_build_reads_no_secret_and_runs_its_toolchain_only() {
    hostile("return open(SECRET).read()", "").ends(
        "a secret of the user",
        Some(libc::EACCES),
        "file-access-refused",
        "4.18",
    );
    let copy = "import shutil; shutil.copy('/usr/bin/true', 'own'); subprocess.run(['./own'], check=True); return 'ran'";
    hostile(copy, "").ends("ran", Some(libc::EACCES), "exec-refused", "4.18");
}

#[test]
fn a_build_ends_at_its_limits() {
    let ended = hostile("time.sleep(4); return 'late'", "limits = { seconds = 2 }");
    ended.ends("late", None, "build-limit", "4.18");
    ended.run.says("it took longer than 2 s");
    let bomb = "all = [subprocess.Popen(['sleep', '1']) for _ in range(80)]; return len(all)";
    hostile(bomb, "limits = { processes = 40 }").ends("80", None, "build-limit", "4.18");
}

#[test]
fn the_project_itself_is_built_by_a_switch_of_its_own() {
    let scene = Scene::new(&[]);
    let project = &scene.python.project;
    project.file("pyproject.toml", PROJECT);
    project.file("PKG-INFO", DESCRIBED);
    project.file("own_module.py", "WHO = 'the project'\n");
    project.file("attack.py", "def attack():\n    return 'ran'\n");
    for arguments in [&["install", "."][..], &["install", "-e", "."]] {
        scene
            .v4run(&["--build"], arguments)
            .refuses(126, "dependency-refused", "4.1")
            .says("--project");
        assert!(!scene.is_installed());
    }
    let run = scene.v4run(&["--project"], &["install", "."]);
    run.succeeds().says("the command line answers until");
    assert_eq!(scene.python.installed("result.txt"), "ran");
    assert_eq!(status(&run, "4.18"), "waived", "{}", run.told());
    scene.python.clear();
    let run = scene.v4run(&["--project"], &["install", "-e", "."]);
    run.succeeds();
    run.record()
        .event("build-started", |event| event["script"] == "build_editable");
    assert!(scene.imports("import own_module"), "{}", run.told());
    scene.python.clear();
    // What decides about the build, and what it is installed into, are not the build's own.
    for place in ["v4run.toml", "pyproject.toml", ".git/config"] {
        project.file(".git/config", "as it was");
        project.file("pyproject.toml", PROJECT);
        project.file(
            "attack.py",
            &format!("def attack():\n    open({place:?}, 'a').write('# evil')\n"),
        );
        let run = scene.v4run(&["--project"], &["install", "."]);
        run.refuses(120, "file-access-refused", "4.18");
        assert!(!scene.is_installed(), "{place}");
        let text = fs::read_to_string(project.path(place)).unwrap_or_default();
        assert!(!text.contains("evil"), "{place}");
    }
    // Nothing else is, whatever lies there.
    let outside = project.outside("other");
    fs::create_dir_all(&outside).unwrap();
    let outside = outside.display().to_string();
    scene
        .v4run(&["--project"], &["install", &outside])
        .refuses(126, "dependency-refused", "4.1")
        .says("lets nothing else be built");
}

#[test]
fn a_manager_that_builds_while_it_installs_says_so() {
    let scene = Scene::new(&[]);
    scene.python.project.file("requirements.txt", "thing\n");
    fs::remove_file(scene.python.project.path("package.json")).unwrap();
    scene
        .python
        .v4run_word(&["build"])
        .run()
        .exits(125)
        .says("v4run --build pip install");
    // A backend that asks for what the project does not state.
    let asks = "def get_requires_for_build_wheel(settings=None):\n    return ['missing>=1']\n";
    Wheel::bare("builder", "2.0")
        .file("builder.py", format!("{BACKEND}\n{asks}").as_bytes())
        .publish(&scene.registry);
    scene.approve(&scene.tools());
    let run = scene.v4run(&["--build"], &["install", "-r", "requirements.txt"]);
    run.exits(1)
        .says("\"builder>=1\", \"missing>=1\"")
        .says("did not succeed");
    assert!(!scene.is_installed());
}
