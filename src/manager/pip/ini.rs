//! The grammar of `pip.conf`.
//!
//! pip reads it with Python's configparser: sections, `=` or `:`, comments on lines of their own,
//! values continued by indentation, a `[DEFAULT]` section that speaks for all others. Files that
//! pip would refuse are errors here too. No existing crate keeps these rules (continuation, the
//! default section, both delimiters), and a file that is read differently is a hole.
//! Grammar: <https://docs.python.org/3/library/configparser.html>.

use std::collections::BTreeSet;

/// One key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Section as written; `DEFAULT` entries are repeated in each.
    pub(super) section: String,
    /// Key in pip's normal form: lower case, `-`, no leading dashes.
    pub(super) key: String,
    /// Value, lines joined by a line feed.
    pub(super) value: String,
    /// Line of the key.
    pub(super) line: usize,
}

/// A line that is not of this grammar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(super) struct IniError {
    /// Line, from 1.
    pub(super) line: usize,
    /// What is wrong.
    pub(super) reason: &'static str,
}

const DEFAULT: &str = "DEFAULT";

/// Reads a file.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, IniError> {
    let mut reader = Reader::default();
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    for (index, line) in text.split('\n').enumerate() {
        reader.line(index.saturating_add(1), line)?;
    }
    Ok(reader.finish())
}

/// The key that a name stands for, as pip normalizes it.
pub(super) fn normal(name: &str) -> String {
    let name = name.to_lowercase().replace('_', "-");
    name.strip_prefix("--").map(str::to_owned).unwrap_or(name)
}

#[derive(Default)]
struct Reader {
    section: Option<String>,
    sections: Vec<String>,
    seen: BTreeSet<(String, String)>,
    entries: Vec<Entry>,
    /// Whether a line can continue the last entry, and the indentation it must exceed.
    open: Option<usize>,
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) -> Result<(), IniError> {
        let wrong = |reason| IniError {
            line: number,
            reason,
        };
        let text = line.trim();
        if text.starts_with(['#', ';']) {
            return Ok(());
        }
        if text.is_empty() {
            if let (Some(_), Some(last)) = (self.open, self.entries.last_mut()) {
                last.value.push('\n');
            }
            return Ok(());
        }
        let indent = line.chars().take_while(|c| c.is_whitespace()).count();
        if let (Some(level), Some(last)) = (self.open, self.entries.last_mut())
            && indent > level
        {
            last.value.push('\n');
            last.value.push_str(text);
            return Ok(());
        }
        if let Some(name) = header(text) {
            self.open = None;
            if name != DEFAULT && self.sections.contains(&name) {
                return Err(wrong("the section is there twice"));
            }
            self.sections.push(name.clone());
            self.section = Some(name);
            return Ok(());
        }
        let Some(section) = self.section.clone() else {
            return Err(wrong("there is no section header before this line"));
        };
        let Some((key, value)) = text.split_once(['=', ':']) else {
            return Err(wrong("neither a section, nor a key with a value"));
        };
        let key = normal(key.trim_end());
        if key.is_empty() {
            return Err(wrong("a value without a key"));
        }
        if !self.seen.insert((section.clone(), key.clone())) {
            return Err(wrong("the key is there twice in its section"));
        }
        self.open = Some(indent);
        self.entries.push(Entry {
            section,
            key,
            value: value.trim().to_owned(),
            line: number,
        });
        Ok(())
    }

    fn finish(mut self) -> Vec<Entry> {
        for entry in &mut self.entries {
            entry.value.truncate(entry.value.trim_end().len());
        }
        let (defaults, own): (Vec<Entry>, Vec<Entry>) = self
            .entries
            .into_iter()
            .partition(|entry| entry.section == DEFAULT);
        let mut all = Vec::new();
        let named = self.sections.iter().filter(|name| *name != DEFAULT);
        for section in named {
            let has = |key: &str| {
                own.iter()
                    .any(|entry| entry.section == *section && entry.key == key)
            };
            let inherited = defaults.iter().filter(|entry| !has(&entry.key));
            all.extend(inherited.map(|entry| Entry {
                section: section.clone(),
                ..entry.clone()
            }));
            all.extend(
                own.iter()
                    .filter(|entry| entry.section == *section)
                    .cloned(),
            );
        }
        all
    }
}

/// The name in a section header; what follows the last bracket is passed over, as Python does.
fn header(text: &str) -> Option<String> {
    let end = text.rfind(']')?;
    let name = text.get(1..end).filter(|name| !name.is_empty())?;
    text.starts_with('[').then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<(String, String, String, usize)> {
        let entries = parse(text).unwrap().into_iter();
        entries
            .map(|e| (e.section, e.key, e.value, e.line))
            .collect()
    }

    fn row(section: &str, key: &str, value: &str, line: usize) -> (String, String, String, usize) {
        (section.into(), key.into(), value.into(), line)
    }

    #[test]
    fn files_are_read_as_configparser_reads_them() {
        let text = "# note\n[global]\nindex-url = https://a.invalid/ # kept\nExtra_Index_Url: one\n   two\n\n   three\n; x\n--Timeout=5\n[install]\nuser=\n";
        assert_eq!(
            read(text),
            [
                row("global", "index-url", "https://a.invalid/ # kept", 3),
                row("global", "extra-index-url", "one\ntwo\n\nthree", 4),
                row("global", "timeout", "5", 9),
                row("install", "user", "", 11),
            ]
        );
    }

    #[test]
    fn the_default_section_speaks_for_all() {
        let text = "[DEFAULT]\ncert=a\nproxy=b\n[global]\ncert=c\n[install]\n";
        assert_eq!(
            read(text),
            [
                row("global", "proxy", "b", 3),
                row("global", "cert", "c", 5),
                row("install", "cert", "a", 2),
                row("install", "proxy", "b", 3),
            ]
        );
    }

    #[test]
    fn indentation_continues_a_value_whatever_it_looks_like() {
        assert_eq!(
            read("[a]\nx=1\n\n [b]\ny=2\r\n # c\n  z\n"),
            [row("a", "x", "1\n\n[b]", 2), row("a", "y", "2\nz", 5)]
        );
        assert_eq!(
            read(" [global]\n a=1\n  b=2\n c=3")[1],
            row("global", "c", "3", 4)
        );
        assert_eq!(read("[a] ; [b]\nx=1")[0], row("a] ; [b", "x", "1", 2));
    }

    #[test]
    fn what_pip_refuses_is_refused() {
        for (text, line) in [
            ("a=b\n", 1),
            ("[global]\nno value\n", 2),
            ("[global]\na=1\nA=2\n", 3),
            ("[global]\n[global]\n", 2),
            ("[global]\n=x\n", 2),
            ("[]\nx=1\n", 1),
        ] {
            assert_eq!(parse(text).unwrap_err().line, line, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn foreign_text_never_panics(text in "[\\[\\]=: \\ta-zA-Z#\\n\u{e4}]{0,200}") {
            let _ = parse(&text);
        }
    }
}
