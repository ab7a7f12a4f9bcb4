//! Entry points of the fuzz targets for what several managers share.
//!
//! Compiled for tests and for the fuzz build only. Each takes any bytes and must come back.

use super::python::fuzz;

/// A Python lock of each kind.
pub fn locks(bytes: &[u8]) {
    fuzz::locks(bytes);
}

/// A requirements file.
pub fn requirements(bytes: &[u8]) {
    fuzz::requirements(bytes);
}

/// A file of logins.
pub fn logins(bytes: &[u8]) {
    fuzz::logins(bytes);
}
