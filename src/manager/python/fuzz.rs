//! Entry points of the fuzz targets for Python's locks, requirement files and logins.
//!
//! Compiled for tests and for the fuzz build only. Each takes any bytes and must come back.

use super::lines;
use super::lock::{self, pylock};
use super::netrc;

/// A lock of each kind, and the promises that come of it.
pub fn locks(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    lock::every(&text);
    let _ = pylock::requirements(&text);
}

/// A requirements file.
pub fn requirements(bytes: &[u8]) {
    let value = |name: &str| (name == "HOME").then(|| "/h".to_owned());
    if let Ok(entries) = lines::read(bytes, value) {
        for entry in entries {
            let _ = lines::quote(&entry.requirement);
        }
    }
}

/// A file of logins.
pub fn logins(bytes: &[u8]) {
    if let Some(logins) = netrc::parse(&String::from_utf8_lossy(bytes)) {
        let _ = netrc::find(&logins, "i.invalid");
    }
}
