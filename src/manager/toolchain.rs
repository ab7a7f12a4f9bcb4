//! What builds of every manager have in common: toolchain, environment, the grounds of the sandbox.
//!
//! Called by a driver that plans a build. The toolchain is what the approval names, as it really lies on disk;
//! the rest is what `profiles/build.toml` lets compilers and interpreters read. Nothing here starts anything, and
//! nothing knows a manager.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::elf::Needs;
use super::{Planned, Step};
use crate::model::{Access, Code, FileGuard, Finding, Launch, PathRule};
use crate::profile::PathAccess;
use crate::profile::build::profile;

/// Where systems keep what a native build starts.
const SYSTEM: &[&str] = &[
    "/usr/bin",
    "/usr/lib/gcc",
    "/usr/libexec/gcc",
    "/usr/lib/llvm",
];

/// What a toolchain would be on this machine, for builds that start `program`.
pub(super) fn proposal(program: &Path) -> Vec<String> {
    let system = SYSTEM.iter().map(PathBuf::from);
    let mut roots: Vec<PathBuf> = system.filter(|path| path.is_dir()).collect();
    let own = program.parent().map(Path::to_path_buf);
    roots.extend(own.filter(|own| !roots.iter().any(|root| own.starts_with(root))));
    let shown = roots.iter().map(|path| path.display().to_string());
    shown.collect()
}

/// Why an approval's toolchain is of no use.
pub(super) fn unusable(step: &Step<'_>, why: &str) -> Finding {
    let message = format!("`{}` is not built: {why}", step.wanted.purl);
    Finding::new(Code::BuildUnapproved, &step.build.stated_in, message)
        .with_hint("correct `toolchain`; `v4run build --propose` names one for this machine")
}

/// The toolchain's directories as they really are. One that is missing is a mistake, not less of it; one that
/// is named relative to `root` lies in `tree`.
pub(super) fn roots(
    root: &Path,
    step: &Step<'_>,
    tree: Option<&Path>,
) -> Result<Vec<PathBuf>, Finding> {
    let mut found = Vec::new();
    for stated in &step.build.toolchain {
        let shown = stated.display();
        let real = root.join(stated).canonicalize();
        let real =
            real.map_err(|error| unusable(step, &format!("its toolchain `{shown}`: {error}")))?;
        if !real.is_dir() {
            let why = format!("its toolchain `{shown}` is no directory");
            return Err(unusable(step, &why));
        }
        if stated.is_relative() && !tree.is_some_and(|tree| real.starts_with(tree)) {
            let why = format!("its toolchain `{shown}` does not lie in the install tree");
            return Err(unusable(step, &why));
        }
        found.push(real);
    }
    Ok(found)
}

/// What of the caller's environment a build gets.
pub(super) fn environment(caller: &BTreeMap<OsString, OsString>) -> Vec<(OsString, OsString)> {
    let named = |name: &OsStr| name.to_str().is_some_and(|name| profile().passes(name));
    let passed = caller.iter().filter(|(name, _)| named(name));
    passed
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Landlock rules in the making, and the roots whose files are read and mapped without a look.
#[derive(Debug, Default)]
pub(super) struct Ground {
    rules: Vec<PathRule>,
    roots: Vec<OsString>,
}

impl Ground {
    /// Grants something.
    pub(super) fn grant(&mut self, path: &Path, access: Access, why: &str) {
        self.rules.push(PathRule {
            path: path.as_os_str().to_owned(),
            access,
            why: why.to_owned(),
        });
    }

    /// A root of the runtime.
    pub(super) fn root(&mut self, path: &Path) {
        self.roots.push(path.as_os_str().to_owned());
    }

    /// What a program needs to start, wherever it lies.
    pub(super) fn needs(&mut self, needs: &Needs) {
        if let Some(loader) = &needs.interpreter {
            let why = "the program loader starts programs";
            self.grant(loader, Access::Execute, why);
            self.root(loader);
        }
        for library in &needs.libraries {
            let directory = library.parent().unwrap_or(library);
            self.grant(directory, Access::Read, "libraries of the runtime");
            self.root(directory);
        }
    }

    /// What the profile of builds grants.
    pub(super) fn system(&mut self) {
        for entry in &profile().paths {
            let paths = entry.paths.iter();
            for path in paths.filter_map(|path| Path::new(path).canonicalize().ok()) {
                let access = match entry.access {
                    PathAccess::Read | PathAccess::Runtime => Access::Read,
                    PathAccess::Device => Access::Device,
                };
                if entry.access == PathAccess::Runtime {
                    self.root(&path);
                }
                self.grant(&path, access, &entry.why);
            }
        }
    }

    /// The plan of a program in the component's folder, with the places that a build writes.
    pub(super) fn plan(
        mut self,
        step: &Step<'_>,
        program: &Path,
        arguments: Vec<OsString>,
        environment: Vec<(OsString, OsString)>,
        toolchain: Vec<PathBuf>,
    ) -> Planned {
        for (path, why) in [
            (&step.wanted.folder, "the folder of the component"),
            (&step.private.home, "home directory of this build"),
            (&step.private.tmp, "temporary files of this build"),
            (&step.private.cache, "caches of this build"),
        ] {
            self.grant(path, Access::Write, why);
        }
        self.roots.sort();
        self.roots.dedup();
        Planned {
            launch: Launch {
                executable: program.as_os_str().to_owned(),
                arguments,
                environment,
                directory: step.wanted.folder.clone().into_os_string(),
                rules: self.rules,
                child: None,
                build: Some(step.build.limits),
            },
            files: FileGuard {
                runtime_roots: self.roots,
                protected: step.wanted.others.iter().map(OsString::from).collect(),
                probes: profile().probes.clone(),
                ..FileGuard::default()
            },
            toolchain,
        }
    }
}
