//! pip's options: names, what they take, and which subcommands know them.
//!
//! A table in code and not in the profile, because one letter means different options to different
//! subcommands (`-f`, `-e`, `--user`), and because each entry is a part of a grammar, not a rule.
//! What may be said is decided by the rules of `profiles/pip.toml`, under [`Definition::rule`].
//! Taken from the parsers of pip 22.2, 23.2, 24.2, 25.1 and 26.3; it is the union of them, so that
//! an abbreviation is taken only where it is unique in all. pip's parser is Python's optparse:
//! <https://docs.python.org/3/library/optparse.html>.

/// What an option takes, and what several of it mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::manager) enum Takes {
    /// Nothing; says yes.
    On,
    /// Nothing; says no to what another option or the default says yes to.
    Off,
    /// Nothing; counts.
    Count,
    /// One value; the last one holds.
    One,
    /// One value each time; a later source replaces what configuration said.
    Many,
    /// One value each time; all sources add up.
    Gather,
}

impl Takes {
    /// Whether a value belongs to it.
    pub(in crate::manager) const fn value(self) -> bool {
        matches!(self, Self::One | Self::Many | Self::Gather)
    }
}

/// One option.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::manager) struct Definition {
    /// Short form.
    pub(in crate::manager) short: Option<char>,
    /// Long names without dashes, the full one first.
    pub(in crate::manager) names: &'static [&'static str],
    /// What it takes.
    pub(in crate::manager) takes: Takes,
    /// Subcommands that know it.
    pub(in crate::manager) commands: &'static [&'static str],
    /// Name of its rule in the profile.
    pub(in crate::manager) rule: &'static str,
}

impl Definition {
    /// The name that v4run uses towards pip.
    pub(in crate::manager) fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }
}

/// Name of the parser that reads what stands before the subcommand.
pub(in crate::manager) const MAIN: &str = "";
/// Name of the parser that reads option lines of requirement files.
pub(in crate::manager) const FILE: &str = "requirement file";

const EVERY: &[&str] = &[
    MAIN,
    "install",
    "download",
    "wheel",
    "uninstall",
    "list",
    "show",
    "check",
    "freeze",
    "inspect",
    "hash",
    "index",
    "cache",
    "help",
];
const RESOLVING: &[&str] = &["install", "download", "wheel"];
const ASKING: &[&str] = &["install", "download", "wheel", "index", "list"];
const ASKING_FILE: &[&str] = &["install", "download", "wheel", "index", "list", FILE];
const RESOLVING_FILE: &[&str] = &["install", "download", "wheel", FILE];
const TARGETED: &[&str] = &["install", "download", "index"];
const READING: &[&str] = &["list", "freeze", "inspect"];

const fn option(
    short: Option<char>,
    names: &'static [&'static str],
    takes: Takes,
    commands: &'static [&'static str],
    rule: &'static str,
) -> Definition {
    Definition {
        short,
        names,
        takes,
        commands,
        rule,
    }
}

use Takes::{Count, Gather, Many, Off, On, One};

