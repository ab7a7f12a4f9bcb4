//! Profile of a package manager: what its runs need and which of its words mean what, as data.
//!
//! Embedded from `profiles/`; the base profile is layered under each. Every rule carries its
//! reason, which is printed by `v4run profile show` and in refusals. A profile is trusted (it is
//! part of v4run); it can only be wrong, so that mistakes in it are errors found by tests.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::raw::{self, ShapeError};
use crate::model::{Magic, Probe};

/// The rules that every manager shares.
const BASE: &str = include_str!("../../profiles/base.toml");

/// A parsed profile.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    /// The manager's name.
    pub name: String,
    /// One line on it.
    pub about: String,
    /// Registry protocol, a key of `protocol::ALL`.
    pub protocol: String,
    /// System paths.
    #[serde(rename = "path")]
    pub paths: Vec<PathEntry>,
    /// Variables that the manager gets from the caller.
    pub environment: Vec<EnvironmentEntry>,
    /// What counts as an artifact file.
    pub artifacts: Artifacts,
    /// Names of system programs.
    pub programs: Programs,
    /// Refusals that are expected.
    #[serde(rename = "probe")]
    pub probes: Vec<Probe>,
    /// System calls that are under another rule than in an install; of the profile of builds only.
    #[serde(rename = "call")]
    pub calls: Vec<CallRule>,
    /// Subcommands.
    #[serde(rename = "command")]
    pub commands: Vec<Command>,
    /// Refused subcommands that a shim may hand on.
    #[serde(rename = "pass")]
    pub passes: Vec<Pass>,
    /// Settings: options, variables, configuration keys.
    #[serde(rename = "setting")]
    pub settings: Vec<Setting>,
    /// Option grammar.
    pub argv: Grammar,
    /// Other names of subcommands.
    pub aliases: BTreeMap<String, String>,
}

/// System paths with one reason.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathEntry {
    /// Absolute paths; those that do not exist are passed over.
    pub paths: Vec<String>,
    /// What is granted.
    pub access: PathAccess,
    /// Why.
    pub why: String,
}

/// What a profile grants on a system path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathAccess {
    /// Read.
    Read,
    /// Read, and a root that code may be mapped from.
    Runtime,
    /// A device node.
    Device,
}

/// System calls under another rule, with one reason.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallRule {
    /// Names of calls.
    pub names: Vec<String>,
    /// The rule.
    pub rule: String,
    /// Why.
    pub why: String,
}

/// Variables with one reason.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentEntry {
    /// Names; a final `*` stands for any ending.
    pub names: Vec<String>,
    /// Why.
    pub why: String,
}

impl EnvironmentEntry {
    /// Whether the entry covers a variable.
    pub fn covers(&self, name: &str) -> bool {
        self.names.iter().any(|pattern| matches(pattern, name))
    }
}

/// What counts as an artifact file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Artifacts {
    /// Why these.
    pub why: String,
    /// File name endings, lower case.
    pub names: Vec<String>,
    /// Leading bytes.
    pub magic: Vec<MagicEntry>,
}

/// Programs of the system whose names no package's program should have.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Programs {
    /// Why these.
    pub why: String,
    /// Names without directories.
    pub names: Vec<String>,
}

/// Leading bytes of an artifact format.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MagicEntry {
    /// Position of the first byte.
    pub offset: u64,
    /// The bytes, hex.
    pub hex: String,
    /// Whether the bytes stand anywhere in the last `offset` bytes instead.
    #[serde(default)]
    pub tail: bool,
    /// Which format.
    pub why: String,
}

/// What a subcommand does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Does {
    /// Changes an install tree.
    Install,
    /// Reads and prints.
    Read,
    /// Makes an archive from the registry.
    Pack,
    /// Runs component or project code by design.
    Code,
    /// Something else that is not an install step.
    Other,
}

