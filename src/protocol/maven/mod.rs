//! The Maven 2 repository: artifacts by path, `maven-metadata.xml` as index, digests in side files.
//!
//! Called by the proxy for every request below a configured repository. Nothing names an artifact's
//! digest but the files beside it (`.sha512`, `.sha256`, `.sha1`), which the same repository serves:
//! they show that the bytes arrived as it has them and nothing more. POMs are artifacts like jars.
//! An address that the layout does not know is refused, never passed through.
//!
//! It does not look into POMs: which of them may name code is the manager's to judge.
//! <https://maven.apache.org/repositories/layout.html>,
//! <https://maven.apache.org/repositories/metadata.html>.

mod checksum;
mod leads;
mod local;
mod metadata;
mod path;
mod signed;

use http::Method;
use url::Url;

use super::{Class, Document, Index, Kept, Leads, Protocol, ProtocolError, Signs};
use crate::model::maven;
use crate::model::{Algorithm, Digest};

/// Metadata lists versions or the files of a snapshot.
const INDEX: u64 = 16 * 1024 * 1024;
/// The largest artifacts are distributions and model files.
const ARTIFACT: u64 = 2 * 1024 * 1024 * 1024;

/// The Maven repository protocol.
#[derive(Debug)]
pub struct Maven;

impl Protocol for Maven {
    fn name(&self) -> &'static str {
        "maven"
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

    fn accept(&self, _asked: &str) -> &'static str {
        "*/*"
    }

    fn index(&self, document: &Document<'_>) -> Result<Index, ProtocolError> {
        metadata::check(document.url, document.body)
            .map_err(|error| ProtocolError::Malformed(error.to_string()))?;
        Ok(Index::default())
    }

    fn signs(&self) -> &'static dyn Signs {
        &signed::MavenSigns
    }

    fn is_changing(&self, version: &str) -> bool {
        maven::is_changing(version)
    }

    fn kept(&self, path: &str) -> Option<Kept> {
        local::kept(path)
    }

    fn side_files(&self, url: &Url) -> Vec<(Algorithm, Url)> {
        checksum::side_files(url)
    }

    fn leads(&self, base: &Url, url: &Url, body: &[u8]) -> Leads {
        leads::of(base, url, body)
    }

    fn side_digest(&self, algorithm: Algorithm, body: &[u8]) -> Option<Digest> {
        checksum::read(algorithm, body)
    }
}
