//! What a user of a Python package manager asks for, in words that its drivers share.
//!
//! Plain data between the half that reads and judges and the half that plans; it decides nothing.

use url::Url;

use crate::model::{Credential, Digest};

/// Section of the variables, as pip names it.
pub(in crate::manager) const VARIABLES: &str = ":env:";

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::manager) enum Origin {
    /// The command line.
    Cli,
    /// A variable.
    Environment,
    /// A file of the user or the machine.
    User,
    /// A file of the project.
    Project,
}

/// One key as some place states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::manager) struct Stated {
    /// `global`, a subcommand, or [`VARIABLES`].
    pub(in crate::manager) section: String,
    /// Key without dashes.
    pub(in crate::manager) key: String,
    /// Value as written.
    pub(in crate::manager) value: String,
    /// Who.
    pub(in crate::manager) origin: Origin,
    /// File and line, or the variable.
    pub(in crate::manager) place: String,
}

/// An index that is to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::manager) struct Index {
    /// Address without credentials, path with a final `/`.
    pub(in crate::manager) url: Url,
    /// What the proxy presents there.
    pub(in crate::manager) credential: Option<Credential>,
    /// Where it was configured, for messages.
    pub(in crate::manager) configured_in: String,
    /// Whether the user or the policy named it, so that it may lie at a private address.
    pub(in crate::manager) may_be_private: bool,
}

/// One thing that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::manager) struct Requirement {
    /// Normalized name.
    pub(in crate::manager) name: String,
    /// Version specifier as text, empty when there is none.
    pub(in crate::manager) specifier: String,
    /// Extras, normalized.
    pub(in crate::manager) extras: Vec<String>,
    /// Environment marker as text.
    pub(in crate::manager) marker: Option<String>,
    /// Digests that the line gives, weak ones left out.
    pub(in crate::manager) hashes: Vec<Digest>,
    /// `requirements.txt:3`, or `command line`.
    pub(in crate::manager) place: String,
    /// Whether it only limits what another requirement may choose.
    pub(in crate::manager) constraint: bool,
}
