//! Plans made from whole layouts on disk: a pretended npm, a home directory, a project.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::prepare;
use crate::manager::{Prepared, PrivateDirs, Refusal, Request, Seed};
use crate::model::{Access, Code, Credential, Event, Secret};
use crate::profile::{AllowedRepository, Policy};

/// A digest that nothing has; the form counts here.
const STRONG: &str = "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==";

const DEFINITIONS: &str = "
  registry: new Definition('registry', {\n    default: 'https://standard.invalid/',
  'ignore-scripts': new Definition('ignore-scripts', { default: false,
  'allow-git': new Definition('allow-git', { default: 'all',
  'registry-of-tomorrow': new Definition('registry-of-tomorrow', { default: '',
  audit: new Definition('audit', { default: true,
  cache: new Definition('cache', {
";

struct Layout {
    _guard: tempfile::TempDir,
    root: PathBuf,
    environment: BTreeMap<OsString, OsString>,
    policy: Policy,
}

impl Layout {
    fn new() -> Self {
        let guard = tempfile::tempdir().unwrap();
        let root = guard.path().canonicalize().unwrap();
        let layout = Self {
            _guard: guard,
            environment: BTreeMap::new(),
            policy: Policy::default(),
            root,
        };
        let npm = "usr/lib/node_modules/npm";
        layout.file(&format!("{npm}/bin/npm-cli.js"), "");
        layout.file(
            &format!("{npm}/package.json"),
            r#"{"name":"npm","version":"11.19.1"}"#,
        );
        let definitions = "node_modules/@npmcli/config/lib/definitions/definitions.js";
        layout.file(&format!("{npm}/{definitions}"), DEFINITIONS);
        std::fs::create_dir_all(layout.root.join("usr/bin")).unwrap();
        std::fs::copy("/bin/sh", layout.root.join("usr/bin/node")).unwrap();
        symlink(
            "../lib/node_modules/npm/bin/npm-cli.js",
            layout.root.join("usr/bin/npm"),
        )
        .unwrap();
        layout.file(
            "project/package.json",
            r#"{"name":"p","version":"1.0.0","dependencies":{"a":"^1"}}"#,
        );
        for private in ["home", "run/home", "run/cache", "run/tmp", "run/config"] {
            std::fs::create_dir_all(layout.root.join(private)).unwrap();
        }
        layout
    }

    fn file(&self, name: &str, text: &str) {
        let path = self.root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn lock(&self, entries: &str) {
        let text = format!(
            r#"{{"name":"p","lockfileVersion":3,"packages":{{"":{{"name":"p"}},{entries}}}}}"#
        );
        self.file("project/package-lock.json", &text);
    }

    /// A lockfile with one good package.
    fn good_lock(&self) {
        self.lock(&entry("a", "https://standard.invalid/a/-/a-1.0.0.tgz"));
    }

    fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.into(), value.into());
    }

    fn run(&mut self, line: &str) -> Result<Prepared, Refusal> {
        let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        self.run_with(&arguments)
    }

    fn run_with(&mut self, arguments: &[OsString]) -> Result<Prepared, Refusal> {
        let path = self.root.join("usr/bin").into_os_string();
        self.environment.insert("PATH".into(), path);
        let run = self.root.join("run");
        let private = PrivateDirs {
            home: run.join("home"),
            cache: run.join("cache"),
            tmp: run.join("tmp"),
            config: run.join("config"),
        };
        prepare(&Request {
            arguments,
            directory: self.root.join("project"),
            environment: &self.environment,
            home: Some(self.root.join("home")),
            policy: &self.policy,
            private: &private,
            proxy_port: 4321,
            token: Secret::new("run-token".into()),
        })
    }

    fn codes(&mut self, line: &str) -> Vec<Code> {
        self.run(line).map_or_else(
            |refusal| refusal.findings.iter().map(|f| f.code).collect(),
            |_| Vec::new(),
        )
    }
}

fn entry(name: &str, resolved: &str) -> String {
    format!(
        r#""node_modules/{name}":{{"version":"1.0.0","resolved":"{resolved}","integrity":"{STRONG}"}}"#
    )
}

fn words(prepared: &Prepared) -> Vec<String> {
    prepared
        .launch
        .arguments
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}

fn variable(prepared: &Prepared, name: &str) -> Option<String> {
    let environment = prepared.launch.environment.iter();
    environment
        .filter(|(key, _)| key == name)
        .map(|(_, value)| value.to_string_lossy().into_owned())
        .next()
}

#[test]
fn a_clean_install_is_planned() {
    let mut layout = Layout::new();
    layout.good_lock();
    layout.set("LD_PRELOAD", "/tmp/x.so");
    layout.set("NODE_OPTIONS", "--require ./evil.js");
    layout.set("AWS_SECRET_ACCESS_KEY", "secret");
    layout.set("LC_ALL", "C");
    let prepared = layout.run("clean-install --omit=dev").unwrap();
    let words = words(&prepared);
    assert!(words[1].ends_with("usr/lib/node_modules/npm/bin/npm-cli.js"));
    assert_eq!(
        words[2..6],
        [
            "ci",
            "--omit=dev",
            "--ignore-scripts=true",
            "--allow-git=none"
        ]
    );
    assert!(
        !words
            .iter()
            .any(|word| word.contains("run-token") || word.starts_with("--fund"))
    );
    let names: Vec<&str> = prepared
        .launch
        .environment
        .iter()
        .filter_map(|(k, _)| k.to_str())
        .collect();
    for absent in [
        "LD_PRELOAD",
        "NODE_OPTIONS",
        "AWS_SECRET_ACCESS_KEY",
        "NO_PROXY",
    ] {
        assert!(!names.contains(&absent), "{absent}");
    }
    assert_eq!(variable(&prepared, "LC_ALL").as_deref(), Some("C"));
    assert_eq!(
        variable(&prepared, "https_proxy").unwrap(),
        "http://v4run:run-token@127.0.0.1:4321"
    );
    let written: Vec<PathBuf> = prepared
        .launch
        .rules
        .iter()
        .filter(|rule| matches!(rule.access, Access::Write | Access::WriteFile))
        .map(|rule| {
            PathBuf::from(&rule.path)
                .strip_prefix(&layout.root)
                .unwrap()
                .to_path_buf()
        })
        .collect();
    assert_eq!(
        written,
        ["run/home", "run/cache", "run/tmp", "project/node_modules"].map(PathBuf::from)
    );
    assert_eq!(
        prepared.seeds,
        [Seed::Directory(layout.root.join("project/node_modules"))]
    );
    for root in prepared.files.runtime_roots.iter().map(PathBuf::from) {
        assert!(
            written
                .iter()
                .all(|path| !layout.root.join(path).starts_with(&root)),
            "{root:?}"
        );
        assert!(!layout.root.join("project").starts_with(&root), "{root:?}");
    }
    let expected = &prepared.network.expected[0];
    assert_eq!(
        (expected.name.as_str(), expected.version.as_str()),
        ("a", "1.0.0")
    );
    assert_eq!(expected.stated_in, "package-lock.json: node_modules/a");
    assert!(prepared.network.audit && prepared.installs);
    // npm reads the lockfile that was checked.
    assert_eq!(prepared.files.views.len(), 1);
}

#[test]
fn lock_entries_that_npm_would_trust_are_refused_together() {
    let mut layout = Layout::new();
    let base = "https://standard.invalid";
    let bad =
        |name: &str, rest: &str| format!(r#""node_modules/{name}":{{"version":"1.0.0",{rest}}}"#);
    let resolved = |name: &str| format!(r#""resolved":"{base}/{name}/-/{name}-1.0.0.tgz""#);
    let cases = [
        (bad("b", &resolved("b")), Code::IntegrityMissing),
        (
            bad("c", &format!(r#"{},"integrity":"""#, resolved("c"))),
            Code::IntegrityMissing,
        ),
        (
            bad(
                "d",
                &format!(r#"{},"integrity":"sha999-abc""#, resolved("d")),
            ),
            Code::IntegrityMissing,
        ),
        (
            bad("e", &format!(r#"{},"integrity":"sha512-""#, resolved("e"))),
            Code::IntegrityMissing,
        ),
        (
            bad(
                "f",
                &format!(
                    r#"{},"integrity":"sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=""#,
                    resolved("f")
                ),
            ),
            Code::IntegrityWeak,
        ),
        (
            entry("g", "http://standard.invalid/g/-/g-1.0.0.tgz"),
            Code::PlainHttp,
        ),
        (
            entry("h", "https://other.invalid/h/-/h-1.0.0.tgz"),
            Code::RegistryNotAllowed,
        ),
        (
            entry("i", &format!("{base}/evil/-/evil-1.0.0.tgz")),
            Code::DependencyRefused,
        ),
        (
            entry("j", "git+ssh://git@h.invalid/j.git#0123"),
            Code::DependencyRefused,
        ),
        (entry("k", "file:../../k.tgz"), Code::DependencyRefused),
        (
            bad("l", r#""link":true,"resolved":"../l""#),
            Code::DependencyRefused,
        ),
        (
            format!(r#""../m":{{"version":"1.0.0"}}"#),
            Code::LockInvalid,
        ),
        (
            format!(
                r#""node_modules/n":{{"name":"evil","version":"1.0.0","resolved":"{base}/evil/-/evil-1.0.0.tgz","integrity":"{STRONG}"}}"#
            ),
            Code::DependencyRefused,
        ),
        (bad("o", r#""inBundle":true"#), Code::IntegrityMissing),
        (
            format!(r#""node_modules/q":{{"integrity":"{STRONG}"}}"#),
            Code::LockInvalid,
        ),
    ];
    for (text, code) in &cases {
        layout.lock(text);
        assert_eq!(layout.codes("ci"), [*code], "{text}");
    }
    let all: Vec<String> = cases.iter().map(|(text, _)| text.clone()).collect();
    layout.lock(&all.join(","));
    assert_eq!(layout.codes("ci").len(), cases.len());
    let many: Vec<String> = (0..50)
        .map(|n| bad(&format!("x{n}"), &resolved("x")))
        .collect();
    layout.lock(&many.join(","));
    let findings = layout.run("ci").unwrap_err().findings;
    assert_eq!(findings.len(), 21);
    assert!(
        findings[20].message.starts_with("30 more"),
        "{}",
        findings[20].message
    );
}

#[test]
fn lock_entries_that_are_sound_pass() {
    let mut layout = Layout::new();
    layout.file("project/vendor/v.tgz", "");
    layout.file("project/package.json", r#"{"workspaces":["packages/*"],"dependencies":{"v":"file:vendor/v.tgz","n":"npm:real@1"}}"#);
    layout.file(
        "project/packages/w/package.json",
        r#"{"name":"w","dependencies":{"v":"file:../../vendor/v.tgz"}}"#,
    );
    let base = "https://standard.invalid";
    layout.lock(&[
        entry("a", &format!("{base}/a/-/a-1.0.0.tgz")),
        entry("@s/b", &format!("{base}/@s/b/-/b-1.0.0.tgz")),
        entry("v", "file:vendor/v.tgz"),
        format!(r#""node_modules/c":{{"version":"2.0.0","integrity":"{STRONG}","bundleDependencies":["d"]}}"#),
        r#""node_modules/c/node_modules/d":{"version":"1.0.0","inBundle":true}"#.to_owned(),
        r#""node_modules/w":{"resolved":"packages/w","link":true}"#.to_owned(),
        r#""packages/w":{"name":"w","version":"1.0.0"}"#.to_owned(),
        format!(r#""node_modules/n":{{"name":"real","version":"1.0.0","integrity":"{STRONG}"}}"#),
    ].join(","));
    let prepared = layout
        .run("ci")
        .unwrap_or_else(|refusal| panic!("{:?}", refusal.findings));
    let names: Vec<&str> = prepared
        .network
        .expected
        .iter()
        .map(|e| e.name.as_str())
        .collect();
    assert_eq!(names, ["@s/b", "a", "c", "real"]);
    assert_eq!(prepared.files.known.len(), 1);
    assert!(prepared.seeds.contains(&Seed::Directory(
        layout.root.join("project/packages/w/node_modules")
    )));
}

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
            .contains("[[repositories]] url = \"https://own.invalid/npm/\"")
    );
    layout.policy.repositories.push(AllowedRepository {
        url: own.parse().unwrap(),
        origin: None,
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
        .filter_map(|event| match event {
            Event::Found(finding) => Some(finding.message.clone()),
            _ => None,
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
        "ci --unsafe-perm",
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
fn dependencies_from_elsewhere_are_refused_before_the_start() {
    let mut layout = Layout::new();
    for value in [
        "git+https://h.invalid/a.git",
        "user/repo",
        "https://h.invalid/a.tgz",
        "http://h.invalid/a.tgz",
        "file:../outside",
        "file:/etc",
        "link:../x",
        "./loose.tgz",
        "workspace:*",
    ] {
        layout.file(
            "project/package.json",
            &format!(r#"{{"dependencies":{{"a":"{value}"}}}}"#),
        );
        let findings = layout.run("install").unwrap_err().findings;
        assert_eq!(findings[0].code, Code::DependencyRefused, "{value}");
        assert_eq!(findings[0].subject, "package.json: dependencies.a");
        assert!(findings[0].hint.is_some());
    }
    layout.file(
        "project/package.json",
        r#"{"overrides":{"a":{"b":"user/repo"}}}"#,
    );
    assert_eq!(layout.codes("install"), [Code::DependencyRefused]);
    layout.file("project/package.json", "{}");
    for word in [
        "user/repo",
        "git+ssh://h.invalid/x",
        "https://h.invalid/a.tgz",
        "../x",
        "./x.tgz",
        "x@file:../y",
    ] {
        assert_eq!(
            layout.codes(&format!("install {word}")),
            [Code::DependencyRefused],
            "{word}"
        );
    }
    let prepared = layout.run("install left-pad @s/x@^1 y@npm:z@2 .").unwrap();
    assert!(words(&prepared).ends_with(&[
        "--".into(),
        "left-pad".into(),
        "@s/x@^1".into(),
        "y@npm:z@2".into(),
        ".".into()
    ]));
    let names: Vec<String> = prepared
        .seeds
        .iter()
        .map(|seed| match seed {
            Seed::Directory(path) | Seed::File(path, _) => {
                path.file_name().unwrap().to_string_lossy().into_owned()
            }
        })
        .collect();
    assert_eq!(names, ["node_modules", "package-lock.json"]);
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
fn projects_that_cannot_be_granted_are_refused() {
    let mut layout = Layout::new();
    assert_eq!(layout.codes("ci"), [Code::LockMissing]);
    layout.file("project/package-lock.json", r#"{"lockfileVersion":1}"#);
    assert_eq!(layout.codes("ci"), [Code::LockInvalid]);
    layout.good_lock();
    symlink("/tmp", layout.root.join("project/node_modules")).unwrap();
    assert_eq!(layout.codes("ci"), [Code::ConfigRefused]);
    let odd = OsString::from_vec(b"\xff".to_vec());
    assert_eq!(
        layout
            .run_with(&["install".into(), odd])
            .unwrap_err()
            .findings[0]
            .code,
        Code::Usage
    );
    std::fs::remove_file(layout.root.join("project/node_modules")).unwrap();
    std::fs::remove_file(layout.root.join("project/package-lock.json")).unwrap();
    symlink("/etc/passwd", layout.root.join("project/package-lock.json")).unwrap();
    assert_eq!(layout.codes("ci"), [Code::LockInvalid]);
}

#[test]
fn reading_commands_write_nothing_and_need_no_lock() {
    let mut layout = Layout::new();
    layout.file("project/package-lock.json", "broken");
    for line in [
        "view a",
        "ls",
        "outdated",
        "audit",
        "config get registry",
        "--version",
        "explain a",
    ] {
        let prepared = layout.run(line).unwrap();
        let root = layout.root.join("project");
        let writes = prepared.launch.rules.iter().any(|rule| {
            matches!(rule.access, Access::Write | Access::WriteFile)
                && PathBuf::from(&rule.path).starts_with(&root)
        });
        assert!(
            !writes && prepared.seeds.is_empty() && !prepared.installs,
            "{line}"
        );
    }
    let prepared = layout.run("pack a@1").unwrap();
    assert_eq!(
        prepared.promotions[0].to,
        layout.root.join("project").join(".")
    );
}

#[test]
fn the_global_tree_is_written_by_a_copy_of_npm() {
    let mut layout = Layout::new();
    let prepared = layout.run("install -g a").unwrap();
    let words = words(&prepared);
    assert!(
        words[1].starts_with(layout.root.join("run/config").to_str().unwrap()),
        "{}",
        words[1]
    );
    assert_eq!(prepared.project.root, layout.root.join("usr/lib"));
    assert!(
        prepared
            .launch
            .rules
            .iter()
            .any(
                |rule| PathBuf::from(&rule.path) == layout.root.join("usr/lib/node_modules")
                    && rule.access == Access::Write
            )
    );
    assert!(
        !prepared
            .launch
            .rules
            .iter()
            .any(|rule| PathBuf::from(&rule.path) == layout.root.join("project"))
    );
    assert_eq!(layout.codes("install -g"), [Code::DependencyRefused]);
    assert_eq!(layout.codes("install -g ."), [Code::DependencyRefused]);
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
        arguments: &arguments,
        directory: layout.root.join("project"),
        environment: &layout.environment,
        home: Some(layout.root.join("project")),
        policy: &layout.policy,
        private: &private,
        proxy_port: 1,
        token: Secret::new("t".into()),
    })
    .unwrap();
    let granted = |name: &str| {
        prepared
            .launch
            .rules
            .iter()
            .any(|rule| PathBuf::from(&rule.path) == layout.root.join(name))
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

#[test]
fn the_projects_own_hooks_are_named() {
    let mut layout = Layout::new();
    layout.good_lock();
    layout.file(
        "project/package.json",
        r#"{"name":"p","scripts":{"prepare":"husky","test":"x","postinstall":"y"}}"#,
    );
    let hooks = |prepared: &Prepared| -> Vec<String> {
        prepared
            .events
            .iter()
            .filter_map(|event| match event {
                Event::ScriptSuppressed { script, path, .. } if path.is_empty() => {
                    Some(script.clone())
                }
                _ => None,
            })
            .collect()
    };
    assert_eq!(
        hooks(&layout.run("ci").unwrap()),
        ["postinstall", "prepare"]
    );
    assert!(hooks(&layout.run("install left-pad").unwrap()).is_empty());
}
