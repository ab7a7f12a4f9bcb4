#!/usr/bin/env bash
# Builds the program and its tests and copies everything that they need into one directory, where every
# user may read it: scripts/stage.sh DIRECTORY
set -euo pipefail
cd "$(dirname "$0")/.."
stage=${1:?directory}
cargo build --locked --bin v4run
listing=$(cargo test --locked --no-run --message-format=json | /usr/bin/python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable"):
        kind, name = message["target"]["kind"][0], message["target"]["name"]
        if message["profile"]["test"] and kind != "bin" or kind == "example":
            print("unit" if kind == "lib" else name, message["executable"])
')
cp target/debug/v4run "$stage/"
cp -r tests/fixtures "$stage/fixtures"
# With its times: compiled modules are for sources of one.
cp -a target/tools "$stage/tools"
while read -r name path; do cp "$path" "$stage/$name"; done <<<"$listing"
