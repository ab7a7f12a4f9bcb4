//! npm's command line, read as npm reads it and written down so that it has one reading.
//!
//! npm's option parser resolves short forms and abbreviations, lets some options swallow the next
//! word and splits `--key=value` in its own way. This follows it word by word; what reaches npm
//! afterwards are full names with `=` only, v4run's own options after them, and `--` before the
//! positional arguments. So a difference between the two readings cannot move a word from one role
//! to another. It does not decide what is allowed.
//! Grammar: nopt, as bundled with npm; tables in `profiles/npm.toml`.

use std::collections::BTreeSet;

use crate::profile::Grammar;
use crate::profile::Profile;

/// An option's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Present or negated.
    Bool(bool),
    /// With a value.
    Text(String),
}

impl Value {
    /// As configuration files would state it.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Bool(true) => "true",
            Self::Bool(false) => "false",
            Self::Text(text) => text.trim(),
        }
    }
}

/// One option with its full name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flag {
    /// Full name without dashes.
    pub(super) key: String,
    /// Its value.
    pub(super) value: Value,
    /// Whether the grammar knows the name.
    pub(super) known: bool,
}

impl Flag {
    /// The one form that npm cannot read differently.
    pub(super) fn render(&self) -> String {
        match &self.value {
            Value::Bool(true) if !self.known => format!("--{}", self.key),
            Value::Bool(false) if !self.known => format!("--no-{}", self.key),
            value @ (Value::Bool(_) | Value::Text(_)) => format!("--{}={}", self.key, value.text()),
        }
    }
}

/// A command line taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parsed {
    /// Options in order.
    pub(super) flags: Vec<Flag>,
    /// The rest in order; the first is the subcommand as typed.
    pub(super) words: Vec<String>,
}

impl Parsed {
    /// The last value of an option.
    pub(super) fn last(&self, key: &str) -> Option<&str> {
        self.flags
            .iter()
            .rev()
            .find(|flag| flag.key == key)
            .map(|flag| flag.value.text())
    }

    /// Whether the last word on a switch is yes.
    pub(super) fn is_on(&self, key: &str) -> bool {
        self.last(key) == Some("true")
    }
}

/// Takes a command line apart.
pub(super) fn parse(arguments: &[String], grammar: &Grammar) -> Parsed {
    let names = Names::new(grammar);
    let mut queue: Vec<String> = arguments.iter().rev().cloned().collect();
    let mut parsed = Parsed::default();
    // Short forms expand to other short forms at most once in npm's tables; the bound only keeps a
    // wrong table from looping.
    let mut budget = arguments.len().saturating_mul(64).saturating_add(1024);
    while let Some(word) = queue.pop() {
        budget = budget.saturating_sub(1);
        let dashes = word.len() - word.trim_start_matches('-').len();
        if dashes == word.len() && dashes >= 2 {
            parsed.words.extend(queue.drain(..).rev());
            break;
        }
        if dashes == 0 || word.len() == 1 || budget == 0 {
            parsed.words.push(word);
            continue;
        }
        let (head, attached) = match word.split_once('=') {
            Some((head, value)) => {
                queue.push(value.to_owned());
                (head.to_owned(), true)
            }
            None => (word, false),
        };
        let expansion = names.expand(head.trim_start_matches('-'));
        if let Some(expansion) = expansion.filter(|words| words.first() != Some(&head)) {
            queue.extend(expansion.into_iter().rev());
            continue;
        }
        let flag = names.read(head.trim_start_matches('-'), attached, &mut queue);
        parsed.flags.push(flag);
    }
    parsed
}

