//! The source tree keeps its own rules: layers, the fence round unsafe code, sizes, documentation.
//!
//! It reads text, so it relies on the house rule of one `use` line a module and no
//! `use crate::{…}`. Each rule is proven on made-up files too: a check that cannot fail is none.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules by row; a row may import lower rows only.
const LAYERS: [&[&str]; 9] = [
    &["model", "sys"],
    &["diag"],
    &["verify", "profile"],
    &["store", "protocol", "manager"],
    &["sandbox", "supervisor", "proxy", "record", "examine"],
    &["assess"],
    &["session"],
    &["cli"],
    // Compiled for tests and for the fuzz build only.
    &["fuzz"],
];

/// Third-party crates and the only places that may name them.
const FENCES: [(&str, &[&str]); 4] = [
    ("landlock", &["sandbox/"]),
    ("seccompiler", &["sandbox/"]),
    (
        "libc",
        &["sys/", "profile/kernel.rs", "sandbox/", "supervisor/"],
    ),
    ("clap", &["cli/"]),
];

/// Where `libc` may be called. Elsewhere behind its fence only its constants are used.
const CALLS: &str = "sys/";

/// Modules without an async runtime.
const BLOCKING: [&str; 7] = [
    "model",
    "sys",
    "diag",
    "sandbox",
    "supervisor",
    "assess",
    "examine",
];

/// Lines of code that a file may have, its tests not counted.
const LONGEST: usize = 600;

/// The core: what differs between managers is a method of `Manager` or `Protocol`, or profile data.
const CORE: [&str; 5] = ["sandbox", "supervisor", "proxy", "record", "session"];

/// What the core may not name, beside managers and protocols by their own lists.
const LANGUAGES: [&str; 4] = ["python", "java", "javascript", "nodejs"];

/// Sources of the core that are compiled for tests only.
const SAMPLES: [&str; 2] = ["record/fixture.rs", "proxy/tests/"];

/// Files by path below `src`.
type Sources = BTreeMap<String, String>;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Sources {
    let mut found = Sources::new();
    read(&root().join("src"), "", "rs", &mut found);
    assert!(found.len() > 20, "the sources were not found");
    found
}

fn read(directory: &Path, prefix: &str, ending: &str, found: &mut Sources) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            read(&entry.path(), &format!("{name}/"), ending, found);
        } else if name.ends_with(ending) {
            let bytes = fs::read(entry.path()).unwrap();
            found.insert(name, String::from_utf8_lossy(&bytes).into_owned());
        }
    }
}

/// The part of a file that ships: everything before its test module.
fn shipped(text: &str) -> &str {
    ["#[cfg(test)]\nmod ", "#[cfg(test)]\npub(super) mod tests {"]
        .iter()
        .filter_map(|start| text.find(start))
        .min()
        .map_or(text, |at| &text[..at])
}

/// Lines without comments; text in string literals stays, which errs on the strict side.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(number, line)| (number + 1, line.split("//").next().unwrap_or("")))
}

fn top(path: &str) -> &str {
    path.split('/')
        .next()
        .unwrap_or(path)
        .trim_end_matches(".rs")
}

fn row(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

/// Modules of this crate that a line names: `crate::x`, `v4run::x`, or `super::` up to the top.
fn named(path: &str, line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for prefix in ["crate::", "v4run::"] {
        for (at, _) in line.match_indices(prefix) {
            if line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let rest = &line[at + prefix.len()..];
            let end = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            found.push(rest[..end].to_string());
        }
    }
    let depth = path.trim_end_matches("/mod.rs").matches('/').count() + 1;
    for (at, _) in line.match_indices("super::") {
        if at >= 2 && &line[at - 2..at] == "::" {
            continue;
        }
        let climbs = line[at..]
            .split("super::")
            .take_while(|part| part.is_empty())
            .count();
        let rest = line[at..].trim_start_matches("super::");
        if climbs >= depth {
            let end = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            found.push(rest[..end].to_string());
        }
    }
    found
}

fn layers(sources: &Sources) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, text) in sources {
        if matches!(path.as_str(), "lib.rs" | "main.rs") {
            continue;
        }
        let here = top(path);
        let Some(own) = row(here) else {
            wrong.push(format!("{path}: `{here}` is in no layer"));
            continue;
        };
        for (number, line) in code(text) {
            if line.contains("crate::{") {
                wrong.push(format!("{path}:{number}: one `use` line a module"));
            }
            for module in named(path, line) {
                let Some(other) = row(&module) else { continue };
                // The assessment reads records back through the ledger reader.
                if module != here && other >= own {
                    wrong.push(format!("{path}:{number}: `{here}` imports `{module}`"));
                }
            }
        }
    }
    wrong
}

fn unsafe_code(sources: &Sources) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, text) in sources {
        let fenced = path.starts_with("sys/");
        for (number, line) in code(text) {
            let keyword = |(at, _): (usize, &str)| {
                let after = &line[at + "unsafe".len()..];
                let starts =
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_-\"`".contains(c));
                starts && (after.is_empty() || after.starts_with([' ', '{', '(']))
            };
            let word = line.match_indices("unsafe").any(keyword);
            if word && !fenced {
                wrong.push(format!("{path}:{number}: unsafe code outside `sys`"));
            }
            if line.contains("(unsafe_code") && path != "sys/mod.rs" {
                wrong.push(format!(
                    "{path}:{number}: the lint is lifted outside `sys/mod.rs`"
                ));
            }
        }
    }
    wrong
}

