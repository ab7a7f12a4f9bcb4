#!/usr/bin/env bash
# The layer that other images take v4run from, in target/image: v4run.oci.tar for `docker load`, `podman
# load` and `buildah pull oci-archive:…`, and the same files in layer/ for engines that read neither.
# Usage: scripts/image.sh [PROGRAM]; without one the static program, which is built where it is missing.
# It has the program with its manual and pages, shims in /usr/lib/v4run/shims, a policy with a lockdown and
# PATH for login shells; nothing else, no entry point. scripts/image/Containerfile is an image that uses it.
# Needs no engine, no registry and no privilege; the same program gives the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."
program=${1:-target/static/v4run}
[ -e "$program" ] || scripts/static.sh build
export LC_ALL=C
umask 022
out=target/image
# Shims are not made in a project, and the sources are one.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
layer=$work/layer
scripts/install.sh "$program" "$layer/usr"
"$program" shims install --program /usr/bin/v4run "$layer/usr/lib/v4run/shims" >/dev/null
install -D -m 0644 scripts/image/policy.toml "$layer/etc/v4run/policy.toml"
install -D -m 0644 scripts/image/profile.sh "$layer/etc/profile.d/zz-v4run.sh"
rm -rf "$out" && mkdir -p "$out"
/usr/bin/python3 scripts/image/oci.py "$program" "$layer" "$out/v4run.oci.tar"
cp -a "$layer" "$out/layer"
(cd "$out" && sha256sum v4run.oci.tar >SHA256SUMS)
echo "image: $out/v4run.oci.tar, $(stat -c %s "$out/v4run.oci.tar") bytes, $(sed 's/ .*//' "$out/SHA256SUMS")"
