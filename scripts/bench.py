"""Measures v4run against bare npm: own processor time, memory, start-up, notifications, wall time.

The registry is nginx on loopback with TLS and static files; the packages are those of a lockfile
with at least 450 entries, fetched once through npm's own client and cache. Every figure comes from
this run: v4run and bare npm alternate, and bare npm against itself is the control. A run that fails,
or installs another tree, fails the bench. Results go to target/bench/results.json.
"""

import argparse
import base64
import hashlib
import json
import math
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "target" / "bench"
V4RUN = ROOT / "target" / "release" / "v4run"
NPM = os.path.realpath(shutil.which("npm"))
NODE = os.path.realpath(shutil.which("node"))
PROJECT = {
    "name": "bench",
    "version": "1.0.0",
    "private": True,
    "dependencies": {"express": "^4"},
    "devDependencies": {"eslint": "^8", "jest": "^29", "webpack": "^5", "typescript": "^5"},
}
TICK = os.sysconf("SC_CLK_TCK")


def call(arguments, **options):
    return subprocess.run(arguments, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def fetch_packages():
    """A lockfile and, from npm's cache, the tarball of every entry."""
    project, cache, site = WORK / "project", WORK / "cache", WORK / "site"
    if (WORK / "ready").exists():
        return project, site
    shutil.rmtree(WORK, ignore_errors=True)
    project.mkdir(parents=True)
    (project / "package.json").write_text(json.dumps(PROJECT))
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", f"--cache={cache}"]
    call(["npm", "install", "--package-lock-only", "--no-omit-lockfile-registry-resolved", *quiet], cwd=project)
    call(["npm", "ci", *quiet], cwd=project)
    shutil.rmtree(project / "node_modules")
    lock = json.loads((project / "package-lock.json").read_text())
    for path, entry in lock["packages"].items():
        if not path:
            continue
        name = entry.get("name") or path.rpartition("node_modules/")[2]
        algorithm, encoded = entry["integrity"].split("-", 1)

        digest = base64.b64decode(encoded).hex()
        content = cache / "_cacache" / "content-v2" / algorithm / digest[:2] / digest[2:4] / digest[4:]
        file = f"{name}/-/{name.rpartition('/')[2]}-{entry['version']}.tgz"
        entry["resolved"] = f"https://localhost:PORT/{file}"
        if content.exists():  # optional packages of other platforms are never fetched
            (site / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(content, site / file)
    (project / "package-lock.json").write_text(json.dumps(lock, indent=1))
    (WORK / "ready").touch()
    return project, site


class Registry:
    """nginx with a certificate made for this run."""

    def __init__(self, site):
        self.home = WORK / "nginx"
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir()
        self.ca = self.home / "ca.pem"
        make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        call(make + ["-subj", "/CN=bench", "-keyout", self.home / "ca.key", "-out", self.ca])
        call(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
              "-keyout", self.home / "key.pem", "-out", self.home / "request.pem"])
        (self.home / "extensions").write_text("subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n")
        call(["openssl", "x509", "-req", "-in", self.home / "request.pem", "-CA", self.ca, "-CAkey", self.home / "ca.key",
              "-CAcreateserial", "-days", "2", "-extfile", self.home / "extensions", "-out", self.home / "cert.pem"])
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = self.home / "access.log"
        (self.home / "nginx.conf").write_text(f"""
daemon off; pid {self.home}/pid; error_log {self.home}/error.log; worker_processes 1;
events {{ worker_connections 512; }}
http {{
  log_format line '$connection $request_method $status $server_protocol'; access_log {self.log} line;
  types {{ text/html html; }}
  client_body_temp_path {self.home}/t1; proxy_temp_path {self.home}/t2; fastcgi_temp_path {self.home}/t3;
  uwsgi_temp_path {self.home}/t4; scgi_temp_path {self.home}/t5; keepalive_requests 100000; sendfile on;
  server {{ listen 127.0.0.1:{self.port} ssl http2; ssl_certificate {self.home}/cert.pem;
    ssl_certificate_key {self.home}/key.pem; root {site}; default_type application/octet-stream; }}
}}""")
        self.process = subprocess.Popen(["nginx", "-p", self.home, "-c", self.home / "nginx.conf"], stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                break
            except OSError:
                time.sleep(0.05)

    def served(self):
        lines = self.log.read_text().splitlines()
        self.log.write_text("")
        return {"requests": len(lines), "connections": len({line.split()[0] for line in lines})}

    def stop(self):
        self.process.terminate()
        self.process.wait()


def children(pid):
    try:
        text = "".join(f.read_text() for f in pathlib.Path(f"/proc/{pid}/task").glob("*/children"))
    except OSError:
        return []
    return [int(word) for word in text.split()]


class Watcher(threading.Thread):
    """Processor time and peak memory of v4run's own processes: session and proxy, not the manager."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.ticks, self.memory, self.done = pid, {}, 0, False

    def run(self):
        step = 0
        while not self.done:
            own = [self.pid]
            for child in children(self.pid):
                try:
                    command = pathlib.Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if b"__proxy" in command:
                    own.append(child)
            for pid in own:
                try:
                    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                    self.ticks[pid] = int(fields[11]) + int(fields[12])
                except (OSError, IndexError):
                    pass
            if step % 5 == 0:
                total = 0
                for pid in own:
                    try:
                        rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
                        total += int(re.search(r"^Pss:\s+(\d+)", rollup, re.M)[1])
                    except (OSError, TypeError):
                        pass
                self.memory = max(self.memory, total)
            step += 1
            time.sleep(0.02)

    def result(self):
        self.done = True
        self.join()
        return {"own_cpu_s": sum(self.ticks.values()) / TICK, "memory_mib": self.memory / 1024}


def environment(home):
    return {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "XDG_STATE_HOME": str(home / "state"), "LANG": "C.UTF-8"}


def tree(root):
    """Digest of names, kinds, modes and contents."""
    digest = hashlib.sha256()
    for directory, names, files in sorted(os.walk(root)):
        for name in sorted(names + files):
            path = os.path.join(directory, name)
            status = os.lstat(path)
            if name == ".package-lock.json":
                continue
            content = os.readlink(path) if os.path.islink(path) else (open(path, "rb").read() if name in files else b"")
            digest.update(repr((os.path.relpath(path, root), status.st_mode, content)).encode())
    return digest.hexdigest()


def fresh(project, home):
    """A project and a home that no run has used. Nothing is removed before the bench ends: ext4 does
    not give out inodes again for some time after they were freed, and searching past them multiplied
    the system time of both sides."""
    place = WORK / "runs" / str(len(os.listdir(WORK / "runs")))
    copies = place / "project", place / "home"
    for source, copy in zip((project, home), copies):
        copy.mkdir(parents=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            if (source / name).exists():
                shutil.copy(source / name, copy)
    return copies


def install(kind, project, home, watch=False):
    project, home = fresh(project, home)
    command = ["npm", "ci", "--ignore-scripts"] if kind == "bare" else [str(V4RUN), "npm", "ci"]
    return {"tree": project / "node_modules", **timed(command, project, home, watch)}


def timed(command, project, home, watch):
    """Wall time of a command that must succeed and, where it is watched, what v4run's processes took."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=project, env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    watcher = Watcher(process.pid) if watch else None
    if watcher:
        watcher.start()
    output = process.communicate()[0]
    wall = time.perf_counter() - start
    measured = watcher.result() if watcher else {}
    if process.returncode != 0:
        raise SystemExit(f"{command} failed with {process.returncode}:\n{output.decode()}")
    return {"wall_s": wall, **measured}


def ratio(pairs):
    """Geometric mean of the ratios and its 95 % interval."""
    logs = [math.log(b / a) for a, b in pairs]
    mean = statistics.fmean(logs)
    t = {5: 2.571, 10: 2.228, 15: 2.131, 20: 2.086, 30: 2.042}
    factor = t[min(t, key=lambda n: abs(n - len(logs) + 1))]
    half = factor * statistics.stdev(logs) / math.sqrt(len(logs)) if len(logs) > 1 else float("inf")
    return {"ratio": math.exp(mean), "low": math.exp(mean - half), "high": math.exp(mean + half), "pairs": len(pairs)}


MICRO = """
const fs = require('fs'), net = require('net');
const file = process.cwd() + '/file.txt';
const open = (n) => { const t = process.hrtime.bigint(); for (let i = 0; i < n; i++) fs.closeSync(fs.openSync(file, 'r')); return Number(process.hrtime.bigint() - t) / 1e3 / n; };
const proxy = new URL(process.env.HTTPS_PROXY || process.env.BENCH_SERVER);
const connect = () => new Promise((done, fail) => { const s = net.connect(+proxy.port, '127.0.0.1', () => { s.destroy(); done(); }); s.on('error', fail); });
(async () => { open(500); const opens = open(20000); const t = process.hrtime.bigint(); for (let i = 0; i < 500; i++) await connect();
  console.log(JSON.stringify({ open: opens, connect: Number(process.hrtime.bigint() - t) / 1e3 / 500 })); })();
"""


def in_place_of_npm(script):
    """An npm whose program is `script`, in a layout of its own."""
    layout = WORK / "micro"
    shutil.rmtree(layout, ignore_errors=True)
    npm = layout / "lib" / "node_modules" / "npm"
    shutil.copytree(pathlib.Path(NPM).parent.parent, npm, symlinks=True)
    (npm / "bin" / "npm-cli.js").write_text(script)
    (layout / "bin").mkdir()
    (layout / "bin" / "npm").symlink_to("../lib/node_modules/npm/bin/npm-cli.js")
    shutil.copy(NODE, layout / "bin" / "node")
    project = WORK / "micro-project"
    project.mkdir(exist_ok=True)
    (project / "package.json").write_text("{}")
    (project / "file.txt").write_text("content")
    commands = {"bare": [f"{layout}/bin/node", str(npm / "bin" / "npm-cli.js")], "v4run": [str(V4RUN), "npm", "ls"]}
    return layout, project, commands


# Says when it began. In node's place it is what the manager's own first instruction would be.
BEGIN = """
#include <stdio.h>
#include <time.h>
int main(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); printf("%lld", t.tv_sec * 1000000000LL + t.tv_nsec); }
"""


def startup(home, rounds=30):
    """What comes before the manager's first instruction, and what a whole short command adds."""
    layout, project, commands = in_place_of_npm("")
    (layout / "begin.c").write_text(BEGIN)
    call(["cc", "-O2", "-o", layout / "bin" / "node", layout / "begin.c"])
    variables = environment(home) | {"PATH": f"{layout}/bin:/usr/bin:/bin"}
    version = {"bare": [NODE, NPM, "--version"], "v4run": [str(V4RUN), "npm", "--version"]}
    until, whole = {"bare": [], "v4run": []}, {"bare": [], "v4run": []}
    for index in range(rounds + 1):
        for kind in commands:
            start = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
            output = subprocess.run(commands[kind], cwd=project, env=variables, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
            begun = (int(output) - start) / 1e6
            start = time.perf_counter()
            subprocess.run(version[kind], cwd=project, env=environment(home), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if index > 0:  # the first of each reads files that the others find in memory
                until[kind].append(begun)
                whole[kind].append((time.perf_counter() - start) * 1e3)

    def added(times):
        differences = [b - a for a, b in zip(times["bare"], times["v4run"])]
        return statistics.fmean(differences), 2.042 * statistics.stdev(differences) / math.sqrt(rounds)

    (start, start_half), (command, command_half) = added(until), added(whole)
    return {"added_ms": start, "interval_ms": start_half, "command_ms": command, "command_interval_ms": command_half}


def micro(home, registry):
    """Microseconds a notified open and connect cost, by a script in npm's place."""
    layout, project, commands = in_place_of_npm(MICRO)
    variables = environment(home) | {"PATH": f"{layout}/bin:/usr/bin:/bin", "BENCH_SERVER": f"http://127.0.0.1:{registry.port}"}
    results = {"bare": [], "v4run": []}
    for _ in range(5):
        for kind, command in commands.items():
            output = subprocess.run(command, cwd=project, env=variables, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
            results[kind].append(json.loads(output))
    best = {kind: {key: min(run[key] for run in runs) for key in runs[0]} for kind, runs in results.items()}
    return {f"{key}_added_us": best["v4run"][key] - best["bare"][key] for key in ("open", "connect")}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=15)
    pairs = parser.parse_args().pairs
    project, site = fetch_packages()
    registry = Registry(site)
    try:
        home = WORK / "home"
        for place in (home, WORK / "runs"):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
        (home / ".npmrc").write_text(f"registry=https://localhost:{registry.port}/\ncafile={registry.ca}\naudit=false\nfund=false\nupdate-notifier=false\n")
        lock = project / "package-lock.json"
        lock.write_text(re.sub(r"https://localhost:\w+/", f"https://localhost:{registry.port}/", lock.read_text()))
        packages = len(json.loads(lock.read_text())["packages"]) - 1
        if tree(install("bare", project, home)["tree"]) != tree(install("v4run", project, home)["tree"]):
            raise SystemExit("v4run installed another tree than bare npm")
        registry.served()
        walls, served = [], {}
        for index in range(pairs):
            wall = {}
            for kind in ("bare", "v4run") if index % 2 == 0 else ("v4run", "bare"):
                wall[kind] = install(kind, project, home)["wall_s"]
                served[kind] = registry.served()
            walls.append((wall["bare"], wall["v4run"]))
            print(f"pair {index + 1}/{pairs}: bare {wall['bare']:.2f} s, v4run {wall['v4run']:.2f} s", flush=True)
        # Bare against itself, from neighbouring pairs: what the host alone does to a ratio.
        control = [(walls[i][0], walls[i + 1][0]) for i in range(pairs - 1)]
        # Sampling takes processor time of its own, so it is kept out of the timed runs.
        own = [install("v4run", project, home, watch=True) for _ in range(3)]
        results = {
            "commit": call(["git", "describe", "--always", "--dirty"], cwd=ROOT).stdout.strip(),
            "kernel": os.uname().release,
            "cores": os.cpu_count(),
            "packages": packages,
            "wall": ratio(walls),
            "control": ratio(control),
            "bare_wall_s": statistics.fmean(a for a, _ in walls),
            "own_cpu_s": statistics.fmean(run["own_cpu_s"] for run in own),
            "memory_mib": statistics.fmean(run["memory_mib"] for run in own),
            "startup": startup(home),
            "notified": micro(home, registry),
            "served": served,
        }
    finally:
        registry.stop()
        shutil.rmtree(WORK / "runs", ignore_errors=True)
    (WORK / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    w, c, s, n = results["wall"], results["control"], results["startup"], results["notified"]
    print(f"""
{packages} packages, {w['pairs']} alternated pairs, kernel {results['kernel']}, {results['cores']} cores, commit {results['commit']}
wall, v4run / bare       {w['ratio']:.3f}  (95 %: {w['low']:.3f} to {w['high']:.3f}), bare {results['bare_wall_s']:.2f} s
wall, bare / bare        {c['ratio']:.3f}  (95 %: {c['low']:.3f} to {c['high']:.3f})
own processor time       {results['own_cpu_s']:.2f} s
memory (PSS, peak)       {results['memory_mib']:.1f} MiB
start-up added           {s['added_ms']:.1f} ms ± {s['interval_ms']:.1f} until the manager's first instruction
`npm --version` adds     {s['command_ms']:.1f} ms ± {s['command_interval_ms']:.1f}
a notified open adds     {n['open_added_us']:.1f} µs
a connect adds           {n['connect_added_us']:.1f} µs
server saw               bare {served['bare']}, v4run {served['v4run']}""")


if __name__ == "__main__":
    main()
