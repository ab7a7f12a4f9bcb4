#!/usr/bin/env bash
# The escape corpus and the races alone, with their figures: scripts/corpus.sh [SECONDS-A-RACE]
# With a number of seconds the races run two at a time, that long each. The figures are left in
# target/scores and written into SECURITY.md.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh test
cargo build --locked --bins --examples --tests
scores=$PWD/target/scores
rm -rf "$scores"
mkdir -p "$scores"
if [ -n "${1:-}" ]; then export V4RUN_RACE_SECONDS=$1; fi
V4RUN_SCORES=$scores cargo test --locked --test it -- corpus::
scripts/figures.py "$scores"
