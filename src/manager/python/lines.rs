//! The grammar of requirement and constraint files: from bytes to numbered lines and their parts.
//!
//! Follows pip's own reader step by step: encoding, lines, continuation, comments, then options
//! split off a requirement at the first word with a dash. `${NAME}` is replaced in options only: in
//! a requirement it would put a variable of the caller into what the index is asked for. What the
//! parts may say is not decided here.
//! <https://pip.pypa.io/en/stable/reference/requirements-file-format/>

use super::argv::{self, Line};
use super::options::{FILE, Grammar};

/// What is said of a line that a variable is part of.
pub(in crate::manager) const HIDDEN: &str =
    "is refused; it is not shown because a variable of your environment is part of it";

/// A logical line that is not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::manager) struct Entry {
    /// Number of its first line, from 1.
    pub(in crate::manager) line: usize,
    /// The requirement; empty on a line of options.
    pub(in crate::manager) requirement: String,
    /// Options.
    pub(in crate::manager) options: Line,
    /// Whether a variable is part of the options, so that they must not be shown.
    pub(in crate::manager) secret: bool,
}

/// Why a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::manager) enum LinesError {
    /// Its bytes are not of the encoding that it has or names.
    #[error("is not valid {0}")]
    Encoding(&'static str),
    /// It names an encoding that v4run does not read.
    #[error("names an encoding that v4run does not read: {0}")]
    Unsupported(String),
    /// A line that pip would refuse.
    #[error("{reason}")]
    Line {
        /// Its number.
        line: usize,
        /// Why.
        reason: String,
    },
}

/// Reads a whole file.
pub(in crate::manager) fn read(
    bytes: &[u8],
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Entry>, LinesError> {
    let text = decode(bytes)?;
    logical(&text)
        .into_iter()
        .map(|(line, text)| entry(line, &text, &variable))
        .collect()
}

fn entry(
    line: usize,
    text: &str,
    variable: &impl Fn(&str) -> Option<String>,
) -> Result<Entry, LinesError> {
    let wrong = |reason: String| LinesError::Line { line, reason };
    let (requirement, options) = split(text);
    if requirement.contains("${") {
        let reason =
            "a variable of your environment would reach the index through this requirement";
        return Err(wrong(reason.to_owned()));
    }
    let expanded = expand(&options, variable);
    let secret = expanded != options;
    let read = || {
        let words = words(&expanded).ok_or_else(|| "a quotation does not end".to_owned())?;
        let line =
            argv::parse(&words, Grammar::of(FILE), true).map_err(|error| error.to_string())?;
        match line.words.first() {
            Some(word) => Err(format!("a word after the options has no meaning: {word}")),
            None => Ok(line),
        }
    };
    let options =
        read().map_err(|reason| wrong(if secret { HIDDEN.to_owned() } else { reason }))?;
    Ok(Entry {
        line,
        requirement,
        options,
        secret,
    })
}

/// The text of a file, by its byte order mark, the encoding that it names, or UTF-8.
fn decode(bytes: &[u8]) -> Result<String, LinesError> {
    let utf8 = |bytes: &[u8]| {
        String::from_utf8(bytes.to_vec()).map_err(|_error| LinesError::Encoding("UTF-8"))
    };
    if let Some(rest) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        return utf8(rest);
    }
    for (mark, big) in [(b"\xff\xfe\0\0", false), (b"\0\0\xfe\xff", true)] {
        if let Some(rest) = bytes.strip_prefix(mark) {
            return utf32(rest, big).ok_or(LinesError::Encoding("UTF-32"));
        }
    }
    for (mark, big) in [(b"\xff\xfe", false), (b"\xfe\xff", true)] {
        if let Some(rest) = bytes.strip_prefix(mark) {
            return utf16(rest, big).ok_or(LinesError::Encoding("UTF-16"));
        }
    }
    let first = bytes.split(|byte| *byte == b'\n').take(2);
    let named = first.filter(|line| line.starts_with(b"#")).find_map(coding);
    match named.as_deref() {
        None | Some("utf-8" | "utf8" | "utf_8" | "u8") => utf8(bytes),
        Some("ascii" | "us-ascii") if bytes.is_ascii() => utf8(bytes),
        Some("ascii" | "us-ascii") => Err(LinesError::Encoding("ASCII")),
        Some("latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" | "l1") => {
            Ok(bytes.iter().copied().map(char::from).collect())
        }
        Some(other) => Err(LinesError::Unsupported(other.to_owned())),
    }
}

/// The encoding that a comment of the first two lines names, as PEP 263 has it.
fn coding(line: &[u8]) -> Option<String> {
    let text: String = line.iter().copied().map(char::from).collect();
    let starts = text
        .match_indices("coding")
        .map(|(at, word)| at.saturating_add(word.len()));
    starts.filter_map(|at| text.get(at..)).find_map(|rest| {
        let rest = rest.strip_prefix([':', '='])?.trim_start();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)));
        let name = rest
            .get(..end.unwrap_or(rest.len()))
            .filter(|name| !name.is_empty())?;
        Some(name.to_ascii_lowercase())
    })
}

