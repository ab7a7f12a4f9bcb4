//! Configuration of user and project, options, credentials.

use std::ffi::OsString;
use std::path::Path;

use super::{Layout, entry, variable, words};
use crate::manager::npm::prepare::prepare;
use crate::manager::{PrivateDirs, Request, Sources};
use crate::model::{Code, Credential, Event, Secret};
use crate::profile::AllowedRepository;

#[test]
fn the_projects_npmrc_is_judged_key_by_key() {
    let mut layout = Layout::new();
    layout.good_lock();
    layout.file("project/.npmrc", "save-exact=true\nomit[]=dev\nignore-scripts=true\nshamefully-hoist=true\nengine-strict=true\n");
    let prepared = layout.run("ci").unwrap();
    let view = prepared
        .files
        .views
        .iter()
        .find(|view| view.path.to_string_lossy().ends_with(".npmrc"))
        .unwrap();
    let text = String::from_utf8(view.content.clone()).unwrap();
    assert_eq!(
        text,
        "save-exact=true\nomit[]=dev\nignore-scripts=true\nengine-strict=true\n"
    );
    for (line, code) in [
        ("ignore-scripts=false", Code::ConfigRefused),
        ("script-shell=./evil", Code::ConfigRefused),
        ("node-options=--require ./evil.js", Code::ConfigRefused),
        ("git=./evil", Code::ConfigRefused),
        ("cafile=ca.pem", Code::ConfigRefused),
        ("ca=x", Code::ConfigRefused),
        ("strict-ssl=false", Code::ConfigRefused),
        ("https-proxy=https://p.invalid", Code::ConfigRefused),
        ("noproxy=standard.invalid", Code::ConfigRefused),
        ("prefix=/tmp", Code::ConfigRefused),
        ("global=true", Code::ConfigRefused),
        ("allow-git=all", Code::ConfigRefused),
        ("unheard-of=1", Code::ConfigRefused),
        ("script-${X}shell=sh", Code::ConfigRefused),
        ("[section]", Code::ConfigRefused),
        ("\"script-shell\"=sh", Code::ConfigRefused),
        ("//h.invalid/:tokenHelper=/bin/x", Code::ConfigRefused),
        ("//h.invalid/:certfile=/x", Code::ConfigRefused),
        ("tag=${HOME}", Code::ConfigRefused),
        ("_authToken=x", Code::ConfigRefused),
        ("registry=https://other.invalid/", Code::RegistryNotAllowed),
        (
            "@s:registry=https://other.invalid/",
            Code::RegistryNotAllowed,
        ),
        ("registry=http://standard.invalid/", Code::PlainHttp),
    ] {
        layout.file("project/.npmrc", &format!("; comment\r\n{line}\n"));
        let findings = layout.run("ci").unwrap_err().findings;
        assert_eq!(findings.len(), 1, "{line}");
        assert_eq!(findings[0].code, code, "{line}");
        assert!(
            findings[0].subject.ends_with("project/.npmrc:2"),
            "{}",
            findings[0].subject
        );
    }
}

#[test]
fn a_listed_registry_may_be_chosen_and_gets_its_credential() {
    let mut layout = Layout::new();
    let own = "https://own.invalid/npm/";
    layout.lock(&entry("a", "https://standard.invalid/a/-/a-1.0.0.tgz"));
    layout.set("TOKEN", "very-secret");
    layout.file(
        "project/.npmrc",
        &format!("registry={own}\n//own.invalid/npm/:_authToken=${{TOKEN}}\n"),
    );
    let refused = layout.run("ci").unwrap_err().findings;
    assert_eq!(refused[0].code, Code::RegistryNotAllowed);
    assert!(
        refused[0]
            .hint
            .as_ref()
            .unwrap()
            .contains("repositories = [{ url = \"https://own.invalid/npm/\" }]")
    );
    layout.policy.repositories.push(AllowedRepository {
        url: own.parse().unwrap(),
        origin: None,
        inherits: None,
        stated_in: "v4run.toml:2".into(),
    });
    let prepared = layout
        .run("ci")
        .unwrap_or_else(|refusal| panic!("{:?}", refusal.findings));
    let repository = &prepared.network.repositories[0];
    assert_eq!(repository.base.as_str(), own);
    assert_eq!(
        repository.credential,
        Some(Credential::Bearer(Secret::new("very-secret".into())))
    );
    assert!(repository.may_be_private);
    // The default host in the lockfile stands for the configured registry.
    let url = prepared.network.expected[0].url.as_ref().unwrap();
    assert_eq!(url.as_str(), "https://own.invalid/npm/a/-/a-1.0.0.tgz");
    assert!(words(&prepared).contains(&format!("--registry={own}")));
    // No trace of the credential in anything that npm can read.
    let seen = format!("{:?}{:?}", prepared.launch, prepared.files);
    let views = prepared
        .files
        .views
        .iter()
        .map(|view| String::from_utf8_lossy(&view.content).into_owned());
    let files = ["user.npmrc", "global.npmrc"]
        .map(|name| std::fs::read_to_string(layout.root.join("run/config").join(name)).unwrap());
    assert!(
        !views
            .chain(files)
            .chain([seen])
            .any(|text| text.contains("very-secret") || text.contains("_authToken"))
    );
}

