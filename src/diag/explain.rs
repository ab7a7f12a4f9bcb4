//! The text of `v4run explain CODE|CONTROL`.
//!
//! Codes explain themselves ([`Code::ALL`]); texts of controls belong to a higher layer and come in
//! as plain data.

use super::render::severity;
use crate::model::{Code, ControlId, Level, Severity};

/// What a control says about itself.
#[derive(Clone, Copy, Debug)]
pub struct ControlText {
    /// The control.
    pub control: ControlId,
    /// Short title.
    pub title: &'static str,
    /// Lowest level that contains it.
    pub level: Level,
    /// How v4run reads the control, in a version of its own.
    pub interpretation: &'static str,
    /// What no evidence of a run can show.
    pub cannot_see: &'static str,
    /// What would make it met, and who can do that.
    pub remedy: &'static str,
}

/// Explains a code (`exec-refused`) or control (`4.18`, `18`). None when there is no such thing;
/// [`topics`] helps then.
pub fn explain(topic: &str, controls: &[ControlText]) -> Option<String> {
    let topic = topic.trim();
    if let Some(code) = Code::ALL.iter().find(|code| code.name() == topic) {
        return Some(of_code(*code, controls));
    }
    let number = topic
        .strip_prefix("4.")
        .unwrap_or(topic)
        .parse::<u8>()
        .ok()?;
    let text = controls
        .iter()
        .find(|text| text.control.number() == number)?;
    Some(of_control(text))
}

/// Every topic that resembles the text, all of them when none does.
pub fn topics(like: &str, controls: &[ControlText]) -> Vec<String> {
    let all: Vec<String> = Code::ALL
        .iter()
        .map(|code| code.name().to_owned())
        .chain(controls.iter().map(|text| text.control.to_string()))
        .collect();
    let words: Vec<&str> = like
        .split(['-', '_', ' ', '.'])
        .filter(|word| word.len() > 2)
        .collect();
    let close: Vec<String> = all
        .iter()
        .filter(|topic| words.iter().any(|word| topic.contains(*word)))
        .cloned()
        .collect();
    if close.is_empty() { all } else { close }
}

fn of_code(code: Code, controls: &[ControlText]) -> String {
    let effect = match code.severity() {
        Severity::Violation => "the run ends with 120, or 126 when found before the start",
        Severity::Error if code == Code::LevelNotReached => "the run ends with 121",
        Severity::Error if code == Code::ManagerNotFound => "the run ends with 127",
        Severity::Error => "the run ends with 125",
        Severity::Failure => "the run ends with the package manager's own status",
        Severity::Note => "no effect on the exit status",
    };
    let mut text = format!(
        "{} ({})\n\n{}\n\nEffect: {effect}.\nWhat to do: {}\n",
        code.name(),
        severity(code.severity()),
        code.meaning(),
        code.remedy(),
    );
    if let Some(control) = code.control() {
        let title = controls.iter().find(|text| text.control == control);
        let title = title.map_or("", |text| text.title);
        text.push_str(&format!(
            "Control: {control} {title} (`v4run explain {control}`)\n"
        ));
    }
    text
}

fn of_control(text: &ControlText) -> String {
    let levels: Vec<String> = Level::ALL
        .into_iter()
        .filter(|level| *level >= text.level)
        .map(|level| level.to_string())
        .collect();
    let codes: Vec<&str> = Code::ALL
        .iter()
        .filter(|code| code.control() == Some(text.control))
        .map(|code| code.name())
        .collect();
    let mut out = format!(
        "{} {} ({})\n\nHow v4run reads it: {}\n\nWhat v4run cannot see: {}\n\nWhat to do: {}\n",
        text.control,
        text.title,
        levels.join(" "),
        text.interpretation,
        text.cannot_see,
        text.remedy,
    );
    if !codes.is_empty() {
        out.push_str(&format!("\nViolated by: {}\n", codes.join(", ")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTROLS: &[ControlText] = &[ControlText {
        control: ControlId::new(18),
        title: "nothing runs",
        level: Level::L1,
        interpretation: "how",
        cannot_see: "what not",
        remedy: "what to do",
    }];

    #[test]
    fn every_code_is_explained() {
        for code in Code::ALL {
            let text = explain(code.name(), CONTROLS).unwrap();
            assert!(
                text.contains(code.meaning()) && text.contains(code.remedy()),
                "{text}"
            );
        }
    }

    #[test]
    fn a_control_names_its_codes_and_levels() {
        for topic in ["4.18", "18", " 4.18 "] {
            let text = explain(topic, CONTROLS).unwrap();
            assert!(
                text.contains("exec-refused")
                    && text.contains("L1 L2 L3")
                    && text.contains("What to do: what to do"),
                "{text}"
            );
        }
    }

    #[test]
    fn the_unknown_gets_suggestions() {
        assert_eq!(explain("exec-denied", CONTROLS), None);
        assert!(topics("exec-denied", CONTROLS).contains(&"exec-refused".to_owned()));
        assert!(topics("zz", CONTROLS).len() > Code::ALL.len());
        assert_eq!(explain("4.20", CONTROLS), None);
    }
}