/// Where an installing subcommand writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Writes {
    /// Nowhere in the project.
    #[default]
    Nothing,
    /// The install tree only.
    Tree,
    /// The install tree, the manifest and the lockfile.
    Project,
}

/// Subcommands with one meaning.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Full names.
    pub names: Vec<String>,
    /// What they do.
    pub does: Does,
    /// Where they write.
    #[serde(default)]
    pub writes: Writes,
    /// If not empty, the only first arguments that are allowed.
    #[serde(default)]
    pub words: Vec<String>,
    /// The first argument that is meant when there is none.
    pub default_word: Option<String>,
    /// First arguments that make it an install.
    #[serde(default)]
    pub install_words: Vec<String>,
    /// Whether it holds only without arguments.
    #[serde(default)]
    pub bare: bool,
    /// What it does with arguments, when `bare` is set.
    pub otherwise: Option<Does>,
    /// Why.
    pub why: String,
}

/// Refused subcommands that a shim may hand to the bare manager: they install nothing.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pass {
    /// Full names.
    pub names: Vec<String>,
    /// If not empty, the only first arguments with which it holds.
    #[serde(default)]
    pub words: Vec<String>,
    /// Whether it holds only without arguments.
    #[serde(default)]
    pub bare: bool,
    /// Options with which it does not hold.
    #[serde(default)]
    pub without: Vec<String>,
    /// Why.
    pub why: String,
}

/// What happens to a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The manager gets it.
    Pass,
    /// The manager does not get it.
    Drop,
    /// v4run uses it itself.
    Take,
    /// The run is refused.
    Refuse,
}

/// Settings with one treatment.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// Names; a first or final `*` stands for anything.
    pub keys: Vec<String>,
    /// From the environment, user or global configuration.
    pub user: Action,
    /// From the command line.
    pub cli: Action,
    /// From the project.
    pub project: Action,
    /// Values that are not refused.
    #[serde(default)]
    pub harmless: Vec<String>,
    /// Whether dropping it is worth a line.
    #[serde(default)]
    pub note: bool,
    /// Why.
    pub why: String,
}

/// Option grammar of a command line.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grammar {
    /// Where it comes from.
    pub why: String,
    /// Options without a value.
    pub boolean: Vec<String>,
    /// Of those, the ones that may also take any text.
    pub boolean_or_text: Vec<String>,
    /// Of those, the words that they may also take.
    pub words: BTreeMap<String, Vec<String>>,
    /// Options whose value is free text: they do not take a value that looks like an option.
    pub text: Vec<String>,
    /// Options that take whatever follows.
    pub value: Vec<String>,
    /// Options that may be repeated.
    pub list: Vec<String>,
    /// Options that may be null.
    pub nullable: Vec<String>,
    /// Short forms.
    pub shorthands: BTreeMap<String, Vec<String>>,
}

impl Profile {
    /// Parses a manager's profile and puts the base profile under it.
    pub fn parse(text: &str) -> Result<Self, ShapeError> {
        let mut profile: Self = raw::parse(text)?;
        let base: Self = raw::parse(BASE)?;
        profile.paths.splice(0..0, base.paths);
        profile.environment.splice(0..0, base.environment);
        Ok(profile)
    }

    /// Whether a variable of the caller is handed on.
    pub fn passes(&self, variable: &str) -> bool {
        self.environment.iter().any(|entry| entry.covers(variable))
    }

    /// The rule for a setting; exact names win over patterns.
    pub fn setting(&self, key: &str) -> Option<&Setting> {
        let exact = self
            .settings
            .iter()
            .find(|rule| rule.keys.iter().any(|name| name == key));
        exact.or_else(|| {
            self.settings
                .iter()
                .find(|rule| rule.keys.iter().any(|name| matches(name, key)))
        })
    }

    /// The rule for a subcommand's full name.
    pub fn command(&self, name: &str) -> Option<&Command> {
        self.commands
            .iter()
            .find(|rule| rule.names.iter().any(|known| known == name))
    }

