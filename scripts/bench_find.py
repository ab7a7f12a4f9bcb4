#!/usr/bin/env python3
"""What `v4run find` costs over many records: bench_find.py PROGRAM [COUNT].

The records are made here: each a journal of its own with ten packages, chained as v4run chains it. The first
question reads them all and makes the index; the figures are of those after it, in processor time of the
program itself, which a busy machine does not change much, and in wall time.
"""

import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

ORIGIN = "0" * 64


def journal(events):
    before = ORIGIN
    out = []
    for number, event in enumerate(events):
        entry = {"seq": number, "time": "2026-01-01T00:00:00.000Z", **event, "prev": before}
        line = json.dumps(entry, separators=(",", ":")).encode()
        before = hashlib.sha256(line).hexdigest()
        out.append(line)
    return b"\n".join(out) + b"\n"


def record(number):
    packages = [("only-%05d" % number, "1.0.0")]
    packages += [("shared-%d" % (number % (10 ** k + 7)), "1.%d.0" % k) for k in range(1, 5)]
    packages += [("common-%d" % k, "2.0.0") for k in range(5)]
    yield STARTED
    for name, version in packages:
        yield {**INSTALLED, "name": name, "version": version, "purl": "pkg:npm/%s@%s" % (name, version)}
    yield SEALED


def template(program):
    """The events of a real run, so that their fields are those of this program."""
    with tempfile.TemporaryDirectory() as folder:
        project = os.path.join(folder, "project")
        os.mkdir(project)
        with open(os.path.join(project, "package.json"), "w") as manifest:
            json.dump({"name": "p", "version": "1.0.0"}, manifest)
        target = os.path.join(folder, "record")
        environment = {**os.environ, "HOME": folder, "XDG_CACHE_HOME": folder}
        subprocess.run([program, "--record", target, "npm", "run", "x"], cwd=project, env=environment,
                       stderr=subprocess.DEVNULL)
        with open(os.path.join(target, "events.jsonl")) as lines:
            events = [json.loads(line) for line in lines]
    strip = lambda event: {k: v for k, v in event.items() if k not in ("seq", "time", "prev")}
    kinds = {event["kind"]: strip(event) for event in events}
    return kinds["run-started"], kinds["sealed"]


def ask(program, folder, question):
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([program, "find", "--json", "--records", folder, question], capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    own = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return own, wall, json.loads(done.stdout)


def main(program, count=10000):
    global STARTED, SEALED, INSTALLED
    STARTED, SEALED = template(program)
    INSTALLED = {"kind": "installed", "path": "node_modules/p", "integrity": None, "resolved": None, "dev": False,
                 "optional": False, "bundled": False, "retained": False, "scripts": [], "dependencies": []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(int(count)):
            place = os.path.join(folder, "r%05d" % number)
            os.mkdir(place)
            with open(os.path.join(place, "events.jsonl"), "wb") as out:
                out.write(journal(list(record(number))))
        own, wall, found = ask(program, folder, "only-00007")
        print(f"find: {found['work']['records']} records read for the index: {own:.2f} s of processor, {wall:.2f} s")
        for question, expected in (("only-04711", 1), ("pkg:npm/only-00815@1.0.0", 1), ("shared-3", None),
                                   ("nothing", 0)):
            times = []
            for _ in range(21):
                own, wall, found = ask(program, folder, question)
                times.append((own, wall))
                assert found["work"]["read"] == 0 and found["work"]["records"] == int(count), found["work"]
                assert expected is None or len(found["hits"]) == expected, (question, len(found["hits"]))
            own, wall = (sorted(column)[10] * 1000 for column in zip(*times))
            print(f"find: {question}: {len(found['hits'])} runs, {own:.0f} ms of processor, {wall:.0f} ms (medians of 21)")


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]), *sys.argv[2:])
