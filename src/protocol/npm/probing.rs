//! Advisories in bulk, and who is asking: what a probe of an npm registry asks.
//!
//! The bulk endpoint takes names with versions and answers with names and their advisories; a name
//! without any is left out. Answers are foreign and read with their exact shape.
//! API: npm's bulk advisory endpoint and `whoami`, as the client uses them.

use std::collections::BTreeMap;

use serde::Deserialize;
use url::Url;

use crate::protocol::{Probes, Query};

/// npm's probes.
#[derive(Debug)]
pub(super) struct NpmProbes;

#[derive(Deserialize)]
struct Advisory {
    #[serde(rename = "url")]
    _url: String,
    #[serde(rename = "vulnerable_versions")]
    _versions: String,
}

impl Probes for NpmProbes {
    fn advisories(&self, base: &Url, versions: &[(&str, &str)]) -> Option<Query> {
        let mut asked: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, version) in versions {
            asked.entry(name).or_default().push(version);
        }
        Some(Query {
            url: base.join("-/npm/v1/security/advisories/bulk").ok()?,
            body: Some(serde_json::to_vec(&asked).ok()?),
        })
    }

    fn issues(&self, body: &[u8], versions: &[(&str, &str)]) -> Option<Vec<String>> {
        let answer: BTreeMap<String, Vec<Advisory>> = serde_json::from_slice(body).ok()?;
        let asked = |name: &String| versions.iter().any(|(asked, _)| asked == name);
        // Whoever names what was not asked for answers another question.
        if !answer.keys().all(asked) {
            return None;
        }
        let named = answer.into_iter().filter(|(_, found)| !found.is_empty());
        Some(named.map(|(name, _)| name).collect())
    }

    fn identity(&self, base: &Url) -> Option<Url> {
        base.join("-/whoami").ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: &[(&str, &str)] = &[("a", "1.0.0"), ("a", "2.0.0"), ("@s/b", "1.0.0")];

    #[test]
    fn names_with_versions_are_asked_in_one_request() {
        let base = Url::parse("https://r.invalid/npm/").unwrap();
        let query = NpmProbes.advisories(&base, ASKED).unwrap();
        assert_eq!(query.url.path(), "/npm/-/npm/v1/security/advisories/bulk");
        assert_eq!(
            query.body.unwrap(),
            br#"{"@s/b":["1.0.0"],"a":["1.0.0","2.0.0"]}"#
        );
        assert_eq!(NpmProbes.identity(&base).unwrap().path(), "/npm/-/whoami");
    }

    #[test]
    fn only_the_answer_to_the_question_counts() {
        let read = |text: &str| NpmProbes.issues(text.as_bytes(), ASKED);
        let advisory = r#"[{"id":1,"url":"u","vulnerable_versions":"<2","severity":"low"}]"#;
        assert_eq!(read(&format!(r#"{{"a":{advisory}}}"#)).unwrap(), ["a"]);
        assert_eq!(read(r#"{"a":[]}"#).unwrap(), [""; 0]);
        assert_eq!(read("{}").unwrap(), [""; 0]);
        for other in ["", "[]", "<html>", r#"{"error":"x"}"#, r#"{"a":[{}]}"#] {
            assert_eq!(read(other), None, "{other}");
        }
        assert_eq!(read(&format!(r#"{{"z":{advisory}}}"#)), None);
    }
}
