//! Times of upload on the pages of a Python index.
//!
//! Pages in JSON state them (PEP 700), pages in HTML do not: under a minimum age those are refused,
//! because nothing on them would be old enough.

use std::collections::HashMap;
use std::time::SystemTime;

use serde_json::{Map, Value};
use url::Url;

use super::{JSON, Kind, kind};
use crate::protocol::{Document, Lifecycle, ProtocolError, Thinned};

/// Times of a Python index.
#[derive(Debug)]
pub(super) struct PypiLifecycle;

impl Lifecycle for PypiLifecycle {
    fn dated_kinds(&self) -> &'static str {
        "application/vnd.pypi.simple.v1+json"
    }

    fn dated_index(&self, base: &Url, name: &str) -> Option<Url> {
        base.join(&format!("{name}/")).ok()
    }

    fn thin(
        &self,
        document: &Document<'_>,
        newest: SystemTime,
    ) -> Result<Option<Thinned>, ProtocolError> {
        let malformed = |reason: &str| ProtocolError::Malformed(reason.to_owned());
        if let Kind::Html = kind(document.kind)? {
            return Err(malformed(
                "it states no times of upload, and the policy asks for a minimum age",
            ));
        }
        let mut whole: Map<String, Value> = serde_json::from_slice(document.body)
            .map_err(|error| ProtocolError::Malformed(error.to_string()))?;
        let Some(files) = whole.get_mut("files").and_then(Value::as_array_mut) else {
            return Err(malformed("it has no `files`"));
        };
        let mut dates = HashMap::new();
        let mut left_out = Vec::new();
        files.retain(|file| {
            let text = |key: &str| file.get(key).and_then(Value::as_str);
            let name = text("filename").unwrap_or_default().to_owned();
            let time = text("upload-time").and_then(|time| humantime::parse_rfc3339(time).ok());
            if let Some(time) = time {
                dates.insert(name.clone(), time);
            }
            let is_old = time.is_some_and(|time| time <= newest);
            if !is_old {
                left_out.push(name);
            }
            is_old
        });
        let body = serde_json::to_vec(&whole).map_err(|error| malformed(&error.to_string()))?;
        Ok(Some(Thinned {
            body,
            kind: JSON,
            left_out,
            dates,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Sources;

    fn thin(kind: &str, text: &str) -> Result<Option<Thinned>, ProtocolError> {
        let url = Url::parse("https://i.invalid/simple/a/").unwrap();
        let document = Document {
            name: "a",
            url: &url,
            kind: Some(kind),
            body: text.as_bytes(),
            sources: Sources::Withheld,
        };
        PypiLifecycle.thin(
            &document,
            humantime::parse_rfc3339("2020-02-15T00:00:00Z").unwrap(),
        )
    }

    #[test]
    fn young_files_and_those_without_a_time_are_taken_off() {
        let page = r#"{"meta":{"api-version":"1.1"},"name":"a","files":[
            {"filename":"a-1.whl","url":"a-1.whl","upload-time":"2020-01-01T00:00:00.123456Z"},
            {"filename":"a-2.whl","url":"a-2.whl","upload-time":"2020-03-01T00:00:00Z"},
            {"filename":"a-3.whl","url":"a-3.whl"}]}"#;
        let thinned = thin(JSON, page).unwrap().unwrap();
        assert_eq!(thinned.left_out, ["a-2.whl", "a-3.whl"]);
        assert_eq!(thinned.dates.len(), 2);
        let left: Value = serde_json::from_slice(&thinned.body).unwrap();
        assert_eq!(left["files"].as_array().unwrap().len(), 1);
        assert_eq!(left["name"], "a");
    }

    #[test]
    fn pages_without_times_are_refused() {
        assert!(thin("text/html", "<html></html>").is_err());
        assert!(thin(JSON, "{}").is_err());
    }
}
