//! The `.npmrc` format: one `key = value` a line, with npm's `${VAR}` replacement.
//!
//! Two readers of one grammar. Trusted files (user, global, builtin) are read as npm reads them. A
//! project's file is read strictly: anything that a reader could understand in two ways (sections,
//! escapes, `${…}` inside a key, control characters) is refused with its line, because npm's own
//! reading of it would be the one that counts.
//! Format: ini as bundled with npm; replacement: `@npmcli/config`.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// One setting of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Key without `[]`.
    pub(super) key: String,
    /// Value as written, without quotes.
    pub(super) value: String,
    /// Whether the key ended in `[]`.
    pub(super) list: bool,
    /// Line, from 1.
    pub(super) line: usize,
}

/// A line that a project's file may not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(super) struct LineError {
    /// Line, from 1.
    pub(super) line: usize,
    /// The key as far as it could be read.
    pub(super) key: String,
    /// What is wrong with it.
    pub(super) reason: &'static str,
}

/// Reads a trusted file as npm does. Settings inside sections have no effect in npm and are left
/// out.
pub(super) fn lenient(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut section = false;
    for (line, content) in lines(text) {
        let content = trim(content);
        if content.is_empty() || content.starts_with([';', '#']) {
            continue;
        }
        if content.starts_with('[') && content.ends_with(']') {
            section = true;
            continue;
        }
        let (key, value) = match content.split_once('=') {
            Some((key, value)) => (plain(key), plain(value)),
            None => (plain(content), "true".to_owned()),
        };
        let (key, list) = match key.strip_suffix("[]") {
            Some(name) if !name.is_empty() => (name.to_owned(), true),
            _ => (key, false),
        };
        if !section && !key.is_empty() {
            entries.push(Entry {
                key,
                value,
                list,
                line,
            });
        }
    }
    entries
}

/// Reads a project's file; the first bad line of each kind of mistake is an error of its own.
pub(super) fn strict(text: &str) -> (Vec<Entry>, Vec<LineError>) {
    let mut entries = Vec::new();
    let mut errors = Vec::new();
    for (line, content) in lines(text) {
        let content = content.trim_matches([' ', '\t']);
        if content.is_empty() || content.starts_with([';', '#']) {
            continue;
        }
        match strict_line(content) {
            Ok((key, value, list)) => entries.push(Entry {
                key,
                value,
                list,
                line,
            }),
            Err((key, reason)) => errors.push(LineError { line, key, reason }),
        }
    }
    (entries, errors)
}

type StrictLine = Result<(String, String, bool), (String, &'static str)>;

fn strict_line(content: &str) -> StrictLine {
    let (key, value) = match content.split_once('=') {
        Some((key, value)) => (
            key.trim_matches([' ', '\t']),
            value.trim_matches([' ', '\t']),
        ),
        None => (content, "true"),
    };
    let shown: String = key
        .chars()
        .filter(|c| c.is_ascii_graphic())
        .take(80)
        .collect();
    let fail = |reason| Err((shown.clone(), reason));
    if content.starts_with('[') {
        return fail("sections have no meaning in this file");
    }
    let (name, list) = match key.strip_suffix("[]") {
        Some(name) => (name, true),
        None => (key, false),
    };
    let named = |c: char| c.is_ascii_alphanumeric() || "@:/._~%+-".contains(c);
    if name.is_empty() || !name.chars().all(named) {
        return fail("the key has characters that v4run does not accept in a project's file");
    }
    let value = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let inner = value
                .strip_prefix(quote)
                .and_then(|rest| rest.strip_suffix(quote));
            match inner {
                Some(inner) if !inner.contains(['"', '\'']) => inner,
                _ => return fail("the value has quotes that do not match"),
            }
        }
        _ => value,
    };
    if value.contains('\\') {
        return fail("the value has a backslash, whose meaning depends on the reader");
    }
    if value.contains([';', '#', '"', '\'']) {
        return fail("the value has a comment or quote sign, whose meaning depends on the reader");
    }
    if !value.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        return fail("the value has characters other than printable ASCII");
    }
    Ok((name.to_owned(), value.to_owned(), list))
}

/// npm splits at either line end sign; numbers count as editors do.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let numbered = text.split('\n').enumerate();
    numbered.flat_map(|(index, line)| line.split('\r').map(move |part| (index + 1, part)))
}

/// JavaScript's `trim` removes the byte order mark too.
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

