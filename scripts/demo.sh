#!/usr/bin/env bash
# Installs a real project of more than fifty packages through v4run, from the registry that npm is
# configured for, and shows what was recorded; then five known Python packages, beside bare pip.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh demo
cargo build --release --locked
v4run=$PWD/target/release/v4run
project=$(mktemp -d)
trap 'rm -rf "$project"' EXIT
cat >"$project/package.json" <<'JSON'
{
  "name": "v4run-demo",
  "version": "1.0.0",
  "private": true,
  "scripts": { "postinstall": "echo this is not run" },
  "dependencies": { "express": "^4.21.0", "esbuild": "^0.25.0" }
}
JSON
cd "$project"
echo '== npm writes a lockfile'
npm install --package-lock-only --ignore-scripts --no-audit --no-fund --loglevel=error
echo '== v4run doctor --ci'
"$v4run" doctor --ci
echo '== v4run npm ci'
record=$(mktemp -d -u "${TMPDIR:-/tmp}/v4run-demo-record.XXXXXX")
"$v4run" --record "$record" npm ci
echo '== v4run assess'
"$v4run" assess "$record"
echo "record: $record"
"$OLDPWD/scripts/demo_pip.sh" "$v4run"
