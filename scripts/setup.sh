#!/usr/bin/env bash
# Installs what `make demo` and `make test` need on a Debian machine; does nothing where it is there.
# Usage: scripts/setup.sh [demo|test|bench|check|containers]
# With --maven it prints Debian's packages with Maven and what the suite's repository serves.
set -euo pipefail
cd "$(dirname "$0")/.."
want=${1:-test}

packages=()
need() { command -v "$1" >/dev/null 2>&1 || packages+=("$2"); }
need cc gcc
need cargo rust
need make make
need node nodejs
need npm npm
# Maven with a JDK, and the artifacts that the suite's repository serves.
maven=(maven default-jdk-headless libmaven-clean-plugin-java libmaven-compiler-plugin-java
  libmaven-dependency-plugin-java libmaven-deploy-plugin-java libmaven-install-plugin-java
  libmaven-jar-plugin-java libmaven-resources-plugin-java libmaven-war-plugin-java libsurefire-java
  junit4)
case $want in
--maven)
  printf '%s\n' "${maven[@]}"
  exit
  ;;
containers)
  for tool in podman runc buildah debootstrap; do need "$tool" "$tool"; done
  ;;
demo)
  python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3 python3-venv)
  ;;
test)
  need setpriv util-linux
  # The report page is looked at in a browser.
  command -v chromium >/dev/null 2>&1 || need chromium-headless-shell chromium-headless-shell
  need javac default-jdk-headless
  for package in "${maven[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || packages+=("$package")
  done
  /usr/bin/python3 -c 'import ensurepip, pip, venv' 2>/dev/null || packages+=(python3 python3-pip python3-venv)
  # A native module is built against them.
  /usr/bin/python3 -c 'import sysconfig; open(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null || packages+=(python3-dev)
  ;;
bench)
  need nginx nginx-light
  need openssl openssl
  need keytool default-jdk-headless
  for package in "${maven[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || packages+=("$package")
  done
  /usr/bin/python3 -c 'import ensurepip, pip, venv' 2>/dev/null || packages+=(python3 python3-pip python3-venv)
  ;;
esac
if ((${#packages[@]})); then
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
  echo "setup: installing ${packages[*]}"
  "${as_root[@]}" apt-get update -qq
  # Debian 12 has a Rust of its own age and a newer one for browsers; later releases have rustup.
  if apt-cache policy rustup | grep -q 'Candidate: [0-9]'; then rust=(rustup); else rust=(cargo-web rustc-web); fi
  for index in "${!packages[@]}"; do
    if [ "${packages[index]}" = rust ]; then
      unset "packages[index]"
      packages+=("${rust[@]}")
    fi
  done
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi
# rustup brings a cargo that has no compiler before it is told which.
if ! cargo --version >/dev/null 2>&1; then
  rustup toolchain install --profile minimal stable
fi
# Clippy's policy on dependencies: licences, bans, sources.
if [ "$want" = check ] && ! cargo deny --version >/dev/null 2>&1; then
  cargo install --locked --quiet cargo-deny
fi
if [ "$want" = test ]; then
  tools=target/tools
  mkdir -p "$tools"
  # The strict CycloneDX validator, in an environment that every user may read.
  if ! "$tools/bin/python" -c 'import cyclonedx.validation.json, jsonschema' 2>/dev/null; then
    /usr/bin/python3 -m venv "$tools"
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check 'cyclonedx-python-lib[json-validation]==11.*'
  fi
  # Readers of in-toto statements and DSSE envelopes that are not v4run's own.
  if ! "$tools/bin/python" -c 'import cryptography, in_toto_attestation, securesystemslib' 2>/dev/null; then
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: \
      'in-toto-attestation==0.9.*' 'securesystemslib[crypto]==1.*'
  fi
  # The schema of SARIF, from a package of the format's own makers.
  if [ ! -f "$tools/sarif-2.1.0.json" ]; then
    scratch=$(mktemp -d)
    (cd "$scratch" && npm pack --silent @microsoft/jest-sarif@1.0.0-beta.0 >/dev/null && tar -xzf ./*.tgz)
    cp "$scratch/package/lib/schemas/sarif-2.1.0-rtm.5.json" "$tools/sarif-2.1.0.json"
    rm -rf "$scratch"
  fi
  # Published packages to which the published signatures and attestations of the tests belong: the
  # archives as npm fetches them, and wheels with their provenance from a source distribution. That one
  # is fetched by its digest and only unpacked: pip would run its build.
  if [ ! -d "$tools/vectors" ]; then
    scratch=$(mktemp -d)
    (cd "$scratch" && npm pack --silent sigstore@1.0.0 tuf-js@1.0.0 >/dev/null)
    "$tools/bin/python" scripts/vectors.py "$scratch"
    # A bundle over the bytes of one of those wheels, from the sources of the library that verifies it.
    manifest=$(cargo metadata --locked --format-version 1 | /usr/bin/python3 -c '
import json, sys
packages = json.load(sys.stdin)["packages"]
print(next(one["manifest_path"] for one in packages if one["name"] == "sigstore-verify"))')
    cp "${manifest%/*}/test_data/bundles/bundle_v3_github.whl.sigstore" "$scratch/rfc8785.sigstore.json"
    chmod -R a+rX "$scratch"
    cp -r "$scratch" "$tools/vectors.new"
    mv "$tools/vectors.new" "$tools/vectors"
    rm -rf "$scratch"
  fi
  # uv, of the version that its driver was written for.
  if ! "$tools/bin/uv" --version >/dev/null 2>&1; then
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: 'uv==0.13.*'
  fi
  # Docker's default system-call profile, from the package of its source.
  if [ ! -f "$tools/docker-default.json" ]; then
    scratch=$(mktemp -d)
    chmod 755 "$scratch"
    (cd "$scratch" && apt-get download -qq golang-github-docker-docker-dev 2>/dev/null || {
      apt-get update -qq && apt-get download -qq golang-github-docker-docker-dev
    })
    (cd "$scratch" && dpkg-deb -x ./*.deb .)
    cp "$scratch/usr/share/gocode/src/github.com/docker/docker/profiles/seccomp/default.json" "$tools/docker-default.json"
    rm -rf "$scratch"
  fi
fi
