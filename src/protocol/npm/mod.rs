//! The npm registry protocol: packages by name, packuments as index, tarballs as artifacts.
//!
//! Called by the proxy for every request below a configured registry. Registry answers are
//! untrusted input; an address that the grammar does not know is refused, never passed through.
//! Nothing here decides what a digest is worth.
//!
//! CouchDB-style registry API as the npm client uses it: package metadata and abbreviated
//! metadata, dist-tags, advisories, signing keys and attestations.

mod lifecycle;
mod packument;
mod path;
mod probing;
mod signed;

use http::Method;
use url::Url;

use super::{Class, Document, Index, Lifecycle, Probes, Protocol, ProtocolError, Signs};

/// Full metadata of the largest packages is some ten megabytes.
const INDEX: u64 = 128 * 1024 * 1024;
/// The largest packages carry browsers or model files.
const ARTIFACT: u64 = 2 * 1024 * 1024 * 1024;

/// Media type of the abbreviated packument.
const ABBREVIATED: &str = "application/vnd.npm.install-v1+json";

/// The npm registry protocol.
#[derive(Debug)]
pub struct Npm;

impl Protocol for Npm {
    fn name(&self) -> &'static str {
        "npm"
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
        // The abbreviated document, or the full one.
        if asked.contains(ABBREVIATED) {
            "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*"
        } else if asked.contains("json") {
            "application/json"
        } else {
            "*/*"
        }
    }

    fn index(&self, document: &Document<'_>) -> Result<Index, ProtocolError> {
        Ok(Index {
            remarks: lifecycle::remarks(document.body),
            ..packument::read(document.url, document.body)?
        })
    }

    fn signs(&self) -> &'static dyn Signs {
        &signed::NpmSigns
    }

    fn lifecycle(&self) -> &'static dyn Lifecycle {
        &lifecycle::NpmLifecycle
    }

    fn probes(&self) -> &'static dyn Probes {
        &probing::NpmProbes
    }
}
