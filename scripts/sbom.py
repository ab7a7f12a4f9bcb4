#!/usr/bin/env python3
"""The CycloneDX 1.6 inventory of v4run itself: what is linked into a program, from Cargo.lock.

Usage: scripts/sbom.py PROGRAM TARGET > v4run.cdx.json

Crates of builds and tests only are left out, and so are those that run in the compiler (derive macros): the
graph is walked from v4run over ordinary dependencies of the target. The same sources and program give the same bytes: no time, and a serial number of the content.
"""

import hashlib
import json
import subprocess
import sys
import tomllib
import uuid


def main(program, target):
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    metadata = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    with open("Cargo.lock", "rb") as file:
        lock = tomllib.load(file)["package"]
    digests = {(one["name"], one["version"]): one.get("checksum") for one in lock}

    def linked(identity):
        return sorted(
            dependency["pkg"]
            for dependency in nodes[identity]["deps"]
            if any(kind["kind"] is None for kind in dependency["dep_kinds"])
            and not any("proc-macro" in one["kind"] for one in packages[dependency["pkg"]]["targets"])
        )

    root = metadata["resolve"]["root"]
    seen, waiting = {root}, [root]
    while waiting:
        new = [one for one in linked(waiting.pop()) if one not in seen]
        seen.update(new)
        waiting.extend(new)

    def reference(identity):
        return f"pkg:cargo/{packages[identity]['name']}@{packages[identity]['version']}"

    def component(identity):
        package = packages[identity]
        value = {
            "type": "library",
            "bom-ref": reference(identity),
            "name": package["name"],
            "version": package["version"],
            "purl": reference(identity),
        }
        if package.get("license"):
            # The form that some crates still have for "or".
            value["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
        digest = digests.get((package["name"], package["version"]))
        if digest:
            value["hashes"] = [{"alg": "SHA-256", "content": digest}]
        return value

    with open(program, "rb") as file:
        own = hashlib.sha256(file.read()).hexdigest()
    main_component = component(root) | {"type": "application"}
    main_component["hashes"] = [{"alg": "SHA-256", "content": own}]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": main_component},
        "components": sorted(
            (component(one) for one in seen if one != root), key=lambda one: one["bom-ref"]
        ),
        "dependencies": sorted(
            ({"ref": reference(one), "dependsOn": sorted(map(reference, linked(one)))} for one in seen),
            key=lambda one: one["ref"],
        ),
    }
    serial = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(document, sort_keys=True))
    document["serialNumber"] = f"urn:uuid:{serial}"
    json.dump(document, sys.stdout, indent=1, sort_keys=True)
    print()


main(*sys.argv[1:])
