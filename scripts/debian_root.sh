#!/usr/bin/env bash
# A Debian root with every package manager of the suite, made of Debian's packages, from no registry:
# scripts/debian_root.sh DIRECTORY. Made once; DIRECTORY/root is the tree. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
work=${1:?directory}
root=$work/root
mkdir -p "$work"
[ ! -e "$work/ready" ] || exit 0
command -v debootstrap >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq debootstrap
rm -rf "$root"
mirror=$(apt-get indextargets --format '$(SITE) $(RELEASE)' 'Created-By: Packages' | sed -n 's/ bookworm$//p' | head -1)
debootstrap --variant=minbase bookworm "$root" "$mirror"
mapfile -t packages < <(scripts/setup.sh --maven)
# Java's packages look into /proc when they are set up; a namespace of its own takes it away again.
unshare --mount --fork sh -c 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"' "$root" \
  env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
  "${packages[@]}" ca-certificates nodejs npm python3 python3-pip python3-venv util-linux >"$work/apt.log"
chroot "$root" apt-get clean
touch "$work/ready"