/// Name tables with npm's rules of abbreviation.
struct Names<'a> {
    grammar: &'a Grammar,
    keys: BTreeSet<&'a str>,
    shorts: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    fn new(grammar: &'a Grammar) -> Self {
        let keys = grammar
            .boolean
            .iter()
            .chain(&grammar.text)
            .chain(&grammar.value);
        Self {
            grammar,
            keys: keys.map(String::as_str).collect(),
            shorts: grammar.shorthands.keys().map(String::as_str).collect(),
        }
    }

    /// What a short form stands for.
    fn expand(&self, name: &str) -> Option<Vec<String>> {
        let table = &self.grammar.shorthands;
        if self.keys.contains(name) {
            return None;
        }
        if let Some(expansion) = table.get(name) {
            return Some(expansion.clone());
        }
        let single = |letter: char| table.get(letter.encode_utf8(&mut [0; 4]) as &str);
        if !name.is_empty() && name.chars().all(|letter| single(letter).is_some()) {
            return Some(name.chars().filter_map(single).flatten().cloned().collect());
        }
        if abbreviation(&self.keys, name).is_some() {
            return None;
        }
        abbreviation(&self.shorts, name)
            .and_then(|full| table.get(full))
            .cloned()
    }

    /// Reads one option; takes its value off the queue (whose end is the next word).
    fn read(&self, name: &str, attached: bool, queue: &mut Vec<String>) -> Flag {
        let mut name = name;
        let mut negated: Option<bool> = None;
        while let Some(rest) = strip_no(name) {
            negated = Some(!negated.unwrap_or(false));
            name = rest;
        }
        let key = abbreviation(&self.keys, name).unwrap_or(name).to_owned();
        let known = self.keys.contains(key.as_str());
        let has = |list: &[String]| list.contains(&key);
        let next = queue.last().cloned();
        let nullable = has(&self.grammar.nullable);
        let boolean = negated.is_some()
            || has(&self.grammar.boolean)
            || (!known && !attached)
            || (next.as_deref() == Some("false") && nullable);
        let value = if boolean {
            self.boolean(&key, negated, next.as_deref(), queue)
        } else {
            self.valued(&key, next, queue)
        };
        Flag { key, value, known }
    }

    fn boolean(
        &self,
        key: &str,
        negated: Option<bool>,
        next: Option<&str>,
        queue: &mut Vec<String>,
    ) -> Value {
        let no = negated.unwrap_or(false);
        match next {
            Some("true") | Some("false") => {
                queue.pop();
                Value::Bool((next == Some("true")) != no)
            }
            Some(word) if self.takes(key, word) => {
                queue.pop();
                Value::Text(word.to_owned())
            }
            _ => Value::Bool(!no),
        }
    }

    /// Whether a switch takes this word as its value.
    fn takes(&self, key: &str, word: &str) -> bool {
        let words = self.grammar.words.get(key);
        let nullable = self.grammar.nullable.iter().any(|name| name == key);
        let text = self.grammar.boolean_or_text.iter().any(|name| name == key);
        words.is_some_and(|words| words.iter().any(|known| known == word))
            || (nullable && word == "null")
            || (text && !(word.starts_with('-') && !word.starts_with("--") && word.len() > 1))
    }

    fn valued(&self, key: &str, next: Option<String>, queue: &mut Vec<String>) -> Value {
        let free = self.grammar.text.iter().any(|name| name == key);
        match next {
            None => Value::Text(if free {
                String::new()
            } else {
                "true".to_owned()
            }),
            Some(word) if free && looks_like_option(&word) => Value::Text(String::new()),
            Some(word) if word.len() >= 2 && word.bytes().all(|byte| byte == b'-') => {
                Value::Text("true".to_owned())
            }
            Some(word) => {
                queue.pop();
                Value::Text(word)
            }
        }
    }
}

/// One or two dashes and then something else, as nopt asks of text options.
fn looks_like_option(word: &str) -> bool {
    let dashes = word.len() - word.trim_start_matches('-').len();
    (1..=2).contains(&dashes) && word.len() > dashes
}

fn strip_no(name: &str) -> Option<&str> {
    name.get(..3)
        .filter(|start| start.eq_ignore_ascii_case("no-"))
        .and_then(|_| name.get(3..))
}

/// The full name that a prefix stands for: itself, or the only one that starts with it.
fn abbreviation<'a>(names: &BTreeSet<&'a str>, prefix: &str) -> Option<&'a str> {
    if prefix.is_empty() {
        return None;
    }
    let mut hits = names.iter().filter(|name| name.starts_with(prefix));
    let first = hits.next().copied()?;
    (first == prefix || hits.next().is_none()).then_some(first)
}

