//! What a run may do: profiles of managers, policy of project and system, the system-call table.
//!
//! Two steps: what a file says (raw, unknown keys rejected with their line) and what it means.

use std::path::PathBuf;

use url::Url;

mod approval;
mod assurance;
pub mod build;
pub mod facts;
pub mod kernel;
mod manager;
mod policy;
mod raw;
mod schema;
mod signing;

pub use approval::Approval;
pub use assurance::{AgeExemption, CLIENT, StatedFact};
pub use manager::{
    Action, Artifacts, CallRule, Command, Does, EnvironmentEntry, Grammar, MagicEntry, Pass,
    PathAccess, PathEntry, Profile, Programs, Setting, Writes,
};
pub use raw::ShapeError;
pub use schema::schema;
pub use signing::{SigningError, SigningPolicy};

use crate::model::Code;

/// Effective policy: system policy merged with the project's, which can only add what the system
/// policy does not lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Repositories allowed beside those of user and system configuration.
    pub repositories: Vec<AllowedRepository>,
    /// Required level, 1 to 3.
    pub level: Option<u8>,
    /// Store location.
    pub store: Option<PathBuf>,
    /// Pinned paths of package managers by name.
    pub managers: std::collections::BTreeMap<String, PathBuf>,
    /// Whether project and environment can only tighten.
    pub lockdown: bool,
    /// Whether shims hand on what runs code by design; without a word, where there is no lockdown.
    pub passthrough: Option<bool>,
    /// Artifacts that may be used although no index names them.
    pub artifacts: Vec<NamedArtifact>,
    /// Code that may run although it was downloaded.
    pub approvals: Vec<Approval>,
    /// Components that may run code once, in a sandbox of its own.
    pub builds: Vec<build::Build>,
    /// Findings in artifacts that are refusals, not notes.
    pub refuse: Vec<Code>,
    /// Which names belong to which repository.
    pub pins: Vec<NamePin>,
    /// What is stated about repositories.
    pub facts: Vec<StatedFact>,
    /// Gaps that somebody answers for.
    pub exceptions: Vec<crate::model::Exception>,
    /// How long a version must have been published.
    pub minimum_release_age: Option<std::time::Duration>,
    /// Packages that may be younger.
    pub age_exemptions: Vec<AgeExemption>,
    /// File and line of every single-valued key that is set.
    pub places: std::collections::BTreeMap<String, String>,
    /// What signatures are checked with.
    pub signing: SigningPolicy,
    /// How artifacts are looked into.
    pub look: Option<crate::model::LookMode>,
    /// Files that the policy was read from, with their SHA-256, for the record.
    pub sources: Vec<(PathBuf, crate::model::Digest)>,
}

/// An artifact that the policy names with its digest: a local file, or one at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedArtifact {
    /// File name without directories.
    pub file: String,
    /// The address that it may be fetched from, https; none for local files.
    pub url: Option<Url>,
    /// SHA-256 of its bytes.
    pub integrity: crate::model::Integrity,
    /// File and line, for messages.
    pub stated_in: String,
}

/// Names that the policy gives to one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePin {
    /// The name, or what the names begin with.
    pub name: String,
    /// Whether it is a beginning.
    pub prefix: bool,
    /// The repository that alone may speak for them: its address, or that of its origin.
    pub repository: Url,
    /// Whether the machine's policy says so, which no other moves.
    pub system: bool,
    /// File and line, for messages.
    pub stated_in: String,
}

/// A repository that the policy allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedRepository {
    /// Base address, https, path with a final `/`.
    pub url: Url,
    /// The origin that it mirrors.
    pub origin: Option<Url>,
    /// Key of the built-in facts that count for it too.
    pub inherits: Option<String>,
    /// File and line, for messages.
    pub stated_in: String,
}
