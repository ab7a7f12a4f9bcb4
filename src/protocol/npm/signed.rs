//! Signatures, keys and attestations of an npm registry.
//!
//! `dist.signatures` and `dist.attestations` of a version, `/-/npm/v1/keys`, and the document of
//! attestations: a publish attestation of the registry and the builder's provenance. `_npmUser` says how a
//! version was published; it is in no signature. Everything is the registry's word until it is verified.
//!
//! The document of one version has no time of publication as a package's index has it, but the name under
//! which the registry took the archive in, and that ends with the millisecond in which it did. Without it
//! nobody could tell whether a key that has ended since was valid when it signed.
//!
//! npm registry signatures; npm provenance; in-toto Statement (the subject is a package URL).

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use packageurl::PackageUrl;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use url::Url;

use super::path::is_version;
use crate::model::{Grade, KeyUse, SigningKey};
use crate::protocol::{About, Attestation, Published, Signs};
use crate::verify::signatures::{Signature, stamp};

/// Type of the registry's own attestation.
const PUBLISH: &str = "https://github.com/npm/attestation/tree/main/specs/publish/";
/// Attestations of one version.
const MOST: usize = 16;
/// Seconds between which a version can have been published: 2010 to 2100.
const EARLIEST: u64 = 1_262_304_000;
/// The end of that.
const LATEST: u64 = 4_102_444_800;

/// What npm registries have.
#[derive(Debug)]
pub(super) struct NpmSigns;

/// The part of `dist` that is about signatures.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Marks {
    #[serde(default)]
    signatures: Option<Vec<Stated>>,
    #[serde(default)]
    attestations: Option<Attested>,
}

#[derive(Debug, Deserialize)]
struct Stated {
    keyid: String,
    sig: String,
}

#[derive(Debug, Deserialize)]
struct Attested {
    url: Option<String>,
}

#[derive(Deserialize)]
struct Version {
    name: String,
    version: String,
    #[serde(default)]
    dist: Dist,
    #[serde(default, rename = "_npmUser")]
    user: Option<User>,
    #[serde(default)]
    repository: Option<Value>,
    #[serde(default, rename = "_npmOperationalInternal")]
    operational: Option<Value>,
}

#[derive(Default, Deserialize)]
struct Dist {
    integrity: Option<String>,
    #[serde(flatten)]
    marks: Marks,
}

/// When the registry took the archive in: `tmp/<name>_<version>_<milliseconds>_<number>`.
fn taken_in(operational: Option<&Value>, version: &str) -> Option<String> {
    let place = operational?.get("tmp")?.as_str()?;
    let (_, rest) = place.split_once(&format!("_{version}_"))?;
    let (milliseconds, _) = rest.split_once('_')?;
    let since = Duration::from_millis(milliseconds.parse().ok()?);
    let time = SystemTime::UNIX_EPOCH.checked_add(since)?;
    // What is no moment of this registry's life is no statement.
    (EARLIEST..=LATEST)
        .contains(&since.as_secs())
        .then(|| stamp(time))
}

/// Who published a version.
#[derive(Debug, Deserialize)]
pub(super) struct User {
    approver: Option<Value>,
    #[serde(rename = "trustedPublisher")]
    trusted: Option<Value>,
}

impl User {
    pub(super) fn grade(&self) -> Grade {
        let is = |mark: &Option<Value>| mark.as_ref().is_some_and(Value::is_object);
        match (is(&self.approver), is(&self.trusted)) {
            (true, _) => Grade::Approved,
            (false, true) => Grade::Workload,
            (false, false) => Grade::Unmarked,
        }
    }
}

impl Marks {
    /// What these marks say of a version.
    pub(super) fn published(self, version: &str, integrity: Option<&str>) -> Published {
        let signatures = self.signatures.unwrap_or_default().into_iter();
        Published {
            version: version.to_owned(),
            integrity: integrity.map(Arc::from),
            signatures: signatures
                .map(|one| Signature {
                    key: one.keyid,
                    signature: one.sig,
                })
                .collect(),
            attestations: self
                .attestations
                .and_then(|attested| Url::parse(&attested.url?).ok()),
            ..Published::default()
        }
    }
}