fn sizes(sources: &Sources) -> Vec<String> {
    let long = |(path, text): (&String, &String)| {
        let lines = shipped(text).lines().count();
        (lines > LONGEST).then(|| format!("{path}: {lines} lines"))
    };
    sources.iter().filter_map(long).collect()
}

fn documentation(sources: &Sources) -> Vec<String> {
    let bare = |(path, text): (&String, &String)| {
        (!text.starts_with("//!")).then(|| format!("{path}: no module documentation"))
    };
    sources.iter().filter_map(bare).collect()
}

fn fences(sources: &Sources) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, text) in sources {
        for (number, line) in code(shipped(text)) {
            let names = |name: &str| {
                let paths = [
                    format!("{name}::"),
                    format!("use {name};"),
                    format!("extern crate {name}"),
                ];
                paths.iter().any(|pattern| {
                    line.match_indices(pattern.as_str()).any(|(at, _)| {
                        !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
                    })
                })
            };
            for (name, places) in FENCES {
                if names(name) && !places.iter().any(|place| path.starts_with(place)) {
                    wrong.push(format!("{path}:{number}: `{name}` outside {places:?}"));
                }
            }
            let call = |(at, _): (usize, &str)| {
                line[at + "libc::".len()..].starts_with(|c: char| c.is_ascii_lowercase())
            };
            if !path.starts_with(CALLS) && line.match_indices("libc::").any(call) {
                wrong.push(format!(
                    "{path}:{number}: a call or type of `libc` outside `{CALLS}`"
                ));
            }
            if BLOCKING.contains(&top(path)) && names("tokio") {
                wrong.push(format!("{path}:{number}: `tokio` in a blocking module"));
            }
        }
    }
    wrong
}

/// Words of a line: of `PipVersion`, `is_pip` and `"pkg:pip/"` each time `pip`.
fn words(line: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut humped = true;
    for letter in line.chars() {
        let hump = letter.is_uppercase();
        if !letter.is_alphabetic() || (hump && !humped) {
            found.push(String::new());
        }
        humped = hump;
        if let Some(word) = found.last_mut().filter(|_| letter.is_alphabetic()) {
            word.extend(letter.to_lowercase());
        }
    }
    found
}

fn managers_in_the_core(sources: &Sources) -> Vec<String> {
    let managers = v4run::manager::ALL.iter().map(|one| one.name());
    let protocols = v4run::protocol::ALL.iter().map(|one| one.name());
    let names: Vec<&str> = managers.chain(protocols).chain(LANGUAGES).collect();
    let mut wrong = Vec::new();
    for (path, text) in sources {
        let test = path.ends_with("/tests.rs") || SAMPLES.iter().any(|own| path.starts_with(own));
        if test || !CORE.contains(&top(path)) {
            continue;
        }
        for (number, line) in code(shipped(text)) {
            let said = words(line).into_iter();
            let mut said = said.filter(|word| names.contains(&word.as_str()));
            if let Some(word) = said.next() {
                wrong.push(format!("{path}:{number}: the core names `{word}`"));
            }
        }
    }
    wrong
}

