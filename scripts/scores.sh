#!/usr/bin/env bash
# Prints the figures that a suite without a failure left: scripts/scores.sh DIRECTORY, the one that
# V4RUN_SCORES named. Every test adds what it did after its last check, so a sum without a red test is one
# of things that held.
set -euo pipefail
scores=${1:?directory}
sum() { awk '{ sum += $1 } END { print sum + 0 }' "$scores/$1" 2>/dev/null || echo 0; }
packages=$(sum hostile-packages)
echo "faults: $(sum faults) injected, 0 lost, 0 released unverified, 0 orphans"
echo "hostile packages: $packages refused or harmless of $packages"