/// A value with its quotes or escapes resolved as npm resolves them.
fn plain(text: &str) -> String {
    let text = trim(text);
    let quoted = |sign: char| text.len() > 1 && text.starts_with(sign) && text.ends_with(sign);
    if quoted('"') || quoted('\'') {
        let inner = text.get(1..text.len() - 1).unwrap_or_default();
        let json = if quoted('\'') { inner } else { text };
        let fallback = if quoted('\'') { inner } else { text };
        return serde_json::from_str::<String>(json).unwrap_or_else(|_error| fallback.to_owned());
    }
    let mut result = String::new();
    let mut escaped = false;
    for letter in text.chars() {
        if escaped {
            if !matches!(letter, '\\' | ';' | '#') {
                result.push('\\');
            }
            result.push(letter);
            escaped = false;
        } else if matches!(letter, ';' | '#') {
            break;
        } else if letter == '\\' {
            escaped = true;
        } else {
            result.push(letter);
        }
    }
    if escaped {
        result.push('\\');
    }
    trim(&result).to_owned()
}

/// Replaces `${NAME}` and `${NAME?}`; an odd number of backslashes before it keeps it as it is.
pub(super) fn expand(text: &str, environment: &BTreeMap<OsString, OsString>) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        let inner = from.get(2..).unwrap_or_default();
        let end = inner
            .find(['$', '{', '}'])
            .filter(|end| inner[*end..].starts_with('}'));
        let name = end.and_then(|end| inner.get(..end)).unwrap_or_default();
        let (bare, optional) = match name.strip_suffix('?') {
            Some(bare) => (bare, true),
            None => (name, false),
        };
        let Some(end) = end.filter(|_| !bare.is_empty() && !bare.contains('?')) else {
            result.push_str(before);
            result.push_str("${");
            rest = inner;
            continue;
        };
        let slashes = before.len() - before.trim_end_matches('\\').len();
        result.push_str(&before[..before.len() - slashes]);
        result.push_str(&"\\".repeat(slashes / 2));
        let whole = from.get(..end + 3).unwrap_or_default();
        let value = environment.get(std::ffi::OsStr::new(bare));
        if slashes % 2 == 1 {
            result.push_str(whole);
        } else if let Some(value) = value {
            result.push_str(&value.to_string_lossy());
        } else if !optional {
            result.push_str(whole);
        }
        rest = from.get(end + 3..).unwrap_or_default();
    }
    result.push_str(rest);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(entries: &[Entry]) -> Vec<(&str, &str, usize)> {
        entries
            .iter()
            .map(|e| (e.key.as_str(), e.value.as_str(), e.line))
            .collect()
    }

    #[test]
    fn trusted_files_are_read_as_npm_reads_them() {
        let text = "\u{feff}registry = https://r.invalid/ ; note\r\n# c\n; c\nfund\nca=\"a\\nb\"\nq='x y'\nomit[]=dev\nx=a\\;b\n[s]\ny=1\n";
        let entries = lenient(text);
        assert_eq!(
            pairs(&entries),
            [
                ("registry", "https://r.invalid/", 1),
                ("fund", "true", 4),
                ("ca", "a\nb", 5),
                ("q", "x y", 6),
                ("omit", "dev", 7),
                ("x", "a;b", 8),
            ]
        );
        assert!(entries[4].list);
    }

    #[test]
    fn project_files_are_read_strictly() {
        let (entries, errors) =
            strict("\u{feff}a=1\r\n //r.invalid/:_authToken = ${T}\n\nb = \"c d\"\rc\n");
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(
            pairs(&entries),
            [
                ("a", "1", 1),
                ("//r.invalid/:_authToken", "${T}", 2),
                ("b", "c d", 4),
                ("c", "true", 4)
            ]
        );
        for bad in [
            "script-${X}shell=sh",
            "\"script-shell\"=sh",
            "[section]",
            "a=b\\;c",
            "a=b;c",
            "a=\"b",
            "a=b\u{1b}",
            "a\u{a0}b=c",
            "=x",
            "é=1",
        ] {
            let (entries, errors) = strict(&format!("ok=1\n{bad}\n"));
            assert_eq!((entries.len(), errors.len()), (1, 1), "{bad}");
            assert_eq!(errors[0].line, 2);
        }
    }

    #[test]
    fn variables_are_replaced_as_npm_replaces_them() {
        let environment = BTreeMap::from([(OsString::from("T"), OsString::from("tok"))]);
        for (text, expected) in [
            ("${T}", "tok"),
            ("a${T}b${T}", "atokbtok"),
            ("${NONE}", "${NONE}"),
            ("${NONE?}", ""),
            ("${T?}", "tok"),
            ("\\${T}", "${T}"),
            ("\\\\${T}", "\\tok"),
            ("${${T}", "${tok"),
            ("${", "${"),
            ("${}", "${}"),
            ("$T", "$T"),
        ] {
            assert_eq!(expand(text, &environment), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(text in "[-a${}?\\\\=;#\"'\\[\\]\r\n é]{0,60}") {
            let _ = (lenient(&text), strict(&text), expand(&text, &BTreeMap::new()));
        }
    }
}