/// What an index says of a version beside its digest, each as it stands there. What cannot be read is
/// as if it were not there: it is no statement about the bytes.
pub(super) fn of_index(
    version: &str,
    integrity: Option<&str>,
    signatures: Option<&RawValue>,
    attestations: Option<&RawValue>,
    time: Option<&str>,
) -> Option<Published> {
    if signatures.is_none() && attestations.is_none() && time.is_none() {
        return None;
    }
    let signatures = signatures.and_then(|raw| serde_json::from_str(raw.get()).ok());
    let attestations = attestations.and_then(|raw| serde_json::from_str(raw.get()).ok());
    let marks = Marks {
        signatures,
        attestations,
    };
    // The text is what signatures are over; without them nobody needs it.
    let integrity = integrity.filter(|_| marks.signatures.is_some());
    Some(Published {
        time: time.map(str::to_owned),
        ..marks.published(version, integrity)
    })
}

/// Times of publication by version.
pub(super) fn times<'a>(raw: Option<&'a RawValue>) -> HashMap<Cow<'a, str>, Cow<'a, str>> {
    let read = raw.and_then(|raw| serde_json::from_str::<HashMap<_, _>>(raw.get()).ok());
    read.unwrap_or_default()
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<OneKey>,
}

#[derive(Deserialize)]
struct OneKey {
    keyid: String,
    key: String,
    #[serde(default)]
    expires: Option<String>,
}

#[derive(Deserialize)]
struct History<'a> {
    #[serde(borrow)]
    time: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    attestations: Vec<One<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    predicate_type: String,
    #[serde(borrow)]
    bundle: &'a RawValue,
}

impl Signs for NpmSigns {
    fn keys_address(&self, base: &Url) -> Option<Url> {
        base.join("-/npm/v1/keys").ok()
    }

    fn keys(&self, body: &[u8]) -> Option<Vec<SigningKey>> {
        let keys: Keys = serde_json::from_slice(body).ok()?;
        let keys = keys.keys.into_iter().take(MOST);
        let keys = keys.map(|key| SigningKey {
            id: key.keyid,
            key: key.key,
            usage: None::<KeyUse>,
            start: None,
            end: key.expires,
            stated_in: "the registry's own list of keys".to_owned(),
        });
        Some(keys.collect())
    }

    fn version_address(&self, base: &Url, about: About<'_>) -> Option<Url> {
        let name = about.name.replace('/', "%2f");
        let version = about.version.replace('+', "%2B");
        is_version(&version).then_some(())?;
        base.join(&format!("./{name}/{version}")).ok()
    }

