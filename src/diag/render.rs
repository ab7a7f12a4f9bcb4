//! One finding as text for a person.
//!
//! The same value is written to the record as JSON; here it becomes the lines on stderr. Only the
//! first line starts with `v4run:`; whatever follows is indented, so that foreign text in a message
//! cannot pass for another finding.

use super::sanitize::sanitize;
use crate::model::{Finding, Severity};

/// Longest line of foreign text that is shown; the record has the whole.
const LINE: usize = 2000;

/// The word for a severity.
pub const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Violation => "refused",
        Severity::Error => "error",
        Severity::Failure => "failed",
        Severity::Note => "note",
    }
}

/// The finding's lines, without a final newline:
///
/// ```text
/// v4run: refused: bytes of `left-pad@1.3.0` differ from the lockfile [integrity-mismatch, 4.13]
///   expected sha512-…
///   computed sha512-…
/// hint: compare the anchors
/// ```
pub fn finding(finding: &Finding) -> String {
    let mut lines = finding.message.split('\n').map(shown);
    let mut first = lines.next().unwrap_or_default();
    // Messages that do not name their subject read on from it.
    if !finding.subject.is_empty() && !finding.message.contains(&finding.subject) {
        first = format!("{}: {first}", shown(&finding.subject));
    }
    let word = severity(finding.code.severity());
    let code = finding.code.name();
    let mut text = match finding.control {
        Some(control) => format!("v4run: {word}: {first} [{code}, {control}]"),
        None => format!("v4run: {word}: {first} [{code}]"),
    };
    for line in lines {
        text.push_str("\n  ");
        text.push_str(line.trim_start());
    }
    if let Some(hint) = &finding.hint {
        for (index, line) in hint.split('\n').map(shown).enumerate() {
            text.push_str(if index == 0 { "\nhint: " } else { "\n  " });
            text.push_str(line.trim_start());
        }
    }
    text
}

fn shown(line: &str) -> String {
    let line = line.strip_suffix('\r').unwrap_or(line);
    match line.char_indices().nth(LINE) {
        None => sanitize(line).into_owned(),
        Some((end, _)) => {
            let (head, _) = line.split_at(end);
            format!("{}… (cut, the record has the whole)", sanitize(head))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Code;

    #[test]
    fn a_refusal_names_code_and_control_and_keeps_digest_lines() {
        let value = Finding::new(
            Code::IntegrityMismatch,
            "a@1",
            "bytes of `a@1` differ from the lockfile\nexpected sha512-AAAA\ncomputed sha512-BBBB",
        )
        .with_hint("compare the anchors");
        assert_eq!(
            finding(&value),
            "v4run: refused: bytes of `a@1` differ from the lockfile [integrity-mismatch, 4.13]\n  \
             expected sha512-AAAA\n  computed sha512-BBBB\nhint: compare the anchors"
        );
    }

    #[test]
    fn a_code_without_a_control_names_none() {
        let value = Finding::new(Code::Usage, "", "no manager named");
        assert_eq!(finding(&value), "v4run: error: no manager named [usage]");
    }

    #[test]
    fn foreign_text_cannot_pass_for_a_line_of_v4run() {
        let value = Finding::new(
            Code::UpstreamFailed,
            "",
            "it said \u{1b}[2J\nv4run: all is well",
        );
        let text = finding(&value);
        assert!(!text.contains('\u{1b}'));
        assert_eq!(
            text.lines()
                .filter(|line| line.starts_with("v4run:"))
                .count(),
            1,
            "{text}"
        );
    }

    #[test]
    fn a_giant_line_is_cut() {
        let value = Finding::new(Code::UpstreamFailed, "", "x".repeat(100_000));
        assert!(finding(&value).len() < 2 * LINE);
    }
}
