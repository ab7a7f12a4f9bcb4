#!/usr/bin/env bash
# The whole suite three times: as the caller, as an ordinary user, and under a container engine's
# default system-call filter without capabilities. Started by an ordinary user, the first run is that
# of the ordinary user and the two others need no privilege that is missing, so only they are left out.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh test
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-4}

# Everything the other users run lies where they can read it.
stage=$(mktemp -d "${TMPDIR:-/tmp}/v4run-suite.XXXXXX")
trap 'rm -rf "$stage"' EXIT
chmod 755 "$stage"
scripts/stage.sh "$stage"
export V4RUN_BIN=$stage/v4run
export V4RUN_HOSTILE=$stage/hostile
export V4RUN_OUTER_PROFILE=$stage/tools/docker-default.json
export V4RUN_TEST_PYTHON=$stage/tools/bin/python

failed=0
# run WORDS... : every test binary behind the given words, in directories of its own.
run() {
  local title=$1 owner=$2 name private only
  shift 2
  echo "== $title"
  private=$(mktemp -d "$stage/private.XXXXXX")
  mkdir "$private/home" "$private/tmp"
  chmod 755 "$private"
  chown -R "$owner" "$private" 2>/dev/null || true
  for name in unit it outer; do
    [ "$name" = outer ] && [ "$title" != "as the caller" ] && continue
    # What the sources look like does not depend on who runs.
    only=()
    [ "$name" = it ] && [ "$title" != "as the caller" ] && only=(--skip layout::)
    (cd "$stage" && env HOME="$private/home" TMPDIR="$private/tmp" "$@" "$stage/$name" "${only[@]}") || failed=1
  done
  rm -rf "$private"
}
run "as the caller" "$(id -u)" env
if [ "$(id -u)" -eq 0 ]; then
  run "as uid 65534" 65534 setpriv --reuid 65534 --regid 65534 --clear-groups --
  run "under a container's default filter, without capabilities" 0 \
    setpriv --bounding-set=-all --inh-caps=-all --no-new-privs "$stage/outer" "$V4RUN_OUTER_PROFILE"
else
  echo "not run: the suite as root and under the outer filter; start it as root for these"
fi
exit "$failed"
