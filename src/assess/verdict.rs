//! What one control concludes, and the order in which conclusions merge.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::Status;

/// A control's conclusion.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// What was found and how it is known.
    pub status: Status,
    /// One sentence with the numbers; lower case, no final period.
    pub detail: String,
    /// Restrictions that must be read with the status.
    pub modifiers: Vec<String>,
    /// How many of how many conform.
    pub conforming: Option<(u64, u64)>,
    /// Named numbers.
    pub counts: BTreeMap<String, u64>,
    /// What it rests on, for other programs.
    pub evidence: Value,
}

impl Verdict {
    /// A verdict without numbers.
    pub fn new(status: Status, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            modifiers: Vec::new(),
            conforming: None,
            counts: BTreeMap::new(),
            evidence: Value::Null,
        }
    }

    /// Nothing is known.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self::new(Status::Unknown, reason)
    }

    /// Adds a number.
    #[must_use]
    pub fn count(mut self, name: &str, number: usize) -> Self {
        self.counts.insert(name.to_owned(), number as u64);
        self
    }

    /// Adds a restriction, unless there is nothing to restrict.
    #[must_use]
    pub fn restrict(mut self, applies: bool, modifier: impl Into<String>) -> Self {
        if applies {
            self.modifiers.push(modifier.into());
        }
        self
    }

    /// States how many of how many conform.
    #[must_use]
    pub fn share(mut self, part: usize, whole: usize) -> Self {
        self.conforming = Some((part as u64, whole as u64));
        self
    }

    /// Adds what it rests on.
    #[must_use]
    pub fn resting_on(mut self, evidence: Value) -> Self {
        self.evidence = evidence;
        self
    }
}

/// A number with its noun.
pub(super) fn things(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

/// The worst of several: violated, unknown, waived, declared, observed, verified, enforced.
/// What is not applicable is neutral; the worst of nothing is not applicable.
pub fn worst(statuses: impl IntoIterator<Item = Status>) -> Status {
    // The order of the type is the merge order, and its greatest value is the neutral one.
    statuses.into_iter().min().unwrap_or(Status::NotApplicable)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::{select, subsequence};

    use super::*;

    const ALL: [Status; 8] = [
        Status::Violated,
        Status::Unknown,
        Status::Waived,
        Status::Declared,
        Status::Observed,
        Status::Verified,
        Status::Enforced,
        Status::NotApplicable,
    ];

    #[test]
    fn the_order_is_the_published_one() {
        for pair in ALL.windows(2) {
            assert_eq!(worst([pair[1], pair[0]]), pair[0]);
        }
        assert_eq!(worst([]), Status::NotApplicable);
    }

    proptest! {
        #[test]
        fn merging_is_commutative_associative_and_idempotent(
            a in select(ALL.to_vec()),
            b in select(ALL.to_vec()),
            c in select(ALL.to_vec()),
        ) {
            prop_assert_eq!(worst([a, b]), worst([b, a]));
            prop_assert_eq!(worst([worst([a, b]), c]), worst([a, worst([b, c])]));
            prop_assert_eq!(worst([a, a]), a);
            prop_assert_eq!(worst([a, Status::NotApplicable]), a);
        }

        #[test]
        fn adding_a_status_never_improves(some in subsequence(ALL.to_vec(), 0..8), more in select(ALL.to_vec())) {
            let before = worst(some.iter().copied());
            prop_assert!(worst(some.into_iter().chain([more])) <= before);
        }
    }
}
