//! The pip driver: plans a pip run and reads its result back.
//!
//! Two halves: `checked` and what makes it read every place that pip takes options from and judge
//! it by the rules of the profile; the other half plans the launch. Nothing here starts a program.
//! Written for pip 22.2 and newer.

#![expect(
    dead_code,
    reason = "the half that plans the launch is not part of this tree yet"
)]

mod argv;
mod check;
mod checked;
mod configuration;
mod gather;
mod groups;
mod index;
mod ini;
mod lines;
mod links;
mod lock;
mod netrc;
mod options;
mod requirement;
mod settings;
mod subcommand;
mod target;
mod trust;

pub use lock::write::{Locked, WriteError, write as write_lock};

/// The embedded profile.
const PROFILE: &str = include_str!("../../../profiles/pip.toml");
