//! What is stated, probed and excepted about a repository: evidence that no install can show itself.
//!
//! Statements are dated, sourced and expire; a probe is one observation with an end; an exception is
//! somebody's signature under a gap. They come from the built-in facts, the policy and `v4run probe`,
//! and become events, so that an earlier record is assessed with what was known then. Plain data: what
//! they are worth is decided in `assess`.

use serde::{Deserialize, Serialize};

use super::{ControlId, Digest};

/// Who answers for a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Voucher {
    /// v4run's own data about the repository that the manager asks when nothing else is configured.
    BuiltIn,
    /// The policy, about exactly this repository.
    Policy,
}

/// One statement about a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// The control that it is about.
    pub control: ControlId,
    /// Whether the repository does what the control demands.
    pub holds: bool,
    /// What is stated, one sentence.
    pub statement: String,
    /// Who says so, and when.
    pub source: String,
    /// Day on which the source was last read, `YYYY-MM-DD`.
    pub checked: String,
    /// Last day on which it counts, `YYYY-MM-DD`.
    pub expires: String,
    /// What stands in for it where it does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensated_by: Option<String>,
    /// Who answers for it.
    pub voucher: Voucher,
    /// File and line, or the name of the built-in facts.
    pub stated_in: String,
}

/// A repository of the run with what is stated about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownRepository {
    /// Identifier in the plan.
    pub repository: String,
    /// Base address, credentials removed.
    pub base: String,
    /// Whether it is the one that the manager asks when nothing else is configured.
    pub standard: bool,
    /// The moment at which the statements were looked at, RFC 3339.
    pub at: String,
    /// The statements.
    pub facts: Vec<Fact>,
}

/// What a probe says about a control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The repository showed what the control demands.
    Supports,
    /// The repository showed the opposite.
    Contradicts,
    /// The answer says nothing.
    CannotTell,
}

impl Outcome {
    /// The words used in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Supports => "supports",
            Self::Contradicts => "contradicts",
            Self::CannotTell => "cannot tell",
        }
    }
}

/// One read-only look at a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// Base address of the repository, credentials removed.
    pub base: String,
    /// The control that it is about.
    pub control: ControlId,
    /// What it says.
    pub outcome: Outcome,
    /// The request, as a line.
    pub asked: String,
    /// Status of the answer, if there was one.
    pub status: Option<u16>,
    /// What was seen, one sentence.
    pub detail: String,
    /// SHA-256 of the answer's body.
    pub body: Option<Digest>,
    /// When, RFC 3339.
    pub at: String,
    /// Until when it counts, RFC 3339.
    pub expires: String,
}

/// A gap that somebody answers for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// The control that is not met.
    pub control: ControlId,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Last day, `YYYY-MM-DD`.
    pub expires: String,
    /// File and line.
    pub stated_in: String,
    /// The moment at which it was read, RFC 3339.
    #[serde(default)]
    pub at: String,
}
