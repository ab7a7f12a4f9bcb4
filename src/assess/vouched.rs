//! Signatures and origin of the installed components, as the controls look at them.
//!
//! A component inside another one came with it and is judged with that one; a directory of the project is
//! none. What was there before the run was not asked about, so nothing is known of it.

use serde_json::{Value, json};

use super::Evidence;
use super::views::{Provenance, provenance};
use crate::model::{InstalledPackage, Proof, Standing, Status, Vouched};

/// The components of a run that a statement can be about.
pub(super) struct Components<'a> {
    /// Those that were released, with what is known of them.
    pub(super) released: Vec<(&'a InstalledPackage, Option<&'a Vouched>)>,
    /// How many nothing can be known of.
    pub(super) unseen: usize,
    /// How many came inside another one.
    pub(super) bundled: usize,
}

impl<'a> Components<'a> {
    pub(super) fn of(evidence: &Evidence<'a>) -> Self {
        let index = &evidence.index;
        let mut found = Self {
            released: Vec::new(),
            unseen: 0,
            bundled: 0,
        };
        for package in &index.packages {
            match provenance(index, package) {
                Provenance::Released(_) => {
                    found.released.push((package, index.vouched_of(package)));
                }
                Provenance::Bundled => found.bundled += 1,
                Provenance::Own => {}
                Provenance::Retained
                | Provenance::File
                | Provenance::Conflict(_)
                | Provenance::Unseen => found.unseen += 1,
            }
        }
        found
    }

    /// Those that count.
    pub(super) fn applicable(&self) -> usize {
        self.released.len() + self.unseen
    }
}

/// What came of one kind of check of a component.
pub(super) fn standing(vouched: Option<&Vouched>, proof: Proof) -> Option<Standing> {
    let mut all = vouched?.checks.iter().filter(|check| check.proof == proof);
    // One that contradicts is not made good by another one that holds.
    if all.clone().any(|check| check.standing == Standing::Invalid) {
        return Some(Standing::Invalid);
    }
    let best = all.next()?.standing;
    Some(all.fold(best, |best, check| best.max(check.standing)))
}

/// The first reason why a component stays unknown.
pub(super) fn reason(vouched: Option<&Vouched>) -> Option<&str> {
    let vouched = vouched?;
    let mut checks = vouched.checks.iter();
    let unknown = checks.find(|check| check.standing == Standing::Unknown);
    let reason = unknown.and_then(|check| check.reason.as_deref());
    reason.or(vouched.unasked.as_deref())
}

/// A row of evidence.
pub(super) fn row(package: &InstalledPackage, status: Status, vouched: Option<&Vouched>) -> Value {
    json!({ "purl": package.purl, "status": status, "vouched": vouched })
}

#[cfg(test)]
pub(super) mod fixture {
    //! One component with something known of it.

    use crate::model::{Check, Event, Proof, Standing, Vouched};
    use crate::record::fixture::{ended, package, released, started, vouched};

    /// A run with one package, and what is known of it.
    pub(in crate::assess) fn run(change: impl FnOnce(&mut Vouched)) -> Vec<Event> {
        let released = released("a", "1.0.0", 1);
        let mut vouched = vouched(&released);
        change(&mut vouched);
        let mut events = started();
        events.push(Event::Released(released));
        events.push(Event::Vouched(vouched));
        events.extend(ended(vec![package("a", "1.0.0", 1)]));
        events
    }

    /// One check.
    pub(in crate::assess) fn check(proof: Proof, standing: Standing) -> Check {
        Check {
            proof,
            standing,
            signer: Some("someone".into()),
            time: None,
            reason: None,
        }
    }
}
