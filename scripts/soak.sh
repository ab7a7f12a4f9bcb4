#!/usr/bin/env bash
# Everything that takes long, one after the other, and the figures at the end:
# scripts/soak.sh [SECONDS [PART...]] with the parts corpus, faults, fuzz and containers.
# Each race and each fuzz target takes that long; with less than a minute the large installs shrink as well
# (sizes: soak_faults.sh). Containers need root. A part that fails does not keep the others from running.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-60}
shift || true
parts=("$@")
[ "${#parts[@]}" -gt 0 ] || parts=(corpus faults fuzz containers)
export V4RUN_SOAK_PACKAGES=${V4RUN_SOAK_PACKAGES:-$((seconds < 60 ? seconds * 80 + 20 : 5000))}
export V4RUN_SOAK_RUNS=${V4RUN_SOAK_RUNS:-$((seconds < 60 ? seconds + 2 : 100))}
log=$(mktemp "${TMPDIR:-/tmp}/v4run-soak.XXXXXX")
trap 'rm -f "$log"' EXIT

failed=()
# part TITLE COMMAND... : what it prints is shown and kept.
part() {
  local title=$1 start=$SECONDS
  shift
  echo "== $title"
  "$@" 2>&1 | tee -a "$log" || failed+=("$title")
  echo "== $title: $((SECONDS - start)) s"
}
for name in "${parts[@]}"; do
  case $name in
  corpus) part "corpus and races" ./corpus.sh "$seconds" ;;
  faults) part "faults and hostile packages" ./soak_faults.sh ;;
  fuzz) part "fuzzing" ./fuzz.sh "$seconds" ;;
  containers)
    if [ "$(id -u)" -eq 0 ]; then part "containers" ./containers.sh; else echo "containers: not run, they need root"; fi
    ;;
  *)
    echo "soak: no part is called $name" >&2
    exit 2
    ;;
  esac
done

echo "== scores"
grep -hE '^(corpus|races|faults|hostile packages|fuzz|containers)( as [a-z]+)?: [0-9a-z ]*[0-9]' "$log" || true
if [ "${#failed[@]}" -gt 0 ]; then
  printf 'soak: FAILED: %s\n' "${failed[@]}"
  exit 1
fi
