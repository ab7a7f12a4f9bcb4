//! The Python index protocol: projects by name, pages of files as index, wheels as artifacts.
//!
//! Called by the proxy for every request below a configured index. Pages and wheels are untrusted
//! input. A page is read completely, and what the manager gets is written anew from what was
//! understood: two readers of one page cannot differ, and what may not be installed (source, files
//! without a digest) is not on it. Nothing here decides what a digest is worth, and nothing here
//! runs or unpacks anything.
//!
//! PEP 503 and 691 (pages), 592 (yanked files), 658 and 714 (metadata files), 700, 708, 740, 792
//! (what else a page may say), 427 and 491 (wheels).

mod file;
mod html;
mod json;
mod judge;
mod lifecycle;
mod origin;
mod page;
mod path;
mod probing;
mod render;
mod signed;
#[cfg(test)]
mod tests;
pub(crate) mod wheel;

use std::borrow::Cow;

use http::Method;
use url::Url;

use super::{
    Artifact, Class, Document, Index, Inspection, Lifecycle, Probes, Protocol, ProtocolError,
    ReadAt, Signs,
};
use crate::model::Finding;

/// Pages of the largest projects are a few megabytes.
const INDEX: u64 = 32 * 1024 * 1024;
/// The largest wheels carry libraries for graphics processors.
const ARTIFACT: u64 = 4 * 1024 * 1024 * 1024;

/// Media type of a page in JSON, first version.
const JSON: &str = "application/vnd.pypi.simple.v1+json";
/// Media type of a page in HTML, first version.
const HTML: &str = "application/vnd.pypi.simple.v1+html";

/// The Python index protocol.
#[derive(Debug)]
pub struct Pypi;

impl Protocol for Pypi {
    fn name(&self) -> &'static str {
        "pypi"
    }

    fn index_limit(&self) -> u64 {
        INDEX
    }

    fn artifact_limit(&self) -> u64 {
        ARTIFACT
    }

    fn classify(&self, method: &Method, base: &Url, url: &Url) -> Class {
        path::classify(method, base, url)
    }

    fn accept(&self, asked: &str) -> &'static str {
        if asked.contains(JSON) {
            "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, \
             text/html; q=0.01"
        } else if asked.contains(HTML) || asked.contains("text/html") {
            "application/vnd.pypi.simple.v1+html, text/html; q=0.5"
        } else {
            "*/*"
        }
    }

    fn index(&self, document: &Document<'_>) -> Result<Index, ProtocolError> {
        match kind(document.kind)? {
            Kind::Json => judge::index(json::read(document)?, document, JSON),
            Kind::Html => judge::index(html::read(document)?, document, "text/html"),
        }
    }

    fn same_version<'a>(&self, version: &'a str) -> Cow<'a, str> {
        file::same_version(version)
    }

    fn describes(&self, file: &str) -> bool {
        file.ends_with(file::METADATA)
    }

    fn index_kinds(&self) -> &'static str {
        self.accept(JSON)
    }

    fn index_kind(&self, body: &[u8]) -> Option<&'static str> {
        // Pages are asked for in JSON; one in another form tells by its first letter.
        match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => Some(JSON),
            Some(_) | None => Some("text/html"),
        }
    }

    fn index_address(&self, base: &Url, name: &str) -> Option<Url> {
        base.join(&format!("{name}/")).ok()
    }

    fn credentials_cover_host(&self) -> bool {
        // An index and its files are siblings on most servers, and pip has one login a host.
        true
    }

    fn lifecycle(&self) -> &'static dyn Lifecycle {
        &lifecycle::PypiLifecycle
    }

    fn probes(&self) -> &'static dyn Probes {
        &probing::PypiProbes
    }

    fn signs(&self) -> &'static dyn Signs {
        &signed::PypiSigns
    }

    fn inspects(&self, file: &str) -> bool {
        // A source archive reaches this only by a digest of the policy; it is not installed.
        file::is_wheel(file)
    }

    fn inspect(
        &self,
        artifact: &Artifact<'_>,
        content: &dyn ReadAt,
    ) -> Result<Option<Inspection>, Box<Finding>> {
        if !self.inspects(artifact.file) {
            return Ok(None);
        }
        let inspection = wheel::inspect(artifact, content)?;
        origin::check(artifact.file, &inspection)?;
        Ok(Some(inspection))
    }
}

enum Kind {
    Json,
    Html,
}

/// The form of a page, by the answer's header as the manager reads it.
fn kind(header: Option<&str>) -> Result<Kind, ProtocolError> {
    let header = header.unwrap_or_default();
    let essence = header.split(';').next().unwrap_or_default().trim();
    match essence.to_ascii_lowercase().as_str() {
        JSON => Ok(Kind::Json),
        HTML | "text/html" => Ok(Kind::Html),
        "" => Err(ProtocolError::Malformed(
            "the answer has no `Content-Type`".to_owned(),
        )),
        other => {
            let shown: String = other.escape_debug().take(100).collect();
            Err(ProtocolError::Malformed(format!(
                "the answer is `{shown}`, which is no index page"
            )))
        }
    }
}
