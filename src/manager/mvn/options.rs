//! Maven's command-line grammar: words become options with full names, and goals.
//!
//! Every place that Maven takes options from is read with it, so that nothing can be of two readings:
//! the words are read once, here, and Maven is shown what was understood. Follows Maven's own reading
//! (commons-cli: `-Dkey=value`, `-Pname`, `--name value`, `--name=value`); abbreviated long names,
//! which some versions take, are refused as unknown. It judges nothing.

use std::path::PathBuf;

/// An option without a value: short name, long name.
const FLAGS: &[(&str, &str)] = &[
    ("am", "also-make"),
    ("amd", "also-make-dependents"),
    ("B", "batch-mode"),
    ("C", "strict-checksums"),
    ("c", "lax-checksums"),
    ("cpu", "check-plugin-updates"),
    ("e", "errors"),
    ("fae", "fail-at-end"),
    ("ff", "fail-fast"),
    ("fn", "fail-never"),
    ("h", "help"),
    ("itr", "ignore-transitive-repositories"),
    ("llr", "legacy-local-repository"),
    ("N", "non-recursive"),
    ("npr", "no-plugin-registry"),
    ("npu", "no-plugin-updates"),
    ("nsu", "no-snapshot-updates"),
    ("ntp", "no-transfer-progress"),
    ("o", "offline"),
    ("q", "quiet"),
    ("r", "resume"),
    ("U", "update-snapshots"),
    ("up", "update-plugins"),
    ("v", "version"),
    ("V", "show-version"),
    ("X", "debug"),
    ("", "force-interactive"),
    ("", "non-interactive"),
    ("", "raw-streams"),
];

/// An option with a value.
const VALUES: &[(&str, &str)] = &[
    ("b", "builder"),
    ("canf", "cache-artifact-not-found"),
    ("", "color"),
    ("D", "define"),
    ("ep", "encrypt-password"),
    ("emp", "encrypt-master-password"),
    ("f", "file"),
    ("fos", "fail-on-severity"),
    ("gs", "global-settings"),
    ("gt", "global-toolchains"),
    ("l", "log-file"),
    ("P", "activate-profiles"),
    ("pl", "projects"),
    ("rf", "resume-from"),
    ("s", "settings"),
    ("sadp", "strict-artifact-descriptor-policy"),
    ("t", "toolchains"),
    ("T", "threads"),
];

/// Where a word comes from, and so who says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The command line.
    Argv,
    /// A variable of the user's environment.
    Variable(&'static str),
    /// A file of the project, with the line.
    File(PathBuf, usize),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Argv => f.write_str("command line"),
            Self::Variable(name) => f.write_str(name),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
        }
    }
}

/// A word with where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) source: Source,
}

/// An option as it was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    /// Long name.
    pub(super) name: &'static str,
    /// Its value, where it takes one.
    pub(super) value: Option<String>,
    pub(super) source: Source,
}

impl Given {
    /// Key and value of a property, when it is one.
    pub(super) fn property(&self) -> Option<(&str, &str)> {
        let text = self.value.as_deref().filter(|_| self.name == "define")?;
        // Without a value a property is true.
        Some(text.split_once('=').unwrap_or((text, "true")))
    }
}

/// What some words say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) given: Vec<Given>,
    pub(super) goals: Vec<Word>,
    /// Options that this grammar does not know, or that lack a value.
    pub(super) unknown: Vec<Word>,
}

/// Reads words.
pub(super) fn read(words: &[Word]) -> Words {
    let mut read = Words::default();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let text = unquoted(&word.text);
        if !text.starts_with('-') || text == "-" {
            read.goals.push(Word {
                text: text.to_owned(),
                source: word.source.clone(),
            });
            continue;
        }
        if text == "--" {
            // Everything behind it is a goal.
            read.goals.extend(rest.cloned());
            break;
        }
        match option(text) {
            Some(Found::Flag(name)) => read.given.push(given(name, None, word)),
            Some(Found::Complete(name, value)) => {
                read.given.push(given(name, Some(value), word));
            }
            Some(Found::Open(name)) => match rest.next() {
                Some(value) => {
                    let value = unquoted(&value.text).to_owned();
                    read.given.push(given(name, Some(value), word));
                }
                None => read.unknown.push(word.clone()),
            },
            None => read.unknown.push(word.clone()),
        }
    }
    read
}

fn given(name: &'static str, value: Option<String>, word: &Word) -> Given {
    Given {
        name,
        value,
        source: word.source.clone(),
    }
}

