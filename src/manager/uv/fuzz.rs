//! Entry point of the fuzz target for uv's lock.
//!
//! Compiled for tests and for the fuzz build only. It takes any bytes and must come back.

use super::document::Document;
use super::lockfile;
use crate::manager::python::index::Allowed;
use crate::profile::Policy;

/// A lock: read, and every package of it checked.
pub fn lockfile(bytes: &[u8]) {
    let document = Document {
        path: "/p/uv.lock".into(),
        shown: "uv.lock".to_owned(),
        text: String::from_utf8_lossy(bytes).into_owned(),
    };
    let mut allowed = Allowed::new(&Policy::default(), None, Vec::new());
    allowed.add("https://i.invalid/simple", "fuzz");
    let _ = lockfile::check(&document, &allowed, true);
}
