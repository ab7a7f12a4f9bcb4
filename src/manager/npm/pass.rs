//! Which of npm's command lines a shim hands on.
//!
//! Those that a run would refuse and that the profile lists as installing nothing. An option before
//! the subcommand that the grammar does not know may take the next word as its value, so that
//! another word would be the subcommand: then the line is taken for an install.

use std::ffi::OsString;

use super::args::{self, Parsed};
use super::subcommand::Task;
use crate::manager::Passing;
use crate::profile::Profile;

/// See [`crate::manager::Manager::passes`].
pub(super) fn judge(words: &[OsString]) -> Option<Passing> {
    let profile = Profile::parse(super::PROFILE).ok()?;
    let words = super::prepare::texts(words).ok()?;
    let parsed = args::parse(&words, &profile.argv);
    if Task::of(&parsed, &profile).is_ok() || !is_plain(&words, &profile) {
        return None;
    }
    let (typed, after) = parsed.words.split_first()?;
    let name = args::command(typed, &profile)?;
    let rule = profile.pass(&name, after)?;
    let named = |parsed: &Parsed| {
        let mut flags = parsed.flags.iter();
        flags.any(|flag| !flag.known || rule.without.contains(&flag.key))
    };
    if !rule.without.is_empty() && named(&parsed) {
        return None;
    }
    Some(Passing::by(&super::Npm, &name, rule))
}

/// Whether everything before the subcommand is known to npm's grammar.
fn is_plain(words: &[String], profile: &Profile) -> bool {
    let upto = |end: usize| {
        words
            .get(..end)
            .map(|part| args::parse(part, &profile.argv))
    };
    let first = (1..=words.len()).find(|end| upto(*end).is_some_and(|read| !read.words.is_empty()));
    let before = first.and_then(|end| upto(end - 1));
    before.is_some_and(|read| read.flags.iter().all(|flag| flag.known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(line: &str) -> bool {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        judge(&words).is_some()
    }

    #[test]
    fn what_installs_nothing_passes() {
        for line in [
            "run build",
            "run-script build --if-present",
            "run build -- --frob ci",
            "--prefix sub run build",
            "--silent run x",
            "t",
            "start",
            "publish",
            "publish --dry-run",
            "pack",
            "init -y",
            "version patch",
            "cache clean --force",
            "config set a b",
            "whoami",
            "rum x",
        ] {
            assert!(passes(line), "{line}");
        }
    }

    #[test]
    fn what_installs_is_unknown_or_has_two_readings_does_not() {
        for line in [
            "",
            "ci",
            "i",
            "install run",
            "audit fix",
            "exec cowsay",
            "x cowsay",
            "init vite",
            "create vite",
            "init -w a",
            "init -y --frob",
            "it",
            "cit",
            "install-test",
            "install-ci-test",
            "link",
            "link a",
            "pack .",
            "pack a",
            "pack git+https://h.invalid/a",
            "publish git+https://h.invalid/a",
            "cache add a",
            "diff --diff=a",
            "install-scripts approve",
            "version patch --workspace a",
            "frobnicate",
            "rebuild",
            "rb",
            "explore a -- npm run x",
            "--frob run ci",
            "--frob=x run build",
            "--version run build",
            "run build --help",
            "-- install",
            "r",
            "re",
        ] {
            assert!(!passes(line), "{line}");
        }
    }
}
