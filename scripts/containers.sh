#!/usr/bin/env bash
# The sandbox's tests and an install with each manager inside real containers: podman with runc, and
# RUN steps of buildah, under the engines' default system-call filters, without network and without a
# capability more than the engines give. Usage: scripts/containers.sh [TEST...]
# Needs root and a Debian machine; the image is made of Debian's packages, from no registry.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh test
scripts/setup.sh containers

work=$PWD/target/containers
root=$work/root
scripts/debian_root.sh "$work"

# What runs inside lies where every user may read it.
stage=$(mktemp -d "${TMPDIR:-/tmp}/v4run-containers.XXXXXX")
name=v4run-containers-$$
# podman remembers where it was; it needs no image, so it starts anew each time.
storage=(--root "$work/storage" --runroot "$stage/run")
podman=(--root "$stage/podman" --runroot "$stage/podman-run" --runtime runc)
finish() {
  buildah "${storage[@]}" rm --all >/dev/null 2>&1 || true
  umount "$stage/merged" 2>/dev/null || true
  rm -rf "$stage"
}
trap finish EXIT
chmod 755 "$stage"
mkdir "$stage/suite" "$stage/upper" "$stage/work" "$stage/merged"
# podman's own overlay (ROOT:O) gives / to the user of the container, who could then move /usr away: what
# the system installed would rightly not be trusted. An image's / is root's, and so is this one's.
mount -t overlay -o "lowerdir=$root,upperdir=$stage/upper,workdir=$stage/work" overlay "$stage/merged"
# podman asks for more open files and processes than a caller without CAP_SYS_RESOURCE may give.
printf '[containers]\ndefault_ulimits = []\n' >"$stage/containers.conf"
export CONTAINERS_CONF=$stage/containers.conf
scripts/stage.sh "$stage/suite"

# A step without a network gets no names from its engine, and the minimal system has none.
if [ ! -e "$root/etc/hosts" ]; then
  printf '127.0.0.1 localhost\n' >"$root/etc/hosts"
  buildah "${storage[@]}" rmi --force localhost/v4run-suite >/dev/null 2>&1 || true
fi

tests=("$@")
# An install with each manager, every attempt of the corpus in each manager's place, and what scripts try.
[ "${#tests[@]}" -gt 0 ] || tests=(
  canaries:: code::p exec::x files::f0 network::n01 network::n19 network::i0 process::
  corpus::managers corpus::loads install_npm::ci_makes_the_tree pip_install::an_install_makes mvn_resolve::a_resolution
)
variables=(
  V4RUN_BIN=/suite/v4run V4RUN_HOSTILE=/suite/hostile
  V4RUN_OUTER_PROFILE=/suite/tools/docker-default.json V4RUN_TEST_PYTHON=/suite/tools/bin/python
  HOME=/tmp/home TMPDIR=/tmp RUST_TEST_THREADS="${RUST_TEST_THREADS:-2}"
)
inside="mkdir -p /tmp/home && cd /tmp && exec /suite/it ${tests[*]}"

failed=0 passed=0
# try WORDS... -- COMMAND... : one way to run the tests; its figures are printed.
try() {
  local title=$1 log=$stage/log result start=$SECONDS
  shift
  if "$@" >"$log" 2>&1; then result=ok; else result=FAILED; fi
  grep -h '^test result: ' "$log" | sed "s/^test result: \([^.]*\)\. /$title: /" | cut -d';' -f1,2 |
    sed "s/\$/; $((SECONDS - start)) s/" || true
  # A suite that ran nothing proves nothing.
  if [ "$result" = ok ] && grep -q '^test result: ok. [1-9]' "$log"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "$title: FAILED"
    grep -v ' \.\.\. ok$' "$log" | tail -60
  fi
}

podman_runs() {
  local title=$1
  shift
  try "podman, $title" podman "${podman[@]}" run --rm --ulimit host --network none \
    --volume "$stage/suite:/suite:ro" --tmpfs /tmp:rw,exec,mode=1777 \
    "${variables[@]/#/--env=}" "$@" --rootfs "$stage/merged" sh -c "$inside"
}
podman_runs "root" --user 0
podman_runs "uid 1000" --user 1000:1000
podman_runs "root, read-only root, no capabilities, no-new-privileges" --user 0 --read-only --cap-drop all \
  --security-opt no-new-privileges
podman_runs "uid 1000, read-only root" --user 1000:1000 --read-only

# A RUN step has the image's file system and nothing of the caller's.
if ! buildah "${storage[@]}" inspect localhost/v4run-suite >/dev/null 2>&1; then
  container=$(buildah "${storage[@]}" from scratch)
  buildah "${storage[@]}" add -q "$container" "$root" / >/dev/null
  buildah "${storage[@]}" commit -q "$container" localhost/v4run-suite >/dev/null
  buildah "${storage[@]}" rm "$container" >/dev/null
fi
for user in 0 1000; do
  {
    echo "FROM localhost/v4run-suite"
    printf 'ENV %s\n' "${variables[@]}"
    echo "USER $user"
    echo "RUN $inside"
  } >"$stage/Containerfile"
  for isolation in oci chroot; do
    # Isolation by chroot knows no network of its own.
    network=()
    [ "$isolation" = chroot ] || network=(--network none)
    try "buildah, RUN with isolation $isolation, uid $user" buildah "${storage[@]}" bud --isolation "$isolation" --runtime runc \
      "${network[@]}" --no-cache --volume "$stage/suite:/suite:ro" --tag "$name" --file "$stage/Containerfile" "$stage/run"
  done
done
echo "containers: $passed ways passed, $failed failed"
[ "$failed" -eq 0 ]
