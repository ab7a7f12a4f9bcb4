//! Reads TOML of policies and profiles into plain shapes and names the line of every mistake.
//!
//! First of the two steps: what a file says. Unknown keys are errors, because a misspelt key in a
//! security policy must not pass as silence. What it means is decided in the sibling modules.
//! Form: TOML 1.0.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;

use super::build::RawBuild;
use super::signing::{RawKey, RawPublisher, RawSource};

/// A file that is no TOML of the expected shape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ShapeError {
    /// Line of the mistake, from 1, when it is known.
    pub line: Option<usize>,
    /// What is wrong; one line.
    pub message: String,
}

/// What a policy file says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawPolicy {
    #[serde(default)]
    pub(super) repositories: Vec<RawRepository>,
    pub(super) level: Option<Spanned<String>>,
    pub(super) store: Option<Spanned<String>>,
    pub(super) look: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) managers: std::collections::BTreeMap<String, RawManager>,
    pub(super) lockdown: Option<Spanned<bool>>,
    pub(super) passthrough: Option<Spanned<bool>>,
    #[serde(default)]
    pub(super) artifacts: Vec<RawArtifact>,
    #[serde(default)]
    pub(super) pins: Vec<RawPin>,
    #[serde(default)]
    pub(super) approvals: Vec<RawApproval>,
    #[serde(default)]
    pub(super) builds: Vec<RawBuild>,
    #[serde(default)]
    pub(super) refuse: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) facts: Vec<RawFact>,
    #[serde(default)]
    pub(super) exceptions: Vec<RawException>,
    pub(super) minimum_release_age: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) signing_keys: Vec<RawKey>,
    #[serde(default)]
    pub(super) sources: Vec<RawSource>,
    #[serde(default)]
    pub(super) publisher_keys: Vec<RawPublisher>,
    pub(super) trust_root: Option<Spanned<String>>,
}

/// One `[[facts]]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawFact {
    pub(super) repository: Spanned<String>,
    pub(super) control: Spanned<String>,
    pub(super) holds: bool,
    pub(super) statement: Spanned<String>,
    pub(super) source: Spanned<String>,
    pub(super) checked: Spanned<String>,
    pub(super) expires: Option<Spanned<String>>,
    pub(super) compensated_by: Option<Spanned<String>>,
}

/// One `[[exceptions]]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawException {
    pub(super) control: Option<Spanned<String>>,
    pub(super) package: Option<Spanned<String>>,
    pub(super) owner: Spanned<String>,
    pub(super) reason: Spanned<String>,
    pub(super) expires: Spanned<String>,
}

/// One `[[approvals]]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawApproval {
    pub(super) purl: Spanned<String>,
    pub(super) sha256: Spanned<String>,
    pub(super) owner: Spanned<String>,
    pub(super) reason: Spanned<String>,
    pub(super) expires: Option<Spanned<String>>,
}

/// One `[[pins]]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawPin {
    pub(super) name: Option<Spanned<String>>,
    pub(super) prefix: Option<Spanned<String>>,
    pub(super) repository: Spanned<String>,
}

/// One `[[artifacts]]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawArtifact {
    pub(super) file: Spanned<String>,
    pub(super) sha256: Spanned<String>,
    pub(super) url: Option<Spanned<String>>,
}

/// One `[[repositories]]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawRepository {
    pub(super) url: Spanned<String>,
    pub(super) origin: Option<Spanned<String>>,
    pub(super) inherits: Option<Spanned<String>>,
}

/// One `[managers.NAME]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawManager {
    pub(super) path: Spanned<String>,
}

/// Parses TOML text.
pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, ShapeError> {
    toml::from_str(text).map_err(|error: toml::de::Error| ShapeError {
        line: error.span().map(|span| line_of(text, span.start)),
        message: error
            .message()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned(),
    })
}

/// The line, from 1, that a byte position lies on.
pub(super) fn line_of(text: &str, position: usize) -> usize {
    text.bytes()
        .take(position)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}
