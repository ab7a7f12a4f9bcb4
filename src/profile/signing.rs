//! What signatures are checked with: the policy's keys, sources and trust root, and the built-in keys.
//!
//! Called when a policy is read, and once more when the plan of a run is complete. Built-in keys belong to
//! the repository that the manager asks when nothing else is configured, by its own definition, and carry
//! the day on which their list was last valid. A policy's keys for an origin stand in their place: whoever
//! names keys means those. Whether a key is one at all is found where it is used.

use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use url::Url;

use super::raw::{self, ShapeError};
use crate::model::{KeyUse, OriginKeys, PublisherKey, Signing, SigningKey, SourcePin};

/// The built-in keys by protocol.
const BUILT_IN: [(&str, &str, &str); 1] = [(
    "npm",
    "profiles/signing/npm.toml",
    include_str!("../../profiles/signing/npm.toml"),
)];

/// Longest trust root that is read.
pub(super) const ROOTS: u64 = 1 << 20;

/// One `[[signing-keys]]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawKey {
    pub(super) origin: Spanned<String>,
    pub(super) id: Spanned<String>,
    pub(super) key: String,
    pub(super) usage: Option<KeyUse>,
    pub(super) start: Option<String>,
    pub(super) end: Option<String>,
}

/// One `[[sources]]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawSource {
    pub(super) name: Option<Spanned<String>>,
    pub(super) prefix: Option<Spanned<String>>,
    pub(super) repository: Spanned<String>,
}

/// One `[[publisher-keys]]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawPublisher {
    pub(super) name: Option<Spanned<String>>,
    pub(super) prefix: Option<Spanned<String>>,
    pub(super) fingerprint: Spanned<String>,
    pub(super) key: String,
    pub(super) start: Option<String>,
    pub(super) end: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct BuiltIn {
    as_of: String,
    keys: Vec<BuiltInKey>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct BuiltInKey {
    id: String,
    usage: Option<KeyUse>,
    key: String,
    start: Option<String>,
    end: Option<String>,
}

/// What a policy says of signatures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SigningPolicy {
    /// Keys by origin.
    pub origins: Vec<OriginKeys>,
    /// Source repositories by name.
    pub sources: Vec<SourcePin>,
    /// Publishers' keys by name.
    pub publishers: Vec<PublisherKey>,
    /// Sigstore trust root, JSON.
    pub roots: Option<String>,
    /// Origins whose keys the project's own file names.
    pub(super) by_project: Vec<Url>,
}

/// Why a run has no keys to check with.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The project would speak for the repository that everybody shares.
    #[error(
        "the project names keys for the manager's standard repository; those are built in, and only \
         the machine's policy or `--policy` may name others"
    )]
    Project,
    /// The built-in keys cannot be read.
    #[error(transparent)]
    BuiltIn(#[from] ShapeError),
}

impl SigningPolicy {
    /// Adds a key of an origin.
    pub(super) fn add(&mut self, origin: Url, raw: &RawKey, stated_in: String) {
        let key = SigningKey {
            id: raw.id.get_ref().clone(),
            key: raw.key.clone(),
            usage: raw.usage,
            start: raw.start.clone(),
            end: raw.end.clone(),
            stated_in,
        };
        match self.origins.iter_mut().find(|one| one.origin == origin) {
            Some(one) => one.keys.push(key),
            None => self.origins.push(OriginKeys {
                origin,
                keys: vec![key],
            }),
        }
    }

    /// Whether a publisher's key is named for a part of the same names.
    pub(super) fn speaks_for(&self, name: &str) -> bool {
        let plain = |name: &str| name.trim_end_matches('*').to_owned();
        let mut names = self.publishers.iter().map(|one| &one.name);
        names.any(|other| match (other.ends_with('*'), name.ends_with('*')) {
            (false, false) => other == name,
            (true, false) => name.starts_with(&plain(other)),
            (false, true) => other.starts_with(&plain(name)),
            (true, true) => other.starts_with(&plain(name)) || name.starts_with(&plain(other)),
        })
    }

    /// Completes what a driver knows: the policy's keys, and the built-in ones where it has none.
    pub fn complete(&self, protocol: &str, signing: &mut Signing) -> Result<(), SigningError> {
        signing.origins.clone_from(&self.origins);
        signing.sources.clone_from(&self.sources);
        signing.publishers.clone_from(&self.publishers);
        signing.roots.clone_from(&self.roots);
        let Some(standard) = &signing.standard else {
            return Ok(());
        };
        let built_in = BUILT_IN.iter().any(|(of, ..)| *of == protocol);
        if built_in && self.by_project.contains(standard) {
            return Err(SigningError::Project);
        }
        if signing.origins.iter().any(|one| one.origin == *standard) {
            return Ok(());
        }
        for (_, name, text) in BUILT_IN.iter().filter(|(of, ..)| *of == protocol) {
            let built_in: BuiltIn = raw::parse(text)?;
            let stated_in = format!("{name}, as of {}", built_in.as_of);
            signing.origins.push(OriginKeys {
                origin: standard.clone(),
                keys: built_in
                    .keys
                    .into_iter()
                    .map(|key| SigningKey {
                        id: key.id,
                        key: key.key,
                        usage: key.usage,
                        start: key.start,
                        end: key.end,
                        stated_in: stated_in.clone(),
                    })
                    .collect(),
            });
        }
        Ok(())
    }
}

/// Reads a trust root.
pub(super) fn roots(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let read = std::fs::File::open(path)?
        .take(ROOTS)
        .read_to_string(&mut text)?;
    if u64::try_from(read).unwrap_or(u64::MAX) >= ROOTS {
        return Err(std::io::Error::other("larger than 1 MiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn built_in_keys_are_for_the_standard_repository_only() {
        let policy = SigningPolicy::default();
        let mut none = Signing::default();
        policy.complete("npm", &mut none).unwrap();
        assert!(none.origins.is_empty());
        let mut signing = Signing {
            standard: Some(url("https://standard.invalid/")),
            ..Signing::default()
        };
        policy.complete("npm", &mut signing).unwrap();
        let [only] = signing.origins.as_slice() else {
            panic!("{signing:?}");
        };
        assert_eq!(only.origin.as_str(), "https://standard.invalid/");
        assert_eq!(only.keys.len(), 4);
        assert!(only.keys[0].stated_in.contains("as of 20"));
        signing.origins.clear();
        policy.complete("pypi", &mut signing).unwrap();
        assert!(signing.origins.is_empty());
        let project = SigningPolicy {
            by_project: vec![url("https://standard.invalid/")],
            ..SigningPolicy::default()
        };
        let refused = project.complete("npm", &mut signing).unwrap_err();
        assert!(matches!(refused, SigningError::Project), "{refused}");
    }

    #[test]
    fn a_policy_s_keys_stand_in_place_of_the_built_in_ones() {
        let own = OriginKeys {
            origin: url("https://standard.invalid/"),
            keys: Vec::new(),
        };
        let policy = SigningPolicy {
            origins: vec![own],
            ..SigningPolicy::default()
        };
        let mut signing = Signing {
            standard: Some(url("https://standard.invalid/")),
            ..Signing::default()
        };
        policy.complete("npm", &mut signing).unwrap();
        assert_eq!(signing.origins.len(), 1);
        assert!(signing.origins[0].keys.is_empty());
    }
}
