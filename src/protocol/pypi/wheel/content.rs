//! What the files of a wheel are: where pip puts each, and which of them run at a start.
//!
//! A path means what pip's unpacking makes of it: everything at the root is library, what lies
//! below `<name>-<version>.data/` goes to the directory of its kind. Two ways to one library path
//! are refused.
//!
//! PEP 427; the `site` module's documentation for files that run when the interpreter starts.

use std::collections::{BTreeSet, HashSet};

use super::archive::Entry;
use super::metadata::programs;
use super::{WheelError, file};
use crate::model::Code;
use crate::model::Digest;
use crate::model::Examined;
use crate::model::Finding;
use crate::model::python::{normalize_name, normalize_version};
use crate::protocol::Placed;

/// Kinds of data, as pip knows them.
const KINDS: [&str; 5] = ["purelib", "platlib", "headers", "scripts", "data"];
/// Modules that the interpreter imports when it starts.
const CUSTOMIZE: [&str; 2] = ["sitecustomize", "usercustomize"];
/// Where Python splits lines, which is at more places than `str::lines` does.
pub(super) const BREAKS: [char; 10] = [
    '\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}',
];
/// Names that are listed of each sort.
const LISTED: usize = 200;

/// The files of one wheel, as they are read.
pub(super) struct Contents<'a> {
    descriptions: String,
    data: String,
    named: &'a file::WheelName,
    library: &'static str,
    placed: Vec<Placed>,
    /// Paths in the library, whichever of its two kinds.
    libraries: HashSet<String>,
    programs: BTreeSet<String>,
    examined: Examined,
    findings: Vec<(String, String)>,
}

/// The beginning that the wheel's own two directories share.
pub(super) fn own_directory(
    entries: &[Entry],
    named: &file::WheelName,
) -> Result<String, WheelError> {
    let tops: BTreeSet<&str> = entries
        .iter()
        .filter_map(|entry| entry.name.split_once('/'))
        .map(|(top, _)| top)
        .filter(|top| top.ends_with(".dist-info"))
        .collect();
    let shown = || WheelError::Descriptions(tops.iter().copied().collect::<Vec<_>>().join(", "));
    let mut all = tops.iter();
    let (Some(only), None) = (all.next(), all.next()) else {
        return Err(shown());
    };
    let stem = only.strip_suffix(".dist-info").unwrap_or_default();
    let (name, version) = stem.split_once('-').ok_or_else(shown)?;
    let version =
        normalize_version(version).or_else(|| normalize_version(&version.replacen('_', "+", 1)));
    let own = normalize_name(name).as_deref() == Some(named.name.as_str())
        && version.as_deref() == Some(named.version.as_str());
    if own {
        Ok(stem.to_owned())
    } else {
        Err(shown())
    }
}

impl<'a> Contents<'a> {
    pub(super) fn new(stem: &str, named: &'a file::WheelName, pure: bool) -> Self {
        Self {
            descriptions: format!("{stem}.dist-info"),
            data: format!("{stem}.data"),
            named,
            library: if pure { "purelib" } else { "platlib" },
            placed: Vec::new(),
            libraries: HashSet::new(),
            programs: BTreeSet::new(),
            examined: Examined::default(),
            findings: Vec::new(),
        }
    }

