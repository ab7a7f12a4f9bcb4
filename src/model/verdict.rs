//! What was concluded: one verdict a control, one a level.
//!
//! Made by `assess` as a fold over events, written by `record`, shown by `cli`: plain data here, so
//! that none of them needs the others. It must not decide anything.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{ControlId, Status};

impl Status {
    /// What was found, without how it is known.
    pub const fn result(self) -> &'static str {
        match self {
            Self::Violated | Self::Waived => "not-met",
            Self::Unknown => "unknown",
            Self::Declared | Self::Observed | Self::Verified | Self::Enforced => "met",
            Self::NotApplicable => "not-applicable",
        }
    }

    /// How it is known.
    pub const fn basis(self) -> &'static str {
        match self {
            Self::Violated => "evidence",
            Self::Unknown => "none",
            Self::Waived => "exception",
            Self::Declared => "statement",
            Self::Observed => "repository",
            Self::Verified => "bytes",
            Self::Enforced => "mechanism",
            Self::NotApplicable => "absence",
        }
    }
}

/// Whom a control makes a demand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// The program that installs.
    Client,
    /// The repository and its operator.
    Repository,
    /// Every installed component.
    Component,
}

/// An assurance level of the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// Level 1.
    L1,
    /// Level 2: level 1 and more.
    L2,
    /// Level 3: level 2 and more.
    L3,
}

impl Level {
    /// All levels, lowest first.
    pub const ALL: [Self; 3] = [Self::L1, Self::L2, Self::L3];

    /// Its number.
    pub const fn number(self) -> u8 {
        match self {
            Self::L1 => 1,
            Self::L2 => 2,
            Self::L3 => 3,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "L{}", self.number())
    }
}

/// The text names no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a level, allowed are L1, L2 and L3: `{0}`")]
pub struct LevelError(String);

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|level| text.eq_ignore_ascii_case(&level.to_string()))
            .ok_or_else(|| LevelError(text.to_owned()))
    }
}

/// The verdict on one control.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ControlVerdict {
    /// The control.
    pub control: ControlId,
    /// Short title, v4run's own words.
    pub title: String,
    /// Whom it makes a demand on.
    pub subject: Subject,
    /// Lowest level that contains it.
    pub level: Level,
    /// What was found and how it is known.
    pub status: Status,
    /// One sentence with the numbers.
    pub detail: String,
    /// Restrictions that must be read with the status: `private-anchor`, `bundled 3`.
    pub modifiers: Vec<String>,
    /// Share of what was examined that conforms; none when nothing was.
    pub conforming: Option<(u64, u64)>,
    /// Named numbers behind the detail.
    pub counts: BTreeMap<String, u64>,
    /// What the verdict rests on, for other programs; null when there is nothing.
    pub evidence: serde_json::Value,
}

/// How far a level is reached, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LevelStatus {
    /// There was no component to assess: never a level.
    NothingAssessed,
    /// A control is violated.
    NotMet,
    /// A control is unknown.
    Undetermined,
    /// Every control is met or has an exception.
    MetWithWaivers,
    /// Every control is met, some by statement or observation only.
    Supported,
    /// Every control is enforced or verified.
    Demonstrated,
}

impl LevelStatus {
    /// The words used in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NothingAssessed => "nothing-assessed",
            Self::NotMet => "not-met",
            Self::Undetermined => "undetermined",
            Self::MetWithWaivers => "met-with-waivers",
            Self::Supported => "supported",
            Self::Demonstrated => "demonstrated",
        }
    }

    /// Whether a run that asks for the level may succeed.
    pub fn is_reached(self) -> bool {
        self >= Self::Supported
    }
}

/// The verdict on one level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelVerdict {
    /// The level.
    pub level: Level,
    /// How far it is reached.
    pub verdict: LevelStatus,
    /// The controls that keep it from being better than that.
    pub blocking: Vec<ControlId>,
}

/// All verdicts of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assessment {
    /// Version of the interpretation texts that the verdicts follow.
    pub interpretation: String,
    /// One verdict a control, in chapter order.
    pub controls: Vec<ControlVerdict>,
    /// One verdict a level, lowest first.
    pub levels: Vec<LevelVerdict>,
    /// Distinct components that were assessed.
    pub components: u64,
}

impl Assessment {
    /// The highest level that is at least supported.
    pub fn headline(&self) -> Option<Level> {
        self.levels
            .iter()
            .filter(|entry| entry.verdict.is_reached())
            .map(|entry| entry.level)
            .max()
    }

    /// The controls that an exception covers.
    pub fn waived(&self) -> impl Iterator<Item = &ControlVerdict> {
        let controls = self.controls.iter();
        controls.filter(|verdict| verdict.status == Status::Waived)
    }

    /// The verdict on a level.
    pub fn level(&self, level: Level) -> Option<&LevelVerdict> {
        self.levels.iter().find(|entry| entry.level == level)
    }

    /// The verdict on a control.
    pub fn control(&self, control: ControlId) -> Option<&ControlVerdict> {
        self.controls
            .iter()
            .find(|verdict| verdict.control == control)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_read_what_they_print() {
        for level in Level::ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
        }
        assert_eq!("l2".parse(), Ok(Level::L2));
        assert!("L4".parse::<Level>().is_err());
    }

    #[test]
    fn only_supported_and_better_reach_a_level() {
        assert!(!LevelStatus::NothingAssessed.is_reached());
        assert!(!LevelStatus::MetWithWaivers.is_reached());
        assert!(LevelStatus::Supported.is_reached());
        assert!(LevelStatus::Demonstrated.is_reached());
    }
}
