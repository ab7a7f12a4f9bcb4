//! The whole proxy on loopback: a registry with certificates of its own, `serve` in a thread, and
//! a client that behaves as a package manager does, or worse.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a test waits for the one event it names"
)]

mod ahead;
mod artifacts;
mod client;
mod indexes;
mod leads;
mod maven;
mod network;
mod probe;
mod python;
mod registry;
mod run;
mod signing;
mod tunnels;
