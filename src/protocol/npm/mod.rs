//! The npm registry protocol.
use http::Method;
use url::Url;

use super::{Class, Protocol, ProtocolError};
use crate::model::Expected;

/// The npm registry protocol.
#[derive(Debug)]
pub struct Npm;

impl Protocol for Npm {
    fn name(&self) -> &'static str {
        "npm"
    }
    fn index_limit(&self) -> u64 {
        0
    }
    fn artifact_limit(&self) -> u64 {
        0
    }
    fn classify(&self, _method: &Method, _base: &Url, _url: &Url) -> Class {
        Class::Refused(String::new())
    }
    fn expectations(&self, _url: &Url, _body: &[u8]) -> Result<Vec<Expected>, ProtocolError> {
        Ok(Vec::new())
    }
}
