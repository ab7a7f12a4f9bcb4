//! All fuzz targets in one binary: one link step. `V4RUN_FUZZ_TARGET` names the target.
#![no_main]
#![allow(
    clippy::panic,
    clippy::disallowed_methods,
    reason = "the engine takes a panic for a finding, and its target is chosen by the environment"
)]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<v4run::fuzz::Target> = LazyLock::new(|| {
    let name = std::env::var("V4RUN_FUZZ_TARGET").unwrap_or_default();
    let found = v4run::fuzz::TARGETS
        .iter()
        .find(|(known, _)| *known == name);
    match found {
        Some((_, target)) => *target,
        None => {
            let known: Vec<&str> = v4run::fuzz::TARGETS.iter().map(|(name, _)| *name).collect();
            panic!("V4RUN_FUZZ_TARGET is none of: {}", known.join(" "));
        }
    }
});

fuzz_target!(|bytes: &[u8]| (*TARGET)(bytes));
