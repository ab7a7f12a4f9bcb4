//! What only a container has: a root that cannot be written, v4run as process number 1, a listener that
//! somebody else has, a kernel that is none, and the image that is shown as an example.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use super::child::{Child, NPM};
use super::engine::{Engine, command, place};
use super::{Row, child, image, prelude, preludes, told};
use crate::registry::{On, What};
use crate::run::{Record, v4run};

/// The image that is shown to whoever wants one.
const EXAMPLE: &str = include_str!("../../../scripts/image/Containerfile");

/// Another supervisor, as v4run would be one: a filter with a listener, and in it the command.
const LISTENER: &str = "
import ctypes, platform, struct, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
allow = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 0x7FFF0000))
program = struct.pack('HxxxxxxQ', 1, ctypes.addressof(allow))
number = 317 if platform.machine() == 'x86_64' else 277
assert libc.syscall(number, 1, 8, program) >= 0, 'no listener'
sys.exit(subprocess.run(sys.argv[1:]).returncode)
";

/// What an engine gives a container before it kills it.
const WINDOW: Duration = Duration::from_secs(10);

#[test]
#[ignore = "needs root and docker, podman, buildah and runsc, which `make engines` fetches and runs it with"]
fn containers_of_docker() {
    containers(Engine::DockerRun);
}

#[test]
#[ignore = "needs root and docker, podman, buildah and runsc, which `make engines` fetches and runs it with"]
fn containers_of_podman() {
    containers(Engine::PodmanRun);
}

#[test]
#[ignore = "needs root and docker, podman, buildah and runsc, which `make engines` fetches and runs it with"]
fn the_example_image() {
    for engine in [Engine::BuildKit, Engine::Buildah("oci")] {
        told(&[example(child(), engine)]);
    }
}

#[test]
#[ignore = "needs root and docker, podman, buildah and runsc, which `make engines` fetches and runs it with"]
fn a_kernel_that_is_none() {
    told(&[gvisor()]);
}

fn containers(engine: Engine) {
    preludes(engine);
    told(&[
        read_only(child(), engine),
        stopped(child(), engine),
        listened(engine),
    ]);
}

fn read_only(child: &Child, engine: Engine) -> Row {
    let mut row = Row::new(format!("{}, read-only root", engine.title()));
    let records = child.folder(&format!("read-only-{}", row.title.replace([' ', ','], "-")));
    let volume = format!("{}:/out", records.display());
    let run = |user: u32, cache: &str, line: &str| {
        let cache = format!("XDG_CACHE_HOME={cache}");
        let tmp = "/tmp:rw,exec,mode=1777";
        let more = [
            "--rm",
            "--read-only",
            "--tmpfs",
            tmp,
            "--volume",
            &volume,
            "--env",
            &cache,
        ];
        let words = ["sh", "-c", line];
        engine.run(&prelude(engine, user), &more, &words)
    };
    let line = format!("cp -r /work/app /tmp/app && cd /tmp/app && {NPM} && test -e built");
    for (name, user) in [("uid 0", 0), ("uid 1000", 1000), ("uid 4242", 4242)] {
        row.cell(name, run(user, "/tmp/cache", &line).done().map(|_| ()));
    }
    let count = fs::read_dir(&records).unwrap().count();
    let all = (count == 6).then_some(()).ok_or(format!("{count} records"));
    row.cell("records", all);
    // Without a place for the store nothing is started, and the way out is named.
    let without = run(4242, "", &line);
    let named = without.log.contains("XDG_CACHE_HOME");
    let named = named.then_some(()).ok_or_else(|| without.told());
    row.cell(
        "hint",
        named.and_then(|()| without.refused(125, "store-failed")),
    );
    row
}