    fn version(&self, about: About<'_>, body: &[u8]) -> Option<Published> {
        let read: Version = serde_json::from_slice(body).ok()?;
        if read.name != about.name || read.version != about.version {
            return None;
        }
        let source = match &read.repository {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Object(fields)) => {
                fields.get("url").and_then(Value::as_str).map(str::to_owned)
            }
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) | None => None,
        };
        let integrity = read.dist.integrity.as_deref();
        Some(Published {
            time: taken_in(read.operational.as_ref(), &read.version),
            grade: Some(read.user.as_ref().map_or(Grade::Unmarked, User::grade)),
            source,
            ..read.dist.marks.published(&read.version, integrity)
        })
    }

    fn history_address(&self, base: &Url, about: About<'_>) -> Option<Url> {
        base.join(&format!("./{}", about.name.replace('/', "%2f")))
            .ok()
    }

    fn history(&self, about: About<'_>, body: &[u8]) -> Option<String> {
        let read: History<'_> = serde_json::from_slice(body).ok()?;
        let times = times(read.time);
        times.get(about.version).map(|time| time.to_string())
    }

    fn attestations(&self, body: &[u8]) -> Option<Vec<Attestation>> {
        let read: Document<'_> = serde_json::from_slice(body).ok()?;
        let all = read.attestations.into_iter().take(MOST);
        let all = all.map(|one| Attestation {
            bundle: one.bundle.get().to_owned(),
            by_repository: one.predicate_type.starts_with(PUBLISH),
            publisher: None,
            over: None,
        });
        Some(all.collect())
    }

    fn subject(&self, about: About<'_>) -> Option<String> {
        let (namespace, name) = match about.name.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, about.name),
        };
        let mut url = PackageUrl::new("npm", name).ok()?;
        if let Some(namespace) = namespace {
            url.with_namespace(namespace).ok()?;
        }
        url.with_version(about.version).ok()?;
        Some(url.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT: About<'static> = About {
        name: "left",
        version: "1.0.0",
        file: None,
    };

    #[test]
    fn a_version_document_says_how_it_was_published() {
        let read = |rest: &str| {
            let text = format!(r#"{{"name":"left","version":"1.0.0"{rest}}}"#);
            NpmSigns.version(LEFT, text.as_bytes())
        };
        let found = read(
            r#","dist":{"integrity":"sha512-x","signatures":[{"keyid":"k","sig":"s"}],
            "attestations":{"url":"https://registry.invalid/-/npm/v1/attestations/left@1.0.0"}},
            "_npmUser":{"name":"a","trustedPublisher":{"id":"x"}},
            "repository":{"type":"git","url":"git+https://code.invalid/o/left.git"}"#,
        )
        .unwrap();
        assert_eq!(found.grade, Some(Grade::Workload));
        assert_eq!(found.integrity.as_deref(), Some("sha512-x"));
        assert_eq!(found.signatures.len(), 1);
        assert_eq!(
            found.attestations.unwrap().path(),
            "/-/npm/v1/attestations/left@1.0.0"
        );
        assert_eq!(found.source.unwrap(), "git+https://code.invalid/o/left.git");
        let approved = read(r#","_npmUser":{"approver":{"name":"b"},"trustedPublisher":{}}"#);
        assert_eq!(approved.unwrap().grade, Some(Grade::Approved));
        for unmarked in ["", r#","_npmUser":{"approver":true}"#] {
            assert_eq!(read(unmarked).unwrap().grade, Some(Grade::Unmarked));
        }
        for other in [
            r#"{"name":"right","version":"1.0.0"}"#,
            r#"{"name":"left","version":"1.0.1"}"#,
            r#"{"name":"left"}"#,
            "[]",
            "",
        ] {
            assert_eq!(NpmSigns.version(LEFT, other.as_bytes()), None, "{other}");
        }
        assert_eq!(read(r#","dist":{"signatures":7}"#), None);
    }

    #[test]
    fn the_place_of_the_archive_says_when_it_came() {
        let time = |place: &str| {
            let text = format!(
                r#"{{"name":"left","version":"1.0.0","_npmOperationalInternal":{{"tmp":"{place}"}}}}"#
            );
            NpmSigns.version(LEFT, text.as_bytes()).unwrap().time
        };
        let good = time("tmp/left_1.0.0_1675965413405_0.37").unwrap();
        assert_eq!(good, "2023-02-09T17:56:53Z");
        for odd in [
            "",
            "tmp/left_1.0.1_1675965413405_0.37",
            "tmp/left_1.0.0_x_0.37",
            "tmp/left_1.0.0_1675965413405",
            "tmp/left_1.0.0_5_0.37",
            "tmp/left_1.0.0_99999999999999999_0.37",
        ] {
            assert_eq!(time(odd), None, "{odd}");
        }
    }

    #[test]
    fn addresses_and_subjects_are_spelled_as_the_registry_does() {
        let base = Url::parse("https://registry.invalid/npm/").unwrap();
        let scoped = About {
            name: "@team/left",
            version: "1.0.0+b",
            file: None,
        };
        let url = |about| NpmSigns.version_address(&base, about);
        assert_eq!(
            url(LEFT).unwrap().as_str(),
            "https://registry.invalid/npm/left/1.0.0"
        );
        assert_eq!(
            url(scoped).unwrap().as_str(),
            "https://registry.invalid/npm/@team%2fleft/1.0.0%2Bb"
        );
        let odd = About {
            version: "../x",
            ..LEFT
        };
        assert_eq!(url(odd), None);
        assert_eq!(NpmSigns.subject(LEFT).unwrap(), "pkg:npm/left@1.0.0");
        let plain = About {
            version: "1.0.0",
            ..scoped
        };
        assert_eq!(
            NpmSigns.subject(plain).unwrap(),
            "pkg:npm/%40team/left@1.0.0"
        );
    }

    #[test]
    fn keys_and_attestations_are_lists() {
        let keys = br#"{"keys":[{"expires":null,"keyid":"a","keytype":"x","scheme":"y","key":"AA"},
            {"expires":"2025-01-29T00:00:00.000Z","keyid":"b","key":"AA"}]}"#;
        let keys = NpmSigns.keys(keys).unwrap();
        assert_eq!((keys.len(), keys[0].end.as_deref()), (2, None));
        assert_eq!(keys[1].end.as_deref(), Some("2025-01-29T00:00:00.000Z"));
        assert!(NpmSigns.keys(b"{}").is_none() && NpmSigns.keys(b"<html>").is_none());
        let both = format!(
            r#"{{"attestations":[{{"predicateType":"{PUBLISH}v0.1","bundle":{{"a":1}}}},
            {{"predicateType":"x","bundle":{{}}}}]}}"#
        );
        let both = NpmSigns.attestations(both.as_bytes()).unwrap();
        assert!(both[0].by_repository && !both[1].by_repository);
        assert_eq!(both[0].bundle, r#"{"a":1}"#);
        assert!(NpmSigns.attestations(b"{}").is_none());
    }
}
