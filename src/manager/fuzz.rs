//! Entry points of the fuzz targets for what several managers share.
//!
//! Compiled for tests and for the fuzz build only.

pub use super::python::fuzz::{locks, logins, requirements};
