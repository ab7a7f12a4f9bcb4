//! What a project, the environment and a second index may not say to pip.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::python::Python;
use crate::python::wheel::Wheel;
use crate::registry::authority::Identity;
use crate::registry::{Registry, Setup};

/// A second index with the same authority.
fn beside(registry: &Registry, setup: Setup) -> Registry {
    Registry::issued_by(Arc::clone(registry.authority()), setup)
}

/// A wheel of that version that says where it is from.
fn publish(registry: &Registry, name: &str, version: &str, from: &str) {
    let module = format!("FROM = '{from}'\n");
    Wheel::bare(name, version)
        .file(&format!("{name}.py"), module.as_bytes())
        .publish(registry);
}

fn from(python: &Python, name: &str) -> Option<String> {
    let text = fs::read_to_string(python.packages().join(format!("{name}.py"))).ok()?;
    Some(text.split('\'').nth(1)?.to_owned())
}

#[test]
fn a_requirements_file_may_not_name_another_index() {
    let registry = Registry::start();
    let evil = beside(&registry, Setup::default());
    let python = Python::new(&registry);
    publish(&evil, "leaf", "9.0", "evil");
    let index = evil.python_index();
    let page = format!("{index}leaf/");
    for (line, code, control) in [
        (
            format!("--index-url {index}"),
            "registry-not-allowed",
            "4.1",
        ),
        (format!("-i {index}"), "registry-not-allowed", "4.1"),
        (
            format!("--extra-index-url={index}"),
            "registry-not-allowed",
            "4.1",
        ),
        (format!("--find-links {page}"), "config-refused", "4.18"),
    ] {
        let text = format!("# innocent\n{line}\nleaf\n");
        python.project.file("deep/r.txt", &text);
        python.project.file("r.txt", "-r deep/r.txt\n");
        python.pip(&["install", "-r", "r.txt"]).run().succeeds();
        assert_eq!(
            from(&python, "leaf").as_deref(),
            Some("evil"),
            "the control: {line}"
        );
        python.clear();
        let before = evil.connections();
        let run = python.v4run(&["install", "-r", "r.txt"]).run();
        run.refuses(126, code, control).says("deep/r.txt:2");
        assert_eq!(evil.connections(), before, "{line}");
        assert_eq!(from(&python, "leaf"), None);
    }
    // Once the policy lists it, the project may choose it.
    python.project.file(
        "v4run.toml",
        &format!("[[repositories]]\nurl = '{index}'\n"),
    );
    python.project.file("r.txt", &format!("-i {index}\nleaf\n"));
    python.v4run(&["install", "-r", "r.txt"]).run().succeeds();
}

#[test]
fn a_requirements_file_may_not_turn_verification_off() {
    let registry = Registry::with(Setup {
        identity: Identity::SelfSigned,
        ..Setup::default()
    });
    let python = Python::new(&registry);
    publish(&registry, "leaf", "1.0", "anybody");
    python
        .project
        .file("r.txt", "leaf\n--trusted-host localhost\n");
    python.pip(&["install", "-r", "r.txt"]).run().succeeds();
    assert!(from(&python, "leaf").is_some(), "the control does not fire");
    python.clear();
    let before = registry.seen().len();
    let run = python.v4run(&["install", "-r", "r.txt"]).run();
    run.refuses(126, "config-refused", "4.18").says("r.txt:2");
    // The environment's own configuration is the project's too, where it lies in the project.
    let inside = python.project.path("venv");
    fs::rename(python.environment(), &inside).unwrap();
    fs::write(
        inside.join("pip.conf"),
        "[global]\ntrusted-host = localhost\n",
    )
    .unwrap();
    let pip = inside.join("bin/python3");
    let words = [pip.to_str().unwrap(), "-m", "pip", "install", "leaf"];
    let run = python.v4run_word(&words).run();
    run.refuses(126, "config-refused", "4.18")
        .says("pip.conf:2");
    assert_eq!(registry.seen().len(), before);
}

