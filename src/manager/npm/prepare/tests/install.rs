//! Commands, lockfiles, dependencies, grants.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{Layout, STRONG, entry, variable, words};
use crate::manager::{Prepared, Seed};
use crate::model::{Access, Code, Event};

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
            r#""../m":{"version":"1.0.0"}"#.to_owned(),
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
    assert_eq!(prepared.files.pinned.len(), 1);
    assert!(prepared.seeds.contains(&Seed::Directory(
        layout.root.join("project/packages/w/node_modules")
    )));
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
fn the_global_tree_is_written_by_copies_of_node_and_npm() {
    let mut layout = Layout::new();
    let prepared = layout.run("install -g a").unwrap();
    let words = words(&prepared);
    assert!(
        words[1].starts_with(layout.root.join("run/config").to_str().unwrap()),
        "{}",
        words[1]
    );
    let copies = layout.root.join("run/config");
    for program in [&prepared.launch.executable, &prepared.launch.arguments[1]] {
        assert!(Path::new(program).starts_with(&copies), "{program:?}");
    }
    for root in &prepared.files.runtime_roots {
        let bin = layout.root.join("usr/bin");
        assert!(!Path::new(root).starts_with(&bin), "{root:?}");
    }
    assert_eq!(prepared.project.root, layout.root.join("usr/lib"));
    assert!(
        prepared
            .launch
            .rules
            .iter()
            .any(
                |rule| Path::new(&rule.path) == layout.root.join("usr/lib/node_modules")
                    && rule.access == Access::Write
            )
    );
    assert!(
        !prepared
            .launch
            .rules
            .iter()
            .any(|rule| Path::new(&rule.path) == layout.root.join("project"))
    );
    assert_eq!(layout.codes("install -g"), [Code::DependencyRefused]);
    assert_eq!(layout.codes("install -g ."), [Code::DependencyRefused]);
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
            .filter_map(|event| {
                let Event::ScriptSuppressed { script, path, .. } = event else {
                    return None;
                };
                path.is_empty().then(|| script.clone())
            })
            .collect()
    };
    assert_eq!(
        hooks(&layout.run("ci").unwrap()),
        ["postinstall", "prepare"]
    );
    assert!(hooks(&layout.run("install left-pad").unwrap()).is_empty());
}

#[test]
fn linked_directories_may_get_a_tree_of_their_own() {
    let mut layout = Layout::new();
    layout.file(
        "project/package.json",
        r#"{"dependencies":{"l":"file:libs/l"}}"#,
    );
    layout.file("project/libs/l/package.json", r#"{"name":"l"}"#);
    let prepared = layout.run("install").unwrap();
    let own = layout.root.join("project/libs/l/node_modules");
    assert!(prepared.seeds.contains(&Seed::Directory(own)));
}

#[test]
fn a_dry_run_writes_nothing() {
    let mut layout = Layout::new();
    let prepared = layout.run("install --dry-run a").unwrap();
    assert!(prepared.seeds.is_empty() && !prepared.installs);
    let prepared = layout.run("install --package-lock-only a").unwrap();
    let lock = layout.root.join("project/package-lock.json");
    assert!(matches!(&prepared.seeds[..], [Seed::File(path, _)] if *path == lock));
    let prepared = layout.run("install --no-package-lock a").unwrap();
    assert!(!prepared.locked && prepared.installs);
}

#[test]
fn a_broken_manifest_stops_an_install_but_no_question() {
    let mut layout = Layout::new();
    layout.file("project/package.json", "{\"name\":");
    let refusal = layout.run("install").unwrap_err();
    assert!(
        refusal.findings[0].message.contains("line 1 column"),
        "{refusal:?}"
    );
    assert!(layout.run("view a").is_ok() && layout.run("--version").is_ok());
}

#[test]
fn programs_of_workspaces_may_be_made_executable() {
    let mut layout = Layout::new();
    layout.file("project/package.json", r#"{"workspaces":["packages/*"]}"#);
    layout.lock(r#""node_modules/w":{"resolved":"packages/w","link":true}"#);
    layout.file(
        "project/packages/w/package.json",
        r#"{"name":"w","bin":{"a":"cli.js","b":"../../ci.js","c":".hidden/x","d":"none.js"}}"#,
    );
    for name in ["packages/w/cli.js", "ci.js", "packages/w/.hidden/x"] {
        layout.file(&format!("project/{name}"), "");
    }
    let prepared = layout.run("ci").unwrap();
    let files = prepared.launch.rules.iter();
    let files: Vec<_> = files
        .filter(|rule| rule.access == Access::WriteFile)
        .map(|rule| rule.path.clone())
        .collect();
    assert_eq!(files, [layout.root.join("project/packages/w/cli.js")]);
}
