//! Control 4.12: the repository demands signed components.
//!
//! Folds what is stated about the operators of the repositories used and what probes saw of them. An install
//! shows how many components carry a signature that verifies: that supports a statement and replaces none.
//! SCVS 1.0, chapter V4, control 4.12.

use crate::assess::repository::operator;
use crate::assess::verdict::things;
use crate::assess::vouched::{Components, standing};
use crate::assess::{Control, Evidence, Verdict};
use crate::model::{ControlId, Level, Proof, Standing, Status, Subject, Vouched};

/// Control 4.12.
#[derive(Debug)]
pub(super) struct CodeSigning;

impl Control for CodeSigning {
    fn id(&self) -> ControlId {
        const { ControlId::new(12) }
    }

    fn title(&self) -> &'static str {
        "The repository demands signed components"
    }

    fn level(&self) -> Level {
        Level::L2
    }

    fn subject(&self) -> Subject {
        Subject::Repository
    }

    fn interpretation(&self) -> &'static str {
        "The operator accepts a component only with a signature of its publisher. A signature \
         that the repository itself makes over every version is compensation, not fulfilment."
    }

    fn cannot_see(&self) -> &'static str {
        "What the repository would do with an unsigned upload: an install only reads."
    }

    fn assess(&self, evidence: &Evidence<'_>) -> Verdict {
        let mut verdict = operator(evidence, self.id());
        let components = Components::of(evidence);
        let total = components.applicable();
        if total == 0 {
            return verdict;
        }
        let all = components.released.iter();
        let signed = all.filter(|(_, vouched)| is_signed(*vouched)).count();
        let share = format!(
            "; {signed} of {} carry a signature of their publisher or builder that verified",
            things(total, "component")
        );
        verdict.detail.push_str(&share);
        // What is stated and what was seen agree; more than an observation two such can never be.
        if verdict.status == Status::Declared && signed == total {
            verdict.status = Status::Observed;
        }
        verdict.count("signed", signed).count("components", total)
    }
}

/// Whether a signature of its publisher or builder verified; one of the registry is another matter.
fn is_signed(vouched: Option<&Vouched>) -> bool {
    let mut all = [Proof::PublisherSignature, Proof::Provenance].into_iter();
    all.any(|proof| standing(vouched, proof) == Some(Standing::Verified))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assess::vouched::fixture::{check, run};
    use crate::model::Event;
    use crate::record::fixture::{fact, known};

    #[test]
    fn signatures_support_a_statement_and_replace_none() {
        let status = |stated: Option<bool>, standing| {
            let mut events = run(|vouched| {
                vouched
                    .checks
                    .push(check(Proof::PublisherSignature, standing));
            });
            let facts = stated.map(|holds| fact(CodeSigning.id(), holds));
            events.push(Event::RepositoryKnown(known(facts.into_iter().collect())));
            let verdict = CodeSigning.assess(&Evidence::new(&events));
            assert!(
                verdict.detail.contains(" of 1 component carry"),
                "{}",
                verdict.detail
            );
            verdict.status
        };
        assert_eq!(status(None, Standing::Verified), Status::Unknown);
        assert_eq!(status(Some(true), Standing::Unknown), Status::Declared);
        assert_eq!(status(Some(true), Standing::Verified), Status::Observed);
        assert_eq!(status(Some(false), Standing::Verified), Status::Violated);
    }
}
