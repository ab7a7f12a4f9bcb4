"""Measures v4run against bare Maven: `dependency:resolve` of 60 and of 300 artifacts from nothing.

The repository is nginx on loopback with TLS: the artifacts that Debian's packages installed, and
generated ones that depend on each other, each with a `.sha1` beside it. Once without latency and
once behind a relay of this script that delays every byte by 5 ms in each direction. v4run and bare
Maven alternate, each with an empty local repository; the local repositories are compared. What is
shared with the npm bench, and why runs have directories of their own, is in bench.py. Results go to
target/bench/results-mvn.json.
"""

import argparse
import asyncio
import hashlib
import json
import multiprocessing
import os
import pathlib
import random
import shutil
import socket
import statistics
import zipfile

import bench

WORK = bench.ROOT / "target" / "bench-mvn"
INSTALLED = pathlib.Path("/usr/share/maven-repo")
SIZES = (60, 300)
LATENCIES = (0, 10)
PLUGINS = ("clean:3.2.0", "resources:3.3.0", "jar:3.3.0", "compiler:3.10.1", "surefire:2.22.3", "install:3.1.0", "deploy:3.0.0", "dependency:3.5.0")
POM = '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version>{}</project>'
NEEDED = "<dependency><groupId>bench</groupId><artifactId>{}</artifactId><version>1.0</version></dependency>"


def put(site, path, content):
    file = site / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    (site / (path + ".sha1")).write_text(hashlib.sha1(content).hexdigest())


def artifact(site, name, needed, chance):
    """One generated artifact: most are small, some have a megabyte."""
    dependencies = "".join(NEEDED.format(one) for one in needed)
    pom = POM.format("bench", name, "1.0", f"<dependencies>{dependencies}</dependencies>")
    put(site, f"bench/{name}/1.0/{name}-1.0.pom", pom.encode())
    jar = WORK / "jar"
    with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/MANIFEST.MF", f"Manifest-Version: 1.0\r\nAutomatic-Module-Name: bench.{name}\r\n\r\n")
        for number in range(chance.randint(5, 60)):
            archive.writestr(f"bench/{name}/{number}.txt", chance.randbytes(chance.choice((500, 2000, 8000, 30000))))
    put(site, f"bench/{name}/1.0/{name}-1.0.jar", jar.read_bytes())


def site():
    """The repository as static files."""
    place = WORK / "site"
    if (WORK / "ready").exists():
        return place
    shutil.rmtree(WORK, ignore_errors=True)
    place.mkdir(parents=True)
    for directory, _, names in os.walk(INSTALLED, followlinks=True):
        for name in names:
            file = pathlib.Path(directory) / name
            if file.suffix in (".jar", ".pom") and file.exists():
                put(place, str(file.relative_to(INSTALLED)), file.read_bytes())
    put(place, "org/codehaus/plexus/plexus-utils/1.1/plexus-utils-1.1.pom", POM.format("org.codehaus.plexus", "plexus-utils", "1.1", "").encode())
    with zipfile.ZipFile(WORK / "jar", "w") as archive:
        archive.writestr("unused", "")
    put(place, "org/codehaus/plexus/plexus-utils/1.1/plexus-utils-1.1.jar", (WORK / "jar").read_bytes())
    chance = random.Random(4)
    for size in SIZES:
        names = [f"part{size}-{number}" for number in range(size)]
        for number, name in enumerate(names):
            # Each is needed by one before it, and by some more.
            needed = [names[at] for at in range(number * 3 + 1, min(number * 3 + 4, size))]
            later = names[number + 1 :]
            needed += chance.sample(later, min(2, len(later)))
            artifact(place, name, sorted(set(needed)), chance)
    (WORK / "ready").touch()
    return place


async def carry(reader, writer, delay):
    """Hands on every piece at its time, in order, without waiting for it before the next is read."""
    loop, queue = asyncio.get_running_loop(), asyncio.Queue()

    async def send():
        while (item := await queue.get()) is not None:
            at, piece = item
            await asyncio.sleep(max(0, at - loop.time()))
            writer.write(piece)
            await writer.drain()
        writer.close()

    sender = asyncio.create_task(send())
    try:
        while piece := await reader.read(1 << 16):
            queue.put_nowait((loop.time() + delay, piece))
    except OSError:
        pass
    queue.put_nowait(None)
    try:
        await sender
    except OSError:
        pass


def relay(port, to, delay):
    async def accept(reader, writer):
        other = await asyncio.open_connection("127.0.0.1", to)
        await asyncio.gather(carry(reader, other[1], delay), carry(other[0], writer, delay))

    async def serve():
        server = await asyncio.start_server(accept, "127.0.0.1", port)
        await server.serve_forever()

    asyncio.run(serve())


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def trust_store(registry):
    """Java reads no PEM."""
    store = WORK / "trust.p12"
    store.unlink(missing_ok=True)
    bench.call(["keytool", "-importcert", "-noprompt", "-alias", "bench", "-file", registry.ca, "-keystore", store, "-storetype", "PKCS12", "-storepass", "public"])
    return store


