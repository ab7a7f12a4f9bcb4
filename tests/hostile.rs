//! A program in node's place that runs one of the built-in canaries.
//!
//! The suite puts it where v4run finds the runtime of npm, so a canary runs as the manager of a real
//! run, with plan, proxy and record. What to try stands in `scene.json` beside the npm script.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test helper that cannot set itself up must fail loudly"
)]

use std::path::Path;

use serde_json::Value;
use v4run::sandbox::canary;

fn main() {
    let script = std::env::args_os().nth(1).unwrap();
    let scene = Path::new(&script).with_file_name("scene.json");
    let scene: Value = serde_json::from_slice(&std::fs::read(scene).unwrap()).unwrap();
    let text = |key: &str| scene[key].as_str().unwrap().to_owned();
    let stage = canary::Scene {
        inside: text("inside").into(),
        outside: text("outside").into(),
        listener: text("listener").parse().unwrap(),
        bystander: text("bystander").parse().unwrap(),
    };
    canary::main(&stage, &[text("name")]).unwrap();
}
