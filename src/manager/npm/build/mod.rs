//! Lifecycle scripts and native builds of npm packages, each as one approved step.
//!
//! What wants to run is what an install left out: `preinstall`, `install`, `postinstall`, and the build that
//! npm adds where a `binding.gyp` lies beside the manifest. A script runs as npm runs it, by `sh -c` in the
//! package's folder, or the project's, with npm's own node-gyp, which belongs to the system. It sees its toolchain, headers,
//! libraries and the installed tree; it writes its own folder and private directories.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::find::{Runtime, Search};
use super::manifest::PROJECT_HOOKS;
use super::{project, tree};
use crate::manager::{BuildRequest, Builder, Planned, Step, Wanted};
use crate::model::{Finding, Script};

mod artifact;
mod launch;

/// Builds npm packages.
#[derive(Debug)]
pub(super) struct Gyp;

impl Builder for Gyp {
    fn root(&self, request: &BuildRequest<'_>) -> Result<PathBuf, Finding> {
        Ok(project::locate(request.directory, None, false)?.root)
    }

    fn wanted(&self, request: &BuildRequest<'_>) -> Result<Vec<Wanted>, Finding> {
        let root = self.root(request)?;
        let runtime = runtime(request, &root)?;
        let packages = tree::wanting(&root);
        let wanted = packages.into_iter().filter_map(|package| {
            // A link would lead out of the tree; npm makes none where a package is.
            let folder = root.join(&package.path).canonicalize().ok()?;
            let below = folder.starts_with(root.join("node_modules").canonicalize().ok()?);
            let inner = folder.join("node_modules");
            Some(Wanted {
                toolchain: launch::proposal(&runtime, &root, &folder, &package.scripts),
                others: Some(inner)
                    .filter(|path| path.is_dir())
                    .into_iter()
                    .collect(),
                purl: package.purl,
                name: package.name,
                version: package.version,
                path: package.path,
                integrity: package.integrity.filter(|_| !package.bundled && below),
                scripts: package.scripts,
                folder,
                ..Wanted::default()
            })
        });
        Ok(wanted.collect())
    }

    fn own(&self, request: &BuildRequest<'_>) -> Result<Option<Wanted>, Finding> {
        let root = self.root(request)?;
        let Some(manifest) = project::read_manifest(&root)? else {
            return Ok(None);
        };
        let hooks = manifest.hooks(PROJECT_HOOKS);
        let mut scripts: Vec<Script> = hooks
            .map(|(name, command)| Script {
                name: name.to_owned(),
                command: command.to_owned(),
            })
            .collect();
        let own = |name: &str| manifest.scripts.contains_key(name);
        if root.join("binding.gyp").is_file() && !own("install") && !own("preinstall") {
            let script = Script {
                name: "binding.gyp".to_owned(),
                command: "node-gyp rebuild".to_owned(),
            };
            scripts.insert(0, script);
        }
        if scripts.is_empty() {
            return Ok(None);
        }
        let runtime = runtime(request, &root)?;
        let mut toolchain = launch::proposal(&runtime, &root, &root, &[]);
        let tree = "node_modules";
        // The project's own scripts call what it depends on.
        toolchain.extend(Some(tree.to_owned()).filter(|_| root.join(tree).is_dir()));
        let name = manifest.name.clone().unwrap_or_default();
        let version = manifest.version.clone().unwrap_or_default();
        let kept = [
            tree,
            ".git",
            "v4run.toml",
            "package.json",
            "package-lock.json",
        ];
        Ok(Some(Wanted {
            purl: tree::purl(&name, &version),
            name,
            version,
            path: String::new(),
            integrity: None,
            scripts,
            others: kept.iter().map(|name| root.join(name)).collect(),
            toolchain,
            folder: root,
            own: true,
            ..Wanted::default()
        }))
    }

    fn compare(&self, wanted: &Wanted, artifact: &mut dyn Read) -> Result<(), Finding> {
        artifact::compare(wanted, artifact)
    }

    fn plan(&self, request: &BuildRequest<'_>, step: &Step<'_>) -> Result<Planned, Finding> {
        let root = self.root(request)?;
        let runtime = runtime(request, &root)?;
        launch::plan(request, &root, &runtime, step)
    }
}

fn runtime(request: &BuildRequest<'_>, root: &Path) -> Result<Runtime, Finding> {
    Search {
        environment: request.environment,
        project: root,
        home: request.home,
        pinned: request.policy.managers.get("npm").map(PathBuf::as_path),
    }
    .run()
}
