//! The npm driver: plans an npm run and reads its result back.
//!
//! Called by the session before the start ([`Manager::prepare`]) and after the end
//! ([`Manager::inspect`]). npm is run as `node npm-cli.js` with a command line, environment and
//! configuration that v4run made; npm's own switches (`ignore-scripts`, `allow-git`) are set too,
//! but they are no boundary: exec, network and digests are enforced by other layers.
//! Measured against npm 11.19; behaviour that matters is noted where it is relied upon.

use std::ffi::OsString;

mod args;
mod build;
mod check;
mod config;
mod definitions;
mod find;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod lockfile;
mod manifest;
mod network;
mod npmrc;
mod pass;
mod plan;
mod prepare;
mod project;
mod registry;
mod spec;
mod subcommand;
mod tree;
mod version;

use super::{
    Builder, Call, Installed, Manager, Passing, Prepared, Reach, Refusal, Request, Runner, Snapshot,
};

/// npm.
#[derive(Debug)]
pub struct Npm;

/// The embedded profile.
const PROFILE: &str = include_str!("../../../profiles/npm.toml");

impl Manager for Npm {
    fn name(&self) -> &'static str {
        "npm"
    }

    fn shims(&self) -> &'static [&'static str] {
        &["npm"]
    }

    fn runners(&self) -> &'static [Runner] {
        &[("npx", &["exec"])]
    }

    fn unseen(&self) -> &'static [&'static str] {
        &["what follows the variable npm_execpath in place of PATH"]
    }

    fn manifests(&self) -> &'static [&'static str] {
        &["package.json"]
    }

    fn passes(&self, words: &[OsString]) -> Option<Passing> {
        pass::judge(words)
    }

    fn profile(&self) -> &'static str {
        PROFILE
    }

    fn reach(&self, call: &Call<'_>) -> Reach {
        let files = call.home.map(|home| home.join(".npmrc"));
        Reach {
            read: files.into_iter().collect(),
            write: Vec::new(),
        }
    }

    fn prepare(&self, request: &Request<'_>) -> Result<Prepared, Refusal> {
        prepare::prepare(request)
    }

    fn inspect(&self, prepared: &Prepared, before: &Snapshot) -> Installed {
        tree::inspect(prepared, before)
    }

    fn snapshot(&self, prepared: &Prepared) -> Snapshot {
        tree::snapshot(prepared)
    }

    fn builder(&self) -> Option<&dyn Builder> {
        Some(&build::Gyp)
    }
}
