#!/usr/bin/env bash
# What is given to others, in target/package: a Debian package and a tarball of the static program with its
# manual page, completions, schema and pages, an inventory of its own (CycloneDX), and the digests of all.
# Usage: scripts/package.sh [PROGRAM]; without one the static program, which is built where it is missing.
# The same program gives the same files. Everything is unpacked and tried before it is left there.
set -euo pipefail
cd "$(dirname "$0")/.."
program=${1:-target/static/v4run}
[ -e "$program" ] || scripts/static.sh build
export SOURCE_DATE_EPOCH=0 LC_ALL=C
umask 022
version=$("$program" --version | cut -d' ' -f2)
case $(readelf --file-header "$program" | sed -n 's/ *Machine: *//p') in
*X86-64) machine=amd64 rust=x86_64-unknown-linux-gnu ;;
AArch64) machine=arm64 rust=aarch64-unknown-linux-gnu ;;
*) echo "package: a machine that nothing is known of" >&2; exit 1 ;;
esac
out=target/package
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf "$out" && mkdir -p "$out"

scripts/install.sh "$program" "$work/tree/usr"
doc=$work/tree/usr/share/doc/v4run
install -m 0644 LICENSE "$doc/copyright"
install -m 0644 README.md SECURITY.md "$doc/"
gzip -9n <CHANGELOG.md >"$doc/changelog.gz"
gzip -9n "$work/tree/usr/share/man/man1/v4run.1"
python3 scripts/sbom.py "$program" "$rust" >"$out/v4run-$version.cdx.json"
install -m 0644 "$out/v4run-$version.cdx.json" "$work/tree/usr/share/v4run/v4run.cdx.json"

name=v4run-$version-${rust%%-*}-linux
cp -a "$work/tree/usr" "$work/$name"
tar -C "$work" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - "$name" |
  gzip -9n >"$out/$name.tar.gz"

mkdir "$work/tree/DEBIAN"
if readelf --dynamic "$program" | grep -q NEEDED; then depends='Depends: libc6'; else depends=; fi
cat >"$work/tree/DEBIAN/control" <<CONTROL
Package: v4run
Version: $version
Architecture: $machine
Section: devel
Priority: optional
Installed-Size: $(du -sk "$work/tree/usr" | cut -f1)
Maintainer: v4run maintainers <maintainers@v4run.invalid>
Description: sandboxed install interceptor for package managers
 Runs npm, pip, uv and Maven so that nothing that was downloaded is executed and every byte is
 verified before the package manager sees it, and leaves a record that a machine can check.
CONTROL
if [ -n "$depends" ]; then sed -i "/^Priority/a $depends" "$work/tree/DEBIAN/control"; fi
(cd "$work/tree" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
find "$work/tree" -exec touch --no-dereference --date=@0 {} +
dpkg-deb --root-owner-group --build -Zxz "$work/tree" "$out/v4run_${version}_$machine.deb" >/dev/null
(cd "$out" && sha256sum -- *.deb *.json *.tar.gz >SHA256SUMS)

# Tried as it will be unpacked.
(cd "$out" && sha256sum --check --quiet SHA256SUMS)
mkdir "$work/deb" "$work/tar"
dpkg-deb -x "$out/v4run_${version}_$machine.deb" "$work/deb"
tar -C "$work/tar" -xzf "$out/$name.tar.gz"
for tried in "$work/deb/usr" "$work/tar/$name"; do
  cmp "$program" "$tried/bin/v4run"
  [ "$("$tried/bin/v4run" --version)" = "v4run $version" ]
  gzip -dc "$tried/share/man/man1/v4run.1.gz" | grep -q '^.SH "EXIT STATUS"'
done
if target/tools/bin/python -c 'import cyclonedx.validation.json' 2>/dev/null; then
  target/tools/bin/python - "$out/v4run-$version.cdx.json" <<'PYTHON'
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())
sys.exit(f"package: the inventory does not conform: {error}" if error else 0)
PYTHON
fi
(cd "$out" && ls -l --time-style=+ | awk 'NR > 1 { print "package: " $6 ", " $5 " bytes" }')
