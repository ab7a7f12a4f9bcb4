#!/usr/bin/env bash
# Puts a built program with its manual page, its completions and a page for each finding code below a
# prefix: scripts/install.sh PROGRAM PREFIX. All of them are made by the program itself.
set -euo pipefail
program=${1:?program} prefix=${2:?prefix}
share=$prefix/share
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$program" generate man >"$work/v4run.1"
for shell in bash zsh fish; do "$program" generate completions "$shell" >"$work/$shell"; done
"$program" generate schema >"$work/schema.json"
"$program" generate codes "$work/codes"
install -D -m 0755 "$program" "$prefix/bin/v4run"
install -D -m 0644 "$work/v4run.1" "$share/man/man1/v4run.1"
install -D -m 0644 "$work/bash" "$share/bash-completion/completions/v4run"
install -D -m 0644 "$work/zsh" "$share/zsh/site-functions/_v4run"
install -D -m 0644 "$work/fish" "$share/fish/vendor_completions.d/v4run.fish"
install -D -m 0644 "$work/schema.json" "$share/v4run/v4run.schema.json"
install -D -m 0644 -t "$share/doc/v4run/codes" "$work"/codes/*
