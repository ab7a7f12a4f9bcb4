"""Measures what signatures cost: the same binary and the same registry, with and without keys to check by.

The registry of bench.py also serves the document of each version with a signature over name, version and
digest, by a key made for this run. With that key in the project's policy v4run asks for each document and
checks each signature; without it, it asks for the registry's list of keys, finds none, and asks no more.
Runs alternate, every run begins with an empty store, and a run in which a signature was not verified fails
the bench. Own processor time is taken in runs of their own. Results go to target/bench/signed.json.
"""

import argparse
import base64
import json
import re
import shutil
import statistics
import subprocess

import bench
from bench import WORK


def sign(site, lock):
    """Writes the document of every package of a lock, signed; gives the policy that names the key."""
    key = WORK / "signing.pem"
    bench.call(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key])
    public = subprocess.run(["openssl", "ec", "-in", key, "-pubout", "-outform", "DER"], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    count = 0
    for path, entry in json.loads(lock.read_text())["packages"].items():
        if not path:
            continue
        name = entry.get("name") or path.rpartition("node_modules/")[2]
        message = f"{name}@{entry['version']}:{entry['integrity']}".encode()
        made = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=message, check=True, stdout=subprocess.PIPE).stdout
        document = {
            "name": name,
            "version": entry["version"],
            "dist": {"integrity": entry["integrity"], "signatures": [{"keyid": "bench", "sig": base64.b64encode(made).decode()}]},
            "_npmOperationalInternal": {"tmp": f"tmp/{name.rpartition('/')[2]}_{entry['version']}_1700000000000_0.1"},
            # Documents of real registries have some kilobytes of manifest.
            "description": "x" * 3000,
        }
        file = site / name / entry["version"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document))
        count += 1
    return f'id = "bench"\nkey = "{base64.b64encode(public).decode()}"\n', count


def install(kind, project, home, policy, watch=False):
    project, home = bench.fresh(project, home)
    if kind == "signed":
        (project / "v4run.toml").write_text(policy)
    record = project.parent / "record"
    run = bench.timed([str(bench.V4RUN), "--record", str(record), "npm", "ci"], project, home, watch)
    verified = open_ = 0
    for line in (record / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["kind"] == "vouched":
            good = any(check["standing"] == "verified" for check in event.get("checks", []))
            verified, open_ = verified + good, open_ + (not good)
    return {**run, "verified": verified, "open": open_}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=30)
    pairs = parser.parse_args().pairs
    project, site = bench.fetch_packages()
    registry = bench.Registry(site)
    try:
        home = WORK / "home"
        for place in (home, WORK / "runs"):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
        base = f"https://localhost:{registry.port}/"
        (home / ".npmrc").write_text(f"registry={base}\ncafile={registry.ca}\naudit=false\nfund=false\nupdate-notifier=false\n")
        lock = project / "package-lock.json"
        lock.write_text(re.sub(r"https://localhost:\w+/", base, lock.read_text()))
        named, packages = sign(site, lock)
        policy = f'[[signing-keys]]\norigin = "{base}"\n{named}'
        for kind in ("plain", "signed"):
            install(kind, project, home, policy)
        registry.served()
        walls, served, left = [], {}, []
        for index in range(pairs):
            wall = {}
            for kind in ("plain", "signed") if index % 2 == 0 else ("signed", "plain"):
                run = install(kind, project, home, policy)
                wall[kind], served[kind] = run["wall_s"], registry.served()
                if kind == "signed":
                    left.append(run["open"])
                    if run["verified"] == 0:
                        raise SystemExit("no signature was verified")
                elif run["verified"]:
                    raise SystemExit("a signature was verified without a key")
            walls.append((wall["plain"], wall["signed"]))
            print(f"pair {index + 1}/{pairs}: without {wall['plain']:.2f} s, with {wall['signed']:.2f} s, {left[-1]} not answered", flush=True)
        control = [(walls[i][0], walls[i + 1][0]) for i in range(pairs - 1)]
        own = {kind: [install(kind, project, home, policy, watch=True)["own_cpu_s"] for _ in range(5)] for kind in ("plain", "signed")}
        results = {
            "commit": bench.call(["git", "describe", "--always", "--dirty"], cwd=bench.ROOT).stdout.strip(),
            "packages": packages,
            "wall": bench.ratio(walls),
            "control": bench.ratio(control),
            "plain_wall_s": statistics.fmean(a for a, _ in walls),
            "own_cpu_s": {kind: statistics.fmean(times) for kind, times in own.items()},
            "not_answered": statistics.fmean(left),
            "served": served,
        }
    finally:
        registry.stop()
        shutil.rmtree(WORK / "runs", ignore_errors=True)
    (WORK / "signed.json").write_text(json.dumps(results, indent=2) + "\n")
    w, c, own = results["wall"], results["control"], results["own_cpu_s"]
    print(f"""
{packages} packages, {w['pairs']} alternated pairs, commit {results['commit']}
wall, with / without signatures  {w['ratio']:.3f}  (95 %: {w['low']:.3f} to {w['high']:.3f}), without {results['plain_wall_s']:.2f} s
wall, without / without          {c['ratio']:.3f}  (95 %: {c['low']:.3f} to {c['high']:.3f})
own processor time               {own['plain']:.2f} s without, {own['signed']:.2f} s with
signatures not answered in time  {results['not_answered']:.1f} of {packages}
server saw                       without {served['plain']}, with {served['signed']}""")


if __name__ == "__main__":
    main()
