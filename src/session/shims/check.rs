//! Proves that the shims win: asks each kind of lookup which program a name stands for.
//!
//! A walk of PATH as execvp(3) does it, `sh -c`, `bash -c`, the user's login shell with its start-up
//! files, and the next step of a CI job whose runner has a file for PATH (`runner`). The shells are asked with `command -v`, so that what wins is named and not run.
//! What a shim can never see is told with every answer.

use std::ffi::OsStr;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::unistd::{Uid, User};
use uuid::Uuid;

use super::folder::{self, Marker, Mode};
use super::runner;
use super::{first_in, is_v4run, names};
use crate::manager;
use crate::model::Finding;

/// A shell's start-up files may take their time.
const PATIENCE: Duration = Duration::from_secs(20);
/// What a shell prints is a few lines.
const LIMIT: u64 = 256 * 1024;

/// Shells whose language is known.
const LANGUAGES: &[&str] = &["sh", "dash", "bash", "ash", "ksh", "zsh"];

/// One lookup.
#[derive(Debug)]
pub struct Way {
    /// How: `sh -c`.
    pub how: String,
    /// What wins in it in place of a shim; empty when every shim wins.
    pub others: Vec<String>,
}

/// What was found.
#[derive(Debug)]
pub struct Checked {
    /// The folder of shims.
    pub folder: PathBuf,
    /// Its mode.
    pub mode: Mode,
    /// Names that are covered.
    pub names: Vec<String>,
    /// Every lookup.
    pub ways: Vec<Way>,
    /// What is wrong with the folder itself.
    pub problems: Vec<String>,
    /// What the shims do not cover.
    pub notes: Vec<String>,
}

impl Checked {
    /// Whether every shim wins everywhere.
    pub fn holds(&self) -> bool {
        self.problems.is_empty() && self.ways.iter().all(|way| way.others.is_empty())
    }
}

/// Checks a folder, or the first one in PATH.
pub fn check(named: Option<&Path>) -> Result<Checked, Finding> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let marked = |folder: &PathBuf| folder.join(manager::MARKER).exists();
    let found = match named {
        Some(folder) => Some(folder.to_path_buf()).filter(marked),
        None => std::env::split_paths(&path).find(marked),
    };
    let Some(found) = found else {
        let shown = named.unwrap_or(Path::new("PATH"));
        return Err(folder::missing(shown));
    };
    let folder = found
        .canonicalize()
        .map_err(|_gone| folder::missing(&found))?;
    let mut problems = Vec::new();
    problems.extend(folder::exposed(&folder, true));
    let (mode, names) = match Marker::read(&folder) {
        Ok(marker) => (marker.mode, marker.names),
        Err(error) => {
            problems.push(format!(
                "its marker cannot be read, every shim is strict: {error}"
            ));
            let names = names(Mode::Strict).into_iter().map(str::to_owned);
            (Mode::Strict, names.collect())
        }
    };
    problems.extend(names.iter().filter_map(|name| wrong(&folder, name)));
    let lacking = self::names(mode)
        .into_iter()
        .filter(|name| !names.iter().any(|known| known == name));
    problems.extend(lacking.map(|name| {
        format!("`{name}` has no shim: made by another version; `v4run shims install` again")
    }));
    if !folder::records_are_known() {
        problems.push("no place for records: set HOME, XDG_STATE_HOME or V4RUN_RECORD".to_owned());
    }
    let mut notes = Vec::new();
    let walked = |how: String, path: &OsStr| Way {
        how,
        others: others(&folder, &names, |name| {
            first_in(path, name).map(|path| path.display().to_string())
        }),
    };
    let mut ways = vec![walked("PATH".to_owned(), &path)];
    ways.extend(runner::next_steps().map(|next| match next {
        Ok(next) => walked(next.how, &next.path),
        Err((how, why)) => Way {
            how,
            others: vec![why],
        },
    }));
    for (how, shell, flags) in shells(&mut notes) {
        let others = match ask(&shell, flags, &names) {
            Ok(answers) => others(&folder, &names, |name| {
                let mut answers = answers.iter();
                answers
                    .find(|(asked, _)| asked == name)
                    .map(|(_, answer)| answer.clone())
            }),
            Err(why) => vec![why],
        };
        ways.push(Way { how, others });
    }
    notes.extend(uncovered(mode));
    Ok(Checked {
        folder,
        mode,
        names,
        ways,
        problems,
        notes,
    })
}

/// What is wrong with a link.
fn wrong(folder: &Path, name: &str) -> Option<String> {
    let path = folder.join(name);
    let shown = path.display();
    match path.canonicalize() {
        Err(error) => Some(format!("`{shown}` leads nowhere: {error}")),
        Ok(real) if manager::is_self(&real) => None,
        Ok(real) if is_v4run(&real) => Some(format!(
            "`{shown}` leads to another copy or version of v4run: {}",
            real.display()
        )),
        Ok(real) => Some(format!("`{shown}` is no shim: {}", real.display())),
    }
}

