//! Times of publication, deprecation and security placeholders in packuments.
//!
//! Only the full packument has `time`; the abbreviated one does not, so that a run under a minimum age
//! asks for the full one. A tag whose version is taken off goes with it, and `latest` moves to the
//! youngest ordinary version that is left, as npm's own `before` does.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use crate::model::Code;
use crate::protocol::{Document, Lifecycle, ProtocolError, Remark, Thinned};

/// Longest reason that is kept.
const REASON: usize = 300;

/// npm's times and withdrawals.
#[derive(Debug)]
pub(super) struct NpmLifecycle;

#[derive(Deserialize)]
struct Withdrawn<'a> {
    #[serde(borrow, default)]
    versions: HashMap<Cow<'a, str>, Version>,
}

#[derive(Deserialize)]
struct Version {
    deprecated: Option<Value>,
}

/// The versions that the publisher advises against.
pub(super) fn remarks(body: &[u8]) -> Vec<Remark> {
    let mentions = std::str::from_utf8(body).is_ok_and(|text| text.contains("\"deprecated\""));
    // Most documents have none; and what cannot be read has been refused already.
    let document = mentions.then(|| serde_json::from_slice::<Withdrawn<'_>>(body).ok());
    let Some(document) = document.flatten() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (version, entry) in document.versions {
        let reason = match entry.deprecated {
            // An empty text takes a deprecation back.
            Some(Value::String(text)) if !text.is_empty() => text,
            Some(Value::Bool(true)) => String::new(),
            Some(_) | None => continue,
        };
        found.push(Remark {
            version: version.into_owned(),
            file: None,
            code: Code::VersionDeprecated,
            reason: reason.chars().take(REASON).collect(),
        });
    }
    found
}

impl Lifecycle for NpmLifecycle {
    fn is_placeholder(&self, version: &str) -> bool {
        version.ends_with("-security")
    }

    fn dated_kinds(&self) -> &'static str {
        "application/json"
    }

    fn dated_index(&self, base: &Url, name: &str) -> Option<Url> {
        base.join(&name.replace('/', "%2f")).ok()
    }

    fn thin(
        &self,
        document: &Document<'_>,
        newest: SystemTime,
    ) -> Result<Option<Thinned>, ProtocolError> {
        let malformed = |reason: &str| ProtocolError::Malformed(reason.to_owned());
        let mut whole: Map<String, Value> = serde_json::from_slice(document.body)
            .map_err(|error| ProtocolError::Malformed(error.to_string()))?;
        let times = whole.get("time").and_then(Value::as_object).cloned();
        let Some(versions) = whole.get_mut("versions").and_then(Value::as_object_mut) else {
            return Ok(None);
        };
        let times = times.ok_or_else(|| {
            malformed("it states no times of publication, and the policy asks for a minimum age")
        })?;
        let mut dates = HashMap::new();
        for version in versions.keys() {
            let time = times.get(version).and_then(Value::as_str);
            if let Some(time) = time.and_then(|time| humantime::parse_rfc3339(time).ok()) {
                dates.insert(version.clone(), time);
            }
        }
        let is_old = |version: &String| dates.get(version).is_some_and(|time| *time <= newest);
        let left_out: Vec<String> = versions.keys().filter(|v| !is_old(v)).cloned().collect();
        versions.retain(|version, _| is_old(version));
        let latest = dates
            .iter()
            .filter(|(version, time)| **time <= newest && !version.contains('-'))
            .max_by_key(|(_, time)| **time)
            .map(|(version, _)| version.clone());
        if let Some(tags) = whole.get_mut("dist-tags").and_then(Value::as_object_mut) {
            let had = tags.contains_key("latest");
            tags.retain(|_, version| {
                version
                    .as_str()
                    .is_some_and(|version| is_old(&version.to_owned()))
            });
            if let (true, false, Some(latest)) = (had, tags.contains_key("latest"), latest) {
                tags.insert("latest".to_owned(), Value::String(latest));
            }
        }
        let body = serde_json::to_vec(&whole).map_err(|error| malformed(&error.to_string()))?;
        Ok(Some(Thinned {
            body,
            kind: "application/json",
            left_out,
            dates,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Sources;

    const PACKUMENT: &str = r#"{"name":"a","dist-tags":{"latest":"2.0.0","next":"3.0.0-rc"},
        "versions":{"1.0.0":{},"1.1.0":{},"2.0.0":{},"3.0.0-rc":{},"9.9.9":{}},
        "time":{"created":"2020-01-01T00:00:00.000Z","1.0.0":"2020-01-01T00:00:00.000Z",
        "1.1.0":"2020-02-01T00:00:00.000Z","2.0.0":"2020-03-01T00:00:00.000Z",
        "3.0.0-rc":"2020-01-15T00:00:00.000Z","9.9.9":7}}"#;

    fn thin(text: &str) -> Result<Option<Thinned>, ProtocolError> {
        let url = Url::parse("https://r.invalid/a").unwrap();
        let document = Document {
            name: "a",
            url: &url,
            kind: None,
            body: text.as_bytes(),
            sources: Sources::Withheld,
        };
        NpmLifecycle.thin(
            &document,
            humantime::parse_rfc3339("2020-02-15T00:00:00Z").unwrap(),
        )
    }

    #[test]
    fn young_versions_and_their_tags_are_taken_off() {
        let thinned = thin(PACKUMENT).unwrap().unwrap();
        assert_eq!(thinned.left_out, ["2.0.0", "9.9.9"]);
        let left: Value = serde_json::from_slice(&thinned.body).unwrap();
        let versions: Vec<&String> = left["versions"].as_object().unwrap().keys().collect();
        assert_eq!(versions, ["1.0.0", "1.1.0", "3.0.0-rc"]);
        assert_eq!(left["dist-tags"]["latest"], "1.1.0");
        assert_eq!(left["dist-tags"]["next"], "3.0.0-rc");
        assert!(thinned.dates.contains_key("2.0.0") && !thinned.dates.contains_key("9.9.9"));
    }

    #[test]
    fn a_document_without_times_is_not_guessed_at() {
        assert!(thin(r#"{"name":"a","versions":{"1.0.0":{}},"modified":"x"}"#).is_err());
        assert!(thin("[]").is_err());
        assert!(thin(r#"{"name":"a","version":"1.0.0"}"#).unwrap().is_none());
    }

    #[test]
    fn deprecated_versions_are_told_with_their_reason() {
        let found = remarks(
            br#"{"versions":{"1":{"deprecated":"use 2"},"2":{"deprecated":""},"3":{"deprecated":false},
                "4":{}}}"#,
        );
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].version.as_str(), found[0].reason.as_str()),
            ("1", "use 2")
        );
        assert!(remarks(br#"{"versions":{"1":{}}}"#).is_empty());
        assert!(remarks(br#"{"deprecated" "#).is_empty());
        assert!(NpmLifecycle.is_placeholder("0.0.1-security"));
        assert!(!NpmLifecycle.is_placeholder("1.0.0"));
    }
}
