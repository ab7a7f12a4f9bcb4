//! Which files of a page are given out, and what the digests of the page promise.
//!
//! Given out is a wheel of this very project, at an https address, with a strong digest; to a run
//! that only fetches what an approved build is made of, a source archive as well. Of the rest, what is a wheel stays known as a statement without a sufficient digest, so that asking for
//! it anyway is refused with the reason. When nothing is left although something was there, that is
//! said here, because the manager can only say that it found nothing.

use std::collections::HashMap;

use url::Url;

use super::file::{self, METADATA};
use super::page::{Link, Page, integrity};
use super::render;
use crate::model::Anchor;
use crate::model::Code;
use crate::model::Expected;
use crate::model::Finding;
use crate::model::Integrity;
use crate::model::python::normalize_name;
use crate::model::redact_url;
use crate::protocol::{Document, Index, ProtocolError, Published, Remark, Rewritten, Sources};

/// A file that may be given out.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) link: Link,
    pub(super) url: Url,
    pub(super) integrity: Integrity,
    /// The digest of the metadata file, when that is strong.
    pub(super) metadata: Option<Integrity>,
}

/// Wheels of one version; the largest have a few hundred.
const VARIANTS: usize = 10_000;

/// Files that are not given out, by reason.
#[derive(Debug, Default)]
struct Withheld {
    source: u32,
    undigested: u32,
    weak: u32,
    clear: u32,
}

pub(super) fn index(
    mut page: Page,
    document: &Document<'_>,
    kind: &'static str,
) -> Result<Index, ProtocolError> {
    let stated_in = redact_url(document.url);
    let name = document.name;
    let stated = page.name.as_deref().unwrap_or(name);
    if normalize_name(stated).as_deref() != Some(name) {
        let stated: String = stated.escape_debug().take(100).collect();
        let reason = format!("the page of `{name}` is one of `{stated}`");
        return Err(ProtocolError::Malformed(reason));
    }
    let mut index = Index {
        tracks: addresses(document.url, &page.tracks),
        alternates: addresses(document.url, &page.alternates),
        serial: page.serial.take(),
        ..Index::default()
    };
    let quarantine = page
        .status
        .as_ref()
        .filter(|(status, _)| status == "quarantined")
        .map(|(_, reason)| reason.clone());
    let (mut offers, mut withheld) = (Vec::new(), Withheld::default());
    let mut variants: HashMap<String, usize> = HashMap::new();
    for link in std::mem::take(&mut page.links) {
        // What was built stands for all files of its project.
        if quarantine.is_some() || document.sources == Sources::Built {
            break;
        }
        let version = match file::is_source(&link.file) {
            false => file::wheel(&link.file).filter(|wheel| wheel.name == name),
            // A run that fetches what is to be built shows nothing of it to an installer.
            true if document.sources == Sources::Shown => file::source(&link.file, name),
            true => {
                withheld.source = withheld.source.saturating_add(1);
                continue;
            }
        };
        let Some(version) = version.map(|file| file.version) else {
            continue;
        };
        let Some(url) = link.url.clone() else {
            continue;
        };
        if url.scheme() != "https" {
            withheld.clear = withheld.clear.saturating_add(1);
            continue;
        }
        // Statements about one version are compared with each other.
        let count = variants.entry(version.clone()).or_default();
        *count = count.saturating_add(1);
        if *count > VARIANTS {
            let reason =
                format!("the page of `{name}` lists more files of one version than any has");
            return Err(ProtocolError::Malformed(reason));
        }
        let promised = integrity(&link.digests);
        let mut expected = Expected {
            name: name.to_owned(),
            version,
            file: Some(link.file.clone()),
            url: Some(url.clone()),
            integrity: promised.clone(),
            anchor: Anchor::Index,
            stated_in: stated_in.clone(),
        };
        index.expected.push(expected.clone());
        if let Some(reason) = &link.yanked {
            index.remarks.push(Remark {
                version: expected.version.clone(),
                file: Some(link.file.clone()),
                code: Code::VersionYanked,
                reason: reason.chars().take(300).collect(),
            });
        }
        let strong = match promised {
            Some(promised) if promised.algorithm().is_strong() => promised,
            Some(_weak) => {
                withheld.weak = withheld.weak.saturating_add(1);
                continue;
            }
            None => {
                withheld.undigested = withheld.undigested.saturating_add(1);
                continue;
            }
        };
        let attestations = link.provenance.as_deref();
        let attestations = attestations.and_then(|text| document.url.join(text).ok());
        if attestations.is_some() || link.upload_time.is_some() {
            index.published.push(Published {
                version: expected.version.clone(),
                file: Some(link.file.clone()),
                time: link.upload_time.clone(),
                attestations,
                ..Published::default()
            });
        }
        let metadata = companion(&link, &url);
        if let Some((url, integrity)) = &metadata {
            expected.file = Some(format!("{}{METADATA}", link.file));
            expected.url = Some(url.clone());
            expected.integrity = Some(integrity.clone());
            index.expected.push(expected);
        }
        offers.push(Offer {
            link,
            url,
            integrity: strong,
            metadata: metadata.map(|(_, integrity)| integrity),
        });
    }
    index.findings = match quarantine {
        Some(reason) => vec![quarantined(name, reason.as_deref(), &stated_in)],
        None => withheld.findings(name, offers.len(), &stated_in),
    };
    index.rewritten = Some(Rewritten {
        kind,
        body: render::page(&page, name, &offers, kind),
    });
    Ok(index)
}

