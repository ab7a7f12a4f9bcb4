//! Wheels from bytes to verdict.

use super::fixture::{Odd, Zip, files, packed, record, row, wheel};
use super::inspect;
use crate::model::Code;
use crate::model::Finding;
use crate::protocol::{Artifact, Inspection, Placed};

const FILE: &str = "left-1.0-py3-none-any.whl";

fn look_at(file: &str, content: Vec<u8>) -> Result<Inspection, Finding> {
    let artifact = Artifact {
        name: Some("left"),
        version: Some("1.0"),
        file,
    };
    inspect(&artifact, &content).map_err(|finding| *finding)
}

fn look(content: Vec<u8>) -> Result<Inspection, Finding> {
    look_at(FILE, content)
}

#[track_caller]
fn refused(content: Vec<u8>, with: &str) {
    let finding = look(content).unwrap_err();
    assert_eq!(finding.code, Code::ArtifactInvalid);
    assert_eq!(finding.subject, "left@1.0");
    assert!(finding.message.contains(with), "{}", finding.message);
}

/// A wheel with one more entry that is made by hand and listed as it should be.
fn with_entry(name: &str, content: &[u8], odd: &Odd) -> Vec<u8> {
    let files = files("left", "1.0", &[("left.py", b"x = 1\n")]);
    let mut zip = Zip::default();
    for (path, content) in &files {
        zip.add(path, content);
    }
    zip.odd(name, content, odd);
    let record = format!("{}{}", record(&files), row(name, content));
    zip.add("left-1.0.dist-info/RECORD", record.as_bytes());
    zip.finish()
}

fn with_record(record: &str) -> Vec<u8> {
    let files = files("left", "1.0", &[("left.py", b"x = 1\n")]);
    packed("left", "1.0", &files, record)
}

#[test]
fn an_ordinary_wheel_is_described() {
    let content = wheel(
        "left",
        "1.0",
        &[
            ("left/__init__.py", b"x = 1\n"),
            ("left/_fast.cpython-311-x86_64-linux-gnu.so", b"\x7fELF"),
            ("left.libs/libz.so.1", b"\x7fELF"),
            ("paths.pth", b"# import nothing\n./more\n"),
            ("starts.pth", b"\n\rimport os; os\n"),
            ("left/deep.pth", b"import os\n"),
            ("sitecustomize.py", b""),
            ("left-1.0.data/scripts/left-tool", b"#!python\n"),
            ("left-1.0.data/data/share/left.txt", b"text"),
            ("left-1.0.data/headers/left.h", b"int x;"),
            ("left-1.0.data/purelib/more.py", b"y = 1\n"),
            (
                "left-1.0.dist-info/entry_points.txt",
                b"[console_scripts]\nls = left:main\n",
            ),
        ],
    );
    let found = look(content).unwrap();
    assert_eq!(found.name, "left");
    let examined = &found.examined;
    assert_eq!((examined.files, examined.natives), (15, 2));
    assert_eq!(examined.programs, ["left-tool", "ls"]);
    assert_eq!(examined.startup, ["starts.pth", "sitecustomize.py"]);
    let notes: Vec<&str> = found
        .findings
        .iter()
        .map(|one| one.message.as_str())
        .collect();
    assert_eq!(found.findings.len(), 2);
    assert!(notes[0].contains("line 3: import os; os"), "{}", notes[0]);
    assert!(
        found
            .findings
            .iter()
            .all(|one| one.code == Code::StartupCode)
    );
    let place = |kind: &str, path: &str| -> Option<&Placed> {
        found
            .placed
            .iter()
            .find(|one| one.kind == kind && one.path == path)
    };
    for (kind, path, fixed) in [
        ("purelib", "left/__init__.py", true),
        ("purelib", "more.py", true),
        ("purelib", "left-1.0.dist-info/METADATA", true),
        ("purelib", "left-1.0.dist-info/RECORD", false),
        ("data", "share/left.txt", true),
        ("headers", "left/left.h", true),
        ("scripts", "left-tool", false),
        ("scripts", "ls", false),
    ] {
        assert_eq!(place(kind, path).unwrap().digest.is_some(), fixed, "{path}");
    }
}