#[test]
fn missing_digests_where_digests_are_asked_for() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    let digest = Wheel::new("oak", "1.0").requires("leaf").publish(&registry);
    Wheel::new("leaf", "1.0").publish(&registry);
    let hashed = format!("oak==1.0 --hash=sha256:{digest}\n");
    for (text, word) in [
        (hashed.clone(), "leaf"),
        (format!("{hashed}leaf==1.0\n"), "leaf"),
        ("--require-hashes\nleaf==1.0\n".to_owned(), "leaf"),
    ] {
        python.project.file("r.txt", &text);
        let run = python.v4run(&["install", "-r", "r.txt"]).run();
        run.exits(1).says(word);
        assert!(!python.packages().join("oak.py").exists());
        assert!(!python.packages().join("leaf.py").exists());
    }
    // The control: without the first digest both are installed.
    python.project.file("r.txt", "oak==1.0\nleaf==1.0\n");
    python.v4run(&["install", "-r", "r.txt"]).run().succeeds();
    for (text, code) in [
        (
            "leaf==1.0 --hash=md5:0123456789abcdef0123456789abcdef\n",
            "integrity-weak",
        ),
        (
            &format!("leaf>=1.0 --hash=sha256:{digest}\n"),
            "integrity-missing",
        ),
    ] {
        python.project.file("r.txt", text);
        let run = python.v4run(&["install", "-r", "r.txt"]).run();
        run.refuses(126, code, "4.13").says("r.txt:1");
    }
}

#[test]
fn a_name_on_two_indexes_needs_a_pin() {
    let internal = Registry::start();
    let open = beside(&internal, Setup::default());
    let python = Python::new(&internal);
    publish(&internal, "core", "1.0", "internal");
    publish(&internal, "own", "1.0", "internal");
    publish(&open, "leaf", "1.0", "open");
    let path = python.project.home().join(".config/pip/pip.conf");
    let text = fs::read_to_string(&path).unwrap();
    let extra = format!("{text}extra-index-url = {}\n", open.python_index());
    fs::write(&path, extra).unwrap();
    // As long as each name is on one index, two are fine.
    python.v4run(&["install", "core", "leaf"]).run().succeeds();
    assert_eq!(from(&python, "core").as_deref(), Some("internal"));
    assert_eq!(from(&python, "leaf").as_deref(), Some("open"));
    python.clear();
    // Somebody publishes a higher version of an internal name where anybody can.
    publish(&open, "core", "99.0", "open");
    python.pip(&["install", "core"]).run().succeeds();
    assert_eq!(
        from(&python, "core").as_deref(),
        Some("open"),
        "the control"
    );
    python.clear();
    let run = python.v4run(&["install", "core"]).run();
    run.refuses(120, "name-ambiguous", "4.1")
        .says(&internal.host())
        .says(&open.host())
        .says("hint:");
    assert_eq!(from(&python, "core"), None);
    // A pin says which is meant, by name or by beginning.
    for key in ["name = 'Core'", "prefix = 'co'"] {
        let pin = format!(
            "[[pins]]\n{key}\nrepository = '{}'\n",
            internal.python_index()
        );
        python.project.file("v4run.toml", &pin);
        let before = pages(&open, "core");
        python.v4run(&["install", "core", "leaf"]).run().succeeds();
        assert_eq!(from(&python, "core").as_deref(), Some("internal"), "{key}");
        // The other one is not even told the name.
        assert_eq!(pages(&open, "core"), before);
        python.clear();
    }
}

fn pages(registry: &Registry, name: &str) -> usize {
    let path = format!("/simple/{name}/");
    registry
        .seen()
        .iter()
        .filter(|seen| seen.path == path)
        .count()
}

