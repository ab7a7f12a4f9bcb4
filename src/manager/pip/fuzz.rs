//! Entry point of the fuzz target for pip's configuration.
//!
//! Compiled for tests and for the fuzz build only. It takes any bytes and must come back.

use super::ini;

/// A configuration file.
pub fn configuration(bytes: &[u8]) {
    let _ = ini::parse(&String::from_utf8_lossy(bytes));
}