#[test]
fn names_agree_everywhere() {
    let good = || wheel("left", "1.0", &[]);
    assert!(look(good()).is_ok());
    assert!(look_at("Left-1.0-py3-none-any.whl", good()).is_ok());
    for file in [
        "right-1.0-py3-none-any.whl",
        "left-1.1-py3-none-any.whl",
        "left.whl",
    ] {
        assert_eq!(
            look_at(file, good()).unwrap_err().code,
            Code::ArtifactInvalid,
            "{file}"
        );
    }
    let other = |from: &str, to: &str| {
        let mut files = files("left", "1.0", &[]);
        for (_, content) in &mut files {
            *content = String::from_utf8(content.clone())
                .unwrap()
                .replace(from, to)
                .into();
        }
        packed("left", "1.0", &files, &record(&files))
    };
    refused(other("Name: left", "Name: right"), "METADATA says `right`");
    refused(
        other("Version: 1.0\n\n", "Version: 2.0\n\n"),
        "METADATA says `2.0`",
    );
    refused(other("Name: left", "Name: left\nName: right"), "twice");
    refused(other("Name: left\n", ""), "`Name` of METADATA");
    refused(
        other("Wheel-Version: 1.0", "Wheel-Version: 2.0"),
        "unknown version",
    );
    refused(other("Root-Is-Purelib: true\n", ""), "Root-Is-Purelib");
}

#[test]
fn only_its_own_descriptions_are_in_it() {
    for path in [
        "right-1.0.dist-info/METADATA",
        "left-2.0.dist-info/METADATA",
        "right.egg-info/PKG-INFO",
        "right.egg-info",
        "left-1.0.data/purelib/right-1.0.dist-info/METADATA",
        "left-1.0.data/platlib/left-1.0.dist-info/INSTALLER",
    ] {
        refused(
            wheel("left", "1.0", &[(path, b"x")]),
            "directory of descriptions",
        );
    }
    for path in [
        "left-1.0.data/else/x",
        "left-1.0.data/x",
        "right-1.0.data/purelib/x.py",
        "left-2.0.data/purelib/x.py",
    ] {
        refused(wheel("left", "1.0", &[(path, b"x")]), "not a kind of data");
    }
    let twice: [(&str, &[u8]); 2] = [("a.py", b"1"), ("left-1.0.data/platlib/a.py", b"2")];
    refused(wheel("left", "1.0", &twice), "`a.py` is in it twice");
}

#[test]
fn data_among_the_packages_is_library() {
    let place = "left-1.0.data/data/lib/python3.11/site-packages";
    let named = |below: &str| format!("{place}/{below}");
    for (path, starts) in [
        (named("x.pth"), true),
        (named("sitecustomize.py"), true),
        (named("usercustomize/__init__.py"), true),
        (named("left/x.pth"), false),
        ("left-1.0.data/data/share/x.pth".to_owned(), false),
        (
            "left-1.0.data/data/my-site-packages/x.pth".to_owned(),
            false,
        ),
    ] {
        let content = wheel("left", "1.0", &[(&path, b"import os\n")]);
        let startup = look(content).unwrap().examined.startup;
        assert_eq!(!startup.is_empty(), starts, "{path}");
    }
    // Not a description of another package either, and no file by two ways.
    let other = named("right-1.0.dist-info/METADATA");
    refused(wheel("left", "1.0", &[(&other, b"x")]), "right-1.0");
    let twice: [(&str, &[u8]); 2] = [("left.py", b"a"), (&named("left.py"), b"b")];
    refused(wheel("left", "1.0", &twice), "twice");
}

#[test]
fn programs_have_names_and_no_paths() {
    for name in ["../../evil", "/evil", "a/b", ".."] {
        let text = format!("[console_scripts]\n{name} = left:main\n");
        let files = [("left-1.0.dist-info/entry_points.txt", text.as_bytes())];
        refused(wheel("left", "1.0", &files), "a name that is none");
    }
}

#[test]
fn the_list_of_files_is_the_files() {
    let files = files("left", "1.0", &[("left.py", b"x = 1\n")]);
    let good = record(&files);
    assert!(look(with_record(&good)).is_ok());
    refused(with_record(""), "in the archive and not listed");
    refused(
        with_record(&good.replace("left.py", "right.py")),
        "not listed",
    );
    let more = format!("{good}{}", row("../../etc/cron", b"x"));
    refused(with_record(&more), "not in the archive");
    let lie = format!(
        "{}{}",
        good.replacen(&row("left.py", b"x = 1\n"), "", 1),
        row("left.py", b"y")
    );
    refused(with_record(&lie), "is not what RECORD lists");
    refused(
        with_record(&good.replace("sha256=", "md5=")),
        "suffices for nothing",
    );
    let bare = good.replacen(&row("left.py", b"x = 1\n"), "left.py,,\n", 1);
    refused(with_record(&bare), "without a digest");
}

