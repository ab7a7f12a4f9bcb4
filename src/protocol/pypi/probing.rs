//! Known vulnerabilities of one version: what a probe of a Python index asks.
//!
//! An index of the simple API has beside it, at the same host, a document for each version with what is
//! known of it. One version a request, so that a whole set is not asked for. Answers are foreign.
//! API: the JSON documents of an index beside its simple pages.

use serde::Deserialize;
use url::Url;

use crate::model::python::normalize_name;
use crate::protocol::{Probes, Query};

/// Probes of a Python index.
#[derive(Debug)]
pub(super) struct PypiProbes;

#[derive(Deserialize)]
struct Answer {
    info: Info,
    vulnerabilities: Vec<Vulnerability>,
}

#[derive(Deserialize)]
struct Info {
    name: String,
    version: String,
}

#[derive(Deserialize)]
struct Vulnerability {
    #[serde(rename = "id")]
    _id: String,
    #[serde(default)]
    withdrawn: Option<String>,
}

impl Probes for PypiProbes {
    fn advisories(&self, base: &Url, versions: &[(&str, &str)]) -> Option<Query> {
        let [(name, version)] = versions else {
            return None;
        };
        let path = base.path().strip_suffix("simple/")?;
        let mut url = base.clone();
        url.set_path(&format!("{path}pypi/{name}/{version}/json"));
        Some(Query { url, body: None })
    }

    fn issues(&self, body: &[u8], versions: &[(&str, &str)]) -> Option<Vec<String>> {
        let [(name, version)] = versions else {
            return None;
        };
        let answer: Answer = serde_json::from_slice(body).ok()?;
        let same = normalize_name(&answer.info.name) == normalize_name(name)
            && answer.info.version == *version;
        let open = |found: &Vulnerability| found.withdrawn.is_none();
        same.then(|| match answer.vulnerabilities.iter().any(open) {
            true => vec![(*name).to_owned()],
            false => Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_version_is_asked_beside_the_simple_pages() {
        let base = Url::parse("https://i.invalid/root/simple/").unwrap();
        let query = PypiProbes.advisories(&base, &[("jinja2", "2.10")]).unwrap();
        assert_eq!(query.url.path(), "/root/pypi/jinja2/2.10/json");
        assert_eq!(query.body, None);
        assert_eq!(
            PypiProbes.advisories(&base, &[("a", "1"), ("b", "1")]),
            None
        );
        let other = Url::parse("https://i.invalid/index/").unwrap();
        assert_eq!(PypiProbes.advisories(&other, &[("a", "1")]), None);
    }

    #[test]
    fn only_the_answer_to_the_question_counts() {
        let read = |text: &str| PypiProbes.issues(text.as_bytes(), &[("jinja2", "2.10")]);
        let answer = |name: &str, found: &str| {
            read(&format!(
                r#"{{"info":{{"name":"{name}","version":"2.10"}},"vulnerabilities":[{found}]}}"#
            ))
        };
        assert_eq!(
            answer("Jinja2", r#"{"id":"PYSEC-1","withdrawn":null}"#).unwrap(),
            ["jinja2"]
        );
        assert_eq!(answer("Jinja2", "").unwrap(), [""; 0]);
        assert_eq!(
            answer("Jinja2", r#"{"id":"P","withdrawn":"2020-01-01"}"#).unwrap(),
            [""; 0]
        );
        assert_eq!(answer("other", ""), None);
        for other in ["", "{}", "<html>", r#"{"info":{}}"#] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
