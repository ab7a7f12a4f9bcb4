//! Which of pip's command lines a shim hands on: those that the profile lists as no install step.
//!
//! Decided by the subcommand alone, found as pip finds it.

use std::ffi::OsString;

use super::argv;
use crate::manager::Passing;
use crate::profile::Profile;

/// See [`crate::manager::Manager::passes`].
pub(super) fn judge(words: &[OsString]) -> Option<Passing> {
    let profile = Profile::parse(super::PROFILE).ok()?;
    let split = argv::split(&argv::texts(words).ok()?).ok()?;
    let name = split.command.filter(|_| !split.general.help)?;
    let rule = profile.pass(&name, &[])?;
    Some(Passing::by(&super::Pip, &name, rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subcommand_decides() {
        for (line, passes) in [
            ("config list", true),
            ("-q debug", true),
            ("--timeout 5 search x", true),
            ("install config", false),
            ("--log config install x", false),
            ("wheel .", false),
            ("lock", false),
            ("list", false),
            ("--frob config list", false),
            ("--help config", false),
            ("instal", false),
            ("", false),
        ] {
            let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            assert_eq!(judge(&words).is_some(), passes, "{line}");
        }
    }
}
