//! Configuration: the project's is checked key by key, credentials stay outside the sandbox.
//!
//! Rows P03 to P06. A key that runs code or weakens verification must be refused by name, file and
//! line; bare npm obeys it, which the controls show.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use serde_json::json;

use crate::attack::Stage;
use crate::project::Project;
use crate::registry::authority::{Authority, Identity};
use crate::registry::package::Package;
use crate::registry::{Registry, Setup};

/// Keys that a project may not set.
const REFUSED: [&str; 22] = [
    "script-shell=./evil.sh",
    "node-options=--require ./evil.js",
    "git=./evil.sh",
    "shell=./evil.sh",
    "editor=./evil.sh",
    "viewer=./evil.sh",
    "ignore-scripts=false",
    "dangerously-allow-all-scripts=true",
    "strict-ssl=false",
    "cafile=./ca.pem",
    "ca=anything",
    "proxy=http://localhost:1",
    "https-proxy=http://localhost:1",
    "noproxy=localhost",
    "prefix=../elsewhere",
    "userconfig=./other",
    "globalconfig=./other",
    "allow-git=all",
    "allow-remote=all",
    "_authToken=abc",
    "a-key-that-nobody-knows=1",
    "SCRIPT-SHELL=./evil.sh",
];

#[test]
fn dangerous_keys_are_refused_by_key_file_and_line() {
    let registry = Registry::start();
    let project = Project::locked(&registry, json!({}));
    for line in REFUSED {
        project.file(".npmrc", &format!("; ours\nsave-exact=true\n{line}\n"));
        let run = project.v4run(&["npm", "ci"]).run();
        run.exits(126);
        let violation = &run.record().violations()[0];
        assert_eq!(
            violation["code"],
            "config-refused",
            "{line}\n{}",
            run.told()
        );
        let key = line.split('=').next().unwrap();
        run.says(key.trim_end_matches(":_authToken"))
            .says(".npmrc")
            .says('3'.to_string().as_str());
    }
    assert!(registry.seen().is_empty());
}

#[test]
fn harmless_keys_of_the_project_have_their_effect() {
    let registry = Registry::start();
    registry.publish(&Package::new("leaf", "1.0.0"));
    let project = Project::new(&registry);
    project.file(
        ".npmrc",
        "save-exact=true\nfund=false\nloglevel=warn\nstrict-ssl=true\n",
    );
    project.v4run(&["npm", "install", "leaf"]).run().succeeds();
    let manifest = fs::read_to_string(project.path("package.json")).unwrap();
    assert!(manifest.contains("\"leaf\": \"1.0.0\""), "{manifest}");
}

