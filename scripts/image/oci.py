#!/usr/bin/env python3
"""One folder as an image of one layer: oci.py PROGRAM FOLDER ARCHIVE.

The archive is an OCI image layout with Docker's manifest beside it, which the engines' own commands read
without a registry. Owners, times and order are fixed, so that the same files are the same bytes.
PROGRAM says which machine and version it is for.
"""

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile

MACHINES = {62: "amd64", 183: "arm64"}


def layer(folder):
    """The folder as a tar, everything root's."""
    paths = []
    for place, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        paths += [os.path.join(place, name) for name in sorted(set(folders) | set(files) | set(links))]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path in sorted(paths):
            entry = archive.gettarinfo(path, os.path.relpath(path, folder))
            entry.uid = entry.gid = entry.mtime = 0
            entry.uname = entry.gname = "root"
            if entry.isreg():
                with open(path, "rb") as content:
                    archive.addfile(entry, content)
            else:
                archive.addfile(entry)
    return buffer.getvalue()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def text(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def main(program, folder, target):
    with open(program, "rb") as elf:
        machine = MACHINES[int.from_bytes(elf.read(20)[18:20], "little")]
    version = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
    version = version.stdout.split()[1]
    bare = layer(folder)
    packed = gzip.compress(bare, mtime=0)
    config = text({
        "architecture": machine,
        "config": {"Labels": {
            "org.opencontainers.image.title": "v4run",
            "org.opencontainers.image.version": version,
            "org.opencontainers.image.licenses": "Apache-2.0",
        }},
        "created": "1970-01-01T00:00:00Z",
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "scripts/image.sh"}],
        "os": "linux",
        "rootfs": {"diff_ids": [digest(bare)], "type": "layers"},
    })
    kind = "application/vnd.oci.image."
    manifest = text({
        "config": {"digest": digest(config), "mediaType": kind + "config.v1+json", "size": len(config)},
        "layers": [{"digest": digest(packed), "mediaType": kind + "layer.v1.tar+gzip", "size": len(packed)}],
        "mediaType": kind + "manifest.v1+json",
        "schemaVersion": 2,
    })
    files = {}

    def blob(data):
        path = "blobs/" + digest(data).replace(":", "/")
        files[path] = data
        return path

    entry = {
        "annotations": {"org.opencontainers.image.ref.name": "v4run:latest"},
        "digest": digest(manifest),
        "mediaType": kind + "manifest.v1+json",
        "size": len(manifest),
    }
    blob(manifest)
    # What older engines read: the same blobs under the names that they look for.
    named = {"Config": blob(config), "Layers": [blob(packed)], "RepoTags": ["v4run:" + version, "v4run:latest"]}
    files["index.json"] = text({"manifests": [entry], "schemaVersion": 2})
    files["manifest.json"] = text([named])
    files["oci-layout"] = text({"imageLayoutVersion": "1.0.0"})
    with tarfile.open(target, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path in sorted(files):
            entry = tarfile.TarInfo(path)
            entry.size = len(files[path])
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(files[path]))


if __name__ == "__main__":
    main(*sys.argv[1:])
