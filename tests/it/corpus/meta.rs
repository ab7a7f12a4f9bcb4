//! The corpus judges v4run; here it is judged itself: each way in which a case can fail is made to.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use v4run::sandbox::canary;

use super::bench::Bench;
use super::score::Score;
use super::{Case, bare_of, listing, shallow, surviving, together, unblocked};

/// A case that works bare on every machine and is closed by one rule.
const SAMPLE: &str = "N08";

fn sample() -> Case {
    let cases = listing().cases;
    cases.into_iter().find(|case| case.id == SAMPLE).unwrap()
}

fn score() -> Score {
    Score {
        valid: 1,
        unblocked: Vec::new(),
        survivors: Vec::new(),
        through: Vec::new(),
        tries: 0,
        invalid: Vec::new(),
    }
}

/// Whether the suite fails with that score.
fn fails(score: &Score) -> bool {
    catch_unwind(AssertUnwindSafe(|| score.holds())).is_err()
}

#[test]
fn a_case_that_is_not_blocked_fails_the_suite() {
    let (bench, case) = (Bench::new(), sample());
    let open = bench.without(&case.layers(), &[&case.id]);
    let found = unblocked(std::slice::from_ref(&case), &open);
    assert_eq!(found.len(), 1, "{open:?}");
    // Nor does a refusal of another kind, or silence, count.
    for outcome in ["errno 2", "errno 38", ""] {
        let other = [(case.name.clone(), outcome.to_owned())].into();
        assert_eq!(unblocked(std::slice::from_ref(&case), &other).len(), 1);
    }
    assert_eq!(unblocked(std::slice::from_ref(&case), &[].into()).len(), 1);
    let closed = together(&[&case], |ids| bench.without(&[], ids));
    assert_eq!(unblocked(std::slice::from_ref(&case), &closed).len(), 0);
    assert!(!fails(&score()));
    assert!(fails(&Score {
        unblocked: found,
        ..score()
    }));
}

#[test]
fn a_case_that_does_not_work_bare_is_not_counted() {
    let missing = Case {
        id: "none".to_owned(),
        name: "none".to_owned(),
        ..sample()
    };
    let (valid, invalid) = bare_of(&[missing, sample()]);
    assert_eq!(valid.len(), 1);
    assert_eq!(invalid.len(), 1);
    // A machine where most do not work says nothing.
    assert!(!fails(&Score {
        valid: 2,
        invalid: invalid.clone(),
        ..score()
    }));
    assert!(fails(&Score {
        valid: 1,
        invalid,
        ..score()
    }));
}

#[test]
fn a_rule_that_does_nothing_fails_the_suite() {
    let (bench, case) = (Bench::new(), sample());
    assert_eq!(surviving(&bench, std::slice::from_ref(&case)).len(), 0);
    let dead = Case {
        layers: vec!["call:acct".to_owned()],
        ..case
    };
    let survivors = surviving(&bench, &[dead]);
    assert_eq!(survivors.len(), 1);
    assert!(fails(&Score {
        survivors,
        ..score()
    }));
}

#[test]
fn a_second_layer_that_does_nothing_fails_the_suite() {
    let (bench, mut case) = (Bench::new(), sample());
    case.layers.push("call:acct".to_owned());
    let (through, tries) = shallow(&bench, &[case]);
    assert_eq!((through.len(), tries), (1, 2));
    assert!(fails(&Score {
        through,
        tries,
        ..score()
    }));
}

/// What `v4run doctor` says rests on its canaries, so each has its three ways here.
#[test]
fn every_canary_is_a_case() {
    let cases = listing().cases;
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    let missing: Vec<&str> = canary::ALL.iter().map(|canary| canary.name).collect();
    let missing: Vec<&str> = missing
        .into_iter()
        .filter(|name| !names.contains(name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_case_has_one_id_and_says_what_is_recorded() {
    let cases = listing().cases;
    let ids: BTreeSet<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(ids.len(), cases.len());
    for case in &cases {
        assert!(
            case.code.is_empty() != case.silent.is_empty(),
            "{}",
            case.id
        );
        assert!(
            !case.layers.is_empty() && !case.errno.is_empty(),
            "{}",
            case.id
        );
    }
}
