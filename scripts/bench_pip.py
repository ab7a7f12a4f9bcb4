"""Measures v4run against bare pip: wall time and own processor time for 12 and 100 wheels.

The index is nginx on loopback with TLS and static pages (PEP 503); the wheels are fetched once
through pip's own client. v4run and bare pip alternate, each in a new environment; the environments
are compared. What is shared with the npm bench, and why runs have directories of their own, is in
bench.py. Results go to target/bench/results-pip.json.
"""

import argparse
import hashlib
import html
import json
import os
import pathlib
import re
import shutil
import statistics

import bench

WORK = bench.ROOT / "target" / "bench-pip"
# Nothing is removed before the last measurement: for minutes ext4 searches past freed inodes whenever
# a file is made, which costs pip more than anything measured here.
RUNS = WORK / f"runs-{os.getpid()}"
PYTHON = "/usr/bin/python3"
SETS = {
    12: ["flask", "requests"],
    100: ["notebook", "flask", "requests", "sphinx", "pytest", "django", "celery", "boto3", "pandas", "cryptography", "black", "mypy", "tox", "scrapy", "httpx", "rich"],
}


def fetch(size):
    """The wheels of a set and an index of them; names and digests as requirements."""
    place = WORK / str(size)
    if not (place / "requirements.txt").exists():
        shutil.rmtree(place, ignore_errors=True)
        wheels = place / "site" / "files"
        bench.call([PYTHON, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "-d", wheels, *SETS[size]])
        lines = []
        for wheel in sorted(os.listdir(wheels))[:size]:
            name, version = wheel.split("-")[:2]
            name = re.sub(r"[-_.]+", "-", name).lower()
            digest = hashlib.sha256((wheels / wheel).read_bytes()).hexdigest()
            page = place / "site" / "simple" / name
            page.mkdir(parents=True)
            link = f'<a href="/files/{html.escape(wheel)}#sha256={digest}">{html.escape(wheel)}</a>'
            (page / "index.html").write_text(f"<!DOCTYPE html><html><body>{link}</body></html>")
            lines.append(f"{name}=={version} --hash=sha256:{digest}")
        (place / "requirements.txt").write_text("\n".join(lines) + "\n")
    return place / "site", place / "requirements.txt"


def install(kind, registry, requirements, watch=False):
    place = RUNS / str(len(os.listdir(RUNS)))
    project, home, environment = place / "project", place / "home", place / "env"
    (home / ".config" / "pip").mkdir(parents=True)
    project.mkdir()
    shutil.copy(requirements, project / "requirements.txt")
    config = f"[global]\nindex-url = https://localhost:{registry.port}/simple/\ncert = {registry.ca}\ndisable-pip-version-check = true\n"
    (home / ".config" / "pip" / "pip.conf").write_text(config)
    bench.call([PYTHON, "-m", "venv", environment])
    # The sets are cut at their size, so that what they need of each other may be missing.
    words = [str(environment / "bin" / "pip"), "install", "--quiet", "--no-deps", "-r", "requirements.txt"]
    command = words if kind == "bare" else [str(bench.V4RUN), *words]
    return {"environment": environment, **bench.timed(command, project, home, watch)}


def files(environment):
    """Names and contents, without compiled files and without the environment's own path in scripts."""
    found = {}
    for directory, _, names in os.walk(environment):
        for name in names:
            path = pathlib.Path(directory) / name
            if path.suffix != ".pyc" and not path.is_symlink():
                key = str(path.relative_to(environment))
                # RECORD states the digests of scripts, which name the environment.
                text = b"" if name == "RECORD" else path.read_bytes().replace(str(environment).encode(), b"")
                found[key] = hashlib.sha256(text).hexdigest()
    return found


def measure(size, pairs):
    site, requirements = fetch(size)
    registry = bench.Registry(site)
    try:
        sample = {kind: files(install(kind, registry, requirements)["environment"]) for kind in ("bare", "v4run")}
        if sample["bare"] != sample["v4run"]:
            differing = {key for key in sample["bare"] | sample["v4run"] if sample["bare"].get(key) != sample["v4run"].get(key)}
            raise SystemExit(f"v4run installed another environment than bare pip: {sorted(differing)[:5]}")
        walls = []
        for index in range(pairs):
            order = ("bare", "v4run") if index % 2 == 0 else ("v4run", "bare")
            wall = {kind: install(kind, registry, requirements)["wall_s"] for kind in order}
            walls.append((wall["bare"], wall["v4run"]))
            print(f"{size} wheels, pair {index + 1}/{pairs}: bare {wall['bare']:.2f} s, v4run {wall['v4run']:.2f} s", flush=True)
        own = [install("v4run", registry, requirements, watch=True) for _ in range(3)]
    finally:
        registry.stop()
    return {
        "wheels": len(requirements.read_text().splitlines()),
        "wall": bench.ratio(walls),
        "bare_wall_s": statistics.fmean(a for a, _ in walls),
        "own_cpu_s": statistics.fmean(run["own_cpu_s"] for run in own),
        "memory_mib": statistics.fmean(run["memory_mib"] for run in own),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=15)
    pairs = parser.parse_args().pairs
    bench.WORK.mkdir(parents=True, exist_ok=True)
    RUNS.mkdir(parents=True)
    try:
        results = {size: measure(size, pairs) for size in SETS}
    finally:
        shutil.rmtree(RUNS)
    (bench.WORK / "results-pip.json").write_text(json.dumps(results, indent=2) + "\n")
    for result in results.values():
        w = result["wall"]
        print(f"""
pip, {result['wheels']} wheels, {w['pairs']} alternated pairs
wall, v4run / bare       {w['ratio']:.3f}  (95 %: {w['low']:.3f} to {w['high']:.3f}), bare {result['bare_wall_s']:.2f} s
own processor time       {result['own_cpu_s']:.2f} s
memory (PSS, peak)       {result['memory_mib']:.1f} MiB""")


if __name__ == "__main__":
    main()