    /// Kind and path below its directory.
    fn place<'p>(&self, path: &'p str) -> Result<(&'static str, &'p str), WheelError> {
        let Some((top, rest)) = path.split_once('/') else {
            return Ok((self.library, path));
        };
        if !top.ends_with(".data") {
            return Ok((self.library, path));
        }
        let unknown = || WheelError::Data(path.to_owned());
        let (kind, below) = rest.split_once('/').ok_or_else(unknown)?;
        let kind = KINDS.iter().find(|known| **known == kind);
        match kind {
            Some(kind) if top == self.data => Ok((kind, below)),
            _ => Err(unknown()),
        }
    }

    /// Whether the file's content is to be looked at.
    pub(super) fn keeps(&self, path: &str) -> bool {
        let below = self.place(path).map_or(path, |(_, below)| below);
        below.ends_with(".pth")
            || below.ends_with(".start")
            || path == format!("{}/entry_points.txt", self.descriptions)
    }

    /// Takes the next file.
    pub(super) fn add(
        &mut self,
        path: &str,
        digest: Option<Digest>,
        content: &[u8],
    ) -> Result<(), WheelError> {
        let (kind, below) = self.place(path)?;
        self.examined.files = self.examined.files.saturating_add(1);
        let library = match kind {
            "purelib" | "platlib" => Some(below),
            "data" => beside_packages(below),
            _ => None,
        };
        if let Some(below) = library {
            self.library(path, below, content)?;
        }
        if path == format!("{}/entry_points.txt", self.descriptions) {
            for program in programs(content)? {
                self.program(&program)?;
            }
        }
        if kind == "scripts" {
            self.program(below)?;
        }
        if is_native(below) {
            self.examined.natives = self.examined.natives.saturating_add(1);
            list(&mut self.examined.native, path);
        }
        let path = match kind {
            // pip gives the headers of each project a directory.
            "headers" => format!("{}/{below}", self.named.name),
            _ => below.to_owned(),
        };
        self.placed.push(Placed {
            kind,
            path,
            // The first line of a script is rewritten for the interpreter.
            digest: digest.filter(|_| kind != "scripts"),
        });
        Ok(())
    }

    fn library(&mut self, path: &str, below: &str, content: &[u8]) -> Result<(), WheelError> {
        if !self.libraries.insert(below.to_owned()) {
            return Err(WheelError::Twice(below.to_owned()));
        }
        let (top, deeper) = match below.split_once('/') {
            Some((top, _)) => (top, true),
            None => (below, false),
        };
        // Whoever lists installed packages would take it for one.
        let describes = top.ends_with(".dist-info") || top.ends_with(".egg-info");
        let own = below == path && top == self.descriptions;
        if describes && !own {
            return Err(WheelError::Descriptions(top.to_owned()));
        }
        let module = top.split('.').next().unwrap_or_default();
        let found = if CUSTOMIZE.contains(&module) && (!deeper || module == top) {
            Some("the interpreter imports it whenever it starts".to_owned())
        } else if !deeper && (top.ends_with(".pth") || top.ends_with(".start")) {
            startup_line(top, content)
        } else {
            None
        };
        if let Some(reason) = found {
            list(&mut self.examined.startup, path);
            if self.findings.len() < LISTED {
                self.findings.push((path.to_owned(), reason));
            }
        }
        Ok(())
    }

    fn program(&mut self, name: &str) -> Result<(), WheelError> {
        if name.is_empty()
            || matches!(name, "." | "..")
            || name.contains(['/', '\\'])
            || name.chars().any(char::is_control)
        {
            return Err(WheelError::Program(name.escape_debug().take(200).collect()));
        }
        self.programs.insert(name.to_owned());
        Ok(())
    }

    /// What was found, all files together.
    pub(super) fn finish(
        mut self,
        file: &str,
    ) -> Result<(Vec<Placed>, Vec<Finding>, Examined), WheelError> {
        let scripts: HashSet<String> = self
            .placed
            .iter()
            .filter(|placed| placed.kind == "scripts")
            .map(|placed| placed.path.clone())
            .collect();
        for program in &self.programs {
            if !scripts.contains(program) {
                self.placed.push(Placed {
                    kind: "scripts",
                    path: program.clone(),
                    digest: None,
                });
            }
        }
        self.examined.programs = self.programs.into_iter().collect();
        let subject = format!("{}@{}", self.named.name, self.named.version);
        let findings = self
            .findings
            .into_iter()
            .map(|(path, reason)| {
                let message = format!("`{path}` in `{file}` runs code: {reason}");
                Finding::new(Code::StartupCode, subject.clone(), message)
                    .with_hint(Code::StartupCode.remedy())
            })
            .collect();
        Ok((self.placed, findings, self.examined))
    }
}

/// The path in the library of data that is put among the packages.
fn beside_packages(path: &str) -> Option<&str> {
    let places = ["site-packages/", "dist-packages/"];
    let found = places.iter().filter_map(|place| {
        let (above, below) = path.rsplit_once(place)?;
        (above.is_empty() || above.ends_with('/')).then_some(below)
    });
    found.min_by_key(|below| below.len())
}

fn list(names: &mut Vec<String>, path: &str) {
    if names.len() < LISTED {
        names.push(path.to_owned());
    }
}

/// The line of a file beside the packages that runs code, if it has one.
fn startup_line(name: &str, content: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(content);
    let lines = text.split(BREAKS);
    let every = name.ends_with(".start");
    let line = lines.into_iter().enumerate().find(|(_, line)| {
        let line = line.strip_prefix('\u{feff}').unwrap_or(line);
        line.starts_with("import ")
            || line.starts_with("import\t")
            || (every && !line.trim().is_empty() && !line.starts_with('#'))
    });
    let (number, line) = line?;
    let shown: String = line.trim().escape_debug().take(120).collect();
    Some(format!("line {}: {shown}", number.saturating_add(1)))
}

fn is_native(path: &str) -> bool {
    let name = path
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    [".so", ".pyd", ".dylib", ".dll"]
        .iter()
        .any(|ending| name.ends_with(ending))
        || name.contains(".so.")
}
