//! The escape corpus: one program with every attempt, in node's, python's or java's place, or bare.
//!
//! `list` prints the cases for the runner in `tests/it/corpus`. `attack` tries the named cases and
//! leaves `NAME fired` or `NAME errno N` in the result file, as the built-in canaries do. `launch`
//! is v4run's own launcher with one layer taken out; it stands here so that v4run itself has no way
//! to leave one out. Anything else is the command line of a package manager: then a link beside the
//! program leads to the scene.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "an attack that cannot set itself up must fail loudly"
)]

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};
use v4run::sandbox::canary;

use case::{Attempt, Case};

mod case;
mod exec;
mod files;
mod kernel;
mod loads;
mod mutant;
mod names;
mod network;
mod newest;
mod process;
mod races;
mod raw;
mod scene;

fn all() -> impl Iterator<Item = &'static Case> {
    let themes = [
        exec::CASES,
        network::CASES,
        files::CASES,
        names::CASES,
        process::CASES,
        kernel::CASES,
        newest::CASES,
    ];
    themes.into_iter().flatten()
}

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    let word = |index: usize| words.get(index).and_then(|word| word.to_str());
    match word(1) {
        Some("list") => {
            let cases: Vec<Value> = all().map(Case::data).collect();
            let text = json!({ "cases": cases, "races": races::data() }).to_string();
            std::io::stdout().write_all(text.as_bytes()).unwrap();
        }
        Some("launch") => mutant::launch(word(2).unwrap(), word(3).unwrap()),
        Some("attack") => attack(Path::new(&words[2])),
        Some("fired") => leave(Path::new(&words[2]), word(3).unwrap(), "fired"),
        _ => {
            // The text of a link may be read anywhere.
            let own = std::env::current_exe().unwrap();
            attack(&std::fs::read_link(own.with_file_name("scene")).unwrap());
        }
    }
    ExitCode::SUCCESS
}

/// Tries what the scene names.
fn attack(scene: &Path) {
    let (scene, stage) = scene::read(scene);
    if scene["race"].is_string() {
        return races::run(&scene, &stage);
    }
    if scene["load"].is_string() {
        return loads::run(&scene, &stage);
    }
    let wanted: Vec<&str> = scene["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for case in all().filter(|case| wanted.contains(&case.id)) {
        match case.attempt {
            Attempt::Canary(name) => canary::main(&stage, &[name.to_owned()]).unwrap(),
            Attempt::Own(attempt) => {
                let outcome = match attempt(&stage) {
                    Ok(()) => "fired".to_owned(),
                    Err(error) => format!("errno {}", error.raw_os_error().unwrap_or_default()),
                };
                leave(&stage.inside.join(canary::RESULTS), case.id, &outcome);
            }
        }
    }
}

fn leave(results: &Path, name: &str, outcome: &str) {
    let mut options = OpenOptions::new();
    let mut results = options.create(true).append(true).open(results).unwrap();
    let line = format!("{name} {outcome}\n");
    results.write_all(line.as_bytes()).unwrap();
}
