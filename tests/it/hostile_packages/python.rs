//! The corpus for pip: what is in a wheel's archive, what it names, what would run later.
//!
//! Wheels that contradict themselves and the plainest ways out are in `pip_archive`. Here one refused
//! wheel is a run of its own, because the first refusal ends a run; all that are harmless are one run.

use std::path::Path;

use super::{score, wrong};
use crate::project::tree;
use crate::python::Python;
use crate::python::wheel::Wheel;
use crate::registry::Registry;
use crate::scripts::Canaries;

/// Makes the wheel of a case.
type Make = fn(Wheel, &Canaries, &str) -> Wheel;

/// What v4run does with a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Refused with this code before pip sees a byte.
    Refused(&'static str),
    /// Installed, and nothing happens. Code that would run at a later start is told.
    Harmless,
}

use End::{Harmless, Refused};

const INVALID: End = Refused("artifact-invalid");
const OVER: End = Refused("overwrite-refused");

const CASES: &[(&str, End, Make)] = &[
    ("pipe", INVALID, |w, _, _| w.moded("pipe", b"", 0o010_644)),
    ("device", INVALID, |w, _, _| w.moded("null", b"", 0o020_666)),
    ("backslash", INVALID, |w, _, _| {
        w.file("..\\..\\climbed.py", b"x")
    }),
    ("drive", Harmless, |w, _, _| w.file("C:/climbed.py", b"x")),
    ("null", INVALID, |w, _, _| {
        w.file("a\0/../../climbed.py", b"x")
    }),
    ("linefeed", INVALID, |w, _, _| w.file("a\nb.py", b"x")),
    ("scriptclimbs", INVALID, |w, _, _| {
        w.script("../../climbed", "x:main")
    }),
    ("scriptsclimb", INVALID, |w, _, _| {
        w.file("scriptsclimb-1.0.data/scripts/../../../climbed", b"x")
    }),
    ("unknownplace", INVALID, |w, _, _| {
        w.file("unknownplace-1.0.data/elsewhere/x", b"x")
    }),
    ("foreigninfo", INVALID, |w, _, _| {
        w.file(
            "other-9.0.dist-info/METADATA",
            b"Metadata-Version: 2.1\nName: other\nVersion: 9.0\n",
        )
    }),
    ("shadowspip", OVER, |w, _, _| {
        w.script("pip", "shadowspip:main")
    }),
    ("shadowspython", OVER, |w, _, _| {
        w.script("python3", "shadowspython:main")
    }),
    ("activates", OVER, |w, _, _| {
        w.file("activates-1.0.data/scripts/activate", b"x")
    }),
    ("longname", Harmless, |w, _, _| {
        w.file(&format!("longname/{}.py", "x".repeat(200)), b"x")
    }),
    ("deep", INVALID, |w, _, _| {
        w.file(&format!("deep/{}x.py", "d/".repeat(200)), b"x")
    }),
    ("manyfiles", Harmless, |mut w, _, _| {
        for number in 0..400 {
            w = w.file(&format!("manyfiles/{number}"), b"");
        }
        w
    }),
    ("setuser", Harmless, |w, _, _| {
        w.moded("setuser-1.0.data/scripts/setuser", b"#!python\n", 0o106_755)
            .moded("setuser/tool", b"\x7fELF", 0o106_755)
    }),
    ("folding", INVALID, |w, _, _| {
        w.file("FOLDING.PY", b"x")
            .file("folding/\u{e9}", b"x")
            .file("folding/e\u{301}", b"x")
    }),
    ("reserved", Harmless, |w, _, _| {
        w.file("reserved/con", b"x").file("reserved/dots...", b"x")
    }),
    ("escapes", INVALID, |w, _, _| {
        w.file("escapes/\u{202e}yp.py", b"x")
    }),
    ("startup", Harmless, |w, c, n| {
        w.file("startup.pth", c.python(n).as_bytes())
    }),
    ("startupold", Harmless, |w, c, n| {
        w.file("distutils-precedence.pth", c.python(n).as_bytes())
    }),
    ("customize", Harmless, |w, c, n| {
        w.file("sitecustomize.py", c.python(n).as_bytes())
    }),
    ("usercustom", Harmless, |w, c, n| {
        w.file("usercustomize.py", c.python(n).as_bytes())
    }),
    ("module", Harmless, |w, c, n| {
        w.file("module/__init__.py", c.python(n).as_bytes())
    }),
    ("setupfile", Harmless, |w, c, n| {
        w.file("setup.py", c.python(n).as_bytes())
            .file("conftest.py", c.python(n).as_bytes())
    }),
    ("toolname", Harmless, |w, _, _| {
        w.script("ls", "toolname:main")
            .script("git", "toolname:main")
    }),
    ("headers", Harmless, |w, _, _| {
        w.file("headers-1.0.data/headers/x.h", b"x")
    }),
    ("configures", Harmless, |w, _, _| {
        w.file(
            "pip.conf",
            b"[global]\nindex-url = https://elsewhere.invalid/\n",
        )
        .file(".netrc", b"x")
    }),
];

#[test]
fn the_corpus_for_pip_is_harmless() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    let canaries = Canaries::new(&python.project);
    for (case, _, make) in CASES {
        make(Wheel::new(case, "1.0"), &canaries, case).publish(&registry);
    }
    let own = [
        "env/",
        "project/env",
        "project/.venv",
        "home/.",
        "run-",
        "tmp",
    ];
    let before = tree::read(&python.project.outside(""));
    let clean = python.tree();
    for (case, end, _) in CASES {
        if let Refused(code) = end {
            let run = python.v4run(&["install", "--no-compile", case]).run();
            let control = if *code == "overwrite-refused" {
                "4.18"
            } else {
                "4.13"
            };
            run.refuses(120, code, control);
        }
    }
    tree::assert_equal(&clean, &python.tree());
    let harmless: Vec<&str> = CASES
        .iter()
        .filter(|(_, end, _)| *end == Harmless)
        .map(|(case, ..)| *case)
        .collect();
    let words = [&["install", "--no-compile"][..], &harmless].concat();
    let run = python.v4run(&words).run();
    run.succeeds().says("startup-code");
    assert_eq!(canaries.fired(), [""; 0], "code ran\n{}", run.told());
    let found = wrong(&python.project, &before, &own, &python.packages());
    assert!(found.is_empty(), "{}", found.join("\n"));
    for case in &harmless {
        let info = format!("{case}-1.0.dist-info");
        assert!(python.packages().join(info).is_dir(), "{case}");
    }
    assert!(!run.stderr.contains('\u{202e}'));
    assert!(!Path::new("/climbed").exists());
    // Not in the next run either.
    python.v4run(&["list"]).run().succeeds();
    assert_eq!(canaries.fired(), [""; 0], "code ran");
    // The control: the environment's own Python runs what is there to run at its start.
    python.pip(&["list"]).run();
    let fired = canaries.fired();
    // A system may have a `sitecustomize` of its own, which is found first.
    for case in ["startup", "startupold"] {
        assert!(
            fired.iter().any(|name| name == case),
            "the control does not fire: {case}: {fired:?}"
        );
    }
    score(CASES.len());
}
