//! Which kind of run a command line asks for.
//!
//! Installing, reading, packing a registry package, or something that runs code by design. What
//! runs code, and what v4run does not know, is refused before anything starts, with the reason.

use super::args::{self, Parsed};
use super::spec::{self, Spec};
use crate::model::{Code, Finding};
use crate::profile::{Command, Does, Profile, Writes};

/// What npm is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Task {
    /// npm's full name of the subcommand; empty when there is none.
    pub(super) name: String,
    /// Words after it.
    pub(super) words: Vec<String>,
    /// What it does: installs, reads or packs.
    pub(super) does: Does,
    /// Where it writes.
    pub(super) writes: Writes,
}

impl Task {
    /// Works out what is asked for, or why it is refused.
    pub(super) fn of(parsed: &Parsed, profile: &Profile) -> Result<Self, Finding> {
        let Some((typed, words)) = parsed.words.split_first() else {
            return Ok(Self::reading("", Vec::new()));
        };
        if parsed.is_on("version") || parsed.is_on("usage") {
            // npm prints and stops, whatever the subcommand; its name must still be one of npm's.
            let name = args::command(typed, profile).unwrap_or_default();
            return Ok(Self::reading(&name, Vec::new()));
        }
        let Some(name) = args::command(typed, profile) else {
            let message = "is no subcommand of npm that v4run knows";
            return Err(Finding::new(
                Code::CommandUnknown,
                format!("npm {typed}"),
                message,
            ));
        };
        let Some(rule) = profile.command(&name) else {
            let message = "is no subcommand of npm that v4run knows";
            return Err(Finding::new(
                Code::CommandUnknown,
                format!("npm {name}"),
                message,
            ));
        };
        Self::by_rule(&name, words, rule)
    }

    fn by_rule(name: &str, words: &[String], rule: &Command) -> Result<Self, Finding> {
        let first = words
            .first()
            .map(String::as_str)
            .or(rule.default_word.as_deref());
        let mut does = rule.does;
        let mut writes = rule.writes;
        if rule.bare && !words.is_empty() {
            does = rule.otherwise.unwrap_or(Does::Other);
        }
        if first.is_some_and(|word| rule.install_words.iter().any(|known| known == word)) {
            does = Does::Install;
            writes = Writes::Project;
        }
        let subject = match (
            rule.words.is_empty() && rule.install_words.is_empty(),
            first,
        ) {
            (false, Some(word)) => format!("npm {name} {word}"),
            _ => format!("npm {name}"),
        };
        let allowed = |word: Option<&str>| word.is_some_and(|w| rule.words.iter().any(|k| k == w));
        if !rule.words.is_empty() && !allowed(first) {
            does = Does::Other;
        }
        match does {
            Does::Code => {
                let hint =
                    format!("run `{subject}` itself, after the install, if that code is to run");
                Err(Finding::new(Code::CommandRunsCode, subject, rule.why.clone()).with_hint(hint))
            }
            Does::Other => {
                let hint = format!("run `{subject}` itself: it installs nothing");
                Err(Finding::new(Code::CommandUnknown, subject, rule.why.clone()).with_hint(hint))
            }
            Does::Pack => {
                let local = |word: &&String| {
                    !matches!(spec::of_argument(word), Spec::Registry | Spec::Alias(_))
                };
                if words.is_empty() || words.iter().any(|word| local(&word)) {
                    let hint = "name a package of the registry: `npm pack NAME@VERSION`";
                    let finding = Finding::new(Code::CommandRunsCode, subject, rule.why.clone());
                    return Err(finding.with_hint(hint));
                }
                Ok(Self {
                    does,
                    writes,
                    ..Self::reading(name, words.to_vec())
                })
            }
            Does::Install | Does::Read => Ok(Self {
                does,
                writes,
                ..Self::reading(name, words.to_vec())
            }),
        }
    }

    fn reading(name: &str, words: Vec<String>) -> Self {
        Self {
            name: name.to_owned(),
            words,
            does: Does::Read,
            writes: Writes::Nothing,
        }
    }

    /// Whether an install tree is changed.
    pub(super) fn installs(&self) -> bool {
        self.does == Does::Install
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(line: &str) -> Result<Task, Finding> {
        let profile = Profile::parse(super::super::PROFILE).unwrap();
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Task::of(&args::parse(&words, &profile.argv), &profile)
    }

    #[test]
    fn installing_and_reading_commands_are_told_apart() {
        for (line, name, does, writes) in [
            ("ci", "ci", Does::Install, Writes::Tree),
            ("clean-install", "ci", Does::Install, Writes::Tree),
            ("i -D a", "install", Does::Install, Writes::Project),
            ("rm a", "uninstall", Does::Install, Writes::Project),
            ("audit", "audit", Does::Read, Writes::Nothing),
            ("audit fix", "audit", Does::Install, Writes::Project),
            ("view a", "view", Does::Read, Writes::Nothing),
            ("config get registry", "config", Does::Read, Writes::Nothing),
            ("c ls", "config", Does::Read, Writes::Nothing),
            ("config", "config", Does::Read, Writes::Nothing),
            ("--version", "", Does::Read, Writes::Nothing),
            ("run -h", "run", Does::Read, Writes::Nothing),
            ("version", "version", Does::Read, Writes::Nothing),
            ("pack a@1.0.0", "pack", Does::Pack, Writes::Nothing),
            ("", "", Does::Read, Writes::Nothing),
        ] {
            let task = task(line).unwrap();
            assert_eq!(
                (task.name.as_str(), task.does, task.writes),
                (name, does, writes),
                "{line}"
            );
        }
    }

    #[test]
    fn commands_that_run_code_are_refused_with_a_reason() {
        for line in [
            "run build",
            "run-script x",
            "test",
            "t",
            "start",
            "stop",
            "restart",
            "exec a",
            "x a",
            "rebuild",
            "explore a",
            "edit a",
            "it",
            "cit",
            "init",
            "create a",
            "publish",
            "link",
            "version patch",
            "help ci",
            "pack",
            "pack .",
            "pack ./dir",
            "pack git+https://h.invalid/a",
            "installTest",
            "install-scripts approve",
        ] {
            let finding = task(line).unwrap_err();
            assert_eq!(finding.code, Code::CommandRunsCode, "{line}");
            assert!(
                finding.message.len() > 10 && finding.hint.is_some(),
                "{line}"
            );
        }
        for line in [
            "frobnicate",
            "login",
            "config set a b",
            "pkg set a=b",
            "cache clean",
            "search a",
        ] {
            assert_eq!(task(line).unwrap_err().code, Code::CommandUnknown, "{line}");
        }
    }
}
