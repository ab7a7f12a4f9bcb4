//! pip's own report of an install: what it chose, where from, with which digests.
//!
//! Asked for by v4run in every install and read back afterwards as one of three views. pip wrote it
//! into a private directory; it is foreign text all the same.
//!
//! <https://pip.pypa.io/en/stable/reference/installation-report/>.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use url::Url;

use crate::manager::read;
use crate::model::python::{normalize_name, normalize_version};
use crate::model::{Algorithm, Digest, redact_url};

/// Largest report: it holds the metadata of everything that was installed.
const LIMIT: u64 = 256 << 20;

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    install: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    download_info: Download,
    #[serde(default)]
    requested: bool,
    #[serde(default)]
    requested_extras: Vec<String>,
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Download {
    #[serde(default)]
    url: String,
    archive_info: Option<Archive>,
}

#[derive(Default, Deserialize)]
struct Archive {
    hash: Option<String>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    version: String,
}

/// One package of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::manager) struct Reported {
    /// Normalized version.
    pub(in crate::manager) version: String,
    /// Where it came from, credentials removed.
    pub(in crate::manager) url: String,
    /// Last part of that address.
    pub(in crate::manager) file: Option<String>,
    /// The digest that pip knew.
    pub(in crate::manager) digest: Option<Digest>,
    /// Whether the user asked for it.
    pub(in crate::manager) requested: bool,
    /// Extras that were asked for.
    pub(in crate::manager) extras: Vec<String>,
}

/// Reads a report: packages by normalized name. `None` when there is none; an error says why it
/// cannot be read.
pub(in crate::manager) fn read(path: &Path) -> Result<Option<BTreeMap<String, Reported>>, String> {
    let Some(bytes) = read::file(path, LIMIT).map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    parse(&bytes).map(Some)
}

fn parse(bytes: &[u8]) -> Result<BTreeMap<String, Reported>, String> {
    let document: Document = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let mut found = BTreeMap::new();
    for item in document.install {
        let name = normalize_name(&item.metadata.name)
            .ok_or_else(|| format!("names no package: `{}`", item.metadata.name))?;
        let url = Url::parse(&item.download_info.url).ok();
        let file = url.as_ref().and_then(|url| {
            let last = url.path_segments()?.next_back()?;
            let text = percent_encoding::percent_decode_str(last).decode_utf8();
            Some(text.ok()?.into_owned())
        });
        let archive = item.download_info.archive_info.unwrap_or_default();
        let version = normalize_version(&item.metadata.version);
        let reported = Reported {
            version: version.unwrap_or(item.metadata.version),
            url: url.as_ref().map(redact_url).unwrap_or_default(),
            file,
            digest: digest(&archive),
            requested: item.requested,
            extras: item.requested_extras,
        };
        if found.insert(name.clone(), reported).is_some() {
            return Err(format!("names `{name}` twice"));
        }
    }
    Ok(found)
}

fn digest(archive: &Archive) -> Option<Digest> {
    let known = [("sha512", Algorithm::Sha512), ("sha256", Algorithm::Sha256)];
    let of =
        |algorithm: Algorithm, text: &str| Digest::new(algorithm, hex::decode(text).ok()?).ok();
    let stated = known
        .iter()
        .find_map(|(name, algorithm)| of(*algorithm, archive.hashes.get(*name)?));
    stated.or_else(|| {
        let (name, text) = archive.hash.as_deref()?.split_once('=')?;
        let (_, algorithm) = known.iter().find(|(known, _)| *known == name)?;
        of(*algorithm, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read() {
        let hex = "ab".repeat(32);
        let text = format!(
            r#"{{"version":"1","install":[
                {{"download_info":{{"url":"https://u:p@h.invalid/x/Leaf_Two-1.0-py3-none-any.whl",
                   "archive_info":{{"hash":"sha256={hex}"}}}},
                  "requested":true,"requested_extras":["x"],
                  "metadata":{{"name":"Leaf.Two","version":"1.0.0-post1"}}}},
                {{"download_info":{{"url":"file:///w/a%2Bb-1-py3-none-any.whl",
                   "archive_info":{{"hashes":{{"sha256":"{hex}","md5":"00"}}}}}},
                  "metadata":{{"name":"a","version":"1"}}}}]}}"#
        );
        let found = parse(text.as_bytes()).unwrap();
        let leaf = &found["leaf-two"];
        assert_eq!(leaf.version, "1.0.0.post1");
        assert!(leaf.requested && !leaf.url.contains("u:p"));
        assert_eq!(leaf.file.as_deref(), Some("Leaf_Two-1.0-py3-none-any.whl"));
        assert_eq!(leaf.digest.as_ref().unwrap().hex(), hex);
        assert_eq!(found["a"].file.as_deref(), Some("a+b-1-py3-none-any.whl"));
        assert!(found["a"].digest.is_some());
        for text in [
            "",
            r#"{"install":[{}]}"#,
            r#"{"install":[{"metadata":{"name":"-","version":"1"}}]}"#,
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
