//! The escape corpus: every case bare, behind v4run, and with the layers that close it taken out.
//!
//! A case is valid where its attempt works bare. Behind v4run it must fail in the given way, with each
//! manager's own plan, and with an event in the record. With its layers taken out it must work again:
//! else something else stops it and the case proves nothing. Where several layers close a case, each
//! must do so alone.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::OnceLock;

use serde::Deserialize;

mod bench;
mod hidden;
mod layout;
mod loads;
mod managers;
mod meta;
mod races;

mod score;

use bench::{Bench, Results};
use score::Score;

/// A case, as the program with the attempts describes it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Case {
    id: String,
    name: String,
    what: String,
    layers: Vec<String>,
    errno: Vec<i32>,
    code: String,
    silent: String,
    seen: String,
}

#[derive(Deserialize)]
struct Listing {
    cases: Vec<Case>,
    races: Vec<races::Race>,
}

fn listing() -> Listing {
    let output = Command::new(bench::program()).arg("list").output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

impl Case {
    /// Whether a refused attempt looks like this.
    fn expects(&self, outcome: Option<&String>) -> bool {
        match outcome {
            // A killed process leaves nothing.
            None => self.errno == [0],
            Some(outcome) => {
                let said = |errno: &i32| *outcome == format!("errno {errno}");
                self.errno.iter().any(said)
            }
        }
    }

    fn fired(&self, results: &Results) -> bool {
        results
            .get(&self.name)
            .is_some_and(|outcome| outcome == "fired")
    }

    fn layers(&self) -> Vec<&str> {
        self.layers.iter().map(String::as_str).collect()
    }
}

/// The cases that work bare and are valid here, and the others with what they met.
type Bare = (Vec<Case>, Vec<(String, String)>);

/// Tries each case of the corpus bare, once for all tests.
fn bare() -> &'static Bare {
    static BARE: OnceLock<Bare> = OnceLock::new();
    BARE.get_or_init(|| bare_of(&listing().cases))
}

fn bare_of(cases: &[Case]) -> Bare {
    let bench = Bench::new();
    let (mut valid, mut invalid) = (Vec::new(), Vec::new());
    for case in cases {
        let results = bench.bare(&[&case.id]);
        if case.fired(&results) {
            valid.push(case.clone());
        } else {
            let met = results.get(&case.name).cloned();
            invalid.push((case.id.clone(), met.unwrap_or_else(|| "died".to_owned())));
        }
    }
    (valid, invalid)
}

/// Runs cases together. One that kills or replaces the process must not speak for others: the first
/// that says nothing is run alone, and then those behind it.
fn together(cases: &[&Case], run: impl Fn(&[&str]) -> Results) -> Results {
    let ids: Vec<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    let mut results = run(&ids);
    let silent = |results: &Results, from: usize| {
        let mut rest = cases.iter().enumerate().skip(from);
        rest.find_map(|(index, case)| (!results.contains_key(&case.name)).then_some(index))
    };
    let mut next = 0;
    while let Some(index) = silent(&results, next).filter(|_| ids.len() > 1) {
        next = index + 1;
        results.extend(run(&ids[index..next]));
        if silent(&results, next) == Some(next) {
            results.extend(run(&ids[next..]));
        }
    }
    results
}

/// The cases by a list of layers.
fn by_layers<'a>(
    cases: &'a [Case],
    of: impl Fn(&'a Case) -> Vec<Vec<&'a str>>,
) -> BTreeMap<Vec<&'a str>, Vec<&'a Case>> {
    let mut groups: BTreeMap<Vec<&str>, Vec<&Case>> = BTreeMap::new();
    for case in cases {
        for layers in of(case) {
            groups.entry(layers).or_default().push(case);
        }
    }
    groups
}

/// The cases that do not work although all their layers are out, and the number of all.
fn surviving(bench: &Bench, cases: &[Case]) -> Vec<String> {
    let mut survivors = Vec::new();
    for (layers, group) in by_layers(cases, |case| vec![case.layers()]) {
        let run = |ids: &[&str]| bench.without(&layers, ids);
        let results = together(&group, run);
        for case in group {
            // One attempt may be in the way of the next.
            if !case.fired(&results) && !case.fired(&run(&[&case.id])) {
                survivors.push(format!("{} {:?}", case.id, results.get(&case.name)));
            }
        }
    }
    survivors
}

/// The cases that one layer fewer lets through, of those with more than one; and the number of tries.
fn shallow(bench: &Bench, cases: &[Case]) -> (Vec<String>, usize) {
    let (mut through, mut tries) = (Vec::new(), 0);
    let single = |case: &'_ Case| -> bool { case.layers.len() > 1 };
    let several: Vec<Case> = cases.iter().filter(|case| single(case)).cloned().collect();
    let each = |case: &'_ Case| -> usize { case.layers.len() };
    let most = several.iter().map(each).max().unwrap_or_default();
    for index in 0..most {
        let without = |case: &'_ Case| -> Option<String> { case.layers.get(index).cloned() };
        let mut groups: BTreeMap<String, Vec<&Case>> = BTreeMap::new();
        for case in &several {
            if let Some(layer) = without(case) {
                groups.entry(layer).or_default().push(case);
            }
        }
        for (layer, group) in groups {
            let results = together(&group, |ids| bench.without(&[&layer], ids));
            for case in group {
                tries += 1;
                if case.fired(&results) {
                    through.push(format!("{} without {layer}", case.id));
                }
            }
        }
    }
    (through, tries)
}

/// The cases that v4run's layers do not answer as expected.
fn unblocked(cases: &[Case], results: &Results) -> Vec<String> {
    let wrong = cases
        .iter()
        .filter(|case| !case.expects(results.get(&case.name)));
    wrong
        .map(|case| format!("{} ({}) {:?}", case.id, case.what, results.get(&case.name)))
        .collect()
}

#[test]
fn every_case_is_blocked_and_every_layer_is_needed() {
    let bench = Bench::new();
    let (valid, invalid) = bare();
    let all: Vec<&Case> = valid.iter().collect();
    let results = together(&all, |ids| bench.without(&[], ids));
    let survivors = surviving(&bench, valid);
    let (through, tries) = shallow(&bench, valid);
    let score = Score {
        unblocked: unblocked(valid, &results),
        valid: valid.len(),
        survivors,
        through,
        tries,
        invalid: invalid.clone(),
    };
    score.tell("corpus");
    score.holds();
}
