//! A page written anew, in the form in which it came.
//!
//! What pip and its like read is then exactly what was judged: no second parser sees the index's
//! own bytes. Written are only keys that were understood.

use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::judge::Offer;
use super::page::Page;
use crate::model::Digest;
use crate::model::Integrity;

pub(super) fn page(page: &Page, name: &str, offers: &[Offer], kind: &'static str) -> Bytes {
    if kind == super::JSON {
        json_page(page, name, offers)
    } else {
        html_page(page, name, offers)
    }
}

/// The digest that counts.
fn digest(integrity: &Integrity) -> Option<&Digest> {
    integrity.deciding().next()
}

fn json_page(page: &Page, name: &str, offers: &[Offer]) -> Bytes {
    let mut meta = Map::new();
    let api = page.api.as_deref().unwrap_or("1.0");
    meta.insert("api-version".into(), api.into());
    if !page.tracks.is_empty() {
        meta.insert("tracks".into(), json!(page.tracks));
    }
    let mut document = Map::new();
    document.insert("meta".into(), meta.into());
    document.insert("name".into(), name.into());
    if let Some((status, reason)) = &page.status {
        document.insert(
            "project-status".into(),
            json!({"status": status, "reason": reason}),
        );
    }
    if !page.alternates.is_empty() {
        document.insert("alternate-locations".into(), json!(page.alternates));
    }
    if let Some(versions) = &page.versions {
        document.insert("versions".into(), json!(versions));
    }
    let files: Vec<Value> = offers.iter().map(json_file).collect();
    document.insert("files".into(), files.into());
    Value::Object(document).to_string().into()
}

fn json_file(offer: &Offer) -> Value {
    let link = &offer.link;
    let hashes = |integrity: &Integrity| -> Value {
        let pair = digest(integrity).map(|found| (found.algorithm().name().into(), found.hex()));
        pair.into_iter()
            .map(|(name, value): (String, String)| (name, Value::from(value)))
            .collect::<Map<_, _>>()
            .into()
    };
    let mut file = Map::new();
    file.insert("filename".into(), link.file.as_str().into());
    file.insert("url".into(), offer.url.as_str().into());
    file.insert("hashes".into(), hashes(&offer.integrity));
    for (key, stated) in [
        ("core-metadata", &link.metadata),
        ("dist-info-metadata", &link.older_metadata),
    ] {
        if stated.is_some() {
            let known = offer.metadata.as_ref();
            file.insert(key.into(), known.map_or(Value::Bool(false), hashes));
        }
    }
    let texts = [
        ("requires-python", &link.requires_python),
        ("upload-time", &link.upload_time),
        ("provenance", &link.provenance),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            file.insert(key.into(), text.as_str().into());
        }
    }
    if let Some(size) = link.size {
        file.insert("size".into(), size.into());
    }
    let yanked = match link.yanked.as_deref() {
        None => Value::Bool(false),
        Some("") => Value::Bool(true),
        Some(reason) => reason.into(),
    };
    file.insert("yanked".into(), yanked);
    file.into()
}

fn html_page(page: &Page, name: &str, offers: &[Offer]) -> Bytes {
    let mut text = String::from("<!DOCTYPE html>\n<html>\n<head>\n");
    let api = page.api.as_deref().unwrap_or("1.0");
    let mut meta = |name: &str, content: &str| {
        let content = escaped(content);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "<meta name=\"{name}\" content=\"{content}\">");
    };
    meta("pypi:repository-version", api);
    if let Some((status, reason)) = &page.status {
        meta("pypi:project-status", status);
        if let Some(reason) = reason {
            meta("pypi:project-status-reason", reason);
        }
    }
    for tracked in &page.tracks {
        meta("pypi:tracks", tracked);
    }
    for other in &page.alternates {
        meta("pypi:alternate-locations", other);
    }
    let _ = writeln!(text, "<title>Links for {name}</title>\n</head>\n<body>");
    for offer in offers {
        html_link(&mut text, offer);
    }
    text.push_str("</body>\n</html>\n");
    text.into()
}

fn html_link(text: &mut String, offer: &Offer) {
    let link = &offer.link;
    let hash = |integrity: &Integrity| {
        digest(integrity).map_or_else(String::new, |found| {
            format!("{}={}", found.algorithm().name(), found.hex())
        })
    };
    let url = escaped(offer.url.as_str());
    let _ = write!(text, "<a href=\"{url}#{}\"", hash(&offer.integrity));
    if let Some(known) = &offer.metadata {
        for (key, stated) in [
            ("data-core-metadata", &link.metadata),
            ("data-dist-info-metadata", &link.older_metadata),
        ] {
            if stated.is_some() {
                let _ = write!(text, " {key}=\"{}\"", hash(known));
            }
        }
    }
    let texts = [
        ("data-requires-python", &link.requires_python),
        ("data-yanked", &link.yanked),
        ("data-provenance", &link.provenance),
    ];
    for (key, value) in texts {
        if let Some(value) = value {
            let _ = write!(text, " {key}=\"{}\"", escaped(value));
        }
    }
    let _ = writeln!(text, ">{}</a><br>", escaped(&link.file));
}

/// Text as it stands in an attribute or between tags.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
