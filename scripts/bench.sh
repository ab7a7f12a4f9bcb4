#!/usr/bin/env bash
# Measures v4run against the bare command on a loopback TLS registry of static files.
# Usage: scripts/bench.sh [PAIRS]   (15 by default)
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh bench
cargo build --release --locked
pairs=${1:-${PAIRS:-15}}
python3 scripts/bench.py --pairs "$pairs"
python3 scripts/bench_pip.py --pairs "$pairs"
python3 scripts/bench_mvn.py --pairs "$pairs"
