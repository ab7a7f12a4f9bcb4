//! The corpus for npm: archives, names, modes, manifests, scripts, executables.

use std::fs;
use std::path::Path;

use nix::unistd::geteuid;
use serde_json::{Map, json};
use tar::EntryType;

use super::{score, wrong};
use crate::project::{Project, program, tree};
use crate::registry::Registry;
use crate::registry::package::Package;
use crate::scripts::Canaries;

/// Makes the package of a case; its canaries bear the name of the case.
type Make = fn(Package, &Canaries, &str) -> Package;

/// What bare npm does with a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bare {
    /// The attack works: the canary of its name fires.
    Fires,
    /// The attack works: the tree is wrong afterwards.
    Marks,
    /// npm itself installs it without harm.
    Guarded,
}

const FILE: EntryType = EntryType::Regular;

/// A record of the extended header: its length counts itself.
fn extended(key: &str, value: &[u8]) -> Vec<u8> {
    let mut length = key.len() + value.len() + 3;
    while length != key.len() + value.len() + 3 + length.to_string().len() {
        length = key.len() + value.len() + 3 + length.to_string().len();
    }
    let mut record = format!("{length} {key}=").into_bytes();
    record.extend_from_slice(value);
    record.push(b'\n');
    record
}

pub(super) fn long(package: Package, name: &str, content: &[u8]) -> Package {
    package
        .entry(
            "././@LongLink",
            EntryType::GNULongName,
            "",
            0,
            format!("{name}\0").as_bytes(),
        )
        .entry("package/short", FILE, "", 0o644, content)
}

fn named(package: Package, name: &str) -> Package {
    package.entry(name, FILE, "", 0o644, b"x")
}

fn paxed(package: Package, key: &str, value: &[u8]) -> Package {
    let record = extended(key, value);
    package
        .entry("package/pax", EntryType::XHeader, "", 0o644, &record)
        .entry("package/plain", FILE, "", 0o644, b"x")
}

/// A manifest of an archive beside the one that the index states.
fn second_manifest(canaries: &Canaries, case: &str) -> Vec<u8> {
    let script = canaries.command(case);
    json!({ "name": case, "version": "1.0.0", "scripts": { "postinstall": script } })
        .to_string()
        .into_bytes()
}

fn bin(package: Package, canaries: &Canaries, case: &str, name: &str) -> Package {
    // It goes unnoticed: what was called is called.
    let real = match name {
        "node" | "npm" => program(name),
        _ => "/bin/sh".into(),
    };
    let (canary, real) = (canaries.command(case), real.display());
    let text = format!("#!/bin/sh\n{canary}\nexec '{real}' \"$@\"\n");
    package
        .field("bin", json!({ name: "program.sh" }))
        .executable("program.sh", text.as_bytes())
}

