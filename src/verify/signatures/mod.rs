//! Signatures over artifacts: registry signatures and Sigstore bundles. Bytes in, judgement out.
//!
//! Called by the proxy beside the artifact path. Keys and roots are given by the caller and lie outside
//! the channel that is checked; whoever passes keys from the same channel must say so of the result.
//! Invalid is only what contradicts something trusted. What names a key or an authority that is not
//! known is [`Judgement::Unknown`]: a repository may have a newer key than v4run, and an attacker gains
//! nothing by it that leaving the signature out would not give. Nothing here fetches or decides.
//!
//! Sigstore bundle format; in-toto Statement; DSSE.

mod bundle;
mod key;
mod openpgp;
mod registry;
#[cfg(feature = "sigstore")]
mod ring;
#[cfg(test)]
pub(crate) mod samples;
mod source;
mod statement;

pub use bundle::{Attested, Roots, RootsError, Subject};
pub use key::{Key, KeyError, Keys};
pub use openpgp::{Publisher, PublisherError, SignedBy, judge as judge_detached};
pub use registry::{Signature, Signed};
pub use source::same_repository;

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement<T> {
    /// It holds.
    Holds(T),
    /// It could not be decided, because of this.
    Unknown(String),
    /// It contradicts what is trusted.
    Invalid(String),
}

/// A moment as text, for messages and records.
pub fn stamp(time: std::time::SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// Reads RFC 3339.
pub fn moment(text: &str) -> Option<std::time::SystemTime> {
    // Registries write whole seconds, milliseconds and microseconds, always in UTC.
    humantime::parse_rfc3339(text).ok()
}
