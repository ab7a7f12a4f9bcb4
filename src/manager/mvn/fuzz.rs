//! Entry points of the fuzz targets for Maven's documents and jars.
//!
//! Compiled for tests and for the fuzz build only. Each takes any bytes and must come back.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use super::lock;
use super::pom;
use super::settings::{Author, Scope, load};
use super::view::{Form, is_class, is_plugin, may_hold_code, of};

/// A POM.
pub fn pom(bytes: &[u8]) {
    if let Ok(read) = pom::read(bytes) {
        let _ = read.resolved("${project.version}${revision}");
    }
}

/// A settings file.
pub fn settings(bytes: &[u8]) {
    let Ok(directory) = tempfile::tempdir() else {
        return;
    };
    let path = directory.path().join("settings.xml");
    if std::fs::write(&path, bytes).is_err() {
        return;
    }
    let properties = BTreeMap::from([("p".to_owned(), "v".to_owned())]);
    let scope = Scope {
        environment: &BTreeMap::new(),
        home: Some(Path::new("/h")),
        properties: &properties,
    };
    let _ = load(&path, Author::User, directory.path(), &scope);
}

/// A list of digests.
pub fn lock(bytes: &[u8]) {
    lock::fuzz(bytes);
}

/// A jar: every view of it.
pub fn jar(bytes: &[u8]) {
    let Ok(mut file) = tempfile::tempfile() else {
        return;
    };
    if file.write_all(bytes).is_err() {
        return;
    }
    let _ = (may_hold_code(&file), is_class(&file), is_plugin(&file));
    for form in [Form::CodeFree, Form::Compiler, Form::Rehearsal] {
        let _ = of(&file, form);
    }
}
