//! What was refused, what was not run, and what is worth a line.

use super::markup::Html;
use super::{Page, counted};
use crate::model::{Code, Finding, Severity};

/// Entries of a list that are shown.
const SHOWN: usize = 500;

/// The sections.
pub(super) fn sections(page: &Page<'_>, html: &mut Html) {
    let of = |wanted: &[Severity]| -> Vec<&Finding> {
        let findings = page.index.findings.iter().copied();
        findings
            .filter(|one| wanted.contains(&one.code.severity()))
            .collect()
    };
    html.raw("<section><h2>Refused</h2>");
    findings(&of(&[Severity::Violation]), "Nothing was refused.", html);
    html.raw("</section>");
    let failures = of(&[Severity::Error, Severity::Failure]);
    if !failures.is_empty() {
        html.raw("<section><h2>Errors and failures</h2>");
        findings(&failures, "", html);
        html.raw("</section>");
    }
    suppressed(page, html);
    let mut notes = of(&[Severity::Note]);
    notes.retain(|one| one.code != Code::SuppressedScript && one.code != Code::SuppressedProbe);
    notes.dedup();
    if !notes.is_empty() {
        html.raw("<section><h2>Notes</h2>");
        findings(&notes, "", html);
        html.raw("</section>");
    }
}

fn findings(list: &[&Finding], none: &'static str, html: &mut Html) {
    if list.is_empty() {
        html.element("p", "none", none);
        return;
    }
    html.raw("<ul class=\"findings\">");
    for finding in list.iter().take(SHOWN) {
        html.raw("<li><p class=\"tags\">");
        html.element("span", "code", finding.code.name());
        if let Some(control) = finding.control {
            html.raw(" ").element("span", "tag", &control.to_string());
        }
        html.raw("</p><p class=\"subject\">").text(&finding.subject);
        html.raw("</p><pre>").lines(&finding.message).raw("</pre>");
        if let Some(hint) = &finding.hint {
            html.element("p", "hint", hint);
        }
        html.raw("</li>");
    }
    html.raw("</ul>");
    more(list.len(), html);
}

fn suppressed(page: &Page<'_>, html: &mut Html) {
    let scripts = &page.index.suppressed;
    let probes: Vec<&Finding> = page
        .index
        .findings
        .iter()
        .copied()
        .filter(|one| one.code == Code::SuppressedProbe)
        .collect();
    html.raw("<section><h2>Not run</h2>");
    if scripts.is_empty() && probes.is_empty() {
        html.element("p", "none", "No install-time code was found.");
    }
    if !scripts.is_empty() {
        html.raw("<ul class=\"scripts\">");
        for script in scripts.iter().take(SHOWN) {
            html.raw("<li><p>");
            let whose = match script.path.is_empty() {
                true => "the project".to_owned(),
                false => format!("{}@{}", script.name, script.version),
            };
            html.element("b", "", &whose);
            html.raw(" ").element("span", "tag", script.script);
            html.raw("</p><pre>")
                .lines(script.command)
                .raw("</pre></li>");
        }
        html.raw("</ul>");
        more(scripts.len(), html);
    }
    if !probes.is_empty() {
        let count = counted(probes.len(), "harmless probe");
        let text = format!("{count} of the package manager refused, as its profile expects.");
        html.element("p", "none", &text);
    }
    html.raw("</section>");
}

fn more(count: usize, html: &mut Html) {
    if count > SHOWN {
        let left = format!("{} more in events.jsonl.", count - SHOWN);
        html.element("p", "none", &left);
    }
}