fn utf16(bytes: &[u8], big: bool) -> Option<String> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|pair| {
        if big {
            u16::from_be_bytes(*pair)
        } else {
            u16::from_le_bytes(*pair)
        }
    });
    let text: Result<String, _> = char::decode_utf16(units).collect();
    text.ok().filter(|_| rest.is_empty())
}

fn utf32(bytes: &[u8], big: bool) -> Option<String> {
    let (fours, rest) = bytes.as_chunks::<4>();
    let units = fours.iter().map(|four| {
        if big {
            u32::from_be_bytes(*four)
        } else {
            u32::from_le_bytes(*four)
        }
    });
    let text: Option<String> = units.map(char::from_u32).collect();
    text.filter(|_| rest.is_empty())
}

/// Lines with continuations joined and comments taken off, by the number of their first line.
fn logical(text: &str) -> Vec<(usize, String)> {
    let mut joined: Vec<(usize, String)> = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in split_lines(text).into_iter().enumerate() {
        let number = index.saturating_add(1);
        let comment = line.trim_start_matches(is_space).starts_with('#');
        if line.ends_with('\\') && !comment {
            let (_, text) = open.get_or_insert_with(|| (number, String::new()));
            text.push_str(line.trim_matches('\\'));
            continue;
        }
        // A comment ends what was continued, and stays a comment.
        let space = if comment { " " } else { "" };
        match open.take() {
            Some((first, text)) => joined.push((first, format!("{text}{space}{line}"))),
            None => joined.push((number, format!("{space}{line}"))),
        }
    }
    joined.extend(open);
    let stripped = joined
        .into_iter()
        .map(|(line, text)| (line, without_comment(&text)));
    stripped.filter(|(_, text)| !text.is_empty()).collect()
}

/// Lines as Python's `str.splitlines` sees them: a comment ends at any of these.
fn split_lines(text: &str) -> Vec<&str> {
    let ends = |c: char| {
        matches!(
            c,
            '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(ends) {
        let (line, tail) = rest.split_at(at);
        lines.push(line);
        let length = tail.chars().next().map_or(0, char::len_utf8);
        rest = tail
            .strip_prefix("\r\n")
            .or_else(|| tail.get(length..))
            .unwrap_or_default();
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

/// Python's notion of white space has four separators more.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1c'..='\x1f')
}

fn without_comment(line: &str) -> String {
    let mut space = true;
    let at = line.char_indices().find(|(_, c)| {
        let found = *c == '#' && space;
        space = is_space(*c);
        found
    });
    let kept = at.and_then(|(at, _)| line.get(..at)).unwrap_or(line);
    kept.trim_matches(is_space).to_owned()
}

/// Parts a line before the first word that begins with a dash.
fn split(line: &str) -> (String, String) {
    let words: Vec<&str> = line.split(' ').collect();
    let at = words
        .iter()
        .position(|word| word.starts_with('-'))
        .unwrap_or(words.len());
    let (requirement, options) = words.split_at(at);
    (requirement.join(" ").trim().to_owned(), options.join(" "))
}

/// Replaces `${NAME}`; a variable that is not set, or empty, leaves the text as it is.
fn expand(text: &str, variable: &impl Fn(&str) -> Option<String>) -> String {
    let mut done = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, tail) = rest.split_at(at);
        done.push_str(before);
        let name = tail.get(2..).and_then(|tail| tail.split_once('}'));
        let upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let name = name.filter(|(name, _)| !name.is_empty() && name.chars().all(upper));
        let value =
            name.and_then(|(name, after)| Some((variable(name).filter(|v| !v.is_empty())?, after)));
        match value {
            Some((value, after)) => {
                done.push_str(&value);
                rest = after;
            }
            None => {
                done.push_str("${");
                rest = tail.get(2..).unwrap_or_default();
            }
        }
    }
    done.push_str(rest);
    done
}

/// Words as Python's `shlex.split` makes them. `None` when a quotation or an escape does not end.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = text.chars();
    while let Some(c) = letters.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next()? {
                        '\'' => break,
                        other => word.push(other),
                    }
                }
            }
            '"' => {
                quoted(&mut letters, word.get_or_insert_default())?;
            }
            '\\' => word.get_or_insert_default().push(letters.next()?),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Some(words)
}

fn quoted(letters: &mut std::str::Chars<'_>, word: &mut String) -> Option<()> {
    loop {
        match letters.next()? {
            '"' => return Some(()),
            '\\' => match letters.next()? {
                escaped @ ('"' | '\\') => word.push(escaped),
                other => word.extend(['\\', other]),
            },
            other => word.push(other),
        }
    }
}

/// A word that [`words`] reads back as it is.
pub(in crate::manager) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests;