/// Every option of every supported pip.
#[rustfmt::skip]
pub(in crate::manager) const OPTIONS: &[Definition] = &[
    option(Some('h'), &["help"], On, EVERY, "help"),
    option(Some('V'), &["version"], On, EVERY, "version"),
    option(None, &["debug"], On, EVERY, "debug"),
    option(None, &["isolated"], On, EVERY, "isolated"),
    option(None, &["require-virtualenv", "require-venv"], On, EVERY, "require-virtualenv"),
    option(None, &["python"], One, EVERY, "python"),
    option(Some('v'), &["verbose"], Count, EVERY, "verbose"),
    option(Some('q'), &["quiet"], Count, EVERY, "quiet"),
    option(None, &["log", "log-file", "local-log"], One, EVERY, "log"),
    option(None, &["no-input"], On, EVERY, "no-input"),
    option(None, &["keyring-provider"], One, EVERY, "keyring-provider"),
    option(None, &["proxy"], One, EVERY, "proxy"),
    option(None, &["no-proxy-env"], On, EVERY, "no-proxy-env"),
    option(None, &["retries"], One, EVERY, "retries"),
    option(None, &["resume-retries"], One, EVERY, "resume-retries"),
    option(None, &["timeout", "default-timeout"], One, EVERY, "timeout"),
    option(None, &["exists-action"], Many, EVERY, "exists-action"),
    option(None, &["trusted-host"], Many, EVERY, "trusted-host"),
    option(None, &["trusted-host"], Many, &[FILE], "trusted-host"),
    option(None, &["cert"], One, EVERY, "cert"),
    option(None, &["client-cert"], One, EVERY, "client-cert"),
    option(None, &["cache-dir"], One, EVERY, "cache-dir"),
    option(None, &["no-cache-dir"], On, EVERY, "no-cache-dir"),
    option(None, &["disable-pip-version-check"], On, EVERY, "disable-pip-version-check"),
    option(None, &["no-color"], On, EVERY, "no-color"),
    option(None, &["no-python-version-warning"], On, EVERY, "no-python-version-warning"),
    option(None, &["use-feature"], Many, EVERY, "use-feature"),
    option(None, &["use-feature"], Many, &[FILE], "use-feature"),
    option(None, &["use-deprecated"], Many, EVERY, "use-deprecated"),

    option(Some('r'), &["requirement"], Many, RESOLVING_FILE, "requirement"),
    option(Some('r'), &["requirement"], Many, &["uninstall", "freeze"], "requirement"),
    option(Some('c'), &["constraint"], Many, RESOLVING_FILE, "constraint"),
    option(None, &["build-constraint"], Many, RESOLVING, "build-constraint"),
    option(None, &["requirements-from-script"], Many, RESOLVING, "requirements-from-script"),
    option(None, &["group"], Gather, RESOLVING, "group"),
    option(Some('e'), &["editable"], Many, &["install", "wheel", FILE], "editable"),
    option(None, &["no-deps", "no-dependencies"], On, RESOLVING, "no-deps"),
    option(None, &["only-deps", "only-dependencies"], On, RESOLVING, "only-deps"),
    option(None, &["pre"], On, ASKING_FILE, "pre"),
    option(None, &["all-releases"], Gather, ASKING_FILE, "all-releases"),
    option(None, &["only-final"], Gather, ASKING_FILE, "only-final"),
    option(None, &["uploaded-prior-to"], One, ASKING, "uploaded-prior-to"),
    option(None, &["refresh-package"], Gather, ASKING, "refresh-package"),
    option(None, &["require-hashes"], On, RESOLVING_FILE, "require-hashes"),
    option(None, &["no-require-hashes"], On, RESOLVING_FILE, "no-require-hashes"),
    option(None, &["no-binary"], Gather, ASKING_FILE, "no-binary"),
    option(None, &["only-binary"], Gather, ASKING_FILE, "only-binary"),
    option(None, &["prefer-binary"], On, ASKING_FILE, "prefer-binary"),
    option(None, &["no-build-isolation"], Off, RESOLVING, "no-build-isolation"),
    option(None, &["check-build-dependencies"], On, RESOLVING, "check-build-dependencies"),
    option(None, &["use-pep517"], On, RESOLVING, "use-pep517"),
    option(None, &["no-use-pep517"], On, RESOLVING, "no-use-pep517"),
    option(Some('C'), &["config-settings"], Gather, &["install", "wheel", FILE], "config-settings"),
    option(None, &["global-option"], Many, RESOLVING_FILE, "global-option"),
    option(None, &["install-option"], Many, &["install", FILE], "install-option"),
    option(None, &["build-option"], Many, &["wheel"], "build-option"),
    option(None, &["no-clean"], On, RESOLVING, "no-clean"),
    option(None, &["src", "source", "source-dir", "source-directory"], One, RESOLVING, "src"),
    option(None, &["progress-bar"], One, RESOLVING, "progress-bar"),
    option(None, &["ignore-requires-python"], On, &["install", "download", "wheel", "index"], "ignore-requires-python"),
    option(None, &["platform"], Many, TARGETED, "platform"),
    option(None, &["python-version"], One, TARGETED, "python-version"),
    option(None, &["implementation"], One, TARGETED, "implementation"),
    option(None, &["abi"], Many, TARGETED, "abi"),

    option(Some('i'), &["index-url", "pypi-url"], One, ASKING_FILE, "index-url"),
    option(None, &["extra-index-url"], Many, ASKING_FILE, "extra-index-url"),
    option(None, &["no-index"], On, ASKING_FILE, "no-index"),
    option(Some('f'), &["find-links"], Many, ASKING_FILE, "find-links"),
    option(None, &["hash"], Many, &[FILE], "hash"),

    option(Some('t'), &["target"], One, &["install"], "target"),
    option(None, &["dry-run"], On, &["install"], "dry-run"),
    option(None, &["user"], On, &["install"], "user"),
    option(None, &["no-user"], Off, &["install"], "no-user"),
    option(None, &["root"], One, &["install"], "root"),
    option(None, &["prefix"], One, &["install"], "prefix"),
    option(Some('U'), &["upgrade"], On, &["install"], "upgrade"),
    option(None, &["upgrade-strategy"], One, &["install"], "upgrade-strategy"),
    option(None, &["force-reinstall"], On, &["install"], "force-reinstall"),
    option(Some('I'), &["ignore-installed"], On, &["install"], "ignore-installed"),
    option(None, &["compile"], On, &["install"], "compile"),
    option(None, &["no-compile"], Off, &["install"], "no-compile"),
    option(None, &["no-warn-script-location"], Off, &["install"], "no-warn-script-location"),
    option(None, &["no-warn-conflicts"], Off, &["install"], "no-warn-conflicts"),
    option(None, &["report"], One, &["install"], "report"),
    option(None, &["break-system-packages"], On, &["install", "uninstall"], "break-system-packages"),
    option(None, &["root-user-action"], One, &["install", "uninstall"], "root-user-action"),
    option(Some('d'), &["dest", "destination-dir", "destination-directory"], One, &["download"], "dest"),
    option(Some('w'), &["wheel-dir"], One, &["wheel"], "wheel-dir"),
    option(None, &["no-verify"], On, &["wheel"], "no-verify"),
    option(Some('y'), &["yes"], On, &["uninstall"], "yes"),

    option(Some('o'), &["outdated"], On, &["list"], "outdated"),
    option(Some('u'), &["uptodate"], On, &["list"], "uptodate"),
    option(Some('e'), &["editable"], On, &["list"], "list-editable"),
    option(Some('l'), &["local"], On, &["list", "freeze"], "local"),
    option(None, &["local"], On, &["inspect"], "local"),
    option(None, &["user"], On, READING, "list-user"),
    option(None, &["path"], Many, READING, "path"),
    option(None, &["format"], One, &["list", "cache"], "format"),
    option(None, &["not-required"], On, &["list"], "not-required"),
    option(None, &["exclude-editable"], Off, &["list"], "exclude-editable"),
    option(None, &["exclude-editable"], On, &["freeze"], "exclude-editable"),
    option(None, &["include-editable"], On, &["list"], "include-editable"),
    option(None, &["exclude"], Many, &["list", "freeze"], "exclude"),
    option(None, &["all"], On, &["freeze"], "all"),
    option(Some('f'), &["files"], On, &["show"], "files"),
    option(Some('a'), &["algorithm"], One, &["hash"], "algorithm"),
    option(None, &["json"], On, &["index"], "json"),
];

