//! What a protocol offers for a read-only look at a repository: its channel for advisories, and an
//! address that wants to know who asks.
//!
//! Used by `v4run probe` only. A question is an address and, where the protocol has it so, a body; an
//! answer is counted, never believed: a channel that names nothing is worth nothing until it named a
//! version that is known to be bad. Requests are made elsewhere.

use url::Url;

/// A request for advisories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Address.
    pub url: Url,
    /// Body of a `POST`; a `GET` without one.
    pub body: Option<Vec<u8>>,
}

/// What a protocol has for probes.
pub trait Probes: std::fmt::Debug + Sync {
    /// The question whether versions have known issues. `None` where the protocol has no channel, or
    /// not one for so many.
    fn advisories(&self, _base: &Url, _versions: &[(&str, &str)]) -> Option<Query> {
        None
    }

    /// The names of those that have, by the answer. `None` when it is not the answer to the question.
    fn issues(&self, _body: &[u8], _versions: &[(&str, &str)]) -> Option<Vec<String>> {
        None
    }

    /// An address that answers who is asking, and nobody without a credential.
    fn identity(&self, _base: &Url) -> Option<Url> {
        None
    }
}

/// A protocol without any of it.
#[derive(Debug)]
pub(super) struct Silent;

impl Probes for Silent {}
