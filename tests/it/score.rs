//! Figures of the suite: each test adds what it did, one line a test, when a directory is named.
//!
//! Test binaries have no last test, so the sum is made outside: `scripts/scores.sh` adds the lines up.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;

/// Adds a number to a score; nothing happens without `V4RUN_SCORES`.
pub(crate) fn add(score: &str, count: usize) {
    let Some(folder) = std::env::var_os("V4RUN_SCORES").map(PathBuf::from) else {
        return;
    };
    fs::create_dir_all(&folder).unwrap();
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join(score));
    writeln!(file.unwrap(), "{count}").unwrap();
}
