//! The whole proxy on loopback: a registry with certificates of its own, `serve` in a thread, and
//! a client that behaves as a package manager does, or worse.

mod artifacts;
mod client;
mod indexes;
mod network;
mod registry;
mod run;
mod tunnels;
