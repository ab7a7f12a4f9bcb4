#!/usr/bin/env bash
# The long parts of the suite, one after the other: scripts/soak.sh [SECONDS]
# Races and fuzz targets take that long each; faults take what their sizes take (soak_faults.sh).
set -euo pipefail
cd "$(dirname "$0")"
./corpus.sh "${1:-60}"
./soak_faults.sh
./fuzz.sh "${1:-60}"