const CASES: &[(&str, Bare, Make)] = &[
    ("climbs", Bare::Guarded, |p, _, _| {
        named(p, "package/../../../climbed")
    }),
    ("climbs-at-once", Bare::Guarded, |p, _, _| {
        named(p, "../../../climbed")
    }),
    ("climbs-by-pax", Bare::Guarded, |p, _, _| {
        paxed(p, "path", b"package/../../../climbed")
    }),
    ("climbs-by-long-name", Bare::Guarded, |p, _, _| {
        long(p, "package/../../../climbed", b"x")
    }),
    ("climbs-by-backslash", Bare::Guarded, |p, _, _| {
        named(p, "package\\..\\..\\..\\climbed")
    }),
    ("absolute", Bare::Guarded, |p, _, _| {
        named(p, "/v4run-it-hostile")
    }),
    ("absolute-doubled", Bare::Guarded, |p, _, _| {
        named(p, "//v4run-it-hostile")
    }),
    ("drive", Bare::Guarded, |p, _, _| {
        named(p, "package/C:\\climbed")
    }),
    ("symlink-out", Bare::Guarded, |p, _, _| {
        p.link(EntryType::Symlink, "package/out", "../../..").entry(
            "package/out/through",
            FILE,
            "",
            0o644,
            b"x",
        )
    }),
    ("symlink-absolute", Bare::Guarded, |p, _, _| {
        p.link(EntryType::Symlink, "package/out", "/tmp").entry(
            "package/out/v4run-it-hostile",
            FILE,
            "",
            0o644,
            b"x",
        )
    }),
    ("symlink-by-pax", Bare::Guarded, |p, _, _| {
        p.entry(
            "package/pax",
            EntryType::XHeader,
            "",
            0o644,
            &extended("linkpath", b"/tmp"),
        )
        .link(EntryType::Symlink, "package/out", "inside")
        .entry("package/out/v4run-it-hostile", FILE, "", 0o644, b"x")
    }),
    (
        "symlink-in-place-of-the-manifest",
        Bare::Guarded,
        |p, _, _| {
            p.link(
                EntryType::Symlink,
                "package/index.js",
                "../../../package.json",
            )
        },
    ),
    ("hardlink-out", Bare::Guarded, |p, _, _| {
        p.link(EntryType::Link, "package/hard", "../../package.json")
            .entry("package/hard", FILE, "", 0o644, b"changed")
    }),
    ("hardlink-absolute", Bare::Guarded, |p, _, _| {
        p.link(EntryType::Link, "package/hard", "/etc/hostname")
    }),
    ("character-device", Bare::Guarded, |p, _, _| {
        p.link(EntryType::Char, "package/null", "")
    }),
    ("block-device", Bare::Guarded, |p, _, _| {
        p.link(EntryType::Block, "package/disk", "")
    }),
    ("pipe", Bare::Guarded, |p, _, _| {
        p.link(EntryType::Fifo, "package/pipe", "")
    }),
    ("contiguous", Bare::Guarded, |p, _, _| {
        p.entry("package/contiguous", EntryType::Continuous, "", 0o644, b"x")
    }),
    ("unknown-kind", Bare::Guarded, |p, _, _| {
        p.entry("package/unknown", EntryType::new(b'Z'), "", 0o644, b"x")
    }),
    ("set-user", Bare::Marks, |p, _, _| {
        p.entry("package/set", FILE, "", 0o6755, b"#!/bin/sh\n")
    }),
    ("all-bits", Bare::Marks, |p, _, _| {
        p.entry("package/set", FILE, "", 0o7777, b"#!/bin/sh\n")
    }),
    ("open-directory", Bare::Guarded, |p, _, _| {
        p.entry("package/open/", EntryType::Directory, "", 0o7777, b"")
            .entry("package/open/x", FILE, "", 0o666, b"x")
    }),
    ("unreadable", Bare::Guarded, |p, _, _| {
        p.entry("package/closed", FILE, "", 0, b"x")
    }),
    ("own-npmrc", Bare::Guarded, |p, _, _| {
        p.file(
            ".npmrc",
            b"registry=https://elsewhere.invalid/\nignore-scripts=false\n",
        )
    }),
    ("own-bin-folder", Bare::Guarded, |p, c, n| {
        let program = format!("#!/bin/sh\n{}\n", c.command(n));
        p.executable("node_modules/.bin/node", program.as_bytes())
    }),
    ("own-hidden-lock", Bare::Guarded, |p, _, _| {
        p.file(
            "node_modules/.package-lock.json",
            b"{\"lockfileVersion\":3,\"packages\":{}}",
        )
    }),
    ("own-lock", Bare::Guarded, |p, _, _| {
        p.file("npm-shrinkwrap.json", b"{\"lockfileVersion\":3,\"packages\":{\"node_modules/x\":{\"version\":\"1.0.0\",\"resolved\":\"https://elsewhere.invalid/x.tgz\"}}}")
    }),
    ("own-git", Bare::Guarded, |p, c, n| {
        let hook = format!("#!/bin/sh\n{}\n", c.command(n));
        p.executable(".git/hooks/post-checkout", hook.as_bytes())
            .file(".git/config", b"[core]\nhooksPath = hooks\n")
    }),
    ("reserved-names", Bare::Guarded, |p, _, _| {
        named(
            named(named(p, "package/con"), "package/aux.js"),
            "package/nul.txt",
        )
    }),
    ("trailing-dots", Bare::Guarded, |p, _, _| {
        named(
            named(named(p, "package/dots..."), "package/space "),
            "package/.. /x",
        )
    }),
    ("null-in-a-name", Bare::Guarded, |p, _, _| {
        paxed(p, "path", b"package/a\0/../../../climbed")
    }),
    ("line-feed", Bare::Guarded, |p, _, _| {
        named(p, "package/a\nb\r")
    }),
    ("escape-codes", Bare::Guarded, |p, _, _| {
        named(p, "package/\u{1b}[2J\u{202e}gpj")
    }),
    ("no-utf-8", Bare::Guarded, |p, _, _| {
        paxed(p, "path", b"package/\xff\xfe")
    }),
    ("empty-name", Bare::Guarded, |p, _, _| {
        named(named(p, "package/"), "")
    }),
    ("case-folding", Bare::Guarded, |p, _, _| {
        named(named(p, "package/READ.me"), "package/read.ME").entry(
            "package/Package.JSON",
            FILE,
            "",
            0o644,
            b"{\"scripts\":{\"install\":\"exit 9\"}}",
        )
    }),
    ("unicode-folding", Bare::Guarded, |p, _, _| {
        named(
            named(named(p, "package/\u{e9}"), "package/e\u{301}"),
            "package/\u{fb01}",
        )
    }),
    ("file-over-directory", Bare::Guarded, |p, _, _| {
        named(named(p, "package/place/x"), "package/place")
    }),
    ("directory-over-file", Bare::Guarded, |p, _, _| {
        p.entry("package/index.js/", EntryType::Directory, "", 0o755, b"")
    }),
    ("large-and-small", Bare::Guarded, |p, _, _| {
        p.file("zeros", &vec![0; 12 << 20])
    }),
    ("many-files", Bare::Guarded, |mut p, _, _| {
        for number in 0..400 {
            p = p.file(&format!("m/{number}"), b"");
        }
        p
    }),
    ("deep", Bare::Guarded, |p, _, _| {
        long(p, &format!("package/{}x", "d/".repeat(900)), b"x")
    }),
    ("preinstall", Bare::Fires, |p, c, n| {
        p.script("preinstall", &c.command(n))
    }),
    ("install", Bare::Fires, |p, c, n| {
        p.script("install", &c.command(n))
    }),
    ("postinstall", Bare::Fires, |p, c, n| {
        p.script("postinstall", &c.command(n))
    }),
    ("hidden-postinstall", Bare::Guarded, |p, c, n| {
        p.script("postinstall", &c.command(n)).hide_scripts()
    }),
    ("second-manifest", Bare::Guarded, |p, c, n| {
        let manifest = second_manifest(c, n);
        p.entry("package/package.json", FILE, "", 0o644, &manifest)
    }),
    ("manifest-elsewhere", Bare::Guarded, |p, c, n| {
        let manifest = second_manifest(c, n);
        p.entry("other/package.json", FILE, "", 0o644, &manifest)
    }),
    ("manifest-by-long-name", Bare::Guarded, |p, c, n| {
        let manifest = second_manifest(c, n);
        long(p, "package/package.json", &manifest)
    }),
    ("bundled", Bare::Fires, |p, c, n| {
        let inner = json!({ "name": "inner", "version": "1.0.0",
            "scripts": { "postinstall": c.command(n) } });
        p.field("bundleDependencies", json!(["inner"]))
            .dependency("inner", "1.0.0")
            .file(
                "node_modules/inner/package.json",
                inner.to_string().as_bytes(),
            )
    }),
    ("bin-node", Bare::Fires, |p, c, n| bin(p, c, n, "node")),
    ("bin-sh", Bare::Fires, |p, c, n| bin(p, c, n, "sh")),
    ("bin-npm", Bare::Guarded, |p, c, n| bin(p, c, n, "npm")),
    ("bin-climbs", Bare::Guarded, |p, c, n| {
        bin(p, c, n, "../../climbed")
    }),
    ("bin-hidden", Bare::Guarded, |p, c, n| {
        bin(p, c, n, ".hidden")
    }),
    ("bin-directory", Bare::Guarded, |p, _, _| {
        p.field("directories", json!({ "bin": "../../..", "man": "/usr" }))
    }),
    ("man-outside", Bare::Guarded, |p, _, _| {
        p.field("man", json!(["/etc/hostname", "../../x.1"]))
    }),
    ("workspaces", Bare::Guarded, |p, _, _| {
        p.field("workspaces", json!(["../../.."]))
    }),
    ("overrides", Bare::Guarded, |p, _, _| {
        p.field(
            "overrides",
            json!({ "inner": "https://elsewhere.invalid/x.tgz" }),
        )
    }),
    ("strange-manifest", Bare::Guarded, |p, _, _| {
        p.field("files", json!(["../../.."]))
            .field("main", json!("../../../x"))
            .field(
                "config",
                json!({ "registry": "https://elsewhere.invalid/" }),
            )
            .field(
                "publishConfig",
                json!({ "registry": "https://elsewhere.invalid/" }),
            )
            .field(
                "__proto__",
                json!({ "scripts": { "postinstall": "exit 9" } }),
            )
    }),
];

