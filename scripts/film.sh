#!/usr/bin/env bash
# Makes scripts/film.svg: what a terminal shows when v4run stops an install, from real runs without a
# network. The lockfile entry has the address of another package and no digest; the requirement is a folder
# whose setup.py reads a token. Usage: scripts/film.sh [PROGRAM]; without one the debug build.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ $# -eq 0 ]; then cargo build --quiet --locked --bin v4run; fi
program=$(realpath "${1:-target/debug/v4run}")
out=$PWD/scripts/film.svg
make=$PWD/scripts/film.py
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/home/app/tool" "$work/bin"
ln -s "$program" "$work/bin/v4run"
python3 -m venv "$work/home/.venv"
cd "$work/home/app"
cat >package.json <<'JSON'
{ "name": "app", "version": "1.0.0", "dependencies": { "left-pad": "1.3.0" } }
JSON
cat >package-lock.json <<'JSON'
{ "name": "app", "version": "1.0.0", "lockfileVersion": 3, "packages": {
  "": { "name": "app", "version": "1.0.0", "dependencies": { "left-pad": "1.3.0" } },
  "node_modules/left-pad": { "version": "1.3.0",
    "resolved": "https://packages.example/left-qad/-/left-qad-1.3.0.tgz" } } }
JSON
echo ./tool >requirements.txt
cat >tool/setup.py <<'PYTHON'
import os, setuptools
print(open(os.path.expanduser("~/.token")).read(), file=open("/dev/stderr", "w"))
setuptools.setup(name="tool")
PYTHON
echo s3cret >../.token
echo registry=https://packages.example/ >../.npmrc

film=$work/film
# show COMMAND : as it is typed, what it prints on both streams, and how it ended.
show() {
  local status=0
  printf '$ %s\n' "$1" >>"$film"
  env -i HOME="$work/home" PATH="$work/bin:$work/home/.venv/bin:/usr/bin:/bin" LANG=C.UTF-8 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 bash -c "$1" >>"$film" 2>&1 </dev/null || status=$?
  if [ "$status" -ne 0 ]; then printf '\n[status %s]\n' "$status" >>"$film"; fi
  printf '\n' >>"$film"
}
show 'v4run npm ci'
show 'cat requirements.txt tool/setup.py'
show 'v4run pip install -r requirements.txt'
# A film of runs that went well is none.
[ "$(grep -c '^\[status 126\]' "$film")" -eq 2 ] || { cat "$film" >&2; exit 1; }
sed -i "s|$(realpath "$work/home")|~|g; s|$work/home|~|g" "$film"
/usr/bin/python3 "$make" <"$film" >"$out"
echo "film: $out, $(stat -c %s "$out") bytes"
