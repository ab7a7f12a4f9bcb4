//! The repositories that were contacted, with what their TLS showed.
//!
//! One service a host and port. A repository that the store alone answered for was not contacted
//! and is named at its components only.

use std::collections::{BTreeMap, BTreeSet};

use super::iri::iri;
use super::schema::{Property, Service, property};
use crate::model::{AnchorClass, TlsPeer};
use crate::record::index::Index;

/// Services by host and port.
pub(super) fn contacted(index: &Index<'_>) -> Vec<Service> {
    let mut hosts: BTreeMap<&str, Vec<&TlsPeer>> = BTreeMap::new();
    for connection in &index.connections {
        hosts
            .entry(connection.host)
            .or_default()
            .push(connection.tls);
    }
    hosts
        .into_iter()
        .map(|(host, peers)| service(index, host, &peers))
        .collect()
}

fn service(index: &Index<'_>, host: &str, peers: &[&TlsPeer]) -> Service {
    let endpoint = format!("https://{host}");
    let origin = crate::record::index::origin(&endpoint);
    let names: Vec<&str> = origin
        .and_then(|origin| index.repositories.get(&origin))
        .into_iter()
        .flatten()
        .copied()
        .collect();
    let mut properties = BTreeSet::new();
    for peer in peers {
        properties.extend(shown(peer));
    }
    properties.insert(("v4run:tls:connections", peers.len().to_string()));
    Service {
        bom_ref: reference(host),
        name: if names.is_empty() {
            host.to_owned()
        } else {
            names.join(", ")
        },
        endpoints: iri(&format!("{endpoint}/")).into_iter().collect(),
        description: Some("package repository".to_owned()),
        trust_boundary: Some(true),
        properties: properties.into_iter().map(into_property).collect(),
    }
}

/// Reference of a service.
pub(super) fn reference(host: &str) -> String {
    format!("service:{host}")
}

fn into_property((name, value): (&'static str, String)) -> Property {
    property(name, value)
}

fn shown(peer: &TlsPeer) -> Vec<(&'static str, String)> {
    let mut shown = vec![
        ("v4run:tls:version", peer.version.clone()),
        ("v4run:tls:cipher", peer.cipher.clone()),
        ("v4run:tls:leaf", format!("sha256:{}", peer.leaf.hex())),
        (
            "v4run:tls:leaf-key",
            format!("sha256:{}", peer.leaf_key.hex()),
        ),
        ("v4run:tls:not-after", peer.not_after.clone()),
    ];
    if let Some(anchor) = &peer.anchor {
        shown.push(("v4run:tls:anchor", format!("sha256:{}", anchor.hex())));
    }
    if let Some(subject) = &peer.anchor_subject {
        shown.push(("v4run:tls:anchor-subject", subject.clone()));
    }
    if let Some(class) = peer.anchor_class {
        shown.push(("v4run:tls:anchor-class", class_name(class).to_owned()));
    }
    shown
}

/// The word for a class of anchors.
pub(super) const fn class_name(class: AnchorClass) -> &'static str {
    match class {
        AnchorClass::PublicWeb => "public-web",
        AnchorClass::SystemOnly => "system-only",
        AnchorClass::UserConfigured => "user-configured",
    }
}