/// A project whose dependency has a harmless script, and a script of the attacker in the project.
fn armed() -> (Registry, Project) {
    let registry = Registry::start();
    registry.publish(&Package::new("armed", "1.0.0").script("postinstall", "node -e 0"));
    let project = Project::locked(&registry, json!({ "armed": "1.0.0" }));
    let canary = project.outside("canary");
    project.file(
        "evil.sh",
        &format!("#!/bin/sh\necho ran > '{}'\n", canary.display()),
    );
    fs::set_permissions(project.path("evil.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    let script = format!(
        "require('fs').writeFileSync({:?}, 'ran')",
        canary.to_str().unwrap()
    );
    project.file("evil.js", &script);
    (registry, project)
}

#[test]
fn p03_p04_keys_that_name_programs_work_in_bare_npm() {
    for line in [
        "script-shell=DIR/evil.sh",
        "node-options=--require DIR/evil.js",
        "git=DIR/evil.sh",
    ] {
        let (_registry, project) = armed();
        let canary = project.outside("canary");
        let line = line.replace("DIR", project.directory().to_str().unwrap());
        project.file(".npmrc", &line);
        let arguments: &[&str] = match line.starts_with("git") {
            true => &["install", "git+https://localhost:1/x.git"],
            false => &["ci"],
        };
        project.npm(arguments).run();
        assert!(
            fs::remove_file(&canary).is_ok(),
            "the control does not fire: {line}"
        );
        let run = project.v4run(&[&["npm"], arguments].concat()).run();
        run.refuses(126, "config-refused", "4.18");
        assert!(!canary.exists(), "{line}");
    }
}

#[test]
fn p05_options_for_node_in_the_caller_s_environment() {
    let (_registry, project) = armed();
    let canary = project.outside("canary");
    let options = format!("--require {}", project.path("evil.js").display());
    project
        .npm(&["--version"])
        .env("NODE_OPTIONS", &options)
        .run();
    assert!(
        fs::remove_file(&canary).is_ok(),
        "the control does not fire"
    );
    project
        .v4run(&["npm", "ci"])
        .env("NODE_OPTIONS", &options)
        .run()
        .succeeds();
    assert!(!canary.exists());
}

#[test]
fn p05_preloaded_libraries_and_other_variables_are_not_handed_on() {
    let stage = Stage::new();
    let attack = "return JSON.stringify(process.env);";
    let names = [
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "LD_AUDIT",
        "GLIBC_TUNABLES",
        "NODE_PATH",
        "NODE_OPTIONS",
        "NODE_TLS_REJECT_UNAUTHORIZED",
        "NODE_EXTRA_CA_CERTS",
        "npm_config_script_shell",
        "npm_config_ignore_scripts",
        "GIT_SSH_COMMAND",
        "BASH_ENV",
        "NO_PROXY",
        "SSH_AUTH_SOCK",
    ];
    let marked = |invocation: crate::run::Invocation| {
        names.iter().fold(invocation, |invocation, name| {
            // Nothing that the loader or node would choke on before the attack runs.
            let value = match *name {
                "NODE_OPTIONS" => "--title=nonce",
                "NODE_TLS_REJECT_UNAUTHORIZED" => "1",
                _ => "/nonce",
            };
            invocation.env(name, value)
        })
    };
    let ours = stage.outcome(marked(stage.hostile(attack)));
    let text = ours.result["value"]
        .as_str()
        .unwrap_or_else(|| panic!("{}", ours.run.told()));
    assert!(!text.contains("nonce"), "{text}");
    let environment: serde_json::Value = serde_json::from_str(text).unwrap();
    for name in [
        "LD_PRELOAD",
        "NODE_OPTIONS",
        "NODE_TLS_REJECT_UNAUTHORIZED",
        "SSH_AUTH_SOCK",
    ] {
        assert!(environment[name].is_null(), "{name}: {text}");
    }
}

#[test]
fn p06_an_authority_of_the_environment_is_not_trusted() {
    // The attacker has a registry with a certificate of his own CA, and one variable.
    let registry = Registry::with(Setup {
        identity: Identity::Good,
        ..Setup::default()
    });
    registry.publish(&Package::new("leaf", "1.0.0"));
    let project = Project::locked(&registry, json!({ "leaf": "1.0.0" }));
    project.user_config(&format!("registry={}\n", registry.base()));
    let authority = project.authority_file();
    // A machine-wide `cafile` would replace the variable.
    let bare = project
        .npm(&["ci"])
        .env("npm_config_globalconfig", "/nonexistent")
        .env("NODE_EXTRA_CA_CERTS", &authority)
        .run();
    let fired = project.path("node_modules/leaf").exists();
    assert!(fired, "the control does not fire\n{}", bare.told());
    fs::remove_dir_all(project.path("node_modules")).unwrap();
    let run = project
        .v4run(&["npm", "ci"])
        .env("NODE_EXTRA_CA_CERTS", &authority)
        .run();
    run.refuses(120, "tls-invalid", "4.16");
    assert!(!project.path("node_modules/leaf").exists());
    // What the platform's own variable names is the platform's trust store.
    project
        .v4run(&["npm", "ci"])
        .env("SSL_CERT_FILE", &authority)
        .run()
        .succeeds();
}

#[test]
fn p06_verification_cannot_be_turned_off() {
    let registry = Registry::with(Setup {
        identity: Identity::SelfSigned,
        ..Setup::default()
    });
    registry.publish(&Package::new("leaf", "1.0.0"));
    let project = Project::locked(&registry, json!({ "leaf": "1.0.0" }));
    project.file(".npmrc", "strict-ssl=false\n");
    project.npm(&["ci"]).run().succeeds();
    assert!(
        project.path("node_modules/leaf").exists(),
        "the control does not fire"
    );
    project
        .v4run(&["npm", "ci"])
        .run()
        .refuses(126, "config-refused", "4.18");
    fs::remove_file(project.path(".npmrc")).unwrap();
    project
        .v4run(&["npm", "ci", "--no-strict-ssl"])
        .run()
        .refuses(126, "config-refused", "4.18");
    // The user's own file has no such power either.
    project.add_user_config("strict-ssl=false");
    project
        .v4run(&["npm", "ci"])
        .run()
        .refuses(120, "tls-invalid", "4.16");
    project
        .v4run(&["npm", "ci"])
        .env("npm_config_strict_ssl", "false")
        .env("NODE_TLS_REJECT_UNAUTHORIZED", "0")
        .run()
        .refuses(120, "tls-invalid", "4.16");
}

/// Two registries of one authority: the user's, and one that a project names.
fn two() -> (Registry, Registry) {
    let authority = Arc::new(Authority::new());
    let first = Registry::issued_by(Arc::clone(&authority), Setup::default());
    let second = Registry::issued_by(authority, Setup::default());
    (first, second)
}

#[test]
fn a_registry_that_the_project_names_needs_permission() {
    let (users, projects) = two();
    projects.publish(&Package::new("leaf", "1.0.0"));
    for line in [
        format!("registry={}", projects.base()),
        format!("@wood:registry={}", projects.base()),
    ] {
        let project = Project::locked(&projects, json!({ "leaf": "1.0.0" }));
        project.user_config(&format!(
            "registry={}\ncafile={}\n",
            users.base(),
            project.authority_file().display()
        ));
        project.file(".npmrc", &format!("\n{line}\n"));
        let run = project.v4run(&["npm", "ci"]).run();
        run.refuses(126, "registry-not-allowed", "4.1")
            .says(&projects.host())
            .says(".npmrc");
        project.file(
            "v4run.toml",
            &format!("[[repositories]]\nurl = \"{}\"\n", projects.base()),
        );
        project.v4run(&["npm", "ci"]).run().succeeds();
        fs::remove_file(project.path("v4run.toml")).unwrap();
        project.add_user_config(&format!("@anything:registry={}", projects.base()));
        project.v4run(&["npm", "ci"]).run().succeeds();
    }
    assert!(users.tarballs().is_empty());
}

#[test]
fn a_policy_with_a_mistake_is_not_used() {
    let registry = Registry::start();
    let project = Project::locked(&registry, json!({}));
    for text in [
        "[[repositories]\n",
        "\n\nrepositorys = []\n",
        "level = \"L9\"\n",
    ] {
        project.file("v4run.toml", text);
        project
            .v4run(&["npm", "ci"])
            .run()
            .exits(125)
            .says("v4run.toml")
            .says("policy-invalid");
    }
}

#[test]
fn a_token_goes_to_its_registry_and_not_into_the_sandbox() {
    let token = "npm_nonce0fASecretToken";
    let authority = Arc::new(Authority::new());
    let setup = Setup {
        token: Some(token.into()),
        ..Setup::default()
    };
    let private = Registry::issued_by(Arc::clone(&authority), setup);
    let open = Registry::issued_by(authority, Setup::default());
    private.publish(&Package::new("@wood/secret", "1.0.0"));
    open.publish(&Package::new("leaf", "1.0.0"));
    let mut project = Project::new(&open);
    project.secret(token);
    project.manifest(&json!({
        "name": "project", "version": "1.0.0",
        "dependencies": { "@wood/secret": "1.0.0", "leaf": "1.0.0" },
    }));
    project.add_user_config(&format!("@wood:registry={}", private.base()));
    let run = project.v4run(&["npm", "install"]).run();
    assert_ne!(run.code(), 0, "{}", run.told());
    for line in [
        format!("//{}/:_authToken={token}", private.host()),
        format!("//{}/:_authToken=${{TOKEN}}", private.host()),
    ] {
        let _ = fs::remove_dir_all(project.path("node_modules"));
        let _ = fs::remove_dir_all(project.home().join(".cache"));
        let before = fs::read_to_string(project.home().join(".npmrc")).unwrap();
        project.add_user_config(&line);
        project
            .v4run(&["npm", "install"])
            .env("TOKEN", token)
            .run()
            .succeeds();
        assert!(project.path("node_modules/@wood/secret/index.js").exists());
        project.user_config(&before);
        fs::remove_file(project.path("package-lock.json")).unwrap();
    }
    let leaked = open
        .seen()
        .iter()
        .any(|seen| seen.header("authorization").is_some());
    assert!(!leaked, "the token went to another registry");
}

#[test]
fn a_token_variable_that_the_project_names_is_read_outside_the_sandbox() {
    // The usual committed form: the address in the project, the secret in the environment.
    let token = "npm_nonce0fASecretToken";
    let registry = Registry::with(Setup {
        token: Some(token.into()),
        ..Setup::default()
    });
    registry.publish(&Package::new("leaf", "1.0.0"));
    let mut project = Project::locked(&registry, json!({ "leaf": "1.0.0" }));
    project.secret(token);
    project.file(
        ".npmrc",
        &format!("//{}/:_authToken=${{TOKEN}}\n", registry.host()),
    );
    project.npm(&["ci"]).env("TOKEN", token).run().succeeds();
    project
        .v4run(&["npm", "ci"])
        .env("TOKEN", token)
        .run()
        .succeeds();
}

#[test]
fn hostile_code_in_the_manager_finds_no_token() {
    let token = "npm_nonce0fASecretToken";
    let mut stage = Stage::new();
    stage.project.secret(token);
    let line = format!("//{}/:_authToken={token}", stage.registry.host());
    stage.project.add_user_config(&line);
    stage.registry.publish(&Package::new("thing", "1.0.0"));
    // Everything that the process was given: environment, arguments, every file that they name
    // and everything readable below the directories that they name; then a request that works.
    let attack = r"
        const words = [...process.argv, ...Object.values(process.env)]
            .flatMap((word) => [word, word.replace(/^--[^=]*=/, '')]);
        let text = words.join('\n');
        const look = (name, depth) => {
            try {
                if (fs.statSync(name).isDirectory()) {
                    if (depth < 3) for (const e of fs.readdirSync(name)) look(path.join(name, e), depth + 1);
                } else text += fs.readFileSync(name, 'latin1');
            } catch {}
        };
        for (const word of words) if (word.startsWith('/tmp') || word.startsWith(where.outside)) look(word, 0);
        const status = await request({ host: 'localhost', port: where.registry, name: 'localhost',
            lines: ['GET /thing HTTP/1.1', `Host: localhost:${where.registry}`] });
        return { text, status };
    ";
    let bare = stage.outcome(stage.bare(&format!(
        "const text = fs.readFileSync(`${{where.home}}/.npmrc`, 'utf8'); return {{ text }};"
    )));
    assert!(
        bare.result["value"]["text"]
            .as_str()
            .unwrap()
            .contains(token)
    );
    let ours = stage.outcome(stage.hostile(attack));
    assert_eq!(
        ours.result["value"]["status"],
        200,
        "{}\n{}",
        ours.result,
        ours.run.told()
    );
    assert!(!ours.result.to_string().contains(token));
    let sent = stage.registry.seen();
    let sent = sent.iter().find(|seen| seen.path == "/thing").unwrap();
    assert_eq!(
        sent.header("authorization"),
        Some(format!("Bearer {token}").as_str())
    );
}
