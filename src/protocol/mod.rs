//! Registry protocols: URL grammar, index formats, digests. One folder a protocol.
//!
//! Apart from the managers, because several managers share a protocol. The proxy sees only
//! [`Protocol`]; adding one is a folder and a line in [`ALL`]. Nothing here does I/O.

use http::Method;
use url::Url;

use crate::model::Expected;

pub mod npm;

/// What a request asks for, decided before anything is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// An index document; it may name digests.
    Index {
        /// Package name, decoded.
        name: String,
    },
    /// Metadata without digests (dist-tags, keys, advisories read with GET).
    Metadata,
    /// An artifact. Released only with an expectation for it.
    Artifact {
        /// Package name, decoded.
        name: String,
        /// Version, if the address names it.
        version: Option<String>,
    },
    /// An advisory query that carries the dependency list (POST).
    Audit,
    /// Anything else, with the reason.
    Refused(String),
}

/// Why an index document could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// Not the document that the address promises.
    #[error("malformed index document: {0}")]
    Malformed(String),
}

/// A registry protocol.
pub trait Protocol: std::fmt::Debug + Sync {
    /// Key in plans and profiles.
    fn name(&self) -> &'static str;

    /// Upper bound of an index document in bytes.
    fn index_limit(&self) -> u64;

    /// Upper bound of an artifact in bytes.
    fn artifact_limit(&self) -> u64;

    /// Classifies a request below `base`. `url` is the full address, already known to lie below it.
    fn classify(&self, method: &Method, base: &Url, url: &Url) -> Class;

    /// The `Accept` value that is sent for what the manager asked with. One of a few constants: a
    /// header is no way out for anything else.
    fn accept(&self, asked: &str) -> &'static str;

    /// The digests that an index document names. `url` is where the document came from.
    fn expectations(&self, url: &Url, body: &[u8]) -> Result<Vec<Expected>, ProtocolError>;
}

/// All protocols.
pub const ALL: &[&dyn Protocol] = &[&npm::Npm];

/// The protocol of that name.
pub fn by_name(name: &str) -> Option<&'static dyn Protocol> {
    ALL.iter().copied().find(|protocol| protocol.name() == name)
}
