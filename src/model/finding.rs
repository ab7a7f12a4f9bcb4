//! One thing worth telling: stable code, subject, message, remedy.

use serde::{Deserialize, Serialize};

use super::{Code, ControlId, redact_text};

/// A finding. Human text, events and the summary are all rendered from this one value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Finding {
    /// Stable code; names the control it touches.
    pub code: Code,
    /// The control that the code touches, if any.
    pub control: Option<ControlId>,
    /// What it is about: a package, path, URL, key. Never a credential.
    pub subject: String,
    /// What happened and which rule says so; lower case, no final period.
    pub message: String,
    /// What to do about it, only where there is a true remedy.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
}

impl Finding {
    /// A finding without a hint. Addresses in it lose their credentials, whoever wrote the text.
    pub fn new(code: Code, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            control: code.control(),
            subject: redact_text(&subject.into()),
            message: redact_text(&message.into()),
            hint: None,
        }
    }

    /// Adds the remedy.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(redact_text(&hint.into()));
        self
    }
}
