//! A command line, taken apart as pip takes it apart.
//!
//! pip reads it twice: once up to the subcommand, then the rest by that subcommand's parser, with
//! options and words in any order. This follows both readings; pip is handed full names only, with
//! `=` and after them `--` and the words, so that it cannot read them differently. What may be said
//! is not decided here. Grammar: <https://docs.python.org/3/library/optparse.html>.

use std::ffi::OsString;

use super::options::{Definition, Grammar, MAIN, Takes};
use crate::model::{Code, Finding};

/// An option as given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::manager) struct Given {
    /// Which.
    pub(in crate::manager) option: &'static Definition,
    /// Its value, when it takes one.
    pub(in crate::manager) value: Option<String>,
}

/// A command line, or an option line of a file, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::manager) struct Line {
    /// Options in order.
    pub(in crate::manager) given: Vec<Given>,
    /// The rest in order.
    pub(in crate::manager) words: Vec<String>,
    /// Whether help was asked for; nothing after that was read.
    pub(in crate::manager) help: bool,
}

/// Why a line cannot be taken apart; pip would refuse it too.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::manager) enum Mistake {
    /// No option of that name.
    #[error("no such option: {0}")]
    Unknown(String),
    /// A beginning of several names.
    #[error("ambiguous option: {0}, could be {1}")]
    Ambiguous(String, String),
    /// The value is missing.
    #[error("option needs a value: {0}")]
    Missing(String),
    /// There is a value and should be none.
    #[error("option takes no value: {0}")]
    Surplus(String),
}

/// A command line as text.
pub(in crate::manager) fn texts(arguments: &[OsString]) -> Result<Vec<String>, Finding> {
    let text = |argument: &OsString| {
        argument.to_str().map(str::to_owned).ok_or_else(|| {
            let message = format!("is not UTF-8: {}", argument.to_string_lossy());
            Finding::new(Code::Usage, "command line", message)
        })
    };
    arguments.iter().map(text).collect()
}

/// Takes a line apart. With `mixed`, options may follow words.
pub(in crate::manager) fn parse(
    arguments: &[String],
    grammar: Grammar,
    mixed: bool,
) -> Result<Line, Mistake> {
    let mut line = Line::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            break;
        }
        if let Some(long) = argument.strip_prefix("--") {
            let (name, attached) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            let option = find(grammar, name)?;
            let shown = format!("--{}", option.name());
            let value = match (option.takes.value(), attached) {
                (true, Some(value)) => Some(value),
                (true, None) => Some(rest.next().cloned().ok_or(Mistake::Missing(shown))?),
                (false, Some(_)) => return Err(Mistake::Surplus(shown)),
                (false, None) => None,
            };
            if line.take(option, value) {
                return Ok(line);
            }
        } else if argument.len() > 1 && argument.starts_with('-') {
            let mut letters = argument.chars().skip(1);
            while let Some(letter) = letters.next() {
                let unknown = || Mistake::Unknown(format!("-{letter}"));
                let option = grammar.short(letter).ok_or_else(unknown)?;
                let value = if option.takes.value() {
                    let attached: String = letters.by_ref().collect();
                    Some(if attached.is_empty() {
                        let missing = || Mistake::Missing(format!("-{letter}"));
                        rest.next().cloned().ok_or_else(missing)?
                    } else {
                        attached
                    })
                } else {
                    None
                };
                if line.take(option, value) {
                    return Ok(line);
                }
            }
        } else {
            line.words.push(argument.clone());
            if !mixed {
                break;
            }
        }
    }
    line.words.extend(rest.cloned());
    Ok(line)
}

impl Line {
    /// Keeps an option; true when it ends the reading.
    fn take(&mut self, option: &'static Definition, value: Option<String>) -> bool {
        if option.rule == "help" {
            self.help = true;
            return true;
        }
        self.given.push(Given { option, value });
        false
    }
}

/// The option that a long name or the beginning of one stands for.
fn find(grammar: Grammar, name: &str) -> Result<&'static Definition, Mistake> {
    if let Some(option) = grammar.long(name) {
        return Ok(option);
    }
    let hits = grammar.starting(name);
    match hits.as_slice() {
        [] => Err(Mistake::Unknown(format!("--{name}"))),
        [(_, option)] => Ok(option),
        several => {
            let names: Vec<String> = several
                .iter()
                .map(|(name, _)| format!("--{name}"))
                .collect();
            Err(Mistake::Ambiguous(format!("--{name}"), names.join(", ")))
        }
    }
}

/// What stands before the subcommand, the subcommand, and what its own parser will read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::manager) struct Split {
    /// Options before the subcommand; its parser reads them again.
    pub(in crate::manager) general: Line,
    /// The subcommand as typed.
    pub(in crate::manager) command: Option<String>,
    /// Everything but the subcommand.
    pub(in crate::manager) arguments: Vec<String>,
}

