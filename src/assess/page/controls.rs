//! The 19 controls: what was found, how that is known, and what it rests on.

use super::markup::Html;
use super::{Page, level_name};
use crate::model::{ControlVerdict, Status, Subject};

/// Lines of evidence that are shown for a control.
const LINES: usize = 200;
/// Bytes of it.
const BYTES: usize = 24 * 1024;

/// The section.
pub(super) fn section(page: &Page<'_>, html: &mut Html) {
    html.raw("<section><h2>Controls</h2><div class=\"controls\">");
    for verdict in &page.assessment.controls {
        control(verdict, html);
    }
    html.raw("</div></section>");
}

fn control(verdict: &ControlVerdict, html: &mut Html) {
    html.raw("<article class=\"control ")
        .raw(verdict.status.name())
        .raw("\"><h3>");
    html.element("span", "id", &verdict.control.to_string());
    html.raw(" ").text(&verdict.title).raw("</h3>");
    html.raw("<p class=\"tags\"><span class=\"status\">");
    html.raw(sign(verdict.status)).raw(" ");
    html.raw(verdict.status.name()).raw("</span>");
    html.raw(" <span class=\"tag\">from ");
    html.raw(level_name(verdict.level)).raw("</span>");
    html.raw(" <span class=\"tag\">");
    html.raw(match verdict.subject {
        Subject::Client => "client",
        Subject::Repository => "repository",
        Subject::Component => "component",
    });
    html.raw("</span> <span class=\"tag\">basis: ");
    html.raw(verdict.status.basis()).raw("</span>");
    for modifier in &verdict.modifiers {
        html.raw(" ").element("span", "tag warn", modifier);
    }
    html.raw("</p>");
    html.element("p", "detail", &verdict.detail);
    evidence(verdict, html);
    html.raw("</article>");
}

/// Told apart without colour.
const fn sign(status: Status) -> &'static str {
    match status {
        Status::Violated => "✕",
        Status::Unknown => "?",
        Status::Waived => "!",
        Status::Declared | Status::Observed => "○",
        Status::Verified | Status::Enforced => "●",
        Status::NotApplicable => "–",
    }
}

fn evidence(verdict: &ControlVerdict, html: &mut Html) {
    if verdict.evidence.is_null() {
        return;
    }
    let Ok(text) = serde_json::to_string_pretty(&verdict.evidence) else {
        return;
    };
    let mut shown = String::new();
    let mut lines = text.lines();
    for line in lines.by_ref().take(LINES) {
        if shown.len() + line.len() > BYTES {
            break;
        }
        shown.push_str(line);
        shown.push('\n');
    }
    html.raw("<details><summary>evidence</summary><pre>");
    html.lines(&shown);
    let left = text.len().saturating_sub(shown.len());
    if left > 0 {
        let more = format!("… {left} bytes more in record.cdx.json");
        html.raw("\n").text(&more);
    }
    html.raw("</pre></details>");
}