#[test]
fn the_users_configuration_is_followed() {
    let mut layout = Layout::new();
    layout.good_lock();
    layout.set("PASSWORD", "cHc=");
    layout.set("HTTPS_PROXY", "http://proxy.invalid:3128");
    layout.set("npm_config_loglevel", "warn");
    layout.file(
        "home/ca.pem",
        "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
    );
    layout.file(
        "home/.npmrc",
        "registry=https://own.invalid\n@s:registry=https://scope.invalid/\n//own.invalid/:username=u\n\
         //own.invalid/:_password=${PASSWORD}\n//scope.invalid/:_auth=dTpw\ncafile=~/ca.pem\naudit=false\n\
         strict-ssl=false\nscript-shell=/bin/zsh\nsave-exact=true\nnoproxy=local.invalid\n",
    );
    layout.file(
        "usr/etc/npmrc",
        "save-exact=false\nmaxsockets=3\nengine-strict=true\n",
    );
    let prepared = layout.run("ci").unwrap();
    let repositories = &prepared.network.repositories;
    assert_eq!(repositories[0].base.as_str(), "https://own.invalid/");
    assert_eq!(
        repositories[0].credential,
        Some(Credential::Basic(Secret::new("dTpwdw==".into())))
    );
    assert_eq!(
        repositories[1].credential,
        Some(Credential::Basic(Secret::new("dTpw".into())))
    );
    assert_eq!(repositories.len(), 2);
    assert!(!prepared.network.audit);
    assert_eq!(prepared.network.extra_anchors.len(), 1);
    assert_eq!(
        prepared.network.upstream_proxy,
        Some(Secret::new("http://proxy.invalid:3128".into()))
    );
    assert_eq!(prepared.network.no_proxy, "local.invalid");
    assert_eq!(
        variable(&prepared, "npm_config_loglevel").as_deref(),
        Some("warn")
    );
    let text = std::fs::read_to_string(layout.root.join("run/config/user.npmrc")).unwrap();
    assert_eq!(
        text,
        "audit=false\nsave-exact=true\nengine-strict=true\n@s:registry=https://scope.invalid/\n"
    );
    let notes: Vec<String> = prepared
        .events
        .iter()
        .filter_map(|event| {
            let Event::Found(finding) = event else {
                return None;
            };
            Some(finding.message.clone())
        })
        .collect();
    assert_eq!(notes.len(), 1);
    assert!(notes[0].contains("strict-ssl"), "{notes:?}");
}

#[test]
fn a_variable_may_name_the_users_file() {
    let mut layout = Layout::new();
    layout.good_lock();
    layout.file(
        "ci/npmrc",
        "registry=https://ci.invalid/\n//ci.invalid/:_authToken=${NODE_AUTH_TOKEN}\n",
    );
    let path = layout.root.join("ci/npmrc");
    layout.set("NPM_CONFIG_USERCONFIG", path.to_str().unwrap());
    layout.set("NODE_AUTH_TOKEN", "t");
    let prepared = layout.run("ci").unwrap();
    let repository = &prepared.network.repositories[0];
    assert_eq!(
        repository.credential,
        Some(Credential::Bearer(Secret::new("t".into())))
    );
    layout.set("npm_config_registry", "http://plain.invalid/");
    assert_eq!(layout.codes("ci"), [Code::PlainHttp]);
}

