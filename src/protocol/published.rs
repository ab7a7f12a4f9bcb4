//! What a repository says of a published version beside its digest: signatures, origin, time.
//!
//! Read from index documents that pass and from documents that v4run asks for itself. It is the
//! repository's word: what of it is signed is verified in the proxy. Kept small, because an index of a
//! large tree has tens of thousands of versions.

use std::sync::Arc;

use url::Url;

use crate::model::{Grade, SigningKey};
use crate::verify::signatures::Signature;

/// One version, or one file of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Package version.
    pub version: String,
    /// File name, where a version has several.
    pub file: Option<String>,
    /// When it was published, RFC 3339.
    pub time: Option<String>,
    /// The digest as it is stated, which is what signatures are over.
    pub integrity: Option<Arc<str>>,
    /// The repository's signatures.
    pub signatures: Vec<Signature>,
    /// Where attestations lie.
    pub attestations: Option<Url>,
    /// How it was published; nothing where the document does not have it at all.
    pub grade: Option<Grade>,
    /// The source repository that the publisher names.
    pub source: Option<String>,
}

/// One attestation as it lies in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// A Sigstore bundle, JSON.
    pub bundle: String,
    /// Whether it is the repository's own statement that it published these bytes.
    pub by_repository: bool,
    /// The source repository that the repository says the publisher is.
    pub publisher: Option<String>,
    /// The bytes, where a signature over them alone will do: it lies beside them and names nothing.
    pub over: Option<Vec<u8>>,
}

/// The form of a signature in a file of its own beside what it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detached {
    /// OpenPGP, in armor.
    OpenPgp,
    /// A Sigstore bundle.
    Bundle,
}

/// Which artifact a document is asked about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// Package name.
    pub name: &'a str,
    /// Package version.
    pub version: &'a str,
    /// File name, where a version has several.
    pub file: Option<&'a str>,
}

/// What a protocol has for signatures and origin.
pub trait Signs: std::fmt::Debug + Sync {
    /// Where a repository has its keys.
    fn keys_address(&self, _base: &Url) -> Option<Url> {
        None
    }

    /// Reads keys. They come from the channel that is to be checked.
    fn keys(&self, _body: &[u8]) -> Option<Vec<SigningKey>> {
        None
    }

    /// Where a repository has what it says of one version.
    fn version_address(&self, _base: &Url, _about: About<'_>) -> Option<Url> {
        None
    }

    /// Reads such a document.
    fn version(&self, _about: About<'_>, _body: &[u8]) -> Option<Published> {
        None
    }

    /// Where a repository says when the versions of a package were published.
    fn history_address(&self, _base: &Url, _about: About<'_>) -> Option<Url> {
        None
    }

    /// The time of publication in such a document.
    fn history(&self, _about: About<'_>, _body: &[u8]) -> Option<String> {
        None
    }

    /// What is asked for where attestations lie.
    fn attestation_kinds(&self) -> &'static str {
        "application/json"
    }

    /// Reads a document of attestations.
    fn attestations(&self, _body: &[u8]) -> Option<Vec<Attestation>> {
        None
    }

    /// Where the signatures over a file lie that are files of their own.
    fn detached(&self, _url: &Url) -> Vec<(Detached, Url)> {
        Vec::new()
    }

    /// The name of an artifact in attestations.
    fn subject(&self, _about: About<'_>) -> Option<String> {
        None
    }
}

/// A protocol that has none of it.
#[derive(Debug)]
pub(super) struct Unsigned;

impl Signs for Unsigned {}
