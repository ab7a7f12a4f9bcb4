//! Table of contents of the black-box suite: every test runs the real binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot set itself up must fail"
)]

mod artifacts;
mod assurance;
mod attack;
mod attest;
mod bad_input;
mod bad_places;
mod bom;
mod build_npm;
mod build_pip;
mod canaries;
mod ci;
mod cli;
mod code;
mod commands;
mod concurrency;
mod corpus;
mod disk;
mod engines;
mod exec;
mod faults;
mod fetch;
mod files;
mod files_of_use;
mod history;
mod hostile_packages;
mod install_npm;
mod kernels;
mod layout;
mod lock;
mod look;
mod maven;
mod mvn_attack;
mod mvn_bad;
mod mvn_build;
mod mvn_code;
mod mvn_config;
mod mvn_kept;
mod mvn_lock;
mod mvn_many;
mod mvn_resolve;
mod mvn_signed;
mod mvn_trust;
mod mvn_ways;
mod mvn_web;
mod network;
mod npmrc;
mod page;
mod pip_anchor;
mod pip_archive;
mod pip_attack;
mod pip_code;
mod pip_config;
mod pip_index;
mod pip_install;
mod pip_local;
mod pip_lock;
mod pip_places;
mod pip_review;
mod pip_source;
mod process;
mod project;
mod python;
mod registry;
mod release_age;
mod run;
mod score;
mod scripts;
mod sentinel;
mod shims;
mod shims_hostile;
mod signatures;
mod surroundings;
mod upstream;
mod uv;
mod uv_attack;
mod uv_code;
mod uv_install;
mod uv_sync;
mod uv_ways;
mod vectors;
mod vectors_pip;