/// The options of one parser.
#[derive(Clone, Copy, Debug)]
pub(in crate::manager) struct Grammar {
    table: &'static [Definition],
    command: &'static str,
    abbreviates: bool,
}

impl Grammar {
    /// The grammar of a subcommand, of [`MAIN`] or of [`FILE`].
    pub(in crate::manager) const fn of(command: &'static str) -> Self {
        Self {
            table: OPTIONS,
            command,
            abbreviates: true,
        }
    }

    /// The grammar of a subcommand of another manager, whose parser takes full names only.
    pub(in crate::manager) const fn exact(
        table: &'static [Definition],
        command: &'static str,
    ) -> Self {
        Self {
            table,
            command,
            abbreviates: false,
        }
    }

    /// Its options.
    pub(in crate::manager) fn options(self) -> impl Iterator<Item = &'static Definition> {
        self.table
            .iter()
            .filter(move |option| option.commands.contains(&self.command))
    }

    /// The option of that short form.
    pub(in crate::manager) fn short(self, letter: char) -> Option<&'static Definition> {
        self.options().find(|option| option.short == Some(letter))
    }

    /// The option of exactly that long name.
    pub(in crate::manager) fn long(self, name: &str) -> Option<&'static Definition> {
        self.options().find(|option| option.names.contains(&name))
    }

    /// Every long name that starts like this.
    pub(in crate::manager) fn starting(
        self,
        start: &str,
    ) -> Vec<(&'static str, &'static Definition)> {
        let names = self
            .options()
            .flat_map(|option| option.names.iter().map(move |name| (*name, option)));
        names
            .filter(|(name, _)| self.abbreviates && name.starts_with(start))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_parser_has_two_meanings_for_one_name() {
        for command in EVERY.iter().chain([&FILE]) {
            let mut seen = std::collections::BTreeSet::new();
            for option in Grammar::of(command).options() {
                for name in option.names {
                    assert!(seen.insert((*name).to_owned()), "{command} --{name}");
                }
                if let Some(letter) = option.short {
                    assert!(seen.insert(letter.to_string()), "{command} -{letter}");
                }
            }
        }
    }
}
