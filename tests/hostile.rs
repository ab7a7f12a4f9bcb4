//! A program in node's place that runs built-in canaries, and one in uv's place that
//! misuses what a plan allows before the start.
//!
//! The suite puts it where v4run finds the runtime of npm, so a canary runs as the manager of a real
//! run, with plan, proxy and record. What to try stands in `scene.json` beside the npm script.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test helper that cannot set itself up must fail loudly"
)]

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use v4run::sandbox::canary;
use v4run::sys::attempt;

#[path = "corpus/scene.rs"]
mod scene;

fn main() -> ExitCode {
    let own = std::env::args_os().next().unwrap();
    if Path::new(&own).file_name() == Some(OsStr::new("uv")) {
        return ask(Path::new(&own));
    }
    let script = std::env::args_os().nth(1).unwrap();
    let scene = Path::new(&script).with_file_name("scene.json");
    let (scene, stage) = scene::read(&scene);
    let names = scene["names"].as_array().unwrap().iter();
    let names: Vec<String> = names
        .map(|name| name.as_str().unwrap().to_owned())
        .collect();
    canary::main(&stage, &names).unwrap();
    if let Some(entries) = scene["ring"].as_u64() {
        attempt::ring(entries.try_into().unwrap()).unwrap_err();
    }
    ExitCode::SUCCESS
}

/// In uv's place while v4run asks for the interpreter, which is the last word of the command line.
/// Tries what its directory is named after, and says what came of it.
fn ask(own: &Path) -> ExitCode {
    let python = std::env::args_os().next_back().unwrap();
    let say = |what: &str, outcome: std::io::Result<()>| {
        let outcome = match outcome {
            Ok(()) => "fired".to_owned(),
            Err(error) => format!("errno {}", error.raw_os_error().unwrap_or_default()),
        };
        let mut told = std::io::stderr().lock();
        // One write: v4run speaks on the same stream.
        let line = format!("hostile: {what} {outcome}\n");
        told.write_all(line.as_bytes()).unwrap();
    };
    let start = |program: &OsStr, arguments: &[&str]| {
        let status = Command::new(program).args(arguments).status();
        status.map(|_status| ())
    };
    let folder = own.parent().and_then(Path::file_name);
    if folder == Some(OsStr::new("shell")) {
        say("shell", start(OsStr::new("/bin/sh"), &["-c", "exit"]));
        say("after", start(&python, &["-I", "-S", "-c", ""]));
    } else {
        say("replaced", Err(Command::new(&python).arg("-c").exec()));
        let proxy = std::net::TcpStream::connect("127.0.0.1:9");
        say("connected", proxy.map(drop));
        let script = "import os; os.posix_spawn('/bin/sh', ['sh'], {})";
        let status = Command::new(&python)
            .args(["-I", "-S", "-c", script])
            .status();
        let grandchild = status.map(|status| status.success());
        say(
            "python",
            grandchild.as_ref().map(|_| ()).map_err(|e| {
                std::io::Error::from_raw_os_error(e.raw_os_error().unwrap_or_default())
            }),
        );
        say(
            "grandchild",
            match grandchild {
                Ok(true) => Ok(()),
                Ok(false) | Err(_) => Err(std::io::Error::from_raw_os_error(13)),
            },
        );
        say("again", start(&python, &["-I", "-S", "-c", ""]));
    }
    ExitCode::FAILURE
}
