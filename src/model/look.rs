//! What a static look into an artifact saw: signs, never a judgement.
//!
//! Comes from the confined helper that looks, and goes into the record. Plain data.

use serde::{Deserialize, Serialize};

use super::Digest;

/// How much attention a sign deserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// Ordinary, and good to know.
    Note,
    /// Seldom in honest packages.
    Warning,
    /// Known from attacks.
    Error,
}

/// Something that was seen in a file of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sign {
    /// Identifier of the rule.
    pub rule: String,
    /// Its weight.
    pub weight: Weight,
    /// The file in the artifact.
    pub path: String,
    /// Line, from 1; 0 where it is about the file as a whole.
    pub line: u64,
    /// What was seen, short.
    pub text: String,
}

/// What was seen in an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    /// Package name.
    pub name: String,
    /// Package version.
    pub version: String,
    /// File name of the artifact.
    pub file: String,
    /// SHA-256 of the artifact.
    pub sha256: Digest,
    /// Why not all of it was looked at, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
    /// The signs.
    pub signs: Vec<Sign>,
}

/// How long the look may take, and what its signs do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LookMode {
    /// No look.
    Off,
    /// With processor time that nobody else wants; what is not done by the end is left.
    #[default]
    SpareTime,
    /// Everything is looked at.
    Complete,
    /// Everything is looked at, and signs of the highest weight are refused.
    Refuse,
}

impl LookMode {
    /// All of them, the laxest first.
    pub const ALL: [Self; 4] = [Self::Off, Self::SpareTime, Self::Complete, Self::Refuse];

    /// The word that a policy uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::SpareTime => "spare-time",
            Self::Complete => "complete",
            Self::Refuse => "refuse",
        }
    }
}
