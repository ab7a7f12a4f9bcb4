//! Plans made from whole layouts on disk: a pretended npm, a home directory, a project.

use std::collections::BTreeMap;
use std::ffi::OsString;

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::prepare;
use crate::manager::{Prepared, PrivateDirs, Refusal, Request, Sources};
use crate::model::{Code, Secret};
use crate::profile::Policy;

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
            word: "npm".as_ref(),
            arguments,
            directory: self.root.join("project"),
            environment: &self.environment,
            home: Some(self.root.join("home")),
            policy: &self.policy,
            private: &private,
            proxy_port: 4321,
            rehearsal: false,
            sources: &Sources::default(),
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

mod configuration;
mod install;