#[test]
fn options_that_weaken_are_refused_in_every_spelling() {
    let mut layout = Layout::new();
    layout.good_lock();
    for line in [
        "ci --no-ignore-scripts",
        "ci --ignore-scripts=false",
        "ci --ignore-s false",
        "ci --script-shell=sh",
        "ci --script-sh sh",
        "ci --node-options=x",
        "ci --cafile=x",
        "ci --ca=x",
        "ci --strict-ssl=false",
        "ci --no-strict-ssl",
        "ci --proxy=x",
        "ci --https-proxy=x",
        "ci --noproxy=x",
        "ci --allow-git=all",
        "ci --userconfig=x",
        "ci --globalconfig x",
        "ci --dangerously-allow-all-scripts",
        "ci --git=x",
        "ci --shell=x",
        "ci --audit=--git=x",
        "ci --offline",
        "ci --registry-of-tomorrow=x",
        "ci --//h.invalid/:certfile=x",
    ] {
        let findings = layout.run(line).unwrap_err().findings;
        assert_eq!(
            (findings.len(), findings[0].code),
            (1, Code::ConfigRefused),
            "{line}"
        );
    }
    for line in [
        "ci --ignore-scripts",
        "ci --strict-ssl",
        "ci --foreground-scripts",
        "ci --fund",
        "ci --frob=1",
        "ci --cache x",
        "ci -- --script-shell",
    ] {
        let prepared = layout.run(line).unwrap();
        let words = words(&prepared);
        let own = words
            .iter()
            .rposition(|word| word == "--ignore-scripts=true")
            .unwrap();
        assert!(
            words
                .iter()
                .position(|word| word == "--")
                .is_none_or(|end| own < end),
            "{line}"
        );
    }
}

#[test]
fn credentials_do_not_reach_a_message() {
    let mut layout = Layout::new();
    layout.file(
        "project/package.json",
        r#"{"dependencies":{"a":"https://u:hunter2@h.invalid/a.tgz?token=hunter2"}}"#,
    );
    layout.file(
        "project/package-lock.json",
        &format!(
            r#"{{"lockfileVersion":3,"packages":{{{}}}}}"#,
            entry("b", "https://u:hunter2@h.invalid/b/-/b-1.0.0.tgz?t=hunter2")
        ),
    );
    let refusal = layout.run("install").unwrap_err();
    assert_eq!(refusal.findings.len(), 2);
    assert!(!format!("{refusal:?}").contains("hunter2"));
    layout.set("KEY", "hunter2");
    layout.file(
        "project/.npmrc",
        "registry=https://${KEY}:${KEY}@h.invalid/\n",
    );
    let refusal = layout.run("ci").unwrap_err();
    assert!(!format!("{refusal:?}").contains("hunter2"), "{refusal:?}");
}

#[test]
fn a_home_directory_as_project_is_granted_in_parts() {
    let mut layout = Layout::new();
    layout.file("project/.ssh/id", "key");
    layout.good_lock();
    layout.file("project/.npmrc", "//standard.invalid/:_authToken=t\n");
    let arguments = [OsString::from("ci")];
    let run = layout.root.join("run");
    let private = PrivateDirs {
        home: run.join("home"),
        cache: run.join("cache"),
        tmp: run.join("tmp"),
        config: run.join("config"),
    };
    let path = layout.root.join("usr/bin").into_os_string();
    layout.environment.insert("PATH".into(), path);
    let prepared = prepare(&Request {
        word: "npm".as_ref(),
        arguments: &arguments,
        directory: layout.root.join("project"),
        environment: &layout.environment,
        home: Some(layout.root.join("project")),
        policy: &layout.policy,
        private: &private,
        proxy_port: 1,
        rehearsal: false,
        sources: &Sources::default(),
        token: Secret::new("t".into()),
    })
    .unwrap();
    let granted = |name: &str| {
        prepared
            .launch
            .rules
            .iter()
            .any(|rule| Path::new(&rule.path) == layout.root.join(name))
    };
    assert!(granted("project/package.json") && !granted("project"));
    // The user's file is not shown to npm as the project's.
    let view = prepared
        .files
        .views
        .iter()
        .find(|view| view.path.to_string_lossy().ends_with(".npmrc"))
        .unwrap();
    assert!(view.content.is_empty());
    assert!(prepared.network.repositories[0].credential.is_some());
}
