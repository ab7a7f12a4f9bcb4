#!/usr/bin/env bash
# Format, lints, documentation, dependency policy.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh check
cargo fmt --check
cargo clippy --locked --all-targets -- -D warnings
RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items --quiet
cargo deny --log-level error check bans licenses sources
