//! Certificates and the way out, as the user's own configuration states them.
//!
//! pip reads them from its options and from variables that its HTTP library knows. All of it is the
//! user's or the machine's word: a project's was refused before. The proxy of the run uses them; pip
//! itself is told of that proxy only.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;

use super::settings::Setting;
use crate::manager::{Request, read};
use crate::model::{Code, Finding, Secret};

/// Certificate bundles of whole systems are a few hundred kilobytes.
const LIMIT: u64 = 8 << 20;

/// What the proxy of the run is to use.
#[derive(Debug, Default)]
pub(in crate::manager) struct Trust {
    /// Certificates, one PEM block each.
    pub(in crate::manager) anchors: Vec<String>,
    /// The way out.
    pub(in crate::manager) proxy: Option<Secret>,
    /// Hosts that go without it.
    pub(in crate::manager) no_proxy: String,
    /// What has no effect.
    pub(in crate::manager) findings: Vec<Finding>,
}

impl Trust {
    /// Reads what the options of certificates and proxy say, and variables.
    pub(in crate::manager) fn read(
        named: Option<&Setting>,
        out: Option<&Setting>,
        request: &Request<'_>,
    ) -> Self {
        let mut trust = Self::default();
        let variable = |name: &str| {
            let value = request
                .environment
                .get(OsStr::new(name))
                .and_then(|value| value.to_str());
            value.filter(|value| !value.is_empty())
        };
        let mut seen = BTreeSet::new();
        let named = named.map(|setting| (setting.place.as_str(), setting.text()));
        let variables = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"];
        let variables = variables
            .iter()
            .filter_map(|name| Some((*name, variable(name)?)));
        for (place, path) in named.into_iter().chain(variables) {
            let path = match (path.strip_prefix("~/"), request.home.as_deref()) {
                (Some(rest), Some(home)) => home.join(rest),
                _ => request.directory.join(path),
            };
            if seen.insert(path.clone()) {
                trust.bundle(&path, place);
            }
        }
        let out = out.map(Setting::text);
        trust.no_proxy = match out {
            // pip's own option knows no exceptions.
            Some(_) => String::new(),
            None => ["no_proxy", "NO_PROXY"]
                .iter()
                .find_map(|name| variable(name))
                .unwrap_or_default()
                .to_owned(),
        };
        let names = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
        let out = out.or_else(|| names.iter().find_map(|name| variable(name)));
        trust.proxy = out
            .filter(|text| !text.is_empty())
            .map(|text| Secret::new(text.to_owned()));
        trust
    }

    fn bundle(&mut self, path: &Path, place: &str) {
        let why = match read::file(path, LIMIT) {
            Ok(Some(bytes)) => {
                for block in blocks(&String::from_utf8_lossy(&bytes)) {
                    if !self.anchors.contains(&block) {
                        self.anchors.push(block);
                    }
                }
                return;
            }
            Ok(None) => format!("there is no {}", path.display()),
            Err(error) => format!("{} {error}", path.display()),
        };
        let message = format!("a certificate bundle has no effect: {why}");
        self.findings
            .push(Finding::new(Code::ConfigIgnored, place, message));
    }
}

/// The certificates of a PEM text.
fn blocks(text: &str) -> Vec<String> {
    const START: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let parts = text.split(START).skip(1);
    let bodies = parts.filter_map(|part| part.split_once(END));
    bodies
        .map(|(body, _)| format!("{START}{body}{END}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_of_a_bundle_counts_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        let block = |body: &str| {
            format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
        };
        std::fs::write(
            &path,
            format!("# note\n{}{}{}", block("a"), block("b"), block("a")),
        )
        .unwrap();
        let mut trust = Trust::default();
        trust.bundle(&path, "x");
        assert_eq!(trust.anchors, [block("a"), block("b")]);
        trust.bundle(&directory.path().join("none"), "PIP_CERT");
        assert_eq!(trust.findings[0].code, Code::ConfigIgnored);
        assert_eq!(trust.findings[0].subject, "PIP_CERT");
    }
}
