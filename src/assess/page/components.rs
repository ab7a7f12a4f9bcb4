//! Repositories and components: where bytes came from, and what vouches for them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Page;
use super::markup::Html;
use crate::assess::views::{Provenance, provenance};
use crate::model::{Anchor, AnchorClass, InstalledPackage, TlsPeer};

/// Components that are listed.
const SHOWN: usize = 3000;

/// What vouches for an artifact, by its SHA-256.
type Proofs = BTreeMap<String, Vec<String>>;

/// The sections.
pub(super) fn section(page: &Page<'_>, html: &mut Html) {
    repositories(page, html);
    let mut packages: Vec<&InstalledPackage> = page.index.packages.clone();
    packages.sort_by(|a, b| (&a.purl, &a.path).cmp(&(&b.purl, &b.path)));
    packages.dedup_by(|a, b| a.purl == b.purl);
    html.raw("<section><h2>Components</h2>");
    if packages.is_empty() {
        html.element("p", "none", "No component was installed.")
            .raw("</section>");
        return;
    }
    let proofs = proofs(page);
    html.raw("<table class=\"components\"><thead><tr><th>component</th><th>origin</th>");
    html.raw("<th>digest</th><th>signatures</th></tr></thead><tbody>");
    for package in packages.iter().take(SHOWN) {
        component(page, &proofs, package, html);
    }
    html.raw("</tbody></table>");
    if let Some(left) = packages.len().checked_sub(SHOWN).filter(|left| *left > 0) {
        html.element("p", "none", &format!("{left} more in record.cdx.json."));
    }
    html.raw("</section>");
}

fn component(page: &Page<'_>, proofs: &Proofs, package: &InstalledPackage, html: &mut Html) {
    html.raw("<tr><td class=\"name\"><b>").text(&package.name);
    html.raw("</b> ")
        .element("span", "version", &package.version);
    if !package.scripts.is_empty() {
        html.raw(" ").element("span", "tag warn", "script not run");
    }
    html.raw("</td><td class=\"origin\">");
    let released = page.index.release_of(package);
    match provenance(page.index, package) {
        Provenance::Released(released) => {
            html.text(&released.repository);
            html.raw(" ")
                .element("span", "tag", anchor(released.anchor));
        }
        Provenance::Bundled => {
            html.text("inside another package");
        }
        Provenance::Retained => {
            html.text("there before the run");
        }
        Provenance::File => {
            html.text("a file on this machine");
        }
        Provenance::Own => {
            html.text("the project itself");
        }
        Provenance::Conflict(_) => {
            html.element("span", "bad", "released with another digest");
        }
        Provenance::Unseen => {
            html.element("span", "bad", "not seen by the proxy");
        }
    }
    html.raw("</td><td class=\"digest\">");
    match released {
        Some(released) => {
            let hex = released.sha256.hex();
            html.raw("<span class=\"mono\" title=\"sha256:").text(&hex);
            html.raw("\">")
                .text(hex.get(..16).unwrap_or(&hex))
                .raw("…</span>");
        }
        None => {
            html.raw("–");
        }
    }
    html.raw("</td><td class=\"proofs\">");
    let known = released.and_then(|released| proofs.get(&released.sha256.to_string()));
    match known {
        Some(known) if !known.is_empty() => {
            for proof in known {
                html.element("span", "tag", proof).raw(" ");
            }
        }
        Some(_) | None => {
            html.element("span", "none", "none seen");
        }
    }
    html.raw("</td></tr>");
}

/// What was recorded beside digests: read from the form that the journal has, so that a kind of event
/// which this version does not know is simply not shown.
fn proofs(page: &Page<'_>) -> Proofs {
    let mut proofs = Proofs::new();
    let vouched = page.reading.entries.iter();
    for entry in vouched.filter(|entry| entry.kind == "vouched") {
        let Some(Ok(value)) = entry.event.as_ref().map(serde_json::to_value) else {
            continue;
        };
        if let Some(sha256) = value["sha256"].as_str() {
            let list = proofs.entry(sha256.to_owned()).or_default();
            list.extend(checks(&value));
        }
    }
    proofs
}

fn checks(vouched: &Value) -> Vec<String> {
    let checks = vouched["checks"].as_array().into_iter().flatten();
    let told = checks.filter_map(|check| {
        let proof = check["proof"].as_str()?.replace('-', " ");
        Some(format!("{proof}: {}", check["standing"].as_str()?))
    });
    let all: BTreeSet<String> = told.collect();
    all.into_iter().collect()
}

const fn anchor(anchor: Anchor) -> &'static str {
    match anchor {
        Anchor::Policy => "policy",
        Anchor::Lockfile => "lockfile",
        Anchor::Index => "index",
        Anchor::SideFile => "side file",
        Anchor::WeakSideFile => "side file, SHA-1 only",
    }
}

fn repositories(page: &Page<'_>, html: &mut Html) {
    let mut hosts: BTreeMap<&str, Vec<&TlsPeer>> = BTreeMap::new();
    for connection in &page.index.connections {
        hosts
            .entry(connection.host)
            .or_default()
            .push(connection.tls);
    }
    if hosts.is_empty() {
        return;
    }
    html.raw("<section><h2>Repositories</h2><ul class=\"hosts\">");
    for (host, peers) in hosts {
        html.raw("<li><p>").element("b", "", host);
        let shown: BTreeSet<String> = peers.iter().map(|peer| described(peer)).collect();
        html.raw("</p>");
        for peer in shown {
            html.element("p", "detail", &peer);
        }
        html.raw("</li>");
    }
    html.raw("</ul></section>");
}

fn described(peer: &TlsPeer) -> String {
    let anchor = peer
        .anchor_subject
        .as_deref()
        .unwrap_or("an unnamed anchor");
    let class = match peer.anchor_class {
        Some(AnchorClass::PublicWeb) => "of the public web",
        Some(AnchorClass::SystemOnly) => "that only this machine trusts",
        Some(AnchorClass::UserConfigured) => "from the user's configuration",
        None => "of unknown class",
    };
    format!(
        "{}, chain verified to {anchor}, an anchor {class}",
        peer.version
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_vouches_for_an_artifact_is_told_with_its_standing() {
        let vouched = serde_json::json!({
            "checks": [
                { "proof": "registry-signature", "standing": "verified", "signer": "k" },
                { "proof": "provenance", "standing": "unknown" },
                { "proof": "provenance" },
            ]
        });
        let told = ["provenance: unknown", "registry signature: verified"];
        assert_eq!(checks(&vouched), told);
        assert!(checks(&Value::Null).is_empty());
    }
}
