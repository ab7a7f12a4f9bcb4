//! Races against the judge: each must be lost with v4run's layers, and won without those that decide.
//!
//! A few seconds each and four at a time in the suite; longer, and two at a time, where a number of
//! seconds is set. Only as root and without a filter around, where every attempt is possible.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;
use serde_json::{Value, json};

use super::bench::Bench;
use super::listing;
use super::score::tell;
use crate::canaries::filtered;

/// A race, as the program with the attempts describes it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Race {
    name: String,
    control: Vec<String>,
    known: String,
}

/// What came of it.
#[derive(Debug, Default, Deserialize)]
struct Outcome {
    tries: u64,
    won: u64,
    flips: u64,
}

/// Without a number of seconds that is set.
const SECONDS: u64 = 5;
/// Longest wait for a control to be won.
const CONTROL: u64 = 30;

fn run(bench: &Bench, race: &Race, without: &[&str], milliseconds: u64, stop: bool) -> Outcome {
    let mut scene = bench.scene(&[]);
    scene["race"] = race.name.clone().into();
    scene["milliseconds"] = milliseconds.into();
    scene["stop"] = stop.into();
    let started = bench.without_with(without, &scene);
    let text = fs::read(bench.inside().join("race.json")).unwrap_or_default();
    let mut outcome: Outcome = serde_json::from_slice(&text).unwrap_or_default();
    outcome.won += u64::try_from(started.len()).unwrap();
    outcome
}

/// The control, and the race itself.
fn both(race: &Race, milliseconds: u64) -> Value {
    let bench = Bench::new();
    let control: Vec<&str> = race.control.iter().map(String::as_str).collect();
    let won = run(&bench, race, &control, CONTROL * 1000, true).won;
    let ours = run(&bench, race, &[], milliseconds, false);
    json!({
        "name": race.name,
        "known": race.known,
        "control": won > 0,
        "seconds": milliseconds / 1000,
        "tries": ours.tries,
        "flips": ours.flips,
        "won": ours.won,
    })
}

#[test]
fn every_race_is_lost() {
    if filtered() || !nix::unistd::geteuid().is_root() {
        return;
    }
    let wanted = std::env::var("V4RUN_RACE_SECONDS").ok();
    let seconds = wanted
        .as_ref()
        .map_or(SECONDS, |text| text.parse().unwrap());
    let races = listing().races;
    let side_by_side = if wanted.is_some() { 2 } else { 4 };
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..side_by_side {
            scope.spawn(|| {
                while let Some(race) = races.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = both(race, seconds * 1000);
                    done.lock().unwrap().push(outcome);
                }
            });
        }
    });
    judge(&done.into_inner().unwrap(), seconds);
}

/// Tells the figures and requires them.
fn judge(outcomes: &[Value], seconds: u64) {
    let number = |outcome: &Value, key: &str| outcome[key].as_u64().unwrap();
    let (known, open): (Vec<_>, Vec<_>) = outcomes.iter().partition(|one| one["known"] != "");
    let sum = |key: &str| open.iter().map(|one| number(one, key)).sum::<u64>();
    let documented: Vec<String> = known
        .iter()
        .map(|one| {
            format!(
                "{} won {}/{}",
                one["name"],
                number(one, "won"),
                number(one, "tries")
            )
        })
        .collect();
    let controls = outcomes.iter().filter(|one| one["control"] == true).count();
    let line = format!(
        "races: {} escapes in {} attempts, {} changes ({} races of {seconds} s, {} attempts a second), \
         controls won {controls}/{}; documented residue: {}",
        sum("won"),
        sum("tries"),
        sum("flips"),
        open.len(),
        sum("tries") / (seconds * u64::try_from(open.len()).unwrap()).max(1),
        outcomes.len(),
        documented.join(", ")
    );
    tell("races", &line, &json!(outcomes));
    assert_eq!(sum("won"), 0, "{outcomes:#?}");
    assert_eq!(controls, outcomes.len(), "{outcomes:#?}");
    let idle = outcomes.iter().find(|one| number(one, "tries") == 0);
    assert!(idle.is_none(), "{idle:#?}");
}