    /// The reason why a shim may hand on a subcommand with these words after it, if it may.
    pub fn pass(&self, name: &str, words: &[String]) -> Option<&Pass> {
        let mut rules = self.passes.iter();
        rules.find(|rule| {
            let worded = |first: &String| rule.words.contains(first);
            rule.names.iter().any(|known| known == name)
                && (!rule.bare || words.is_empty())
                && (rule.words.is_empty() || words.first().is_some_and(worded))
        })
    }

    /// Leading bytes of artifacts.
    pub fn magic(&self) -> Result<Vec<Magic>, ShapeError> {
        let broken = |message: String| ShapeError {
            line: None,
            message,
        };
        let decode = |entry: &MagicEntry| {
            let bytes = hex::decode(&entry.hex).map_err(|e| broken(format!("`hex`: {e}")))?;
            let end = usize::try_from(entry.offset).map(|from| from.saturating_add(bytes.len()));
            let most = match entry.tail {
                true => Magic::TAIL.saturating_add(bytes.len()),
                false => Magic::WITHIN,
            };
            if !end.is_ok_and(|end| end <= most) {
                return Err(broken(format!("`offset`: beyond {most} bytes")));
            }
            Ok(Magic {
                offset: entry.offset,
                bytes,
                tail: entry.tail,
            })
        };
        self.artifacts.magic.iter().map(decode).collect()
    }
}

/// Matches a name with one `*` at either end, or none.
fn matches(pattern: &str, name: &str) -> bool {
    if let Some(end) = pattern.strip_prefix('*') {
        return name.ends_with(end);
    }
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NPM: &str = include_str!("../../profiles/npm.toml");

    #[test]
    fn every_rule_has_a_reason() {
        let profile = Profile::parse(NPM).unwrap();
        let reasons = profile
            .paths
            .iter()
            .map(|rule| &rule.why)
            .chain(profile.environment.iter().map(|rule| &rule.why))
            .chain(profile.artifacts.magic.iter().map(|rule| &rule.why))
            .chain(profile.probes.iter().map(|rule| &rule.why))
            .chain(profile.commands.iter().map(|rule| &rule.why))
            .chain(profile.settings.iter().map(|rule| &rule.why));
        assert!(reasons.clone().count() > 30);
        assert!(reasons.into_iter().all(|why| why.len() > 10));
        assert_eq!(profile.magic().unwrap().len(), 2);
    }

    #[test]
    fn unknown_keys_are_errors_with_a_line() {
        let error = Profile::parse("name = 'x'\n\nspeed = 1\n").unwrap_err();
        assert_eq!(error.line, Some(3));
    }

    #[test]
    fn no_name_has_two_rules() {
        let profile = Profile::parse(NPM).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for key in profile.settings.iter().flat_map(|rule| &rule.keys) {
            assert!(seen.insert(key), "setting {key}");
        }
        for name in profile.commands.iter().flat_map(|rule| &rule.names) {
            assert!(
                seen.insert(name) || profile.setting(name).is_some(),
                "command {name}"
            );
        }
        for target in profile.aliases.values() {
            assert!(profile.command(target).is_some(), "alias to {target}");
        }
    }

    #[test]
    fn every_option_has_a_rule() {
        let profile = Profile::parse(NPM).unwrap();
        let grammar = &profile.argv;
        for key in grammar
            .boolean
            .iter()
            .chain(&grammar.text)
            .chain(&grammar.value)
        {
            assert!(profile.setting(key).is_some(), "{key}");
        }
    }

    #[test]
    fn patterns_cover_endings() {
        let profile = Profile::parse(NPM).unwrap();
        assert!(profile.passes("LC_ALL") && profile.passes("TZ") && !profile.passes("LD_PRELOAD"));
        assert_eq!(
            profile.setting("sass_binary_site").unwrap().project,
            Action::Drop
        );
        assert!(profile.setting("unheard-of").is_none());
    }
}