fn stopped(child: &Child, engine: Engine) -> Row {
    let mut row = Row::new(format!("{}, stop signal to process 1", engine.title()));
    let name = format!("v4run-engines-stopped-{}", std::process::id());
    let records = child.folder(&format!("stopped-{}", row.title.replace([' ', ','], "-")));
    let volume = format!("{}:/out", records.display());
    let before = child.registry.tarballs().len();
    child.registry.fault_times(
        On::Tarball("thing"),
        What::Slow(60, Duration::from_secs(2)),
        0,
        1,
    );
    let more = ["--detach", "--name", &name, "--volume", &volume];
    let words = ["v4run", "--record", "/out/record", "npm", "ci"];
    let begun = engine.run(&prelude(engine, 1000), &more, &words).done();
    let deadline = Instant::now() + Duration::from_secs(60);
    while child.registry.tarballs().len() == before && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    let start = Instant::now();
    let stopped = begun.and_then(|_| engine.container(&["stop", &name]).done());
    let took = start.elapsed();
    child.registry.heal();
    row.cell(
        "stopped",
        stopped.and_then(|_| match took < WINDOW {
            true => Ok(()),
            false => Err(format!("{took:?}")),
        }),
    );
    let status = engine.container(&["wait", &name]).stdout.trim().to_owned();
    let logs = engine.container(&["logs", &name]).log;
    engine.container(&["rm", &name]);
    let record = Record::read(&records.join("record"));
    let sealed = record
        .ok_or_else(|| format!("no record: {status}\n{logs}"))
        .and_then(|record| {
            let last = record.events.last().map(|event| event["kind"].clone());
            let known = record.summary["exit_code"].to_string();
            match last == Some("sealed".into()) && known == status && status != "0" {
                true => Ok(()),
                false => Err(format!("status {status}, {last:?}, {}", record.told())),
            }
        });
    row.cell("sealed", sealed);
    row
}

fn listened(engine: Engine) -> Row {
    let mut row = Row::new(format!("{}, inside another supervisor", engine.title()));
    let run = |words: &[&str]| {
        let words = [&["python3", "-c", LISTENER], words].concat();
        engine.run(&prelude(engine, 1000), &["--rm"], &words)
    };
    row.cell("others run", run(&["true"]).done().map(|_| ()));
    row.cell("refused", run(&["npm", "ci"]).refused(125, "listener-busy"));
    row
}

/// The example is built as it is, with a secret, a cache and the record as a target of its own.
fn example(child: &Child, engine: Engine) -> Row {
    let mut row = Row::new(format!("{}, the example image", engine.title()));
    let context = child.context();
    let rc = context.join("npmrc");
    let text = format!(
        "registry={}\ncafile=/app/ca.pem\nupdate-notifier=false\n",
        child.registry.base()
    );
    fs::write(&rc, text).unwrap();
    let app = context.join("work/app");
    fs::copy(context.join("work/ca.pem"), app.join("ca.pem")).unwrap();
    let secret = format!("id=npmrc,src={}", rc.display());
    let base = format!("BASE={}", image(engine, "v4run-engines-base"));
    let layer = format!("V4RUN={}", image(engine, "v4run"));
    let records = child.folder(&format!("example-{}", row.title.replace([' ', ','], "-")));
    let output = format!("type=local,dest={}", records.display());
    let own = [
        "--build-arg",
        &base,
        "--build-arg",
        &layer,
        "--secret",
        &secret,
    ];
    let tag = image(engine, "v4run-example");
    let built = engine.build(EXAMPLE, &app, &tag, &own).done();
    row.cell("image", built.map(|_| ()));
    let target = [&own[..], &["--target", "record", "--output", &output]].concat();
    let exported = engine.build(EXAMPLE, &app, &tag, &target).done();
    row.cell(
        "record",
        exported.and_then(|_| {
            let found = fs::read_dir(&records).map_err(|error| error.to_string())?;
            let sealed = found
                .flatten()
                .filter(|entry| Record::read(&entry.path()).is_some())
                .count();
            (sealed == 2)
                .then_some(())
                .ok_or(format!("{sealed} sealed records"))
        }),
    );
    row
}

/// A kernel in a program, which has neither layer.
fn gvisor() -> Row {
    let mut row = Row::new("gVisor (runsc, platform ptrace)".to_owned());
    let state = format!("--root={}", place("runsc-state"));
    let program = v4run().display().to_string();
    let run = |words: &[&str]| {
        let own = [
            "runsc",
            &state,
            "--platform=ptrace",
            "--network=none",
            "--ignore-cgroups",
            "do",
        ];
        command(&[&own, &[program.as_str()][..], words].concat())
    };
    row.cell("starts", run(&["--version"]).done().map(|_| ()));
    for (name, words) in [
        ("doctor", &["doctor", "--ci"][..]),
        ("npm ci", &["--record", "/tmp/v4run-record", "npm", "ci"]),
    ] {
        let outcome = run(words);
        let named = outcome.log.contains("gVisor");
        let refused = outcome.told();
        let refused = named.then_some(()).ok_or(refused);
        row.cell(
            name,
            refused.and_then(|()| outcome.refused(125, "sandbox-unenforceable")),
        );
    }
    // On the kernel itself the same program holds.
    let here = Command::new(v4run())
        .args(["doctor", "--ci"])
        .output()
        .unwrap();
    let holds = here
        .status
        .success()
        .then_some(())
        .ok_or(String::from_utf8_lossy(&here.stderr).into());
    row.cell("control", holds);
    row
}