#[test]
fn a_pinned_name_comes_from_nowhere_else() {
    // The internal index is forgotten; the open one has the name, alone in this run.
    let open = Registry::start();
    let python = Python::new(&open);
    publish(&open, "core", "99.0", "open");
    python.v4run(&["install", "core"]).run().succeeds();
    python.clear();
    python.project.file(
        "v4run.toml",
        "[[pins]]\nprefix = 'core'\nrepository = 'https://internal.invalid/simple/'\n",
    );
    let before = pages(&open, "core");
    let run = python.v4run(&["install", "core"]).run();
    run.refuses(120, "repository-refused", "4.1")
        .says("https://internal.invalid/simple/")
        .says("v4run.toml:2");
    assert_eq!(pages(&open, "core"), before);
    assert_eq!(from(&python, "core"), None);
    // What cannot be a pin is an error with its line.
    python.project.file(
        "v4run.toml",
        "[[pins]]\nname = 'l\u{e9}af'\nrepository = 'https://x.invalid/'\n",
    );
    let run = python.v4run(&["install", "core"]).run();
    run.exits(125).says("policy-invalid").says("v4run.toml:2");
}

#[test]
fn the_environment_injects_nothing() {
    let registry = Registry::start();
    let evil = beside(&registry, Setup::default());
    let python = Python::new(&registry);
    publish(&registry, "leaf", "1.0", "index");
    publish(&evil, "leaf", "9.0", "evil");
    let folder = python.project.outside("injected");
    let ran = python.environment().join("ran");
    fs::create_dir(&folder).unwrap();
    let code = format!("open({:?}, 'w').close()\n", ran.display().to_string());
    for name in [
        "sitecustomize.py",
        "usercustomize.py",
        "startup.py",
        "json.py",
        "site.py",
    ] {
        fs::write(folder.join(name), &code).unwrap();
    }
    let folder = folder.display().to_string();
    let startup = format!("{folder}/startup.py");
    let variables = [
        ("PYTHONPATH", folder.as_str()),
        ("PYTHONSTARTUP", startup.as_str()),
        ("PYTHONUSERBASE", folder.as_str()),
        ("PYTHONBREAKPOINT", "startup.main"),
        ("PIP_TRUSTED_HOST", "localhost"),
        ("PIP_PYTHON", "/bin/false"),
    ];
    let bare = python.pip(&["list"]).env("PYTHONPATH", &folder).run();
    assert!(ran.exists(), "the control does not fire\n{}", bare.told());
    fs::remove_file(&ran).unwrap();
    for (name, value) in variables {
        let run = python.v4run(&["list"]).env(name, value).run();
        assert!(!ran.exists(), "{name}");
        // Ended as asked, or refused with the name of the variable.
        if run.code() != 0 {
            run.exits(126).says(name);
        }
    }
    // A variable is the user's own word, so an index there counts; the project's does not.
    let run = python.v4run(&["install", "leaf"]);
    run.env("PIP_INDEX_URL", evil.python_index())
        .run()
        .succeeds();
    assert_eq!(from(&python, "leaf").as_deref(), Some("evil"));
    for (name, value) in [
        ("PYTHONHOME", folder.as_str()),
        ("LD_PRELOAD", "/nonexistent.so"),
        ("PYTHONEXECUTABLE", "/bin/false"),
        ("__PYVENV_LAUNCHER__", "/bin/false"),
    ] {
        let run = python.v4run(&["list"]).env(name, value).run();
        run.succeeds();
        assert!(!ran.exists(), "{name}");
    }
}

/// An index that wants a login, and what its requests carried.
fn guarded() -> (Registry, Python) {
    let registry = Registry::with(Setup {
        login: Some(("reader", "hidden-word")),
        ..Setup::default()
    });
    publish(&registry, "leaf", "1.0", "guarded");
    let mut python = Python::new(&registry);
    python.project.secret("hidden-word");
    python
        .project
        .secret(&STANDARD.encode("reader:hidden-word"));
    (registry, python)
}

