//! The digests that an index document names.
//!
//! Reads a packument (all versions of a package) or a version document, and of them only names,
//! versions and `dist`. Everything else is skipped without being built, because such documents
//! have megabytes. A value of the wrong type makes the whole document malformed: the npm client
//! would take it for "no digest" and install unverified.
//!
//! What is not given stays `None`, so that the refusal can say so.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use url::Url;

use super::signed;
use crate::model::Algorithm;
use crate::model::Anchor;
use crate::model::Digest;
use crate::model::Expected;
use crate::model::Integrity;
use crate::model::redact_url;
use crate::protocol::{Index, ProtocolError};

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    version: Option<Text<'a>>,
    #[serde(borrow)]
    dist: Option<Dist<'a>>,
    #[serde(borrow)]
    versions: Option<Versions<'a>>,
    #[serde(borrow)]
    time: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Version<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    version: Option<Text<'a>>,
    #[serde(borrow)]
    dist: Option<Dist<'a>>,
}

#[derive(Deserialize)]
struct Dist<'a> {
    #[serde(borrow)]
    tarball: Option<Text<'a>>,
    #[serde(borrow)]
    integrity: Option<Text<'a>>,
    #[serde(borrow)]
    shasum: Option<Text<'a>>,
    #[serde(borrow)]
    signatures: Option<&'a RawValue>,
    #[serde(borrow)]
    attestations: Option<&'a RawValue>,
}

/// Borrowed where the text has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The entries in order, duplicates included: a lookup then sees both and refuses.
struct Versions<'a>(Vec<(Text<'a>, Version<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Versions<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Versions<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of versions")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Versions(entries))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

pub(super) fn read(url: &Url, body: &[u8]) -> Result<Index, ProtocolError> {
    let malformed = |reason: String| ProtocolError::Malformed(reason);
    let document: Document<'_> =
        serde_json::from_slice(body).map_err(|error| malformed(error.to_string()))?;
    let name = document
        .name
        .ok_or_else(|| malformed("it has no `name`".to_owned()))?
        .0;
    let stated_in = redact_url(url);
    let times = signed::times(document.time);
    let (mut expected, mut published) = (Vec::new(), Vec::new());
    let mut note = |version: &str, dist: Option<&Dist<'_>>| {
        let integrity = dist.and_then(|dist| dist.integrity.as_ref());
        published.extend(signed::of_index(
            version,
            integrity.map(|text| &*text.0),
            dist.and_then(|dist| dist.signatures),
            dist.and_then(|dist| dist.attestations),
            times.get(version).map(|time| &**time),
        ));
    };
    if let (Some(version), Some(dist)) = (document.version, document.dist) {
        note(&version.0, Some(&dist));
        expected.push(one(&name, &version.0, Some(dist), &stated_in)?);
    }
    let Some(versions) = document.versions else {
        return Ok(Index {
            expected,
            published,
            ..Index::default()
        });
    };
    expected.reserve_exact(versions.0.len());
    for (key, entry) in versions.0 {
        let agrees =
            |stated: Option<Text<'_>>, with: &str| stated.is_none_or(|stated| stated.0 == with);
        if !agrees(entry.name, &name) || !agrees(entry.version, &key.0) {
            return Err(malformed(format!(
                "the entry of version `{}` is for another",
                key.0
            )));
        }
        note(&key.0, entry.dist.as_ref());
        expected.push(one(&name, &key.0, entry.dist, &stated_in)?);
    }
    Ok(Index {
        expected,
        published,
        ..Index::default()
    })
}

