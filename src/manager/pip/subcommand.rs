//! pip's subcommands: which v4run runs, and what their words mean.
//!
//! Those that install nothing and print nothing of the environment are named in the profile with
//! the reason why they are refused; anything else is unknown to pip too.

use super::argv::Line;
use super::checked::{CacheAction, Command};
use crate::model::{Code, Finding};
use crate::profile::{Does, Profile};

/// The subcommand of that name with the name of its option grammar.
pub(super) fn find(typed: &str, profile: &Profile) -> Result<(Command, &'static str), Finding> {
    let found = match typed {
        "install" => (Command::Install, "install"),
        "download" => (Command::Download, "download"),
        "wheel" => (Command::Wheel, "wheel"),
        "uninstall" => (Command::Uninstall, "uninstall"),
        "list" => (Command::List, "list"),
        "show" => (Command::Show, "show"),
        "check" => (Command::Check, "check"),
        "freeze" => (Command::Freeze, "freeze"),
        "inspect" => (Command::Inspect, "inspect"),
        "hash" => (Command::Hash, "hash"),
        "index" => (Command::IndexVersions, "index"),
        "cache" => (Command::Cache(CacheAction::Info), "cache"),
        "help" => (Command::Help, "help"),
        _ => return Err(refused(typed, profile)),
    };
    Ok(found)
}

fn refused(typed: &str, profile: &Profile) -> Finding {
    let subject = format!("pip {typed}");
    match profile.command(typed) {
        Some(rule) => {
            let code = match rule.does {
                Does::Code => Code::CommandRunsCode,
                Does::Install | Does::Read | Does::Pack | Does::Other => Code::CommandUnknown,
            };
            Finding::new(code, subject, format!("is refused: {}", rule.why))
                .with_hint(code.remedy())
        }
        None => Finding::new(Code::Usage, subject, "pip has no such subcommand")
            .with_hint("see `pip help`"),
    }
}

/// What the first word makes of `index` and `cache`.
pub(super) fn action(command: Command, line: &Line) -> Result<Command, Finding> {
    let word = line.words.first().map(String::as_str);
    let known = match (command, word) {
        (Command::IndexVersions, Some("versions")) => Some(command),
        (Command::IndexVersions, _) => None,
        (Command::Cache(_), Some("dir")) => Some(Command::Cache(CacheAction::Dir)),
        (Command::Cache(_), Some("info")) => Some(Command::Cache(CacheAction::Info)),
        (Command::Cache(_), Some("list")) => Some(Command::Cache(CacheAction::List)),
        (Command::Cache(_), Some("remove")) => Some(Command::Cache(CacheAction::Remove)),
        (Command::Cache(_), Some("purge")) => Some(Command::Cache(CacheAction::Purge)),
        (Command::Cache(_), _) => None,
        _ => Some(command),
    };
    known.ok_or_else(|| {
        let subject = format!("pip {}", command.word());
        let message = format!("has no action of this name: {}", word.unwrap_or("none"));
        Finding::new(Code::Usage, subject, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::pip::PROFILE;

    #[test]
    fn refused_subcommands_have_a_reason() {
        let profile = Profile::parse(PROFILE).unwrap();
        for name in ["config", "debug", "search", "completion", "lock"] {
            let finding = find(name, &profile).unwrap_err();
            assert_eq!(finding.code, Code::CommandUnknown, "{name}");
            assert!(finding.message.len() > 30);
        }
        assert_eq!(find("instal", &profile).unwrap_err().code, Code::Usage);
        assert!(find("install", &profile).is_ok());
    }

    #[test]
    fn actions_are_words() {
        let line = |word: &str| Line {
            words: vec![word.to_owned()],
            ..Line::default()
        };
        let cache = Command::Cache(CacheAction::Info);
        assert_eq!(
            action(cache, &line("purge")).unwrap(),
            Command::Cache(CacheAction::Purge)
        );
        assert!(action(cache, &Line::default()).is_err());
        assert!(action(Command::IndexVersions, &line("x")).is_err());
        assert_eq!(
            action(Command::List, &Line::default()).unwrap(),
            Command::List
        );
    }
}
