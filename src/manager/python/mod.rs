//! What the drivers of Python's package managers share.
//!
//! Environments and what is installed in them, indexes and the logins for them, requirements with
//! the files and locks that state them: the same things whichever manager installs. A driver finds
//! out what its own manager would do and hands it over in the words of this module.
//! It knows no manager's command line and starts nothing.

pub(super) mod argv;
pub(super) mod asked;
pub(super) mod distribution;
pub(super) mod find;
#[cfg(any(test, feature = "fuzz"))]
pub(super) mod fuzz;
pub(super) mod gather;
pub(super) mod groups;
pub(super) mod index;
pub(super) mod inspect;
pub(super) mod lines;
pub(super) mod links;
pub(super) mod lock;
pub(super) mod netrc;
pub(super) mod network;
pub(super) mod options;
pub(super) mod project;
pub(super) mod report;
pub(super) mod requirement;
pub(super) mod scheme;
pub(super) mod settings;
pub(super) mod stated;
pub(super) mod target;
pub(super) mod trust;