/// How an option was found in a word.
enum Found {
    Flag(&'static str),
    /// The value stands in the word.
    Complete(&'static str, String),
    /// The value is the next word.
    Open(&'static str),
}

fn option(text: &str) -> Option<Found> {
    let flag = |name: &str| find(FLAGS, name);
    let valued = |name: &str| find(VALUES, name);
    let bare = text.trim_start_matches('-');
    let dashes = text.len() - bare.len();
    if bare.is_empty() || dashes > 2 {
        return None;
    }
    if let Some(name) = flag(bare) {
        return Some(Found::Flag(name));
    }
    if let Some(name) = valued(bare) {
        return Some(Found::Open(name));
    }
    if let Some((name, value)) = bare.split_once('=')
        && let Some(name) = valued(name)
    {
        return Some(Found::Complete(name, value.to_owned()));
    }
    // `-D` and the like with the value behind it; the key may hold an equals sign itself.
    let short = bare
        .get(..1)
        .filter(|short| dashes == 1 && "DPTl".contains(short));
    let value = bare.get(1..).unwrap_or_default().to_owned();
    short
        .and_then(valued)
        .map(|name| Found::Complete(name, value))
}

fn find(table: &'static [(&str, &str)], name: &str) -> Option<&'static str> {
    let mut entries = table.iter();
    entries
        .find(|(short, long)| (*short == name && !short.is_empty()) || *long == name)
        .map(|(_, long)| *long)
}

/// Maven takes quotes off words that begin and end with one.
fn unquoted(text: &str) -> &str {
    let inner = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(text)
}

/// The words of a variable or of a line: separated by white space, no quoting.
pub(super) fn split(text: &str, source: &Source) -> Vec<Word> {
    let word = |text: &str| Word {
        text: text.to_owned(),
        source: source.clone(),
    };
    text.split_whitespace().map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(texts: &[&str]) -> Vec<Word> {
        let word = |text: &&str| Word {
            text: (*text).to_owned(),
            source: Source::Argv,
        };
        texts.iter().map(word).collect()
    }

    fn told(texts: &[&str]) -> (Vec<String>, Vec<String>, usize) {
        let read = read(&words(texts));
        let shown = |given: &Given| match &given.value {
            Some(value) => format!("{}={value}", given.name),
            None => given.name.to_owned(),
        };
        let goals = read.goals.iter().map(|goal| goal.text.clone()).collect();
        (
            read.given.iter().map(shown).collect(),
            goals,
            read.unknown.len(),
        )
    }

    #[test]
    fn every_spelling_of_an_option_is_one() {
        for (texts, expected) in [
            (&["-Dk=v"][..], "define=k=v"),
            (&["-D", "k=v"], "define=k=v"),
            (&["--define", "k=v"], "define=k=v"),
            (&["--define=k=v"], "define=k=v"),
            (&["\"-Dk=v w\""], "define=k=v w"),
            (&["-Pa,b"], "activate-profiles=a,b"),
            (&["-P=a"], "activate-profiles=a"),
            (&["-T2C"], "threads=2C"),
            (&["-pl", "-a"], "projects=-a"),
            (&["--settings=x"], "settings=x"),
            (&["-s", "x"], "settings=x"),
            (&["-o"], "offline"),
            (&["--offline"], "offline"),
            (&["--version"], "version"),
        ] {
            let (given, goals, unknown) = told(texts);
            assert_eq!(given, [expected], "{texts:?}");
            assert!(goals.is_empty() && unknown == 0, "{texts:?}");
        }
    }

    #[test]
    fn goals_and_the_unknown_are_told_apart() {
        let (given, goals, unknown) = told(&["-B", "clean", "dependency:tree", "--", "-x"]);
        assert_eq!(given, ["batch-mode"]);
        assert_eq!(goals, ["clean", "dependency:tree", "-x"]);
        assert_eq!(unknown, 0);
        for text in ["--sett", "-zz", "--", "-s", "---o", "--unheard=1"] {
            let (given, _, unknown) = told(&[text]);
            assert!(given.is_empty(), "{text}");
            assert_eq!(unknown == 0, text == "--", "{text}");
        }
    }

    #[test]
    fn every_option_has_a_rule() {
        let profile = crate::profile::Profile::parse(super::super::PROFILE).unwrap();
        for (_, name) in FLAGS.iter().chain(VALUES) {
            assert!(
                *name == "define" || profile.setting(name).is_some(),
                "{name}"
            );
        }
        // What stands before the rule for all properties is not hidden by it.
        for (name, project) in [
            ("-Drevision", crate::profile::Action::Pass),
            ("-Dmaven.wagon.http.pool", crate::profile::Action::Drop),
            (
                "-Daether.enhancedLocalRepository.split",
                crate::profile::Action::Refuse,
            ),
            ("-Djava.class.path", crate::profile::Action::Refuse),
        ] {
            assert_eq!(profile.setting(name).unwrap().project, project, "{name}");
        }
    }

    #[test]
    fn a_property_without_a_value_is_true() {
        let read = read(&words(&["-DskipTests", "-Da=b=c", "-o"]));
        let properties: Vec<_> = read.given.iter().filter_map(Given::property).collect();
        assert_eq!(properties, [("skipTests", "true"), ("a", "b=c")]);
    }
}
