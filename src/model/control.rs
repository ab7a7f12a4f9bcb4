//! The 19 controls of OWASP SCVS 1.0 chapter V4 and the status vocabulary of a verdict.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Number of a control within chapter V4: 1 to 19, printed `4.n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ControlId(u8);

impl ControlId {
    /// Control `4.number`; numbers outside 1..=19 are a programming error caught at compile time
    /// when used in a constant.
    pub const fn new(number: u8) -> Self {
        assert!(
            number >= 1 && number <= 19,
            "chapter V4 has controls 1 to 19"
        );
        Self(number)
    }

    /// All controls in chapter order.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=19).map(Self)
    }

    /// The number after the dot.
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for ControlId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "4.{}", self.0)
    }
}

impl Serialize for ControlId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ControlId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.strip_prefix("4.")
            .and_then(|number| number.parse().ok())
            .filter(|number| (1..=19).contains(number))
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom(format!("not a V4 control: {text}")))
    }
}

/// What was found for a control and how it is known, worst first: the order is the merge order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Something contradicts the control.
    Violated,
    /// No evidence, or the monitor was not healthy.
    Unknown,
    /// Not met or unknown, with a signed exception.
    Waived,
    /// Stated by a profile or operator.
    Declared,
    /// Shown by the repository over verified TLS.
    Observed,
    /// Checked on the data against an anchor outside it.
    Verified,
    /// The opposite was impossible in this run.
    Enforced,
    /// The precondition did not occur; neutral in a merge.
    NotApplicable,
}

impl Status {
    /// The word used in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Violated => "violated",
            Self::Unknown => "unknown",
            Self::Waived => "waived",
            Self::Declared => "declared",
            Self::Observed => "observed",
            Self::Verified => "verified",
            Self::Enforced => "enforced",
            Self::NotApplicable => "not-applicable",
        }
    }
}
