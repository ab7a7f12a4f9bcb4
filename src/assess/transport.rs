//! Connections by host, as evidence of the two TLS controls.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::model::TlsPeer;
use crate::record::Connection;

/// One entry a host and verified peer, with the number of connections.
pub(super) fn hosts(connections: &[Connection<'_>]) -> Value {
    let mut peers: BTreeMap<(&str, String), (&Connection<'_>, u64)> = BTreeMap::new();
    for connection in connections {
        let key = (connection.host, identity(connection.tls));
        peers.entry(key).or_insert((connection, 0)).1 += 1;
    }
    peers
        .into_values()
        .map(|(connection, count)| {
            json!({
                "host": connection.host,
                "address": connection.address,
                "connections": count,
                "tls": connection.tls,
            })
        })
        .collect()
}

fn identity(peer: &TlsPeer) -> String {
    format!("{} {} {}", peer.version, peer.cipher, peer.leaf)
}
