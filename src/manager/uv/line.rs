//! uv's command line: the subcommand, its options with the variables that stand for them, its words.
//!
//! First step of a run. Options may stand before and after the subcommand; variables (`UV_*`) count
//! where the command line says nothing. What may be said is decided by the profile.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use super::options::{MAIN, OPTIONS, grammar};
use crate::manager::python::argv::{self, Given};
use crate::manager::python::asked::Origin;
use crate::manager::python::options::Takes;
use crate::manager::python::settings::Setting;
use crate::model::{Code, Finding};
use crate::profile::{Does, Profile};

/// What uv is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// `pip install`.
    Install,
    /// `pip sync`: as `install`, and what is not named is removed.
    PipSync,
    /// `pip compile`: resolves and prints.
    Compile,
    /// `pip uninstall`.
    Uninstall,
    /// `pip list`, `freeze`, `show`, `check`, `tree`.
    Read,
    /// `sync`.
    Sync,
    /// `lock`.
    Lock,
    /// `venv`.
    Venv,
    /// `help`, `--help`, `--version`, or nothing.
    Help,
}

impl Command {
    /// Whether it asks an index for packages.
    pub(super) const fn resolves(self) -> bool {
        matches!(
            self,
            Self::Install | Self::PipSync | Self::Compile | Self::Sync | Self::Lock
        )
    }

    /// Whether it is about a project and not about an environment alone.
    pub(super) const fn is_project(self) -> bool {
        matches!(self, Self::Sync | Self::Lock)
    }
}

/// A command line, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// What uv is to do.
    pub(super) command: Command,
    /// The words that uv is given for that.
    pub(super) name: &'static str,
    /// Options and variables, those of the command line last.
    pub(super) settings: Vec<Setting>,
    /// The rest.
    pub(super) words: Vec<String>,
}

/// Subcommands that v4run runs.
const COMMANDS: &[(&str, Command)] = &[
    ("pip install", Command::Install),
    ("pip sync", Command::PipSync),
    ("pip compile", Command::Compile),
    ("pip uninstall", Command::Uninstall),
    ("pip list", Command::Read),
    ("pip freeze", Command::Read),
    ("pip show", Command::Read),
    ("pip check", Command::Read),
    ("pip tree", Command::Read),
    ("sync", Command::Sync),
    ("lock", Command::Lock),
    ("venv", Command::Venv),
];

/// Variables whose name is not that of their option, with the option.
const NAMES: &[(&str, &str)] = &[
    ("UV_CONSTRAINT", "constraints"),
    ("UV_OVERRIDE", "overrides"),
    ("UV_EXCLUDE", "excludes"),
    ("UV_BUILD_CONSTRAINT", "build-constraints"),
    ("UV_SYSTEM_PYTHON", "system"),
    ("UV_INSECURE_HOST", "allow-insecure-host"),
];

/// Variables that v4run reads elsewhere, or sets itself.
const READ: &[&str] = &[
    "UV_PROJECT_ENVIRONMENT",
    "UV_PYTHON_DOWNLOADS",
    "UV_HTTP_TIMEOUT",
    "UV_REQUEST_TIMEOUT",
    "UV_CACHE_DIR",
];