/// The names whose winner is not the shim, each with the winner.
fn others(folder: &Path, names: &[String], winner: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let judged = |name: &String| match winner(name).filter(|winner| !winner.is_empty()) {
        None => Some(format!(
            "`{name}` is not found: `{}` is not in PATH",
            folder.display()
        )),
        Some(winner) => {
            let path = Path::new(&winner);
            let beside = path.parent().and_then(|place| place.canonicalize().ok());
            let relative = !path.is_absolute();
            if !relative && beside.as_deref() == Some(folder) {
                return None;
            }
            let what = match relative {
                true => " (a relative entry of PATH, or a function or alias of the shell)",
                false => "",
            };
            Some(format!("`{name}` is {winner}{what}"))
        }
    };
    names.iter().filter_map(judged).collect()
}

/// The shells to ask, with their flags.
fn shells(notes: &mut Vec<String>) -> Vec<(String, PathBuf, &'static str)> {
    let mut shells = vec![("sh -c".to_owned(), PathBuf::from("/bin/sh"), "-c")];
    let bash = ["/bin/bash", "/usr/bin/bash"].map(PathBuf::from);
    match bash.into_iter().find(|path| path.exists()) {
        Some(bash) => shells.push(("bash -c".to_owned(), bash, "-c")),
        None => notes.push("no bash here to be asked".to_owned()),
    }
    let user = User::from_uid(Uid::effective()).ok().flatten();
    match user
        .map(|user| user.shell)
        .filter(|shell| shell.is_absolute())
    {
        Some(shell) => {
            let name = shell.file_name().unwrap_or_default().to_string_lossy();
            if LANGUAGES.contains(&&*name) {
                shells.push((format!("login shell {}", shell.display()), shell, "-lc"));
            } else {
                notes.push(format!(
                    "the login shell `{}` was not asked",
                    shell.display()
                ));
            }
        }
        None => notes.push("no login shell: this user has no passwd entry".to_owned()),
    }
    shells
}

/// Asks a shell what each name stands for.
fn ask(shell: &Path, flags: &str, names: &[String]) -> Result<Vec<(String, String)>, String> {
    // Start-up files print what they like.
    let mark = Uuid::new_v4().simple().to_string();
    let script = format!(
        "for name in {}; do printf '%s %s=%s\\n' {mark} \"$name\" \"$(command -v \"$name\")\"; done",
        names.join(" ")
    );
    let failed =
        |why: &dyn std::fmt::Display| format!("{} cannot be asked: {why}", shell.display());
    let mut child = Command::new(shell)
        .args([flags, &script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(&error))?;
    let (sender, answers) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = output.take(LIMIT).read_to_end(&mut text);
            let _ = sender.send(text);
        });
    }
    let text = answers.recv_timeout(PATIENCE);
    // What it does after its answer is of no interest.
    let _ = child.kill();
    let _ = child.wait();
    let text = text.map_err(|_late| failed(&"no answer in time"))?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let answers = text.lines().filter_map(|line| {
        let (name, answer) = line.strip_prefix(&mark)?.trim_start().split_once('=')?;
        Some((name.to_owned(), answer.to_owned()))
    });
    Ok(answers.collect())
}

/// What no shim of that mode covers.
fn uncovered(mode: Mode) -> Vec<String> {
    let mut notes = vec![
        "not covered: what is called by a path, or by way of another PATH such as sudo's own"
            .to_owned(),
    ];
    let unseen = manager::ALL.iter().flat_map(|manager| manager.unseen());
    notes.extend(unseen.map(|way| format!("not covered: {way}")));
    let runners = manager::ALL.iter().flat_map(|manager| manager.runners());
    let runners: Vec<&str> = runners.map(|(name, _)| *name).collect();
    if mode == Mode::Gate {
        notes.push(format!(
            "not covered in mode gate: {}, which fetch and run in one step; what runs code by design, \
             and everything that it installs by itself",
            runners.join(", ")
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_winner_is_named_where_it_is_not_the_shim() {
        let guard = tempfile::tempdir().unwrap();
        let folder = guard.path().canonicalize().unwrap();
        let names = ["npm".to_owned(), "pip".to_owned()];
        let ours = |name: &str| Some(folder.join(name).display().to_string());
        assert!(others(&folder, &names, ours).is_empty());
        let found = others(&folder, &names, |name| {
            (name == "pip").then(|| "./pip".to_owned())
        });
        assert!(found[0].contains("not found"), "{found:?}");
        assert!(
            found[1].contains("./pip") && found[1].contains("relative"),
            "{found:?}"
        );
        let found = others(&folder, &names, |_| Some("/usr/bin/x".to_owned()));
        assert!(found[0].contains("/usr/bin/x"), "{found:?}");
    }

    #[test]
    fn a_shell_answers_for_each_name() {
        let names = ["cat".to_owned(), "no-such-program".to_owned()];
        let answers = ask(Path::new("/bin/sh"), "-c", &names).unwrap();
        assert!(answers[0].1.ends_with("/cat"), "{answers:?}");
        assert_eq!(answers[1], ("no-such-program".to_owned(), String::new()));
        assert!(ask(Path::new("/nonexistent"), "-c", &names).is_err());
    }
}