#[track_caller]
fn none(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn lower_layers_do_not_know_higher_ones() {
    none(layers(&sources()));
}

#[test]
fn unsafe_code_has_one_home() {
    none(unsafe_code(&sources()));
}

#[test]
fn no_file_is_too_long() {
    none(sizes(&sources()));
}

#[test]
fn every_file_says_what_it_is_for() {
    none(documentation(&sources()));
    let mut tests = Sources::new();
    read(&root().join("tests"), "", "rs", &mut tests);
    none(documentation(&tests));
    none(sizes(&tests));
}

#[test]
fn other_people_s_crates_stay_in_their_places() {
    none(fences(&sources()));
}

#[test]
fn the_core_names_no_manager() {
    none(managers_in_the_core(&sources()));
}

#[test]
fn public_registries_are_never_named() {
    // Put together from pieces, so that this file does not name them either.
    let hosts = [
        ["registry.", "npm", "js.", "org"].concat(),
        ["registry.", "yarn", "pkg.", "com"].concat(),
        ["py", "pi.", "org"].concat(),
        ["files.", "python", "hosted.", "org"].concat(),
        ["repo.", "maven.", "apache.", "org"].concat(),
        ["repo1.", "maven.", "org"].concat(),
        ["crates", ".io"].concat(),
    ];
    let mut wrong = Vec::new();
    for folder in ["src", "tests", "profiles", "scripts", ".ci"] {
        let mut files = Sources::new();
        let path = root().join(folder);
        if path.exists() {
            read(&path, &format!("{folder}/"), "", &mut files);
        }
        for (path, text) in files {
            for host in hosts.iter().filter(|host| text.contains(host.as_str())) {
                wrong.push(format!("{path} names {host}"));
            }
        }
    }
    for name in [
        "README.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "Makefile",
        "Cargo.toml",
    ] {
        let text = fs::read_to_string(root().join(name)).unwrap_or_default();
        for host in hosts.iter().filter(|host| text.contains(host.as_str())) {
            wrong.push(format!("{name} names {host}"));
        }
    }
    none(wrong);
}

/// Codes that no black-box run can bring about on a healthy machine, with the reason.
const UNREACHED: [(&str, &str); 6] = [
    ("usage", "the argument parser has words of its own"),
    (
        "runtime-changed",
        "would need a change of node while it runs; tested in the session",
    ),
    (
        "exec-refused",
        "a process is refused before it could execute; tested by the canaries",
    ),
    (
        "helper-lost",
        "would need a crash of the proxy; tested in the session",
    ),
    (
        "containment-incomplete",
        "would need a process that cannot be killed",
    ),
    ("internal", "would need an error in v4run itself"),
];

#[test]
fn every_finding_is_brought_about_by_a_test() {
    let mut tests = Sources::new();
    read(&root().join("tests/it"), "", "rs", &mut tests);
    let quoted = |code: &str| {
        let pattern = format!("\"{code}\"");
        tests
            .iter()
            .any(|(path, text)| path != "layout.rs" && text.contains(&pattern))
    };
    let missing: Vec<&str> = v4run::model::Code::ALL
        .iter()
        .map(|code| code.name())
        .filter(|code| !quoted(code) && !UNREACHED.iter().any(|(known, _)| known == code))
        .collect();
    assert!(missing.is_empty(), "no test brings about {missing:?}");
}

/// Every check finds what it is there for.
#[test]
fn the_checks_can_fail() {
    type Check = fn(&Sources) -> Vec<String>;
    let long = format!("//! x\n{}", "fn a() {}\n".repeat(LONGEST));
    let cases: [(Check, &str, &str); 20] = [
        (
            managers_in_the_core,
            "proxy/a.rs",
            "//! x\nif name == \"pip\" {}\n",
        ),
        (
            managers_in_the_core,
            "session/a.rs",
            "//! x\nlet is_uv = 1;\n",
        ),
        (
            managers_in_the_core,
            "record/a.rs",
            "//! x\nuse crate::protocol::PypiPage;\n",
        ),
        (
            managers_in_the_core,
            "supervisor/a.rs",
            "//! x\nlet a = \"pkg:maven/\";\n",
        ),
        (layers, "model/a.rs", "//! x\nuse crate::proxy::Proxy;\n"),
        (
            layers,
            "model/a.rs",
            "//! x\nuse super::super::proxy::Proxy;\n",
        ),
        (layers, "model/mod.rs", "//! x\nuse super::proxy::Proxy;\n"),
        (layers, "model/a.rs", "//! x\nuse crate::{proxy};\n"),
        (
            layers,
            "proxy/a.rs",
            "//! x\nfn f() { crate::record::x() }\n",
        ),
        (layers, "stray/a.rs", "//! x\n"),
        (unsafe_code, "proxy/a.rs", "//! x\nunsafe fn f() {}\n"),
        (
            unsafe_code,
            "proxy/a.rs",
            "//! x\nlet a = unsafe { b() };\n",
        ),
        (unsafe_code, "sys/a.rs", "//! x\n#![allow(unsafe_code)]\n"),
        (sizes, "model/a.rs", &long),
        (documentation, "model/a.rs", "use std::fs;\n"),
        (fences, "proxy/a.rs", "//! x\nuse landlock::Ruleset;\n"),
        (fences, "session/a.rs", "//! x\nlet a = libc::EPERM;\n"),
        (
            fences,
            "supervisor/a.rs",
            "//! x\nlet a = libc::getpid();\n",
        ),
        (fences, "session/a.rs", "//! x\nuse clap::Parser;\n"),
        (
            fences,
            "sandbox/a.rs",
            "//! x\nuse tokio::net::TcpStream;\n",
        ),
    ];
    for (check, path, text) in cases {
        let wrong = check(&Sources::from([(path.to_string(), text.to_string())]));
        assert!(!wrong.is_empty(), "not found: {path}: {text}");
    }
    let fine: [(Check, &str, &str); 5] = [
        (
            managers_in_the_core,
            "proxy/a.rs",
            "//! npm\nlet pipe = piped; // pip\n#[cfg(test)]\nmod tests {\"pip\"}\n",
        ),
        (
            layers,
            "proxy/a.rs",
            "//! x\nuse crate::model::Event;\nuse super::ca::Authority;\n",
        ),
        (
            layers,
            "manager/npm/lock.rs",
            "//! crate::session\nuse super::super::Manager;\n",
        ),
        (
            unsafe_code,
            "sys/a.rs",
            "//! x\nunsafe fn f() {} // unsafe\n",
        ),
        (fences, "sys/a.rs", "//! x\nuse libc::EPERM;\n"),
    ];
    for (check, path, text) in fine {
        none(check(&Sources::from([(
            path.to_string(),
            text.to_string(),
        )])));
    }
}
