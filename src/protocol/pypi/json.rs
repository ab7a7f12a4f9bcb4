//! Pages in JSON.
//!
//! Only keys that mean something here are read; what has the wrong type makes the whole page
//! malformed, because another reader could take it for something else.
//!
//! PEP 691, 700, 708, 714, 740, 792.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::page::{Link, Page};
use crate::protocol::{Document, ProtocolError};

#[derive(Deserialize)]
struct Raw {
    meta: Meta,
    name: String,
    #[serde(rename = "project-status")]
    status: Option<Status>,
    #[serde(rename = "alternate-locations", default)]
    alternates: Vec<String>,
    versions: Option<Vec<String>>,
    files: Vec<File>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "api-version")]
    api: String,
    #[serde(default)]
    tracks: Vec<String>,
    // A leading underscore marks what each index has for itself: no form of it is wrong.
    #[serde(default, rename = "_last-serial")]
    serial: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Status {
    status: Option<String>,
    reason: Option<String>,
}

#[derive(Deserialize)]
struct File {
    filename: String,
    url: String,
    hashes: BTreeMap<String, String>,
    #[serde(rename = "requires-python")]
    requires_python: Option<String>,
    yanked: Option<Yanked>,
    #[serde(rename = "core-metadata")]
    metadata: Option<Metadata>,
    #[serde(rename = "dist-info-metadata")]
    older_metadata: Option<Metadata>,
    size: Option<u64>,
    #[serde(rename = "upload-time")]
    upload_time: Option<String>,
    provenance: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Yanked {
    Is(bool),
    Because(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Metadata {
    Is(bool),
    Hashed(BTreeMap<String, String>),
}

pub(super) fn read(document: &Document<'_>) -> Result<Page, ProtocolError> {
    let malformed = |reason: String| ProtocolError::Malformed(reason);
    let raw: Raw =
        serde_json::from_slice(document.body).map_err(|error| malformed(error.to_string()))?;
    if raw.meta.api.split('.').next() != Some("1") {
        let api: String = raw.meta.api.escape_debug().take(20).collect();
        return Err(malformed(format!("it is of an unknown version: {api}")));
    }
    Ok(Page {
        name: Some(raw.name),
        api: Some(raw.meta.api),
        serial: raw.meta.serial.as_ref().and_then(serial),
        status: raw
            .status
            .and_then(|status| Some((status.status?, status.reason))),
        tracks: raw.meta.tracks,
        alternates: raw.alternates,
        versions: raw.versions,
        links: raw
            .files
            .into_iter()
            .map(|file| link(document, file))
            .collect(),
    })
}

/// Indexes write it as a number, and mirrors also as text.
fn serial(stated: &serde_json::Value) -> Option<String> {
    let text = stated.as_str().and_then(|text| text.parse::<u64>().ok());
    let number = text.or_else(|| stated.as_u64())?;
    Some(number.to_string())
}

fn link(document: &Document<'_>, file: File) -> Link {
    let mut link = Link::new(document.url, &file.url);
    // Which file it is, pip reads from the address, other programs from the key: they must agree.
    if link.file != file.filename {
        link.url = None;
        link.file = file.filename;
    }
    // A fragment of the address would be a second place for digests.
    link.digests = file.hashes.into_iter().collect();
    link.requires_python = file.requires_python;
    link.yanked = match file.yanked {
        None | Some(Yanked::Is(false)) => None,
        Some(Yanked::Is(true)) => Some(String::new()),
        Some(Yanked::Because(reason)) => Some(reason),
    };
    link.metadata = file.metadata.and_then(metadata);
    link.older_metadata = file.older_metadata.and_then(metadata);
    link.size = file.size;
    link.upload_time = file.upload_time;
    link.provenance = file.provenance;
    link
}

fn metadata(stated: Metadata) -> Option<Vec<(String, String)>> {
    match stated {
        Metadata::Is(false) => None,
        Metadata::Is(true) => Some(Vec::new()),
        Metadata::Hashed(hashes) => Some(hashes.into_iter().collect()),
    }
}