#[test]
fn paths_stay_inside() {
    for (name, with) in [
        ("../evil.py", "dot segments"),
        ("left/../../evil.py", "dot segments"),
        ("./left2.py", "dot segments"),
        ("left//x.py", "empty or dot"),
        ("/etc/evil", "absolute"),
        ("left\\x.py", "backslash"),
        ("C:\\x", "backslash"),
        ("left\0.py", "control"),
        ("left\n.py", "control"),
        ("left.py/x", "in it twice"),
        ("left.py", "in it twice"),
        ("left.py/", "in it twice"),
    ] {
        refused(with_entry(name, b"", &Odd::default()), with);
    }
    assert!(look(with_entry("left/\u{e9}.py", b"x", &Odd::default())).is_ok());
    let deep = "d/".repeat(70) + "x.py";
    refused(with_entry(&deep, b"x", &Odd::default()), "deep");
}

#[test]
fn odd_entries_are_refused() {
    let odd = Odd::default();
    for (odd, with) in [
        (
            Odd {
                mode: 0o120_777,
                ..odd.clone()
            },
            "a link",
        ),
        (
            Odd {
                mode: 0o020_666,
                ..odd.clone()
            },
            "special file",
        ),
        (
            Odd {
                mode: 0o040_755,
                ..odd.clone()
            },
            "special file",
        ),
        (
            Odd {
                flags: 1,
                ..odd.clone()
            },
            "encrypted",
        ),
        (
            Odd {
                method: Some(12),
                ..odd.clone()
            },
            "compression method",
        ),
        (
            Odd {
                local: Some("safe.py".into()),
                ..odd.clone()
            },
            "two headers differ",
        ),
        (
            Odd {
                size: Some(3),
                ..odd.clone()
            },
            "unpacks to more",
        ),
        (
            Odd {
                size: Some(5000),
                ..odd.clone()
            },
            "another size",
        ),
        (
            Odd {
                size: Some(u32::MAX),
                ..odd.clone()
            },
            "unpacks to more",
        ),
        (
            Odd {
                extra: b"\x75\x70\x02\x00\x01\x00".to_vec(),
                ..odd.clone()
            },
            "more than one reading",
        ),
    ] {
        refused(with_entry("extra.py", b"content", &odd), with);
    }
    let latin = Odd {
        flags: 0x800,
        ..odd
    };
    refused(
        with_entry("\u{e9}.py", b"x", &latin),
        "more than one reading",
    );
    let stored = Odd {
        method: Some(0),
        ..Odd::default()
    };
    assert!(look(with_entry("extra.py", b"content", &stored)).is_ok());
}

#[test]
fn the_archive_has_one_reading() {
    let good = wheel("left", "1.0", &[]);
    refused([b"MZ".as_slice(), &good].concat(), "not at its end");
    refused([&good, b"x".as_slice()].concat(), "end record");
    refused([good.as_slice(), &good].concat(), "not at its end");
    refused(good[1..].to_vec(), "not at its end");
    refused(good[..good.len() - 30].to_vec(), "end record");
    refused(Vec::new(), "end record");
    refused(b"not a zip".to_vec(), "end record");
    // A gap in front, with every offset corrected.
    let mut zip = Zip::default();
    zip.bytes.extend_from_slice(b"#!/bin/sh\n");
    for (path, content) in files("left", "1.0", &[]) {
        zip.add(&path, &content);
    }
    refused(zip.finish(), "gaps");
    let mut commented = good.clone();
    let at = commented.len() - 2;
    commented[at..].copy_from_slice(&[1, 0]);
    refused([commented.as_slice(), b"x"].concat(), "end record");
    let mut fewer = good;
    let at = fewer.len() - 14;
    fewer[at..at + 4].copy_from_slice(&[1, 0, 1, 0]);
    refused(fewer, "another length");
}

#[test]
fn bombs_are_refused_unread() {
    let zeros = vec![0; 80 * 1024 * 1024];
    let start = std::time::Instant::now();
    refused(
        with_entry("zeros.bin", &zeros, &Odd::default()),
        "unpacks to more",
    );
    assert!(start.elapsed().as_secs() < 20);
    // The claim is small and the content is not: reading stops at the claim.
    let odd = Odd {
        size: Some(10),
        ..Odd::default()
    };
    refused(with_entry("zeros.bin", &zeros, &odd), "unpacks to more");
}

#[test]
fn any_changed_byte_is_an_error_or_changes_nothing() {
    let good = wheel("left", "1.0", &[("left.py", b"x = 1\n")]);
    let placed = look(good.clone()).unwrap().placed;
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x41;
        if let Ok(found) = look(bad) {
            assert_eq!(found.placed, placed, "byte {at}");
        }
    }
    for end in 0..good.len() {
        assert!(look(good[..end].to_vec()).is_err(), "cut at {end}");
    }
}