/// Takes a command line apart.
pub(super) fn read(
    arguments: &[OsString],
    environment: &BTreeMap<OsString, OsString>,
    profile: &Profile,
) -> Result<(Line, Vec<Finding>), Finding> {
    let arguments = argv::texts(arguments)?;
    let general = argv::parse(&arguments, grammar(MAIN), false).map_err(|m| usage(&m))?;
    let version = general.given.iter().any(|one| one.option.rule == "version");
    let help = |words: &[&str]| Line {
        command: Command::Help,
        name: "",
        settings: Vec::new(),
        words: words.iter().map(|word| (*word).to_owned()).collect(),
    };
    let (first, rest) = match general.words.split_first() {
        _ if version => return Ok((help(&["--version"]), Vec::new())),
        Some((first, rest)) if !general.help => (first.as_str(), rest),
        Some(_) | None => return Ok((help(&["--help"]), Vec::new())),
    };
    if first == "help" {
        let words: Vec<&str> = rest.iter().map(String::as_str).collect();
        let plain = words.iter().all(|word| !word.starts_with('-'));
        let words = if plain { words } else { Vec::new() };
        return Ok((help(&[&["help"], words.as_slice()].concat()), Vec::new()));
    }
    let (typed, rest, before) = if first == "pip" {
        let inner = argv::parse(rest, grammar(MAIN), false).map_err(|m| usage(&m))?;
        match inner.words.split_first() {
            Some((second, after)) if !inner.help => {
                (format!("pip {second}"), after.to_vec(), inner.given)
            }
            Some(_) | None => return Ok((help(&["help", "pip"]), Vec::new())),
        }
    } else {
        (first.to_owned(), rest.to_vec(), Vec::new())
    };
    let Some((name, command)) = COMMANDS.iter().find(|(name, _)| *name == typed) else {
        return Err(refused(&typed, profile));
    };
    let line = argv::parse(&rest, grammar(name), true).map_err(|m| usage(&m))?;
    if line.help {
        let words: Vec<&str> = ["help"].into_iter().chain(name.split(' ')).collect();
        return Ok((help(&words), Vec::new()));
    }
    let given: Vec<Given> = [general.given, before, line.given].concat();
    let (mut settings, notes) = variables(environment, name, &given);
    settings.extend(given.into_iter().map(|given| Setting {
        option: given.option,
        value: given.value,
        origin: Origin::Cli,
        place: "command line".to_owned(),
    }));
    let line = Line {
        command: *command,
        name,
        settings,
        words: line.words,
    };
    Ok((line, notes))
}

fn usage(mistake: &argv::Mistake) -> Finding {
    let message = format!("{mistake}; v4run takes the options of uv that it knows, by full name");
    Finding::new(Code::Usage, "command line", message).with_hint("see `uv help`")
}

/// The refusal of a subcommand, with the profile's reason.
fn refused(typed: &str, profile: &Profile) -> Finding {
    let subject = format!("uv {typed}");
    match profile.command(typed) {
        Some(rule) => {
            let code = match rule.does {
                Does::Code => Code::CommandRunsCode,
                Does::Install | Does::Read | Does::Pack | Does::Other => Code::CommandUnknown,
            };
            Finding::new(code, subject, format!("is refused: {}", rule.why))
                .with_hint(code.remedy())
        }
        None => Finding::new(
            Code::CommandUnknown,
            subject,
            "is refused: v4run does not know it",
        )
        .with_hint("see `uv help`"),
    }
}

/// What variables say, where the command line does not.
fn variables(
    environment: &BTreeMap<OsString, OsString>,
    command: &'static str,
    given: &[Given],
) -> (Vec<Setting>, Vec<Finding>) {
    let grammar = grammar(command);
    let (mut settings, mut notes) = (Vec::new(), Vec::new());
    for (variable, value) in environment {
        let Some(variable) = variable.to_str().filter(|name| name.starts_with("UV_")) else {
            continue;
        };
        let value = value.to_string_lossy();
        if value.is_empty() || READ.contains(&variable) || variable.starts_with("UV_INDEX_") {
            let named = variable == "UV_INDEX_URL" || variable == "UV_INDEX_STRATEGY";
            if value.is_empty() || !named {
                continue;
            }
        }
        let renamed = NAMES.iter().find(|(name, _)| *name == variable);
        let derived = variable
            .trim_start_matches("UV_")
            .to_lowercase()
            .replace('_', "-");
        let name = renamed.map_or(derived.as_str(), |(_, option)| option);
        let Some(option) = grammar.long(name) else {
            if !OPTIONS.iter().any(|option| option.names.contains(&name)) {
                let message = "has no effect: it is no option that v4run hands on";
                notes.push(Finding::new(Code::ConfigIgnored, variable, message));
            }
            continue;
        };
        if given.iter().any(|one| one.option == option) {
            continue;
        }
        let mut push = |value: Option<&str>| {
            settings.push(Setting {
                option,
                value: value.map(str::to_owned),
                origin: Origin::Environment,
                place: variable.to_owned(),
            });
        };
        match option.takes {
            Takes::One => push(Some(&value)),
            Takes::Many | Takes::Gather => value
                .split([' ', ','])
                .filter(|part| !part.is_empty())
                .for_each(|part| push(Some(part))),
            Takes::On | Takes::Off | Takes::Count => {
                let no = ["0", "false", "n", "no", "off", "f"];
                if !no.contains(&value.to_lowercase().as_str()) {
                    push(None);
                }
            }
        }
    }
    (settings, notes)
}

