//! `v4run log`, `v4run find` and `v4run diff`: looking back at the runs of this machine.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{complain, print, told};
use crate::diag;
use crate::model::{Code, Event, Finding};
use crate::record;
use crate::record::history::{self, History, Run};
use crate::session;

/// Nothing was found, or something differs.
const OTHERWISE: u8 = 1;

/// Options of `log` and `find`.
#[derive(Debug, Args)]
struct Place {
    /// A folder of records; by default the one that runs without --record use.
    #[arg(long, value_name = "DIR")]
    records: Option<PathBuf>,
    /// As JSON on standard output.
    #[arg(long)]
    json: bool,
}

impl Place {
    fn folder(&self) -> Result<PathBuf, Finding> {
        let known = self.records.clone().or_else(session::records);
        known.ok_or_else(|| {
            let message = "no folder of records is known: HOME is not set";
            Finding::new(Code::Usage, "HOME", message).with_hint("name one with --records DIR")
        })
    }

    /// Asks the records, names those that are not believed, and gives the status for that.
    fn ask<T>(
        &self,
        question: impl Fn(&History) -> std::io::Result<T>,
    ) -> Result<(T, history::Work, Vec<Run>), Finding> {
        let folder = self.folder()?;
        if self.records.is_some() && !folder.is_dir() {
            let message = "is no folder of records";
            return Err(Finding::new(
                Code::Usage,
                folder.display().to_string(),
                message,
            ));
        }
        let asked = history::ask(&folder, |history| {
            Ok((question(history)?, history.broken()?))
        });
        let (history, (answer, broken)) = asked.map_err(|error| error.finding())?;
        if let Some(why) = history.unkept() {
            complain(&format!(
                "v4run: the index cannot be kept, which takes time: {}",
                diag::sanitize(why)
            ));
        }
        for run in &broken {
            let path = folder.join(&run.record).display().to_string();
            let why = run.broken.as_deref().unwrap_or_default();
            complain(&format!(
                "v4run: skipped: {}: {}",
                diag::sanitize(&path),
                diag::sanitize(why)
            ));
        }
        Ok((answer, history.work(), broken))
    }
}

/// Status of an answer; one that leaves records out is not complete.
fn status(broken: &[Run], otherwise: u8) -> u8 {
    match broken.is_empty() {
        true => otherwise,
        false => diag::ERROR,
    }
}

fn json(value: &impl serde::Serialize) {
    print(&serde_json::to_string_pretty(value).unwrap_or_default());
}

fn line(run: &Run) -> String {
    let outcome = match (run.handed, run.exit_code) {
        (true, Some(0)) => "handed on".to_owned(),
        (_, Some(code)) => format!("exit {code}"),
        (_, None) => "no end".to_owned(),
    };
    let findings: Vec<String> = run
        .findings
        .iter()
        .map(|(code, count)| match count {
            1 => code.clone(),
            count => format!("{code} x{count}"),
        })
        .collect();
    let rest = match findings.is_empty() {
        true => String::new(),
        false => format!("  {}", findings.join(", ")),
    };
    let text = format!(
        "{}  {outcome:<9}  {:>4}  {} {}  in {}{rest}",
        run.started.get(..19).unwrap_or(&run.started),
        run.components,
        run.manager,
        run.arguments.join(" "),
        run.directory,
    );
    diag::sanitize(&text).into_owned()
}

/// `v4run log`.
#[derive(Debug, Args)]
pub(super) struct Log {
    #[command(flatten)]
    place: Place,
    /// Only that many, the newest.
    #[arg(short = 'n', long, value_name = "NUMBER")]
    number: Option<usize>,
}

impl Log {
    pub(super) fn run(&self) -> u8 {
        let (mut runs, _, broken) = match self.place.ask(History::runs) {
            Ok(answer) => answer,
            Err(finding) => return told(&finding),
        };
        runs.retain(|run| run.broken.is_none());
        runs.truncate(self.number.unwrap_or(usize::MAX));
        if self.place.json {
            json(&runs);
        } else {
            runs.iter().for_each(|run| print(&line(run)));
        }
        status(&broken, 0)
    }
}

