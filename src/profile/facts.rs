//! What v4run itself knows about the repositories that the managers ask by default.
//!
//! Data, dated and sourced, embedded from `profiles/facts/`, one file a protocol. It is matched as "what
//! the manager asks when nothing else is configured", as the manager's driver knows it, never by the
//! name of a host. What it says ends by itself: a statement past its last day is no evidence. A policy
//! may say that a mirror inherits it. Nothing here judges.

use serde::Deserialize;

use super::raw::{self, ShapeError};
use crate::model::{ControlId, Fact, Voucher};

/// The files by the key of their protocol.
const FILES: [(&str, &str); 3] = [
    ("npm", include_str!("../../profiles/facts/npm.toml")),
    ("pypi", include_str!("../../profiles/facts/pypi.toml")),
    ("maven", include_str!("../../profiles/facts/maven.toml")),
];

/// The facts about one repository.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactSheet {
    /// Key of the protocol; the word that a policy inherits by.
    pub id: String,
    /// Counts up with every change.
    pub revision: u32,
    /// Which repository it is about, one line.
    pub about: String,
    /// A version with a published advisory.
    pub canary: Option<Canary>,
    facts: Vec<Stated>,
}

/// A version that an advisory channel must know something about.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// Package name.
    pub name: String,
    /// Package version.
    pub version: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Stated {
    control: ControlId,
    holds: bool,
    statement: String,
    source: String,
    compensated_by: Option<String>,
    checked: String,
    expires: String,
}

impl FactSheet {
    /// The statements. `voucher` is the policy where that says that another repository inherits them.
    pub fn facts(&self, voucher: Voucher) -> Vec<Fact> {
        let stated_in = format!("built-in facts `{}`, revision {}", self.id, self.revision);
        self.facts
            .iter()
            .map(|stated| Fact {
                control: stated.control,
                holds: stated.holds,
                statement: stated.statement.clone(),
                source: stated.source.clone(),
                checked: stated.checked.clone(),
                expires: stated.expires.clone(),
                compensated_by: stated.compensated_by.clone(),
                voucher,
                stated_in: stated_in.clone(),
            })
            .collect()
    }
}

/// The facts about what managers of a protocol ask by default. `None` when there are none.
pub fn sheet(protocol: &str) -> Option<Result<FactSheet, ShapeError>> {
    text(protocol).map(raw::parse)
}

/// The file behind [`sheet`], for whoever wants to read it.
pub fn text(protocol: &str) -> Option<&'static str> {
    let found = FILES.iter().find(|(id, _)| *id == protocol);
    found.map(|(_, text)| *text)
}

/// The words that a policy can inherit by.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(id, _)| *id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::assurance::{LIFE, days_between};
    use super::*;

    #[test]
    fn every_statement_is_sourced_dated_and_ends() {
        for name in names() {
            let sheet = sheet(name).unwrap().unwrap();
            assert_eq!(sheet.id, name);
            let facts = sheet.facts(Voucher::BuiltIn);
            let controls: BTreeSet<ControlId> = facts.iter().map(|fact| fact.control).collect();
            assert_eq!(controls.len(), facts.len(), "{name}: a control twice");
            for fact in facts {
                assert!(
                    fact.source.len() > 15 && fact.statement.len() > 20,
                    "{fact:?}"
                );
                let life = days_between(&fact.checked, &fact.expires);
                assert!(life.is_some_and(|days| days <= LIFE), "{fact:?}");
                assert!(fact.holds || fact.control.number() != 2, "{fact:?}");
            }
        }
        assert!(sheet("other").is_none());
    }

    #[test]
    fn what_the_client_proves_is_nobody_s_statement() {
        for name in names() {
            for fact in sheet(name).unwrap().unwrap().facts(Voucher::Policy) {
                let number = fact.control.number();
                assert!(
                    !super::super::assurance::CLIENT.contains(&number),
                    "{fact:?}"
                );
                assert_eq!(fact.voucher, Voucher::Policy);
            }
        }
    }
}
