//! Install trees on disk, and what is read back from them.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::{inspect, snapshot};
use crate::manager::{Installed, Prepared, Project, Snapshot};
use crate::model::{Code, FileGuard, Launch, Layout, Network, Secret, Signing};

const STRONG: &str = "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==";

struct Tree {
    _guard: tempfile::TempDir,
    root: PathBuf,
}

impl Tree {
    fn new(manifest: &str) -> Self {
        let guard = tempfile::tempdir().unwrap();
        let tree = Self {
            root: guard.path().canonicalize().unwrap(),
            _guard: guard,
        };
        tree.file("package.json", manifest);
        tree
    }

    fn file(&self, name: &str, text: &str) {
        let path = self.root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn package(&self, path: &str, name: &str, rest: &str) {
        let text = format!(r#"{{"name":"{name}","version":"1.0.0"{rest}}}"#);
        self.file(&format!("{path}/package.json"), &text);
    }

    fn locks(&self, entries: &str) {
        let text = format!(r#"{{"lockfileVersion":3,"packages":{{{entries}}}}}"#);
        self.file("node_modules/.package-lock.json", &text);
        self.file("package-lock.json", &text);
    }

    fn prepared(&self, command: &str) -> Prepared {
        Prepared {
            queries: Vec::new(),
            launch: Launch {
                executable: "/node".into(),
                arguments: ["node", "npm-cli.js", command].map(Into::into).to_vec(),
                environment: Vec::new(),
                directory: self.root.clone().into_os_string(),
                rules: Vec::new(),
                child: None,
                build: None,
            },
            files: FileGuard::default(),
            network: Network {
                refused: Vec::new(),
                protocol: "npm".into(),
                token: Secret::new("t".into()),
                repositories: Vec::new(),
                extra_anchors: Vec::new(),
                expected: Vec::new(),
                pins: Vec::new(),
                release_age: None,
                layout: Layout::default(),
                closed: false,
                sources: false,
                built: Vec::new(),
                signing: Signing::default(),
                audit: false,
                upstream_proxy: None,
                no_proxy: String::new(),
                store: "/store".into(),
                run: "run".into(),
            },
            tools: Vec::new(),
            events: Vec::new(),
            seeds: Vec::new(),
            promotions: Vec::new(),
            project: Project {
                root: self.root.clone(),
                name: None,
                version: None,
            },
            installs: true,
            notes: BTreeMap::new(),
            locked: true,
        }
    }

    fn inspect(&self) -> Installed {
        inspect(&self.prepared("ci"), &Snapshot::new())
    }
}

#[test]
fn packages_are_read_with_flags_scripts_and_dependencies() {
    let tree = Tree::new(r#"{"dependencies":{"a":"1","@s/b":"1"}}"#);
    tree.package(
        "node_modules/a",
        "a",
        r#","scripts":{"postinstall":"x","prepare":"y"},"dependencies":{"c":"1","@s/b":"1"}"#,
    );
    tree.package("node_modules/a/node_modules/c", "c", "");
    tree.package("node_modules/c", "c", "");
    tree.package("node_modules/@s/b", "@s/b", r#","dependencies":{"c":"1"}"#);
    tree.file("node_modules/@s/b/binding.gyp", "");
    tree.package(
        "node_modules/@s/b/fixtures/node_modules/ignored",
        "ignored",
        "",
    );
    let entry = format!(
        r#""version":"1.0.0","integrity":"{STRONG}","resolved":"https://u:pw@r.invalid/x.tgz?t=1""#
    );
    tree.locks(&format!(
        r#""node_modules/a":{{{entry}}},"node_modules/a/node_modules/c":{{"version":"1.0.0","inBundle":true}},
           "node_modules/c":{{{entry},"dev":true}},"node_modules/@s/b":{{{entry},"optional":true}}"#
    ));
    let installed = tree.inspect();
    assert_eq!(installed.findings, []);
    assert_eq!(installed.direct, ["node_modules/@s/b", "node_modules/a"]);
    let paths: Vec<&str> = installed.packages.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "node_modules/@s/b",
            "node_modules/a",
            "node_modules/a/node_modules/c",
            "node_modules/c"
        ]
    );
    let (b, a, inner, outer) = (
        &installed.packages[0],
        &installed.packages[1],
        &installed.packages[2],
        &installed.packages[3],
    );
    assert_eq!(b.purl, "pkg:npm/%40s/b@1.0.0");
    assert_eq!(b.dependencies, ["node_modules/c"]);
    assert_eq!(
        (b.scripts[0].name.as_str(), b.scripts[0].command.as_str()),
        ("binding.gyp", "node-gyp rebuild")
    );
    assert_eq!(
        a.dependencies,
        ["node_modules/@s/b", "node_modules/a/node_modules/c"]
    );
    assert_eq!(a.scripts.len(), 1);
    assert_eq!(a.resolved.as_deref(), Some("https://r.invalid/x.tgz"));
    assert!(a.integrity.is_some() && !a.dev && !a.retained);
    assert!(inner.bundled && outer.dev && b.optional);
}

#[test]
fn workspaces_are_packages_of_their_own() {
    let tree = Tree::new(r#"{"workspaces":["packages/*"]}"#);
    tree.package(
        "packages/w",
        "w",
        r#","scripts":{"prepare":"build"},"dependencies":{"c":"1"}"#,
    );
    tree.package("packages/w/node_modules/c", "c", "");
    std::fs::create_dir_all(tree.root.join("node_modules")).unwrap();
    symlink("../packages/w", tree.root.join("node_modules/w")).unwrap();
    tree.locks(&format!(
        r#""node_modules/w":{{"resolved":"packages/w","link":true}},"packages/w":{{"version":"1.0.0"}},
           "packages/w/node_modules/c":{{"version":"1.0.0","integrity":"{STRONG}"}}"#
    ));
    let installed = tree.inspect();
    assert_eq!(installed.findings, []);
    let names: Vec<&str> = installed.packages.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(names, ["packages/w", "packages/w/node_modules/c"]);
    assert_eq!(
        installed.packages[0].dependencies,
        ["packages/w/node_modules/c"]
    );
    assert_eq!(installed.packages[0].scripts[0].name, "prepare");
    assert_eq!(installed.direct, ["packages/w"]);
}

#[test]
fn links_out_of_the_project_are_not_followed() {
    let tree = Tree::new("{}");
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(
        outside.path().join("package.json"),
        r#"{"name":"o","version":"1.0.0"}"#,
    )
    .unwrap();
    std::fs::create_dir_all(tree.root.join("node_modules")).unwrap();
    symlink(outside.path(), tree.root.join("node_modules/o")).unwrap();
    symlink(outside.path(), tree.root.join("node_modules/@scope")).unwrap();
    tree.locks("");
    assert!(tree.inspect().packages.is_empty());
}

#[test]
fn differences_between_the_views_are_found() {
    let entry = format!(r#""version":"1.0.0","integrity":"{STRONG}""#);
    let other = STRONG.replace("z4PhNX7v", "AAAAAAAA");
    for (change, subject, part) in [
        ("rm", "node_modules/a", "not on disk"),
        ("extra", "node_modules/x", "did not record"),
        ("version", "node_modules/a", "is 2.0.0 on disk"),
        ("name", "node_modules/a", "is `evil` on disk"),
        ("lock-version", "node_modules/a", "lockfile says 9.0.0"),
        ("lock-digest", "node_modules/a", "another digest"),
        ("lock-more", "node_modules/z", "was not installed"),
        ("lock-less", "node_modules/a", "lockfile does not have it"),
        (
            "broken",
            "node_modules/a",
            "without a readable package.json",
        ),
        ("record", ".package-lock.json", "cannot be read"),
    ] {
        let tree = Tree::new("{}");
        tree.package("node_modules/a", "a", "");
        tree.locks(&format!(r#""node_modules/a":{{{entry}}}"#));
        let lock = |entries: String| {
            tree.file(
                "package-lock.json",
                &format!(r#"{{"lockfileVersion":3,"packages":{{{entries}}}}}"#),
            )
        };
        match change {
            "rm" => std::fs::remove_dir_all(tree.root.join("node_modules/a")).unwrap(),
            "extra" => tree.package("node_modules/x", "x", ""),
            "version" => tree.file(
                "node_modules/a/package.json",
                r#"{"name":"a","version":"2.0.0"}"#,
            ),
            "name" => tree.package("node_modules/a", "evil", ""),
            "lock-version" => lock(format!(
                r#""node_modules/a":{{{}}}"#,
                entry.replace("1.0.0", "9.0.0")
            )),
            "lock-digest" => lock(format!(
                r#""node_modules/a":{{"version":"1.0.0","integrity":"{other}"}}"#
            )),
            "lock-more" => lock(format!(
                r#""node_modules/a":{{{entry}}},"node_modules/z":{{{entry}}},"node_modules/o":{{{entry},"optional":true}}"#
            )),
            "lock-less" => lock(String::new()),
            "broken" => tree.file("node_modules/a/package.json", "{"),
            _ => tree.file("node_modules/.package-lock.json", "{"),
        }
        let findings = tree.inspect().findings;
        assert_eq!(findings.len(), 1, "{change}: {findings:?}");
        assert_eq!(findings[0].code, Code::ViewMismatch);
        assert!(
            findings[0].subject.ends_with(subject),
            "{change}: {}",
            findings[0].subject
        );
        assert!(
            findings[0].message.contains(part),
            "{change}: {}",
            findings[0].message
        );
    }
}

#[test]
fn packages_left_alone_are_told_from_new_ones() {
    let tree = Tree::new("{}");
    tree.package("node_modules/a", "a", "");
    tree.locks(&format!(
        r#""node_modules/a":{{"version":"1.0.0","integrity":"{STRONG}"}}"#
    ));
    let before = snapshot(&tree.prepared("install"));
    let retained = || inspect(&tree.prepared("install"), &before).packages[0].retained;
    assert!(retained());
    let path = tree.root.join("node_modules/a/package.json");
    let text = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, text).unwrap();
    assert!(
        !retained(),
        "a new file of the same content was installed again"
    );
}

#[test]
fn the_linked_layout_is_read() {
    let tree = Tree::new(r#"{"dependencies":{"a":"1"}}"#);
    tree.package(
        "node_modules/.store/a@1.0.0-x/node_modules/a",
        "a",
        r#","dependencies":{"b":"1"}"#,
    );
    tree.package("node_modules/.store/b@1.0.0-y/node_modules/b", "b", "");
    symlink(
        ".store/a@1.0.0-x/node_modules/a",
        tree.root.join("node_modules/a"),
    )
    .unwrap();
    let inner = tree
        .root
        .join("node_modules/.store/a@1.0.0-x/node_modules/b");
    symlink("../../b@1.0.0-y/node_modules/b", inner).unwrap();
    let installed = tree.inspect();
    assert_eq!(installed.packages.len(), 2);
    assert_eq!(
        installed.direct,
        ["node_modules/.store/a@1.0.0-x/node_modules/a"]
    );
    assert_eq!(
        installed.packages[0].dependencies,
        ["node_modules/.store/b@1.0.0-y/node_modules/b"]
    );
}

#[test]
fn the_linked_layout_is_compared_by_identity() {
    let tree = Tree::new(r#"{"dependencies":{"a":"1"}}"#);
    let store = "node_modules/.store/a@1.0.0-x";
    tree.package(&format!("{store}/node_modules/a"), "a", "");
    symlink(
        ".store/a@1.0.0-x/node_modules/a",
        tree.root.join("node_modules/a"),
    )
    .unwrap();
    let entry = format!(r#"{{"version":"1.0.0","integrity":"{STRONG}"}}"#);
    tree.locks(&format!(
        r#""{store}":{{}},"{store}/node_modules/a":{entry},
           "node_modules/a":{{"resolved":"{store}/node_modules/a","link":true}}"#
    ));
    let promise = |text: &str| {
        let text = format!(r#"{{"lockfileVersion":3,"packages":{{"node_modules/a":{text}}}}}"#);
        tree.file("package-lock.json", &text);
        tree.inspect().findings
    };
    assert_eq!(promise(&entry), []);
    assert_eq!(promise(&entry.replace("1.0.0", "2.0.0")).len(), 2);
}

#[test]
fn trees_without_a_record_tell_bundled_and_retained_packages() {
    let tree = Tree::new("{}");
    let bundles = r#","bundleDependencies":["b"],"dependencies":{"b":"1","d":"1"}"#;
    tree.package("node_modules/a", "a", bundles);
    tree.package(
        "node_modules/a/node_modules/b",
        "b",
        r#","dependencies":{"c":"1"}"#,
    );
    tree.package("node_modules/a/node_modules/c", "c", "");
    tree.package("node_modules/a/node_modules/d", "d", "");
    tree.package("node_modules/z", "z", "");
    let before = snapshot(&tree.prepared("install"));
    std::fs::remove_dir_all(tree.root.join("node_modules/z")).unwrap();
    tree.package("node_modules/z", "z", "");
    let packages = inspect(&tree.prepared("install"), &before).packages;
    let names = |wanted: fn(&crate::model::InstalledPackage) -> bool| -> Vec<String> {
        let chosen = packages.iter().filter(|package| wanted(package));
        chosen.map(|package| package.name.clone()).collect()
    };
    assert_eq!(names(|package| package.bundled), ["b", "c"]);
    assert_eq!(names(|package| package.retained), ["a", "b", "c", "d"]);
}
