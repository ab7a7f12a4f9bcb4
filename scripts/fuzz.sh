#!/usr/bin/env bash
# Fuzzes every target, or those named: scripts/fuzz.sh SECONDS-A-TARGET [TARGET...]
# Coverage-guided, with the stable compiler: the instrumentation is a compiler pass of LLVM that needs no
# nightly option. Memory is limited to 512 MiB and one input to a second. What is found is kept in
# target/fuzz/artifacts; put it into tests/fixtures/fuzz/TARGET, where the suite replays it.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?seconds for each target}
shift
host=$(rustc -vV | sed -n 's/^host: //p')
work=$PWD/target/fuzz
flags="--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=4"
for option in level=4 inline-8bit-counters pc-table trace-compares; do
  flags+=" -Cllvm-args=-sanitizer-coverage-$option"
done
# With a target named, build scripts and macros stay without the instrumentation.
RUSTFLAGS=$flags cargo build --locked --profile fuzz --package v4run-fuzz \
  --target "$host" --target-dir "$work/build"
binary=$work/build/$host/fuzz/all
mkdir -p "$work/tmp"
if [ $# -eq 0 ]; then
  mapfile -t targets < <(V4RUN_FUZZ_TARGET='' "$binary" -runs=0 -artifact_prefix="$work/tmp/" 2>&1 | sed -n 's/.*is none of: //p' | tr ' ' '\n')
else
  targets=("$@")
fi
[ "${#targets[@]}" -gt 0 ]
executions=0 crashes=0
for target in "${targets[@]}"; do
  mkdir -p "$work/corpus/$target" "$work/artifacts/$target"
  log=$work/$target.log
  code=0
  # Sanitizer options do not apply; the panic itself is the finding. -fork is not used: one job is one log.
  TMPDIR=${V4RUN_FUZZ_TMP:-$([ -w /dev/shm ] && echo /dev/shm || echo "$work/tmp")} V4RUN_FUZZ_TARGET=$target \
    "$binary" -max_total_time="$seconds" -max_len=65536 -timeout=1 -report_slow_units=1 -rss_limit_mb=512 \
    -artifact_prefix="$work/artifacts/$target/" -print_final_stats=1 -verbosity=1 \
    "$work/corpus/$target" "tests/fixtures/fuzz/$target" >"$log" 2>&1 || code=$?
  count=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
  count=${count:-$(grep -oE '^#[0-9]+' "$log" | tail -1 | tr -d '#')}
  executions=$((executions + ${count:-0}))
  if [ "$code" -ne 0 ]; then
    crashes=$((crashes + 1))
    echo "$target: FOUND something after ${count:-0} executions; see $log"
    grep -E 'panicked|SUMMARY|ALARM|out-of-memory|ERROR' -A2 "$log" | tail -8 || true
  else
    echo "$target: ${count:-0} executions, coverage $(grep -oE 'cov: [0-9]+' "$log" | tail -1)"
  fi
done
echo "fuzz: ${#targets[@]} targets, $executions executions, $crashes crashes"
[ "$crashes" -eq 0 ]
