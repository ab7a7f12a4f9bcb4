//! Which of uv's command lines a shim hands on: those that the profile lists as no install step.
//!
//! Decided by the subcommand alone. `uv run` and its like install before they run and do not pass.

use std::ffi::OsString;

use super::options::{MAIN, grammar};
use crate::manager::Passing;
use crate::manager::python::argv;
use crate::profile::Profile;

/// See [`crate::manager::Manager::passes`].
pub(super) fn judge(words: &[OsString]) -> Option<Passing> {
    let profile = Profile::parse(super::PROFILE).ok()?;
    let line = argv::parse(&argv::texts(words).ok()?, grammar(MAIN), false).ok()?;
    if line.help || line.given.iter().any(|one| one.option.rule == "version") {
        return None;
    }
    let (name, after) = line.words.split_first()?;
    let rule = profile.pass(name, after)?;
    Some(Passing::by(&super::Uv, name, rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subcommand_decides() {
        for (line, passes) in [
            ("publish", true),
            ("auth login x", true),
            ("cache prune", true),
            ("-q cache clean", true),
            ("cache frob", false),
            ("cache", false),
            ("run x", false),
            ("run --no-sync x", false),
            ("tool run x", false),
            ("sync", false),
            ("pip install publish", false),
            ("--frob publish", false),
            ("--help publish", false),
            ("", false),
        ] {
            let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            assert_eq!(judge(&words).is_some(), passes, "{line}");
        }
    }
}
