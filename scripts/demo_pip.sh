#!/usr/bin/env bash
# Installs five known packages with hashes twice into fresh environments, with bare pip and through
# v4run, from the index that pip is configured for, and compares: every file (compiled ones apart), the
# imports, and the record's components with what `pip inspect` finds. Usage: demo_pip.sh V4RUN
set -euo pipefail
v4run=$1
project=$(mktemp -d)
trap 'rm -rf "$project"' EXIT
cd "$project"
fresh() { rm -rf env && python3 -m venv env; }
contents() { (cd env && find . -name __pycache__ -prune -o \( -type f -exec sha256sum {} + \) | sort -k2); }
echo '== pip chooses versions, and their hashes become requirements.txt'
fresh
env/bin/pip install --quiet --disable-pip-version-check --dry-run --ignore-installed --only-binary=:all: \
  --report report.json flask requests numpy pandas cryptography
env/bin/python - >requirements.txt <<'PY'
import json

for item in json.load(open("report.json"))["install"]:
    described, archive = item["metadata"], item["download_info"]["archive_info"]
    print(f"{described['name']}=={described['version']} --hash=sha256:{archive['hashes']['sha256']}")
PY
echo "== bare pip install -r requirements.txt ($(wc -l <requirements.txt) packages)"
env/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
contents >bare
echo '== v4run pip install -r requirements.txt'
fresh
"$v4run" --record record env/bin/pip install --quiet -r requirements.txt
contents >ours
diff bare ours
echo "$(wc -l <ours) files are those of bare pip"
env/bin/python -c 'import cryptography, flask, numpy, pandas, requests; print("all of it can be imported")'
env/bin/pip inspect >inspect.json 2>/dev/null
env/bin/python - <<'PY'
import json
import re

plain = lambda name: re.sub(r"[-_.]+", "-", name).lower()
installed = json.load(open("inspect.json"))["installed"]
installed = {(plain(one["metadata"]["name"]), one["metadata"]["version"]) for one in installed}
components = json.load(open("record/record.cdx.json"))["components"]
purls = [one["purl"] for one in components if one.get("purl", "").startswith("pkg:pypi/")]
recorded = {tuple(purl.removeprefix("pkg:pypi/").split("?")[0].split("@")) for purl in purls}
assert installed == recorded, installed ^ recorded
print(f"{len(recorded)} components in the record are what pip inspect finds")
PY
"$v4run" verify record | tail -1
