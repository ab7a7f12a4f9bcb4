//! Foreign text on its way to a terminal.
//!
//! A package name, a URL or a server's answer may carry escape sequences, line breaks or characters
//! that reorder what is shown. Each such character is shown as its escape (`\u{1b}`), so that it
//! can be seen and has no effect; every other character stays as it is.
//! So are the marks by which a CI service tells its own commands from output: `::` at the beginning,
//! `##[` and `##vso[` anywhere. It does not shorten and does not redact. Unicode Standard Annex 9
//! (bidirectional text).

use std::borrow::Cow;

/// The text with every character that a terminal could obey, or that hides or reorders text,
/// replaced by its escape. The result is one line.
pub fn sanitize(text: &str) -> Cow<'_, str> {
    let shown = without_active(text);
    if is_command(&shown) {
        Cow::Owned(without_commands(&shown))
    } else {
        shown
    }
}

/// Marks of commands that count anywhere in a line.
const MARKS: [&str; 2] = ["##[", "##vso["];

fn is_command(line: &str) -> bool {
    line.trim_start().starts_with("::") || MARKS.iter().any(|mark| line.contains(mark))
}

/// The line with the first character of each mark as its escape.
fn without_commands(line: &str) -> String {
    let mut shown = line
        .replace("##[", "\\u{23}#[")
        .replace("##vso[", "\\u{23}#vso[");
    if shown.trim_start().starts_with("::") {
        shown = shown.replacen(':', "\\u{3a}", 1);
    }
    shown
}

fn without_active(text: &str) -> Cow<'_, str> {
    let Some(first) = text.find(is_active) else {
        return Cow::Borrowed(text);
    };
    let (clean, rest) = text.split_at(first);
    let mut shown = String::with_capacity(text.len() + 8);
    shown.push_str(clean);
    for character in rest.chars() {
        if is_active(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

fn is_active(character: char) -> bool {
    // C0, DEL and C1: C1 has one-character forms of the escape sequences.
    character.is_control()
        || matches!(character,
            // Line and paragraph separator.
            '\u{2028}' | '\u{2029}'
            // Marks, embeddings, overrides and isolates of bidirectional text.
            | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{206f}'
            // Invisible: zero width space, word joiner and its kin, byte order mark, soft hyphen.
            | '\u{ad}' | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            // Tag characters: invisible copies of ASCII.
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_text_is_not_touched() {
        for text in [
            "",
            "pkg:npm/%40scope/name@1.0.0",
            "größe ✓ 日本語 👩‍💻 עברית",
            "a\\u{1b}",
        ] {
            assert!(
                matches!(sanitize(text), Cow::Borrowed(same) if same == text),
                "{text}"
            );
        }
    }

    #[test]
    fn what_a_terminal_obeys_is_shown_instead() {
        assert_eq!(sanitize("a\u{1b}[31mred"), "a\\u{1b}[31mred");
        assert_eq!(sanitize("a\r\nv4run: fine"), "a\\r\\nv4run: fine");
        assert_eq!(sanitize("\u{9b}2J"), "\\u{9b}2J");
        assert_eq!(sanitize("x\u{202e}gpj.exe"), "x\\u{202e}gpj.exe");
        assert_eq!(sanitize("a\u{2028}b\u{e0041}"), "a\\u{2028}b\\u{e0041}");
        assert_eq!(sanitize("\t\0\u{7f}"), "\\t\\u{0}\\u{7f}");
    }

    #[test]
    fn what_a_ci_service_obeys_is_shown_instead() {
        assert_eq!(sanitize("::error::x"), "\\u{3a}:error::x");
        assert_eq!(sanitize("  ::error::x"), "  \\u{3a}:error::x");
        assert_eq!(sanitize("a ##[add-path]x"), "a \\u{23}#[add-path]x");
        assert_eq!(sanitize("a###[b]"), "a#\\u{23}#[b]");
        assert_eq!(sanitize("##vso[task]"), "\\u{23}#vso[task]");
        assert_eq!(sanitize("a::b ## [c]"), "a::b ## [c]");
    }

    proptest! {
        #[test]
        fn a_ci_service_has_nothing_to_obey(text in "[ :#vso\\[x\n]{0,12}") {
            let shown = sanitize(&text);
            prop_assert!(!is_command(&shown), "{}", shown);
        }

        #[test]
        fn the_result_is_one_harmless_line(text in any::<String>()) {
            let shown = sanitize(&text);
            prop_assert!(!shown.chars().any(is_active));
            prop_assert_eq!(sanitize(&shown), shown.clone());
        }
    }
}