/// The full name of a subcommand as npm resolves it: exact, alias, or unique abbreviation.
pub(super) fn command(typed: &str, profile: &Profile) -> Option<String> {
    let mut name = String::new();
    for letter in typed.chars() {
        if letter.is_ascii_uppercase() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    if profile.command(&name).is_some() {
        return Some(name);
    }
    if let Some(target) = profile.aliases.get(&name) {
        return Some(target.clone());
    }
    let full = profile
        .commands
        .iter()
        .flat_map(|rule| &rule.names)
        .map(String::as_str);
    let names: BTreeSet<&str> = full
        .chain(profile.aliases.keys().map(String::as_str))
        .collect();
    let mut found = abbreviation(&names, &name)?;
    while let Some(target) = profile.aliases.get(found) {
        found = target;
    }
    Some(found.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        Profile::parse(include_str!("../../../profiles/npm.toml")).unwrap()
    }

    fn read(line: &[&str]) -> (Vec<String>, Vec<String>) {
        let words: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
        let parsed = parse(&words, &profile().argv);
        (
            parsed.flags.iter().map(Flag::render).collect(),
            parsed.words,
        )
    }

    #[test]
    fn options_are_read_as_npm_reads_them() {
        // Each row was compared with what nopt makes of it under npm 11.
        for (line, flags, words) in [
            (&["ci"][..], &[][..], &["ci"][..]),
            (&["ci", "--omit", "dev"], &["--omit=dev"], &["ci"]),
            (&["i", "-D", "a"], &["--save-dev=true"], &["i", "a"]),
            (
                &["i", "-gf", "a"],
                &["--global=true", "--force=true"],
                &["i", "a"],
            ),
            (&["--no-audit", "ci"], &["--audit=false"], &["ci"]),
            (&["ci", "--audit", "false"], &["--audit=false"], &["ci"]),
            (&["ci", "--audit=no"], &["--audit=true"], &["ci", "no"]),
            (
                &["ci", "--no-ignore-scripts"],
                &["--ignore-scripts=false"],
                &["ci"],
            ),
            (
                &["ci", "--no-no-ignore-scripts"],
                &["--ignore-scripts=true"],
                &["ci"],
            ),
            (
                &["ci", "--ignore-s", "false"],
                &["--ignore-scripts=false"],
                &["ci"],
            ),
            (&["ci", "--script-sh=sh"], &["--script-shell=sh"], &["ci"]),
            (
                &["ci", "--audit=--script-shell=sh"],
                &["--audit=true", "--script-shell=sh"],
                &["ci"],
            ),
            (
                &["ci", "--cache", "--ignore-scripts"],
                &["--cache=--ignore-scripts"],
                &["ci"],
            ),
            (
                &["ci", "--tag", "--json"],
                &["--tag=", "--json=true"],
                &["ci"],
            ),
            (&["-d", "ci"], &["--loglevel=info"], &["ci"]),
            (&["ci", "-dd"], &["--loglevel=verbose"], &["ci"]),
            (&["ci", "--color", "always"], &["--color=always"], &["ci"]),
            (&["ci", "--depth", "false"], &["--depth=false"], &["ci"]),
            (&["i", "--", "--global", "a"], &[], &["i", "--global", "a"]),
            (&["i", "---", "-g"], &[], &["i", "-g"]),
            (&["i", "-"], &[], &["i", "-"]),
            (&["i", "--frob", "x"], &["--frob"], &["i", "x"]),
            (&["i", "--frob=x"], &["--frob=x"], &["i"]),
            (
                &["i", "--@s:registry=https://r.invalid/"],
                &["--@s:registry=https://r.invalid/"],
                &["i"],
            ),
            (&["ls", "--prod"], &["--production=true"], &["ls"]),
            (
                &["i", "--reg", "https://r.invalid/"],
                &["--registry=https://r.invalid/"],
                &["i"],
            ),
            (
                &["i", "-w", "a", "-w", "b"],
                &["--workspace=a", "--workspace=b"],
                &["i"],
            ),
            (&["i", "--save-e"], &["--save-exact=true"], &["i"]),
        ] {
            let (read_flags, read_words) = read(line);
            assert_eq!(read_flags, flags, "{line:?}");
            assert_eq!(read_words, words, "{line:?}");
        }
    }

    #[test]
    fn commands_resolve_as_npm_resolves_them() {
        let profile = profile();
        for (typed, full) in [
            ("ci", Some("ci")),
            ("clean-install", Some("ci")),
            ("installTest", Some("install-test")),
            ("i", Some("install")),
            ("isntal", Some("install")),
            ("install-cl", Some("ci")),
            ("run-script", Some("run")),
            ("x", Some("exec")),
            ("upd", Some("update")),
            ("outd", Some("outdated")),
            ("inst", Some("install")),
            ("pub", Some("publish")),
            ("nonsense", None),
            ("", None),
        ] {
            assert_eq!(command(typed, &profile).as_deref(), full, "{typed}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_rendered_line_reads_the_same_again(words in proptest::collection::vec("[-a-z=@/]{0,12}", 0..8)) {
            let grammar = profile().argv;
            let first = parse(&words, &grammar);
            let mut line: Vec<String> = first.flags.iter().map(Flag::render).collect();
            line.push("--".to_owned());
            line.extend(first.words.iter().cloned());
            let again = parse(&line, &grammar);
            proptest::prop_assert_eq!(again.words, first.words);
        }
    }
}