#[test]
fn credentials_go_to_their_index_and_nowhere_else() {
    let (registry, python) = guarded();
    // Without: pip's own failure, with a cause.
    let run = python.v4run(&["install", "leaf"]).run();
    run.exits(1).says("upstream-failed").says("401");
    // In the address.
    let address = registry
        .python_index()
        .replace("https://", "https://reader:hidden-word@");
    let index = format!("--index-url={address}");
    for (arguments, netrc) in [
        (vec!["install", index.as_str(), "leaf"], false),
        (vec!["install", "leaf"], true),
    ] {
        if netrc {
            let path = python.project.home().join(".netrc");
            fs::write(
                &path,
                "machine localhost login reader password hidden-word\n",
            )
            .unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let run = python.v4run(&arguments).run();
        run.succeeds();
        assert_eq!(from(&python, "leaf").as_deref(), Some("guarded"));
        python.clear();
    }
    // Not even to a file host that the index names.
    let files = beside(&registry, Setup::default());
    let digest = Wheel::new("far", "1.0").publish(&files);
    let name = "far-1.0-py3-none-any.whl";
    let address = files.file_url(name);
    registry.publish_link("far", name, &address, &format!("sha256={digest}"));
    python.v4run(&["install", "far"]).run().succeeds();
    let seen = files.seen();
    assert!(
        !seen.is_empty()
            && seen
                .iter()
                .all(|seen| seen.header("authorization").is_none())
    );
    // The sandbox never sees them: a pip that looks finds neither variable, file nor argument.
    let program = python.packages().join("pip/_internal/cli/main.py");
    let text = fs::read_to_string(&program).unwrap();
    let netrc = python.project.home().join(".netrc").display().to_string();
    let look = format!(
        "import os, sys\nprint('LOOKED', sys.argv, dict(os.environ))\n\
         try:\n    print(open({netrc:?}).read())\nexcept OSError: print('CLOSED')\n"
    );
    let future = "from __future__ import annotations\n";
    let text = match text.strip_prefix(future) {
        Some(rest) => format!("{future}{look}{rest}"),
        None => format!("{look}{text}"),
    };
    fs::write(&program, text).unwrap();
    let run = python.v4run(&["install", index.as_str(), "leaf"]).run();
    assert!(
        run.stdout.contains("LOOKED") && run.stdout.contains("CLOSED"),
        "{}",
        run.told()
    );
}

#[test]
fn the_keyring_is_not_consulted() {
    let (registry, python) = guarded();
    let ran = python.environment().join("ran");
    let mark = format!("open({:?}, 'w').close()\n", ran.display().to_string());
    let module = format!(
        "{mark}class Found:\n    username, password = 'reader', 'hidden-word'\n\
         def get_credential(*rest): return Found\ndef get_password(*rest): return 'hidden-word'\n"
    );
    fs::write(python.packages().join("keyring.py"), &module).unwrap();
    let folder = python.project.outside("programs");
    fs::create_dir(&folder).unwrap();
    let program = folder.join("keyring");
    fs::write(
        &program,
        format!("#!/bin/sh\n: > '{}'\necho hidden-word\n", ran.display()),
    )
    .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.display());
    // An older pip has no choice: it takes the module, and only when it may ask.
    let choice = python
        .installed("pip/_internal/cli/cmdoptions.py")
        .contains("keyring-provider");
    let providers: &[&str] = match choice {
        true => &["import", "subprocess"],
        false => &["import"],
    };
    for provider in providers {
        let address = registry
            .python_index()
            .replace("https://", "https://reader@");
        let index = format!("--index-url={address}");
        let arguments = ["install", index.as_str(), "leaf"];
        let bare = python.pip(&arguments).env("PATH", &path);
        let bare = bare.env_remove("PIP_NO_INPUT");
        let bare = bare.env("PIP_KEYRING_PROVIDER", provider).run();
        assert!(
            ran.exists(),
            "the control does not fire: {provider}\n{}",
            bare.told()
        );
        fs::remove_file(&ran).unwrap();
        python.clear();
        fs::write(python.packages().join("keyring.py"), &module).unwrap();
        let run = python.v4run(&arguments).env("PATH", &path);
        let run = run.env("PIP_KEYRING_PROVIDER", provider).run();
        assert!(!ran.exists(), "{provider}");
        run.exits(1).says("401").says("config-ignored");
    }
}