/// `v4run find`.
#[derive(Debug, Args)]
pub(super) struct Find {
    /// A package URL, a name (`left-pad`, `left-pad@1.3.0`, `group:artifact`), or a digest (hex, or
    /// `sha512-…` as in lockfiles).
    what: String,
    #[command(flatten)]
    place: Place,
}

impl Find {
    pub(super) fn run(&self) -> u8 {
        if self.what.trim().is_empty() {
            return told(&Finding::new(Code::Usage, "find", "nothing is asked for"));
        }
        let (hits, work, broken) = match self.place.ask(|history| history.find(&self.what)) {
            Ok(answer) => answer,
            Err(finding) => return told(&finding),
        };
        if self.place.json {
            let skipped: Vec<&str> = broken.iter().map(|run| run.record.as_str()).collect();
            json(&serde_json::json!({ "hits": hits, "skipped": skipped, "work": work }));
        } else {
            for hit in &hits {
                let found = hit.found.join(" ");
                print(&format!(
                    "{}  {}  {}",
                    line(&hit.run),
                    diag::sanitize(&found),
                    diag::sanitize(&hit.run.record)
                ));
            }
        }
        let found = if hits.is_empty() { OTHERWISE } else { 0 };
        status(&broken, found)
    }
}

/// `v4run diff`.
#[derive(Debug, Args)]
pub(super) struct Diff {
    /// A record, or a project whose newest install is in the records of this machine.
    before: PathBuf,
    /// Another one.
    after: PathBuf,
    #[command(flatten)]
    place: Place,
}

impl Diff {
    pub(super) fn run(&self) -> u8 {
        let read = || Ok((self.events(&self.before)?, self.events(&self.after)?));
        let (before, after) = match read() {
            Ok(read) => read,
            Err(finding) => return told(&finding),
        };
        let found = record::compare(&before, &after);
        if self.place.json {
            json(&found);
        } else {
            for one in &found {
                let text = format!(
                    "{:<8} {}: {} -> {}",
                    one.what,
                    one.component,
                    listed(&one.before),
                    listed(&one.after)
                );
                print(&diag::sanitize(&text));
            }
        }
        if found.is_empty() { 0 } else { OTHERWISE }
    }

    /// The events of a record that is intact and whose run read the installed tree.
    fn events(&self, path: &Path) -> Result<Vec<Event>, Finding> {
        let record = match path.join(record::EVENTS).symlink_metadata().is_ok() {
            true => path.to_path_buf(),
            false => self.newest(path)?,
        };
        let shown = record.display().to_string();
        let refuse = |message: &str| Finding::new(Code::Usage, &shown, message);
        let reading = record::read(&record).map_err(|error| error.finding())?;
        if reading.chain != record::Chain::Sealed {
            return Err(refuse(
                "is no intact and sealed record: `v4run verify` says why",
            ));
        }
        if reading.unknown() > 0 {
            return Err(refuse(
                "was made by another version of v4run and cannot be compared as a whole",
            ));
        }
        let events = reading.events();
        let looked = |event: &Event| matches!(event, Event::Inspected { .. });
        if !events.iter().any(looked) {
            return Err(refuse("is of a run that installed nothing"));
        }
        Ok(events)
    }

    /// The newest record of an install into a project.
    fn newest(&self, project: &Path) -> Result<PathBuf, Finding> {
        let shown = project.display().to_string();
        let refuse = |message: &str| {
            Finding::new(Code::Usage, &shown, message).with_hint("name a record directory")
        };
        let real = project
            .canonicalize()
            .map_err(|_gone| refuse("is neither a record nor a project"))?;
        let folder = self.place.folder()?;
        let (_, runs) = history::ask(&folder, History::runs).map_err(|error| error.finding())?;
        let own = real.display().to_string();
        let installed =
            |run: &&Run| run.directory == own && run.components > 0 && run.broken.is_none();
        let run = runs.iter().find(installed);
        let run = run.ok_or_else(|| refuse("has no install in the records of this machine"))?;
        let record = folder.join(&run.record);
        complain(&format!(
            "v4run: {}: {}",
            diag::sanitize(&own),
            diag::sanitize(&record.display().to_string())
        ));
        Ok(record)
    }
}

fn listed(items: &[String]) -> String {
    match items.is_empty() {
        true => "nothing".to_owned(),
        false => items.join(", "),
    }
}
