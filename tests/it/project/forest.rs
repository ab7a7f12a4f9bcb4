//! A small forest with what real trees have: scopes, conflicts, executables, optional, dev.

use serde_json::{Value, json};

use crate::registry::Registry;
use crate::registry::package::Package;

/// Publishes the forest and returns a manifest that needs all of it.
pub(crate) fn plant(registry: &Registry) -> Value {
    let packages = [
        Package::new("oak", "1.0.0")
            .dependency("leaf", "^1.0.0")
            .dependency("@wood/bark", "1.1.0"),
        Package::new("birch", "2.1.0")
            .dependency("leaf", "^2.0.0")
            .optional("moss", "*"),
        Package::new("leaf", "1.0.0").bin("leaf-one", "bin/leaf.js"),
        Package::new("leaf", "1.4.2").bin("leaf-one", "bin/leaf.js"),
        Package::new("leaf", "2.0.0").bin("leaf-two", "./cli.js"),
        Package::new("@wood/bark", "1.1.0")
            .dependency("resin", "*")
            .bin("bark", "bark.js"),
        Package::new("@wood/ring", "0.9.1").file("data/größe 1.txt", "Jahresring\n".as_bytes()),
        Package::new("resin", "0.0.3")
            .file("lib/deep/er/still/x.json", b"{}")
            .file("empty", b""),
        Package::new("moss", "3.0.0").executable("tools/run.sh", b"#!/bin/sh\n"),
        Package::new("lint", "4.0.0")
            .dependency("lint-rule", "^1.0.0")
            .bin("lint", "lint.js"),
        Package::new("lint-rule", "1.0.1").dependency("resin", "0.0.3"),
        Package::new("big", "1.0.0")
            .file("dist/big.js", "const a = 1;\n".repeat(40_000).as_bytes()),
    ];
    for package in &packages {
        registry.publish(package);
    }
    json!({
        "name": "project",
        "version": "1.0.0",
        "dependencies": { "oak": "1.0.0", "birch": "^2.0.0", "@wood/ring": "*", "big": "1.0.0" },
        "devDependencies": { "lint": "^4.0.0" },
    })
}

/// Install paths of the whole forest.
pub(crate) const PATHS: [&str; 11] = [
    "node_modules/@wood/bark",
    "node_modules/@wood/ring",
    "node_modules/big",
    "node_modules/birch",
    "node_modules/leaf",
    "node_modules/lint",
    "node_modules/lint-rule",
    "node_modules/moss",
    "node_modules/oak",
    "node_modules/oak/node_modules/leaf",
    "node_modules/resin",
];