/// The environment variable with that name, as text.
pub(super) fn variable<'a>(
    environment: &'a BTreeMap<OsString, OsString>,
    name: &str,
) -> Option<&'a str> {
    let value = environment.get(OsStr::new(name))?.to_str()?;
    Some(value).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::uv::PROFILE;

    fn read_line(line: &str, variables: &[(&str, &str)]) -> Result<Line, Finding> {
        let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let environment = variables
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)))
            .collect();
        let profile = Profile::parse(PROFILE).unwrap();
        read(&arguments, &environment, &profile).map(|(line, _)| line)
    }

    #[test]
    fn options_stand_before_and_after_the_subcommand() {
        let line = read_line("-q pip --offline install --exact a --target=t b", &[]).unwrap();
        assert_eq!(line.command, Command::Install);
        assert_eq!(line.words, ["a", "b"]);
        let rules: Vec<&str> = line.settings.iter().map(|one| one.option.rule).collect();
        assert_eq!(rules, ["quiet", "offline", "choice", "target"]);
    }

    #[test]
    fn subcommands_that_run_code_are_refused() {
        for line in [
            "run x",
            "tool run x",
            "build",
            "publish",
            "python install 3.12",
            "self update",
            "x run",
        ] {
            let finding = read_line(line, &[]).unwrap_err();
            let refused = matches!(finding.code, Code::CommandRunsCode | Code::CommandUnknown);
            assert!(refused, "{line}: {finding:?}");
        }
        assert_eq!(
            read_line("run x", &[]).unwrap_err().code,
            Code::CommandRunsCode
        );
    }

    #[test]
    fn variables_count_where_the_command_line_says_nothing() {
        let variables = [
            ("UV_INDEX_URL", "https://i.invalid/s"),
            ("UV_OFFLINE", "0"),
            ("UV_EXTRA_INDEX_URL", "https://a.invalid https://b.invalid"),
            ("UV_INDEX_PRIVATE_PASSWORD", "pw"),
        ];
        let line = read_line("pip install a", &variables).unwrap();
        let said: Vec<(&str, &str)> = line
            .settings
            .iter()
            .map(|one| (one.option.name(), one.text()))
            .collect();
        assert_eq!(
            said,
            [
                ("extra-index-url", "https://a.invalid"),
                ("extra-index-url", "https://b.invalid"),
                ("index-url", "https://i.invalid/s"),
            ]
        );
        let line = read_line("pip install a -i https://c.invalid", &variables).unwrap();
        let last = line.settings.last().unwrap();
        assert_eq!(
            (last.origin, last.text()),
            (Origin::Cli, "https://c.invalid")
        );
        assert_eq!(line.settings.len(), 3);
    }

    #[test]
    fn an_unknown_option_is_no_run() {
        for line in [
            "pip install --new-option a",
            "pip install --upgr a",
            "sync -t x",
        ] {
            assert_eq!(
                read_line(line, &[]).unwrap_err().code,
                Code::Usage,
                "{line}"
            );
        }
        assert_eq!(read_line("--version", &[]).unwrap().words, ["--version"]);
        assert_eq!(read_line("", &[]).unwrap().words, ["--help"]);
    }
}
