//! The plan for one script: shell, environment, toolchain, headers, rules.
//!
//! Everything that may be executed lies below the approval's toolchain, or is npm's own node-gyp. The
//! environment is made anew; of npm's variables a script gets those that say which package and step it is,
//! and those that keep tools off the network.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::manager::npm::find::Runtime;
use crate::manager::npm::tree;
use crate::manager::toolchain::{self, Ground, unusable};
use crate::manager::{BuildRequest, Planned, Step, elf};
use crate::model::{Access, Code, Finding, Script};

/// npm's folder with a `node-gyp` for scripts, in releases of the last years.
const WRAPPERS: &[&str] = &[
    "node_modules/@npmcli/run-script/lib/node-gyp-bin",
    "bin/node-gyp-bin",
];

/// What a toolchain for these scripts would be on this machine.
pub(super) fn proposal(
    runtime: &Runtime,
    root: &Path,
    folder: &Path,
    scripts: &[Script],
) -> Vec<String> {
    let mut proposed = toolchain::proposal(&runtime.node);
    // A program of another package is named where a script says its name.
    let mut words: Vec<&str> = scripts
        .iter()
        .flat_map(|script| script.command.split_whitespace())
        .collect();
    words.sort_unstable();
    words.dedup();
    for tree in trees(root, folder) {
        for word in &words {
            let Ok(program) = tree.join(".bin").join(word).canonicalize() else {
                continue;
            };
            let owner = program
                .ancestors()
                .skip(1)
                .find(|place| tree::programs(place).iter().any(|name| name == word));
            let below = owner.and_then(|owner| owner.strip_prefix(root).ok());
            let below = below.map(|path| path.display().to_string());
            proposed.extend(below.filter(|below| !proposed.contains(below)));
        }
    }
    proposed
}

/// Install trees that a package's scripts see, the nearest first.
fn trees(root: &Path, folder: &Path) -> Vec<PathBuf> {
    let inside = folder
        .ancestors()
        .take_while(|place| place.starts_with(root));
    let trees = inside.map(|place| place.join("node_modules"));
    trees.filter(|path| path.is_dir()).collect()
}

/// See [`crate::manager::Builder::plan`].
pub(super) fn plan(
    request: &BuildRequest<'_>,
    root: &Path,
    runtime: &Runtime,
    step: &Step<'_>,
) -> Result<Planned, Finding> {
    if !step.build.requires.is_empty() {
        let message = format!(
            "`{}` is not built: `requires` means nothing here",
            step.wanted.purl
        );
        return Err(
            Finding::new(Code::BuildUnapproved, &step.build.stated_in, message)
                .with_hint("name what it needs in the project's own manifest"),
        );
    }
    let tree = root.join("node_modules");
    let toolchain = toolchain::roots(root, step, Some(&tree))?;
    let shell = ["/usr/bin/sh", "/bin/sh"]
        .iter()
        .filter_map(|path| Path::new(path).canonicalize().ok())
        .find(|path| toolchain.iter().any(|root| path.starts_with(root)));
    let Some(shell) = shell else {
        return Err(unusable(
            step,
            "its toolchain has no `sh`, which starts every script",
        ));
    };
    let headers = headers(runtime, step);
    let command = step.script.command.as_str();
    let arguments = ["sh", "-c", command].map(OsString::from).to_vec();
    let ground = ground(root, runtime, step, &toolchain, &shell, headers.as_deref())?;
    let environment = environment(request, root, runtime, step, &toolchain, headers.as_deref());
    Ok(ground.plan(step, &shell, arguments, environment, toolchain))
}

/// The directory that holds `include/node`: what the approval says, else beside node, else the system's.
fn headers(runtime: &Runtime, step: &Step<'_>) -> Option<PathBuf> {
    if let Some(stated) = &step.build.headers {
        return stated.canonicalize().ok();
    }
    let places = [runtime.prefix(), PathBuf::from("/usr")];
    let mut places = places.into_iter();
    places.find(|place| place.join("include/node/node_version.h").is_file())
}

fn environment(
    request: &BuildRequest<'_>,
    root: &Path,
    runtime: &Runtime,
    step: &Step<'_>,
    toolchain: &[PathBuf],
    headers: Option<&Path>,
) -> Vec<(OsString, OsString)> {
    let (wanted, private) = (step.wanted, step.private);
    let mut path: Vec<PathBuf> = Vec::new();
    // Programs of other packages are found only where the approval names any.
    if step
        .build
        .toolchain
        .iter()
        .any(|stated| stated.is_relative())
    {
        path.extend(
            trees(root, &wanted.folder)
                .into_iter()
                .map(|tree| tree.join(".bin")),
        );
    }
    let wrappers = WRAPPERS.iter().map(|name| runtime.npm.join(name));
    path.extend(wrappers.filter(|place| place.is_dir()).take(1));
    path.extend(toolchain.iter().cloned());
    let mut environment = toolchain::environment(request.environment);
    let mut set = |name: &str, value: &dyn AsRef<OsStr>| {
        environment.push((OsString::from(name), value.as_ref().to_owned()));
    };
    set("PATH", &std::env::join_paths(path).unwrap_or_default());
    set("HOME", &private.home);
    set("TMPDIR", &private.tmp);
    set("INIT_CWD", &root);
    set("NODE", &runtime.node);
    set("PYTHONDONTWRITEBYTECODE", &"1");
    set("npm_execpath", &runtime.script());
    set("npm_node_execpath", &runtime.node);
    set("npm_command", &"rebuild");
    set("npm_lifecycle_event", &event(&step.script.name));
    set("npm_lifecycle_script", &step.script.command);
    set("npm_package_name", &wanted.name);
    set("npm_package_version", &wanted.version);
    set("npm_package_json", &wanted.folder.join("package.json"));
    set("npm_config_cache", &private.cache);
    set("npm_config_offline", &"true");
    set("npm_config_build_from_source", &"true");
    set(
        "npm_config_node_gyp",
        &runtime.npm.join("node_modules/node-gyp/bin/node-gyp.js"),
    );
    if let Some(headers) = headers {
        set("npm_config_nodedir", &headers);
    }
    environment
}

/// npm adds the native build as an `install` script.
fn event(script: &str) -> &str {
    match script {
        "binding.gyp" => "install",
        name => name,
    }
}

/// What is granted.
fn ground(
    root: &Path,
    runtime: &Runtime,
    step: &Step<'_>,
    toolchain: &[PathBuf],
    shell: &Path,
    headers: Option<&Path>,
) -> Result<Ground, Finding> {
    let mut ground = Ground::default();
    let tree = root.join("node_modules");
    let tree = tree.canonicalize().unwrap_or(tree);
    for path in toolchain {
        ground.grant(path, Access::Programs, "toolchain of the approval");
        if !path.starts_with(&tree) {
            ground.root(path);
        }
    }
    let npm = "npm itself, with the node-gyp that belongs to it";
    ground.grant(&runtime.npm, Access::Programs, npm);
    ground.root(&runtime.npm);
    let needs = elf::needs(shell)
        .map_err(|error| unusable(step, &format!("`{}`: {error}", shell.display())))?;
    for needs in [&needs, &runtime.needs] {
        ground.needs(needs);
    }
    ground.system();
    if let Some(headers) = headers {
        let include = headers.join("include/node");
        let place = if include.is_dir() {
            include
        } else {
            headers.to_path_buf()
        };
        let place = place.canonicalize().unwrap_or(place);
        ground.grant(&place, Access::Read, "headers for native modules");
    }
    if tree.is_dir() {
        ground.grant(&tree, Access::Read, "the installed tree");
    }
    Ok(ground)
}
