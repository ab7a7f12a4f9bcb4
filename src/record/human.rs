//! The few lines that a person reads at the end of a run.
//!
//! Printed by the session on stderr; findings were shown when they happened and are not repeated.
//! Names come from packages, so every line passes `sanitize`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::summary::{Summary, Suppression};
use crate::diag::sanitize;
use crate::model::Finding;

/// Packages with suppressed scripts that are named.
const NAMED: usize = 5;
/// Notes that are shown.
const NOTES: usize = 10;
/// Characters of a note that are shown.
const LINE: usize = 300;

/// The lines for a person at the end of a run; findings were shown when they happened.
pub fn human(summary: &Summary, directory: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(verified(summary));
    lines.extend(built(summary));
    lines.extend(not_run(summary));
    lines.extend(notes(summary));
    if summary.suppressed.iter().any(is_own) {
        lines.push(
            "hint: the project's own scripts can be run without v4run, after the install".into(),
        );
    }
    if !summary.violations.is_empty() {
        let count = summary.violations.len();
        lines.push(format!(
            "refused: {}, named above and in the record",
            things(count, "thing")
        ));
    }
    if let Some(level) = summary.level {
        lines.push(format!("assessed against SCVS 1.0 V4: {level}"));
    }
    lines.push(format!("record: {}", directory.display()));
    lines
        .iter()
        .map(|line| match line.strip_prefix("hint: ") {
            Some(hint) => format!("hint: {}", sanitize(hint)),
            None => format!("v4run: {}", sanitize(line)),
        })
        .collect()
}

fn verified(summary: &Summary) -> Option<String> {
    let artifacts: u64 = summary
        .repositories
        .iter()
        .map(|entry| entry.artifacts)
        .sum();
    if artifacts == 0 {
        return None;
    }
    let places: Vec<&str> = summary
        .repositories
        .iter()
        .flat_map(|entry| &entry.origins)
        .map(String::as_str)
        .collect();
    let anchors: Vec<String> = summary
        .anchors
        .iter()
        .map(|(name, count)| format!("{count} by {name}"))
        .collect();
    Some(format!(
        "{} from {} verified before use ({}); {} installed",
        things(usize::try_from(artifacts).unwrap_or(usize::MAX), "artifact"),
        places.join(", "),
        anchors.join(", "),
        things(
            usize::try_from(summary.components).unwrap_or(usize::MAX),
            "component"
        ),
    ))
}

/// What ran by approval.
fn built(summary: &Summary) -> Option<String> {
    let mut names: Vec<&str> = summary
        .builds
        .iter()
        .map(|one| one.start.purl.as_str())
        .collect();
    names.dedup();
    if names.is_empty() {
        return None;
    }
    let shown: Vec<&str> = names.iter().copied().take(NAMED).collect();
    Some(format!(
        "ran by approval, without network: {} ({})",
        things(names.len(), "component"),
        shown.join(", ")
    ))
}

fn is_own(suppression: &Suppression) -> bool {
    matches!(suppression, Suppression::Script { path, .. } if path.is_empty())
}

fn not_run(summary: &Summary) -> Option<String> {
    let mut packages: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let mut own = BTreeSet::new();
    for suppression in &summary.suppressed {
        let Suppression::Script {
            name,
            version,
            path,
            script,
            ..
        } = suppression
        else {
            continue;
        };
        if path.is_empty() {
            own.insert(script.as_str());
        } else {
            packages
                .entry(format!("{name}@{version}"))
                .or_default()
                .insert(script);
        }
    }
    if packages.is_empty() && own.is_empty() {
        return None;
    }
    let mut parts: Vec<String> = packages
        .iter()
        .take(NAMED)
        .map(|(name, scripts)| {
            format!(
                "{name} ({})",
                scripts.iter().copied().collect::<Vec<_>>().join(", ")
            )
        })
        .collect();
    if packages.len() > NAMED {
        parts.push(format!("{} more", packages.len() - NAMED));
    }
    if !own.is_empty() {
        let scripts: Vec<&str> = own.into_iter().collect();
        parts.push(format!("the project's own {}", scripts.join(", ")));
    }
    Some(format!("install scripts not run: {}", parts.join(", ")))
}

fn notes(summary: &Summary) -> Vec<String> {
    let line = |note: &Finding| {
        let text = format!(
            "note: {}: {}",
            note.subject,
            note.message.replace('\n', " ")
        );
        let text: String = text.chars().take(LINE).collect();
        format!("{text} [{}]", note.code.name())
    };
    let mut lines: Vec<String> = summary.notes.iter().take(NOTES).map(line).collect();
    let more = summary.notes.len().saturating_sub(NOTES);
    if more > 0 {
        lines.push(format!("{} in the record", things(more, "more note")));
    }
    lines
}

fn things(count: usize, name: &str) -> String {
    if count == 1 {
        format!("1 {name}")
    } else {
        format!("{count} {name}s")
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::healthy;
    use super::super::summary::tests::summarised;
    use super::*;
    use crate::model::{Code, Event};

    fn lines(events: &[Event]) -> Vec<String> {
        human(
            &summarised(events, |_outcome| {}),
            Path::new("/records/one"),
        )
    }

    fn script(name: &str, path: &str) -> Event {
        Event::ScriptSuppressed {
            name: name.into(),
            version: "1.0.0".into(),
            path: path.into(),
            script: "prepare".into(),
            command: "husky".into(),
        }
    }

    #[test]
    fn an_ordinary_run_is_told_in_three_lines() {
        let shown = lines(&healthy());
        assert_eq!(
            shown,
            [
                "v4run: 3 artifacts from https://registry.invalid:8443 verified before use (3 by \
                 lockfile); 3 components installed",
                "v4run: install scripts not run: b@2.0.0 (postinstall)",
                "v4run: record: /records/one",
            ]
        );
    }

    #[test]
    fn notes_are_told_each_once_and_bounded() {
        let note = |index: usize| {
            let subject = format!("p{index}@1.0");
            Event::Found(Finding::new(
                Code::StartupCode,
                subject,
                "p.pth\nimport p\u{1b}[2J",
            ))
        };
        let mut events: Vec<Event> = (0..12).map(note).collect();
        events.push(note(0));
        let shown = lines(&events);
        assert!(shown[0].starts_with("v4run: note: p0@1.0: p.pth import p"));
        assert!(shown[0].ends_with("[startup-code]"), "{shown:?}");
        assert_eq!(shown[10], "v4run: 2 more notes in the record");
        assert!(shown.iter().all(|line| !line.contains('\u{1b}')));
    }

    #[test]
    fn many_scripts_are_counted_and_the_project_s_own_get_a_hint() {
        let mut events: Vec<Event> = (0..8)
            .map(|index| script(&format!("p{index}"), "node_modules/p"))
            .collect();
        events.push(script("demo", ""));
        events.push(script("evil\u{1b}[2J", "node_modules/evil"));
        let text = lines(&events).join("\n");
        assert!(
            text.contains("4 more, the project's own prepare\nhint: "),
            "{text}"
        );
        assert!(
            !text.contains('\u{1b}') && !text.contains("artifacts"),
            "{text}"
        );
    }
}