fn one(
    name: &str,
    version: &str,
    dist: Option<Dist<'_>>,
    stated_in: &str,
) -> Result<Expected, ProtocolError> {
    let malformed = |what: &str, value: &str| {
        ProtocolError::Malformed(format!("`{what}` of version `{version}`: {value}"))
    };
    let (mut url, mut integrity) = (None, None);
    if let Some(dist) = dist {
        if let Some(text) = dist.tarball {
            url = Some(Url::parse(&text.0).map_err(|_invalid| malformed("tarball", &text.0))?);
        }
        // A value that cannot be read promises nothing: that version is refused when it is asked
        // for, the others of the document are not.
        integrity = dist
            .integrity
            .and_then(|text| Integrity::parse(&text.0).ok())
            .or_else(|| {
                let digest = Digest::from_hex(Algorithm::Sha1, &dist.shasum?.0).ok()?;
                Some(Integrity::of(digest))
            });
    }
    Ok(Expected {
        name: name.to_owned(),
        version: version.to_owned(),
        file: None,
        url,
        integrity,
        anchor: Anchor::Index,
        stated_in: stated_in.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHA512: &str = "sha512-vPKpwr4tL3Y5GN0YIc3Q7l6Hv0gBMpcTg2JhTC4pQS1EBcVdBYGGfXNB2fYd\
                          j2zMVtF3vkkPNK5bDMJtVFcp9Q==";

    fn index(text: &str) -> Result<Index, ProtocolError> {
        let url = Url::parse("https://u:p@registry.invalid/left").unwrap();
        super::read(&url, text.as_bytes())
    }

    fn read(text: &str) -> Result<Vec<Expected>, ProtocolError> {
        index(text).map(|index| index.expected)
    }

    #[test]
    fn signatures_and_times_are_kept_and_odd_ones_are_none() {
        let found = index(
            r#"{"name":"left","versions":{"1.0.0":{"dist":{"integrity":"sha512-x","signatures":
            [{"keyid":"k","sig":"s"}]}},"1.0.1":{"dist":{"signatures":7,"attestations":"x"}},"1.0.2":{}},
            "time":{"created":"a","1.0.0":"2024-01-02T03:04:05.000Z"}}"#,
        )
        .unwrap()
        .published;
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].time.as_deref(), Some("2024-01-02T03:04:05.000Z"));
        assert_eq!(found[0].integrity.as_deref(), Some("sha512-x"));
        assert_eq!(found[0].signatures.len(), 1);
        assert!(found[1].signatures.is_empty() && found[1].attestations.is_none());
        let odd = index(r#"{"name":"left","versions":{"1":{}},"time":{"1":{}}}"#);
        assert!(odd.unwrap().published.is_empty());
    }

    #[test]
    fn every_version_is_an_expectation() {
        let found = read(&format!(
            r#"{{"name":"left","readme":"x\"y","versions":{{
                "1.0.0":{{"name":"left","version":"1.0.0","scripts":{{"a":[1,{{}}]}},
                    "dist":{{"tarball":"https://registry.invalid/left/-/left-1.0.0.tgz",
                    "integrity":"{SHA512}","shasum":"a9993e364706816aba3e25717850c26c9cd0d89d"}}}},
                "1.0.1":{{"dist":{{"shasum":"a9993e364706816aba3e25717850c26c9cd0d89d"}}}},
                "1.0.2":{{"dist":{{"integrity":null}}}},"1.0.3":{{}}}},"time":{{}}}}"#
        ))
        .unwrap();
        assert_eq!(found.len(), 4);
        assert_eq!(found[0].integrity.as_ref().unwrap().to_string(), SHA512);
        assert_eq!(
            found[0].url.as_ref().unwrap().path(),
            "/left/-/left-1.0.0.tgz"
        );
        assert_eq!(found[0].stated_in, "https://registry.invalid/left");
        assert_eq!(
            found[1].integrity.as_ref().unwrap().algorithm(),
            Algorithm::Sha1
        );
        assert!(found[2].integrity.is_none() && found[3].integrity.is_none());
        assert!(
            found
                .iter()
                .all(|one| one.name == "left" && one.anchor == Anchor::Index)
        );
    }

    #[test]
    fn a_version_document_is_one_expectation() {
        let found = read(&format!(
            r#"{{"name":"left","version":"1.0.0","dist":{{"integrity":"{SHA512}"}}}}"#
        ))
        .unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].version, "1.0.0");
    }

    #[test]
    fn an_unpublished_package_names_nothing() {
        assert!(
            read(r#"{"name":"left","time":{"unpublished":{}}}"#)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn another_shape_is_malformed() {
        for text in [
            "",
            "[]",
            "null",
            "<html>",
            "{}",
            r#"{"name":"left","versions":[]}"#,
            r#"{"name":"left","versions":{"1":{"dist":{"integrity":7}}}}"#,
            r#"{"name":"left","versions":{"1":{"dist":{"integrity":["x"]}}}}"#,
            r#"{"name":"left","versions":{"1":{"dist":{"tarball":"x"}}}}"#,
            r#"{"name":"left","versions":{"1":{"dist":[]}}}"#,
            r#"{"name":"left","versions":{"1":{"name":"right"}}}"#,
            r#"{"name":"left","versions":{"1":{"version":"2"}}}"#,
            r#"{"name":"left","name":"right"}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_digest_that_cannot_be_read_is_none() {
        for dist in [
            r#"{"integrity":""}"#,
            r#"{"integrity":"sha512-"}"#,
            r#"{"integrity":"sha999-abc"}"#,
            r#"{"shasum":"zz"}"#,
        ] {
            let text = format!(r#"{{"name":"left","versions":{{"1":{{"dist":{dist}}}}}}}"#);
            assert_eq!(read(&text).unwrap()[0].integrity, None, "{dist}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "[\\{\\}\\[\\]\":,a-z0-9]{0,200}") {
            let _ = read(&text);
        }
    }
}
