#!/usr/bin/env bash
# The long part of faults and hostile packages, and all of their short part: scripts/soak_faults.sh
# A large install with 1 % of its downloads broken, many runs at once on one store.
# Sizes: V4RUN_SOAK_PACKAGES (5000), V4RUN_SOAK_RUNS (100). Prints the score lines.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh test
scores=$(mktemp -d "${TMPDIR:-/tmp}/v4run-scores.XXXXXX")
trap 'rm -rf "$scores"' EXIT
export V4RUN_SCORES=$scores V4RUN_TEST_PYTHON=$PWD/target/tools/bin/python RUST_TEST_THREADS=${RUST_TEST_THREADS:-2}
export V4RUN_SOAK_PACKAGES=${V4RUN_SOAK_PACKAGES:-5000} V4RUN_SOAK_RUNS=${V4RUN_SOAK_RUNS:-100}
failed=0
cargo test --locked --test it -- faults:: hostile_packages:: || failed=1
# A test that fails adds nothing, and then there is no score.
if [ "$failed" -eq 0 ]; then scripts/scores.sh "$scores"; else echo "faults and hostile packages: a test failed, see above"; fi
exit "$failed"