def resolve(kind, size, port, registry, store, watch=False):
    place = WORK / "runs" / str(len(os.listdir(WORK / "runs")))
    project, home = place / "project", place / "home"
    (home / ".m2").mkdir(parents=True)
    project.mkdir()
    plugins = "".join(
        f"<plugin><artifactId>maven-{name}-plugin</artifactId><version>{version}</version></plugin>"
        for name, version in (plugin.split(":") for plugin in PLUGINS)
    )
    body = f"<build><pluginManagement><plugins>{plugins}</plugins></pluginManagement></build><dependencies>{NEEDED.format(f'part{size}-0')}</dependencies>"
    (project / "pom.xml").write_text(POM.format("bench", "project", "1.0", body))
    mirror = f"<mirror><id>bench</id><mirrorOf>*</mirrorOf><url>https://localhost:{port}/</url></mirror>"
    (home / ".m2" / "settings.xml").write_text(f"<settings><mirrors>{mirror}</mirrors></settings>")
    goal = ["-B", "-q", "dependency:resolve"]
    if kind == "bare":
        options = f"-Duser.home={home} -Djavax.net.ssl.trustStore={store} -Djavax.net.ssl.trustStorePassword=public"
        command = ["env", f"MAVEN_OPTS={options}", "mvn", *goal]
    else:
        command = ["env", f"SSL_CERT_FILE={registry.ca}", str(bench.V4RUN), "mvn", *goal]
    return {"local": home / ".m2" / "repository", **bench.timed(command, project, home, watch)}


def files(local):
    """Artifacts and metadata; what Maven writes with times in it is left out."""
    found = {}
    for directory, _, names in os.walk(local):
        for name in names:
            if name.endswith((".jar", ".pom", ".xml", ".sha1")):
                path = pathlib.Path(directory) / name
                found[str(path.relative_to(local))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def measure(size, latency, pairs, registry, store):
    shutil.rmtree(WORK / "runs", ignore_errors=True)
    (WORK / "runs").mkdir()
    port, process = registry.port, None
    if latency:
        port = free_port()
        process = multiprocessing.Process(target=relay, args=(port, registry.port, latency / 2000), daemon=True)
        process.start()
    try:
        expected = {}

        def run(kind, watch=False):
            result = resolve(kind, size, port, registry, store, watch)
            found = files(result["local"])
            expected.setdefault("files", found)
            if found != expected["files"]:
                differing = {key for key in found | expected["files"] if found.get(key) != expected["files"].get(key)}
                raise SystemExit(f"{kind} made another local repository than bare Maven: {sorted(differing)[:5]}")
            return result

        # The first run of bare Maven says what is to be there.
        for kind in ("bare", "v4run"):
            run(kind)
        walls, served = [], {}
        registry.served()
        for index in range(pairs):
            wall = {}
            for kind in ("bare", "v4run") if index % 2 == 0 else ("v4run", "bare"):
                wall[kind] = run(kind)["wall_s"]
                served[kind] = registry.served()
            walls.append((wall["bare"], wall["v4run"]))
            print(f"{size} artifacts, {latency} ms, pair {index + 1}/{pairs}: bare {wall['bare']:.2f} s, v4run {wall['v4run']:.2f} s", flush=True)
        own = run("v4run", watch=True)
    finally:
        if process:
            process.terminate()
        shutil.rmtree(WORK / "runs", ignore_errors=True)
    return {
        "artifacts": size,
        "latency_ms": latency,
        "wall": bench.ratio(walls),
        "bare_wall_s": statistics.fmean(a for a, _ in walls),
        "own_cpu_s": own["own_cpu_s"],
        "memory_mib": own["memory_mib"],
        "served": served,
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=15)
    pairs = parser.parse_args().pairs
    bench.WORK.mkdir(parents=True, exist_ok=True)
    registry = bench.Registry(site())
    try:
        store = trust_store(registry)
        results = [measure(size, latency, pairs, registry, store) for latency in LATENCIES for size in SIZES]
    finally:
        registry.stop()
    (bench.WORK / "results-mvn.json").write_text(json.dumps(results, indent=2) + "\n")
    for result in results:
        w = result["wall"]
        print(f"""
Maven, {result['artifacts']} artifacts, {result['latency_ms']} ms, {w['pairs']} alternated pairs
wall, v4run / bare       {w['ratio']:.3f}  (95 %: {w['low']:.3f} to {w['high']:.3f}), bare {result['bare_wall_s']:.2f} s
own processor time       {result['own_cpu_s']:.2f} s
memory (PSS, peak)       {result['memory_mib']:.1f} MiB
server saw               bare {result['served']['bare']}, v4run {result['served']['v4run']}""")


if __name__ == "__main__":
    main()
