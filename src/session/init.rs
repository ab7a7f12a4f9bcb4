//! `v4run init`: a policy to begin with, written beside what a run was about.
//!
//! Everything in it is a comment, so that it loads and changes no verdict: what was seen is no permission,
//! and what a run needs is for a person to say. Settings stand behind one `#`, words behind two. It never
//! replaces a file. Names and addresses come from a record, so none of them can end a comment.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::places;
use super::places::Environment;
use super::prepare::{POLICY, policy_directory};
use crate::diag::sanitize;
use crate::model::{Code, Event, Finding};
use crate::record;
use crate::record::{Summary, Suppression};

/// Packages with scripts that are named.
const NAMED: usize = 20;

/// Writes `v4run.toml` into the working directory, from that record or the newest one; says where it is
/// and what it was made from.
pub fn init(from: Option<&Path>) -> Result<(PathBuf, PathBuf), Finding> {
    let directory = places::working_directory()?;
    let there = policy_directory(&directory).join(POLICY);
    let refuse = |path: &Path, message: &str| {
        let shown = path.display().to_string();
        Finding::new(Code::Usage, shown.clone(), format!("`{shown}`: {message}"))
    };
    if there.exists() {
        return Err(refuse(&there, "there is a policy, and it stays as it is"));
    }
    let environment: Environment = std::env::vars_os().collect();
    let from = match from {
        Some(from) => from.to_owned(),
        None => newest(&environment)?,
    };
    let reading = record::read(&from).map_err(|error| error.finding())?;
    let summary = record::load_summary(&from).map_err(|error| error.finding())?;
    let bases = reading.entries.iter().filter_map(|entry| {
        if let Some(Event::RepositoryKnown(known)) = &entry.event {
            Some(known.base.clone())
        } else {
            None
        }
    });
    let text = policy(&summary, &bases.collect(), &from);
    let place = directory.join(POLICY);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&place)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| refuse(&place, &format!("it cannot be written: {error}")))?;
    Ok((place, from))
}

/// The newest record of this user: names of records sort by time.
fn newest(environment: &Environment) -> Result<PathBuf, Finding> {
    let records = places::folder_of_records(environment)?;
    let sealed = |path: &PathBuf| path.join(record::SUMMARY).is_file();
    let found = std::fs::read_dir(&records).ok().and_then(|entries| {
        let paths = entries.flatten().map(|entry| entry.path());
        paths.filter(sealed).max()
    });
    found.ok_or_else(|| {
        let shown = records.display().to_string();
        let message = format!("there is no record of a run in `{shown}`");
        Finding::new(Code::Usage, shown, message)
            .with_hint("run v4run once, or name a record: `v4run init DIR`")
    })
}

fn policy(summary: &Summary, bases: &BTreeSet<String>, from: &Path) -> String {
    let mut text = String::new();
    let mut say = |line: &str| text.push_str(&format!("## {}\n", sanitize(line)));
    say("Policy of this project for v4run; reviewed with its code.");
    say(
        "Nothing here counts as it stands: settings are behind one `#`, take it away from those you want.",
    );
    say(&format!(
        "Made from the record of `{} {}`: {}",
        summary.manager,
        summary.arguments.join(" "),
        from.display()
    ));
    text.push('\n');
    let reached = match summary.level {
        Some(level) => {
            format!("That run reached {level}. A run that does not reach it ends with 121.")
        }
        None => "That run reached no level. A run that does not reach it ends with 121.".to_owned(),
    };
    let level = summary
        .level
        .map_or("L1".to_owned(), |level| level.to_string());
    setting(
        &mut text,
        &[&reached],
        &[&format!("level = {}", quoted(&level))],
    );
    setting(
        &mut text,
        &["Versions younger than this are left out of indexes."],
        &["minimum-release-age = \"7 days\""],
    );
    setting(
        &mut text,
        &[
            "The static look into artifacts: \"off\", \"spare-time\" (as now), \"complete\", \"refuse\".",
        ],
        &["look = \"complete\""],
    );
    let startup = summary.notes.iter();
    let startup: BTreeSet<&str> = startup
        .filter(|note| note.code == Code::StartupCode)
        .map(|note| note.subject.as_str())
        .collect();
    let seen = match startup.is_empty() {
        true => "none in that run".to_owned(),
        false => startup
            .into_iter()
            .take(NAMED)
            .collect::<Vec<_>>()
            .join(", "),
    };
    setting(
        &mut text,
        &[&format!(
            "Packages with code that runs whenever the interpreter starts: {seen}."
        )],
        &["refuse = [\"startup-code\"]"],
    );
    for base in bases {
        setting(
            &mut text,
            &["A repository of that run. Yours and the manager's own count without this."],
            &["[[repositories]]", &format!("url = {}", quoted(base))],
        );
    }
    setting(
        &mut text,
        &[
            "A gap that somebody answers for, told in every output; `v4run assess` names the controls.",
        ],
        &[
            "[[exceptions]]",
            "control = \"4.12\"",
            "owner = \"who answers for it\"",
            "reason = \"why\"",
            "expires = \"2100-01-01\"",
        ],
    );
    let scripts: BTreeSet<String> = summary.suppressed.iter().filter_map(script).collect();
    if !scripts.is_empty() {
        text.push_str("## Install scripts that were not run; `v4run build --propose` says what it would take:\n");
    }
    for script in scripts.iter().take(NAMED) {
        text.push_str(&format!("##   {}\n", sanitize(script)));
    }
    if scripts.len() > NAMED {
        text.push_str(&format!("##   and {} more\n", scripts.len() - NAMED));
    }
    text
}

fn setting(text: &mut String, words: &[&str], lines: &[&str]) {
    for word in words {
        text.push_str(&format!("## {}\n", sanitize(word)));
    }
    for line in lines {
        text.push_str(&format!("# {}\n", sanitize(line)));
    }
    text.push('\n');
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn script(suppressed: &Suppression) -> Option<String> {
    match suppressed {
        Suppression::Script {
            name,
            version,
            script,
            ..
        } => Some(format!("{name}@{version} {script}")),
        Suppression::Probe { .. } => None,
    }
}
