//! What an index says of the life of a version: when it was published, and that it was withdrawn.
//!
//! Times are needed only where the policy asks for a minimum age: then younger versions are taken off
//! the index before anybody reads it, so that the manager chooses an older one by its own rules. A
//! version whose time is not stated counts as young. All of it is the repository's word.

use std::collections::HashMap;
use std::time::SystemTime;

use url::Url;

use super::{Document, ProtocolError};
use crate::model::Code;

/// Something that an index says against a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Package version.
    pub version: String,
    /// File name, where only one file of the version is meant.
    pub file: Option<String>,
    /// What it is.
    pub code: Code,
    /// The repository's or publisher's reason.
    pub reason: String,
}

/// An index document without what is too young.
#[derive(Debug)]
pub struct Thinned {
    /// The document in the same form.
    pub body: Vec<u8>,
    /// Its `Content-Type`.
    pub kind: &'static str,
    /// Versions or files that were left out.
    pub left_out: Vec<String>,
    /// Times by file name, or by version where a version is one file.
    pub dates: HashMap<String, SystemTime>,
}

/// What a protocol has for times and withdrawals.
pub trait Lifecycle: std::fmt::Debug + Sync {
    /// Whether a version stands in the place of one that was removed for its harm.
    fn is_placeholder(&self, _version: &str) -> bool {
        false
    }

    /// What is asked for where times are needed.
    fn dated_kinds(&self) -> &'static str {
        "*/*"
    }

    /// Where a repository states the times of a package.
    fn dated_index(&self, _base: &Url, _name: &str) -> Option<Url> {
        None
    }

    /// Takes off what was published after `newest`, or at no stated time. `None` for a document that
    /// is none of several versions.
    fn thin(
        &self,
        _document: &Document<'_>,
        _newest: SystemTime,
    ) -> Result<Option<Thinned>, ProtocolError> {
        Ok(None)
    }
}

/// A protocol that states none of it.
#[derive(Debug)]
pub(super) struct Undated;

impl Lifecycle for Undated {}
