//! in-toto statements: what they are about, and how a thing is named in them.
//!
//! Uniform data for the statements of a run. What must always hold: a statement has a subject, and
//! every subject has a digest that was computed and not copied. in-toto Statement v1 and
//! ResourceDescriptor v1.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::{Algorithm, Digest, InstalledPackage};
use crate::record::index::Index;

/// `_type` of every statement.
pub(in crate::record) const TYPE: &str = "https://in-toto.io/Statement/v1";

/// A statement.
#[derive(Debug, Serialize)]
pub(in crate::record) struct Statement<'a, P: Serialize> {
    #[serde(rename = "_type")]
    pub(in crate::record) kind: &'static str,
    pub(in crate::record) subject: &'a [Resource],
    #[serde(rename = "predicateType")]
    pub(in crate::record) predicate_type: &'static str,
    pub(in crate::record) predicate: &'a P,
}

/// A thing with its digests.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::record) struct Resource {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(in crate::record) name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(in crate::record) uri: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::record) digest: BTreeMap<String, String>,
}

impl Resource {
    /// A thing of that name.
    pub(in crate::record) fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// Adds where it is.
    #[must_use]
    pub(in crate::record) fn at(mut self, uri: impl Into<String>) -> Self {
        self.uri = uri.into();
        self
    }

    /// Adds a digest; only strong ones count.
    #[must_use]
    pub(in crate::record) fn with(mut self, digest: &Digest) -> Self {
        let name = match digest.algorithm() {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha384 => "sha384",
            Algorithm::Sha512 => "sha512",
            Algorithm::Md5 | Algorithm::Sha1 => return self,
        };
        self.digest.insert(name.to_owned(), digest.hex());
        self
    }
}

/// The artifacts that were installed, each with what v4run computed over it.
pub(in crate::record) fn artifacts(index: &Index<'_>) -> Vec<Resource> {
    let described = |package: &&InstalledPackage| {
        let released = index.release_of(package)?;
        let file = released.url.rsplit('/').next().unwrap_or_default();
        let resource = Resource::named(file).at(&package.purl);
        Some(released.digests().fold(resource, Resource::with))
    };
    let all: BTreeSet<Resource> = index.packages.iter().filter_map(described).collect();
    all.into_iter().collect()
}

/// The inputs that the run was anchored to.
pub(in crate::record) fn inputs(index: &Index<'_>) -> Vec<Resource> {
    let described = |name: &str, digest: &Digest| Resource::named(name).with(digest);
    let all: BTreeSet<Resource> = index
        .inputs
        .iter()
        .map(|input| described(input.name, input.sha256))
        .collect();
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fixture::{digest, healthy};

    #[test]
    fn artifacts_are_named_with_both_digests_and_once() {
        let events = healthy();
        let index = Index::new(&events);
        let found = artifacts(&index);
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].name, "a-1.0.0.tgz");
        assert_eq!(found[0].uri, "pkg:npm/a@1.0.0");
        assert_eq!(found[0].digest.len(), 2);
        assert_eq!(inputs(&index)[0].name, "package-lock.json");
    }

    #[test]
    fn a_weak_digest_names_nothing() {
        let weak = Resource::named("x").with(&digest(Algorithm::Sha1, 1));
        assert!(weak.digest.is_empty());
    }
}
