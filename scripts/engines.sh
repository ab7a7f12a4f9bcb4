#!/usr/bin/env bash
# v4run's layer in child images that real engines build and run: docker with BuildKit and the builder of old,
# podman with runc, buildah by runc and by chroot; and gVisor, which has to be refused. The table of all
# that was tried is printed; the script fails when a cell of it does. Usage: scripts/engines.sh [PROGRAM [TEST...]]
# Without PROGRAM it is the static one, which is built where it is missing; without TEST it is the whole matrix.
# Needs root and a Debian machine. Docker and runsc are unpacked from Debian's packages into target/engines and
# started there, with a socket of their own; images come from Debian's packages and a loopback registry.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || { echo "engines: needs root" >&2; exit 1; }
scripts/setup.sh test
scripts/setup.sh containers
scripts/debian_root.sh "$PWD/target/containers"
program=${1:-target/static/v4run}
[ -e "$program" ] || scripts/static.sh build
scripts/image.sh "$program"
tests=("${@:2}")
[ "${#tests[@]}" -gt 0 ] || tests=(engines::)
suite=$(cargo test --locked --no-run --message-format=json |
  sed -n 's/.*"executable":"\([^"]*\/it-[^"]*\)".*/\1/p' | tail -1)

work=$PWD/target/engines
mkdir -p "$work"
if [ ! -e "$work/ready" ]; then
  rm -rf "$work/unpacked" && mkdir -p "$work/unpacked" "$work/fetched"
  chmod 777 "$work/fetched"
  (cd "$work/fetched" && apt-get download -qq docker.io containerd runsc libdevmapper1.02.1 tini)
  for package in "$work/fetched"/*.deb; do dpkg-deb -x "$package" "$work/unpacked"; done
  touch "$work/ready"
fi
# The client of the same package: later ones want a plugin for BuildKit.
export PATH=$work/unpacked/usr/bin:$work/unpacked/usr/sbin:$PATH
export LD_LIBRARY_PATH=$work/unpacked/usr/lib/$(uname -m)-linux-gnu:$work/unpacked/lib/$(uname -m)-linux-gnu

state=$(mktemp -d "${TMPDIR:-/tmp}/v4run-engines.XXXXXX")
chmod 755 "$state"
storage=(--root "$state/storage" --runroot "$state/storage-run")
daemon=
finish() {
  buildah "${storage[@]}" rm --all >/dev/null 2>&1 || true
  if [ -n "$daemon" ]; then
    docker ps --all --quiet 2>/dev/null | xargs --no-run-if-empty docker rm --force >/dev/null 2>&1 || true
    kill "$daemon" 2>/dev/null || true
    wait "$daemon" 2>/dev/null || true
  fi
  # What is still mounted below would be emptied, not unmounted.
  awk -v place="$state/" 'index($2, place) == 1 { print $2 }' /proc/mounts | sort -r |
    xargs --no-run-if-empty --max-args=1 umount --lazy || true
  rm -rf "$state"
}
trap finish EXIT

# podman asks for more open files and processes than a caller without CAP_SYS_RESOURCE may give.
printf '[containers]\ndefault_ulimits = []\n[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n' \
  >"$state/containers.conf"
mkdir "$state/client"
echo '{}' >"$state/client/config.json"
cat >"$state/docker.json" <<JSON
{
  "bridge": "none", "iptables": false, "ip-forward": false, "ip-masq": false,
  "storage-driver": "${V4RUN_STORAGE_DRIVER:-overlay2}", "exec-opts": ["native.cgroupdriver=cgroupfs"],
  "data-root": "$state/docker", "exec-root": "$state/docker-run", "pidfile": "$state/docker.pid",
  "hosts": ["unix://$state/docker.sock"]
}
JSON
export CONTAINERS_CONF=$state/containers.conf DOCKER_HOST=unix://$state/docker.sock DOCKER_CONFIG=$state/client
dockerd --config-file "$state/docker.json" >"$state/docker.log" 2>&1 &
daemon=$!
for _ in $(seq 300); do docker version >/dev/null 2>&1 && break; sleep 0.2; done
docker version --format 'engines: docker {{.Server.Version}}, kernel {{.Server.KernelVersion}}' ||
  { tail -20 "$state/docker.log" >&2; exit 1; }
echo "engines: $(podman --version), $(buildah --version), $(runc --version | head -1), $(runsc --version | head -1)"

# The machine's files with the managers, and the layer as each engine reads it by itself.
printf '127.0.0.1 localhost\n' >target/containers/root/etc/hosts
tar -C target/containers/root --one-file-system --exclude=./proc/* -cf "$state/base.tar" .
docker import - v4run-engines-base <"$state/base.tar" >/dev/null
docker load --quiet --input target/image/v4run.oci.tar
podman "${storage[@]}" import --quiet "$state/base.tar" localhost/v4run-engines-base >/dev/null
podman "${storage[@]}" load --quiet --input target/image/v4run.oci.tar
rm "$state/base.tar"
layer=$(buildah "${storage[@]}" pull --quiet "oci-archive:target/image/v4run.oci.tar")
buildah "${storage[@]}" tag "$layer" localhost/v4run

status=0
V4RUN_BIN=$(realpath "$program") V4RUN_ENGINES=$state "$suite" --ignored --test-threads 1 "${tests[@]}" >"$state/log" 2>&1 || status=$?
cat "$state/matrix.txt"
if [ "$status" -ne 0 ]; then cat "$state/log"; fi
# A matrix without a row proves nothing.
grep -q '^test result: ok. [1-9]' "$state/log"
exit "$status"