/// Splits a whole command line. Like pip it takes away the first word that *is* the subcommand's
/// name, even where that word is the value of an option.
pub(in crate::manager) fn split(arguments: &[String]) -> Result<Split, Mistake> {
    let general = parse(arguments, Grammar::of(MAIN), false)?;
    let command = general.words.first().cloned();
    let mut rest = arguments.to_vec();
    if let Some(at) = command
        .as_ref()
        .and_then(|name| rest.iter().position(|word| word == name))
    {
        rest.remove(at);
    }
    Ok(Split {
        general,
        command,
        arguments: rest,
    })
}

/// An option in the one form that pip cannot read differently.
pub(in crate::manager) fn render(option: &Definition, value: Option<&str>) -> String {
    match (option.takes, value) {
        (Takes::One | Takes::Many | Takes::Gather, Some(value)) => {
            format!("--{}={value}", option.name())
        }
        (Takes::One | Takes::Many | Takes::Gather, None)
        | (Takes::On | Takes::Off | Takes::Count, _) => {
            format!("--{}", option.name())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::python::options::FILE;
    use proptest::prelude::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    /// What pip's own parser gives for the same line, as `name=value` and words.
    fn read(command: &'static str, text: &str) -> Result<(Vec<String>, Vec<String>), Mistake> {
        let line = parse(&words(text), Grammar::of(command), true)?;
        let given = line.given.iter();
        let given = given.map(|one| {
            render(one.option, one.value.as_deref())
                .trim_start_matches('-')
                .to_owned()
        });
        Ok((given.collect(), line.words))
    }

    #[test]
    fn lines_are_read_as_optparse_reads_them() {
        for (text, given, rest) in [
            ("flask -rreq.txt", "requirement=req.txt", "flask"),
            ("-r req.txt flask", "requirement=req.txt", "flask"),
            ("--requirement=req.txt", "requirement=req.txt", ""),
            ("--dry a.txt", "dry-run", "a.txt"),
            ("-Ur a.txt", "upgrade requirement=a.txt", ""),
            (
                "-qqUI flask",
                "quiet quiet upgrade ignore-installed",
                "flask",
            ),
            ("-r=a.txt", "requirement==a.txt", ""),
            ("--index-url --pre flask", "index-url=--pre", "flask"),
            ("--pypi-url=https://x/ y", "index-url=https://x/", "y"),
            ("-t - flask -", "target=-", "flask -"),
            ("flask -- -e .", "", "flask -e ."),
            ("--no-cache flask", "no-cache-dir", "flask"),
            ("--target=a=b c", "target=a=b", "c"),
            ("--pre --only-binary=:all: x", "pre only-binary=:all:", "x"),
            ("-vvv --log-file=l x", "verbose verbose verbose log=l", "x"),
        ] {
            let (options, left) = read("install", text).unwrap();
            assert_eq!(
                (options.join(" ").as_str(), left.join(" ").as_str()),
                (given, rest),
                "{text}"
            );
        }
    }

    #[test]
    fn one_letter_means_what_the_subcommand_says() {
        assert_eq!(read("show", "-f flask").unwrap().0, ["files"]);
        assert_eq!(
            read("install", "-f dir flask").unwrap().0,
            ["find-links=dir"]
        );
        assert_eq!(
            read("list", "-e --format json").unwrap().0,
            ["editable", "format=json"]
        );
        assert_eq!(read("install", "-e . x").unwrap().0, ["editable=."]);
        assert!(read("show", "-e x").is_err());
        assert_eq!(
            read(FILE, "--hash=sha256:ab").unwrap().0,
            ["hash=sha256:ab"]
        );
        assert!(read("install", "--hash=sha256:ab").is_err());
    }

    #[test]
    fn mistakes_are_named() {
        assert!(matches!(
            read("install", "--nonsense"),
            Err(Mistake::Unknown(_))
        ));
        assert!(matches!(
            read("install", "--no-b x"),
            Err(Mistake::Ambiguous(..))
        ));
        assert!(matches!(
            read("install", "flask -r"),
            Err(Mistake::Missing(_))
        ));
        assert!(matches!(
            read("install", "--pre=yes"),
            Err(Mistake::Surplus(_))
        ));
        assert!(matches!(read("install", "-Ux"), Err(Mistake::Unknown(_))));
    }

    #[test]
    fn the_subcommand_is_found_where_pip_finds_it() {
        let split = |text: &str| super::split(&words(text)).unwrap();
        let plain = split("-q --timeout 5 install flask -q");
        assert_eq!(plain.command.as_deref(), Some("install"));
        assert_eq!(plain.arguments, words("-q --timeout 5 flask -q"));
        // pip removes the first equal word, here the value of `--log`.
        let odd = split("--log install -v install flask");
        assert_eq!(odd.arguments, words("--log -v install flask"));
        assert!(split("--help install").general.help);
        assert_eq!(split("-V").command, None);
    }

    proptest! {
        #[test]
        fn what_is_rendered_is_read_back(text in "[-=a-zA-Z. ]{0,40}") {
            if let Ok(line) = parse(&words(&text), Grammar::of("install"), true) {
                let mut again: Vec<String> = line.given.iter().map(|one| render(one.option, one.value.as_deref())).collect();
                again.push("--".to_owned());
                again.extend(line.words.clone());
                if !line.help {
                    prop_assert_eq!(parse(&again, Grammar::of("install"), true).unwrap(), line);
                }
            }
        }
    }
}
