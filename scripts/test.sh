#!/usr/bin/env bash
# The whole suite as the caller, what a user can change as an ordinary user, and what touches the kernel under
# a container engine's default system-call filter without capabilities. Started by an ordinary user, the first run is that
# of the ordinary user and the two others need no privilege that is missing, so only they are left out.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh test
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-4}

# Everything the other users run lies where they can read it.
stage=$(mktemp -d "${TMPDIR:-/tmp}/v4run-suite.XXXXXX")
trap 'umount "$stage/scratch" 2>/dev/null || true; rm -rf "$stage"' EXIT
chmod 755 "$stage"
mkdir "$stage/scratch"
# Disks look for a free place ever longer where so much is made and removed: two fifths of all processor time.
# What a disk does has tests of its own.
mount -t tmpfs -o mode=755,size=75% tmpfs "$stage/scratch" 2>/dev/null || true
scripts/stage.sh "$stage"
export V4RUN_BIN=$stage/v4run
export V4RUN_HOSTILE=$stage/hostile
export V4RUN_OUTER_PROFILE=$stage/tools/docker-default.json
export V4RUN_TEST_PYTHON=$stage/tools/bin/python

user="as uid 65534"
filter="under a container's default filter, without capabilities"
# What need not be run again, modules or single tests. What sources look like, files say, repositories answer
# and records hold depends neither on the user nor on the filter, nor does what a clock or a disk does, which
# only root has here. Of what takes long, one test of a kind is run again.
same="layout:: assurance:: attest:: bom:: corpus::meta faults::clock faults::disk faults::many faults::others
  faults::upstream fetch:: history:: lock:: look:: mvn_bad:: mvn_config:: mvn_kept:: mvn_lock:: mvn_many::
  mvn_signed:: mvn_trust:: mvn_ways:: mvn_web:: npmrc:: page:: pip_anchor:: pip_archive:: pip_config::
  pip_index:: pip_lock:: pip_review:: pip_source:: release_age:: scripts:: signatures:: upstream:: vectors::
  vectors_pip:: ci:: commands:: uv_sync:: uv_ways::
  build_pip::a_build_ends_at_its_limits
  hostile_packages::python
  install_npm::a_tree_of_four_hundred_and_fifty_packages
  mvn_attack::no_file_is_loaded_because
  mvn_build::a_class_of mvn_build::a_processor_that mvn_build::annotation_processors mvn_build::tests_do_not_run
  mvn_code::a_plugin_that_takes
  mvn_resolve::a_changed_file mvn_resolve::a_failing mvn_resolve::a_wrong mvn_resolve::the_anchor
  pip_install::reading_commands"
# The filter decides about system calls: options, modes of files and what is killed do not depend on it.
declare -A leave=(
  [$user]="$same"
  [$filter]="$same bad_input:: bad_places:: faults::kills files_of_use:: hostile_packages:: kernels:: mvn_build::
    pip_local:: pip_places:: shims_hostile:: surroundings:: uv_attack:: cli::
    build_npm::a_build_ends_at_its_limits
    build_pip::a_pinned_source build_pip::a_source_is build_pip::an_approval build_pip::the_project
    mvn_code::an_extension_of mvn_code::what_reaches
    pip_install::files_go pip_install::pip_"
)

failed=0
# run WORDS... : every test binary behind the given words, in directories of its own.
run() {
  local title=$1 owner=$2 name private only red=0
  shift 2
  echo "== $title"
  private=$(mktemp -d "$stage/scratch/XXXXXX")
  mkdir "$private/home" "$private/tmp" "$private/scores"
  chmod 755 "$private"
  chown -R "$owner" "$private" 2>/dev/null || true
  for name in unit it outer; do
    [ "$name" = outer ] && [ "$title" != "as the caller" ] && continue
    only=()
    if [ "$name" = it ]; then
      for one in ${leave[$title]-}; do only+=(--skip "$one"); done
    fi
    (cd "$stage" && env HOME="$private/home" TMPDIR="$private/tmp" V4RUN_SCORES="$private/scores" \
      "$@" "$stage/$name" "${only[@]}") 2>&1 | tee "$stage/log" && continue
    red=1
    echo "== FAILED: $title, $name" >>"$stage/failures"
    # A program that was ended has no such part.
    { sed -n '/^failures:$/,$p' "$stage/log" | grep . || tail -20 "$stage/log"; } >>"$stage/failures"
  done
  # Races and the escape corpus print their own.
  if [ "$red" -eq 0 ]; then scripts/scores.sh "$private/scores"; else failed=1; fi
  rm -rf "$private"
}
run "as the caller" "$(id -u)" env
if [ "$(id -u)" -eq 0 ]; then
  run "$user" 65534 setpriv --reuid 65534 --regid 65534 --clear-groups --
  run "$filter" 0 \
    setpriv --bounding-set=-all --inh-caps=-all --no-new-privs "$stage/outer" "$V4RUN_OUTER_PROFILE"
else
  echo "not run: the suite as root and under the outer filter; start it as root for these"
fi
# What failed, once more where it is looked for.
if [ "$failed" -ne 0 ]; then cat "$stage/failures"; fi
exit "$failed"