/// The metadata file of a wheel. Its address is the wheel's with an ending, which a query spoils.
fn companion(link: &Link, url: &Url) -> Option<(Url, Integrity)> {
    let stated = link.metadata.as_ref().or(link.older_metadata.as_ref())?;
    let integrity = integrity(stated).filter(|found| found.algorithm().is_strong())?;
    if url.query().is_some() {
        return None;
    }
    let url = Url::parse(&format!("{url}{METADATA}")).ok()?;
    Some((url, integrity))
}

fn addresses(base: &Url, stated: &[String]) -> Vec<Url> {
    stated
        .iter()
        .filter_map(|text| base.join(text.trim()).ok())
        .collect()
}

fn quarantined(name: &str, reason: Option<&str>, stated_in: &str) -> Finding {
    let reason = reason.map_or_else(String::new, |reason| {
        format!(": {}", reason.escape_debug().take(300).collect::<String>())
    });
    let message = format!("the index has put the project into quarantine{reason} ({stated_in})");
    Finding::new(Code::ProjectQuarantined, name, message)
        .with_hint(Code::ProjectQuarantined.remedy())
}

impl Withheld {
    fn findings(&self, name: &str, left: usize, stated_in: &str) -> Vec<Finding> {
        let wheels = self
            .undigested
            .saturating_add(self.weak)
            .saturating_add(self.clear);
        let reasons: Vec<String> = [
            (self.undigested, "without a digest that is understood"),
            (self.weak, "with SHA-1 or MD5 only"),
            (self.clear, "at an address without TLS"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, reason)| format!("{count} {reason}"))
        .collect();
        let reasons = reasons.join(", ");
        let bare = "the index must give an https address and a SHA-256 for every file";
        let (code, message, hint) = if left > 0 {
            if wheels == 0 {
                return Vec::new();
            }
            let message = format!("{wheels} wheels were left out: {reasons} ({stated_in})");
            (Code::LinkWithheld, message, Code::LinkWithheld.remedy())
        } else if wheels > 0 {
            let code = if self.undigested > 0 {
                Code::IntegrityMissing
            } else if self.weak > 0 {
                Code::IntegrityWeak
            } else {
                Code::PlainHttp
            };
            let message = format!("none of its wheels may be installed: {reasons} ({stated_in})");
            (code, message, bare)
        } else if self.source > 0 {
            let message = format!(
                "it is offered as source only ({} files), and building it would run its code \
                 ({stated_in})",
                self.source
            );
            (Code::SourceWithheld, message, Code::SourceWithheld.remedy())
        } else {
            return Vec::new();
        };
        vec![Finding::new(code, name, message).with_hint(hint)]
    }
}