fn corpus(project: &Project, registry: &Registry, canaries: &Canaries) {
    registry.publish(&Package::new("inner", "1.0.0"));
    let mut dependencies = Map::new();
    for (case, _, make) in CASES {
        let package = make(Package::new(case, "1.0.0"), canaries, case);
        registry.publish(&package);
        dependencies.insert((*case).into(), "1.0.0".into());
    }
    project.lock(
        registry,
        &json!({
            "name": "project", "version": "1.0.0", "dependencies": dependencies,
            "scripts": { "postinstall": "node -e 0" },
        }),
    );
    // What is bundled is in the lock as npm writes it.
    let mut lock = project.read_lock();
    let packages = lock["packages"].as_object_mut().unwrap();
    packages.remove("node_modules/inner");
    packages.insert(
        "node_modules/bundled/node_modules/inner".into(),
        json!({ "version": "1.0.0", "inBundle": true, "hasInstallScript": true }),
    );
    packages["node_modules/bundled"]["bundleDependencies"] = json!(["inner"]);
    packages["node_modules/bundled"]["dependencies"] = json!({ "inner": "1.0.0" });
    packages[""]["hasInstallScript"] = json!(true);
    project.write_lock(&lock);
}

#[test]
fn the_corpus_for_npm_is_harmless() {
    let registry = Registry::start();
    let project = Project::new(&registry);
    let canaries = Canaries::new(&project);
    corpus(&project, &registry, &canaries);
    let own = ["project/node_modules", "home/.", "run-", "tmp"];
    let before = tree::read(&project.outside(""));
    let run = project.v4run(&["npm", "ci"]).noisy().run();
    assert_eq!(canaries.fired().len(), 0, "code ran\n{}", run.told());
    let found = wrong(&project, &before, &own, &project.path("node_modules"));
    assert!(found.is_empty(), "{}\n{}", found.join("\n"), run.told());
    for place in ["/v4run-it-hostile", "/tmp/v4run-it-hostile"] {
        assert!(!Path::new(place).exists(), "{place}");
    }
    run.succeeds();
    for (case, ..) in CASES {
        assert!(project.path("node_modules").join(case).is_dir(), "{case}");
    }
    assert!(!run.stderr.contains('\u{1b}') && !run.stderr.contains('\u{202e}'));
    // The control: what fires, fires.
    fs::remove_dir_all(project.path("node_modules")).unwrap();
    let bare = project.npm(&["ci"]).run();
    let marked = wrong(&project, &before, &own, &project.path("node_modules"));
    let fired = canaries.fired();
    let dead: Vec<&str> = CASES
        .iter()
        .filter(|(case, bare, _)| match bare {
            Bare::Fires => !fired.iter().any(|name| name == case),
            // Only root's npm sets modes as they come.
            Bare::Marks => {
                let is_there = marked
                    .iter()
                    .any(|found| found.contains(&format!("{case}/")));
                geteuid().is_root() && !is_there
            }
            Bare::Guarded => false,
        })
        .map(|(case, ..)| *case)
        .collect();
    assert!(
        dead.is_empty(),
        "the control does not fire: {dead:?}\n{fired:?}\n{}",
        bare.told()
    );
    score(CASES.len());
}
