//! The plan of one build: the interpreter with one hook of a backend, in the sandbox of builds.
//!
//! What may be executed lies below the approval's toolchain, or came with a verified wheel that the build
//! requires. Neither the environment that is installed into nor anything else of it is seen.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::DIST;
use super::source::Backend;
use crate::manager::pip::target::Target;
use crate::manager::toolchain::{self, Ground, unusable};
use crate::manager::{Planned, Request, Step};
use crate::model::{Access, Code, Finding};

/// Calls a hook.
const BACKEND: &str = include_str!("backend.py");

/// See [`crate::manager::Maker::plan`].
pub(super) fn plan(
    request: &Request<'_>,
    target: &Target,
    step: &Step<'_>,
    requires: &Path,
) -> Result<Planned, Finding> {
    let mut toolchain = toolchain::roots(&request.directory, step, None)?;
    let python = &target.interpreter;
    if !toolchain.iter().any(|root| python.starts_with(root)) {
        let shown = python.display();
        return Err(unusable(
            step,
            &format!("its toolchain has no `{shown}`, which runs every build"),
        ));
    }
    toolchain.push(requires.to_path_buf());
    let config = &step.private.config;
    write(target, step, requires)?;
    let mut ground = Ground::default();
    for path in &toolchain {
        ground.grant(path, Access::Programs, "toolchain of the approval");
        ground.root(path);
    }
    ground.needs(&target.needs);
    ground.system();
    ground.grant(&target.library, Access::Read, "the standard library");
    ground.root(&target.library);
    let headers = target.base_prefix.join("include");
    if let Ok(headers) = headers.canonicalize() {
        ground.grant(&headers, Access::Read, "headers for native modules");
    }
    ground.grant(config, Access::Read, "what v4run hands to the build");
    let mut arguments = vec![python.clone().into_os_string()];
    arguments.extend(["-I", "-S", "-B"].map(OsString::from));
    arguments.extend(["backend.py", "build.json"].map(|name| config.join(name).into()));
    let environment = environment(request, step, &toolchain, requires);
    Ok(ground.plan(step, python, arguments, environment, toolchain))
}

/// What the interpreter reads.
fn write(target: &Target, step: &Step<'_>, requires: &Path) -> Result<(), Finding> {
    let backend = Backend::of(step.wanted)?;
    let folder = &step.wanted.folder;
    let path: Vec<PathBuf> = backend.path.iter().map(|path| folder.join(path)).collect();
    let to = step.private.tmp.join(DIST);
    let plan = serde_json::json!({
        "source": folder,
        "backend": backend.name,
        "backend_path": path,
        "requires": requires,
        "stated": backend.requires,
        "hook": step.script.name,
        "to": to,
    });
    let config = &step.private.config;
    let written = std::fs::create_dir_all(&to)
        .and_then(|()| std::fs::write(config.join("backend.py"), BACKEND))
        .and_then(|()| std::fs::write(config.join("build.json"), plan.to_string()));
    written.map_err(|error| {
        let subject = target.interpreter.display().to_string();
        let message = format!("a build cannot be prepared: {error}");
        Finding::new(Code::SandboxUnenforceable, subject, message)
    })
}

fn environment(
    request: &Request<'_>,
    step: &Step<'_>,
    toolchain: &[PathBuf],
    requires: &Path,
) -> Vec<(OsString, OsString)> {
    let mut environment = toolchain::environment(request.environment);
    let mut set = |name: &str, value: &dyn AsRef<OsStr>| {
        environment.push((OsString::from(name), value.as_ref().to_owned()));
    };
    let programs = requires.join("bin");
    let path = [programs].into_iter().chain(toolchain.iter().cloned());
    set("PATH", &std::env::join_paths(path).unwrap_or_default());
    set("HOME", &step.private.home);
    set("TMPDIR", &step.private.tmp);
    set("XDG_CACHE_HOME", &step.private.cache);
    // For interpreters that the build itself starts.
    set("PYTHONPATH", &requires);
    set("PYTHONNOUSERSITE", &"1");
    set("PYTHONDONTWRITEBYTECODE", &"1");
    environment
}
