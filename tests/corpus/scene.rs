//! What a run in a manager's place is told: the scene, from a file that lies where it can be read.

use std::path::Path;

use serde_json::Value;
use v4run::sandbox::canary;

/// The file, and what of it every attempt needs.
pub(crate) fn read(file: &Path) -> (Value, canary::Scene) {
    let told: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let text = |key: &str| told[key].as_str().unwrap().to_owned();
    let scene = canary::Scene {
        inside: text("inside").into(),
        outside: text("outside").into(),
        listener: text("listener").parse().unwrap(),
        bystander: text("bystander").parse().unwrap(),
    };
    (told, scene)
}
