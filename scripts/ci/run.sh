#!/usr/bin/env bash
# One step of a CI job, for every service: scripts/ci/run.sh RECORD COMMAND...
# Refuses a machine where v4run cannot be enforced before anything is fetched (125), runs the command
# under v4run with its record in RECORD, and writes a summary where the service shows one. Ends as v4run did.
set -euo pipefail
record=${1:?record directory}
shift
v4run doctor --ci
status=0
v4run --record "$record" "$@" || status=$?
if [ -n "${GITHUB_STEP_SUMMARY:-}" ] && [ -e "$record/events.jsonl" ]; then
  v4run assess --format markdown "$record" >>"$GITHUB_STEP_SUMMARY"
fi
exit "$status"
