//! Lifecycle scripts and native builds of npm packages, each as one approved step.
//!
//! What wants to run is what an install left out: `preinstall`, `install`, `postinstall`, and the build that
//! npm adds where a `binding.gyp` lies beside the manifest. A script runs as npm runs it, by `sh -c` in the
//! package's folder, with npm's own node-gyp, which belongs to the system. It sees its toolchain, headers,
//! libraries and the installed tree; it writes its own folder and private directories.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::find::{Runtime, Search};
use super::{project, tree};
use crate::manager::{BuildRequest, Builder, Planned, Step, Wanted};
use crate::model::Finding;

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
                others: Some(inner).filter(|path| path.is_dir()).into_iter().collect(),
                purl: package.purl,
                name: package.name,
                version: package.version,
                path: package.path,
                integrity: package.integrity.filter(|_| !package.bundled && below),
                scripts: package.scripts,
                folder,
            })
        });
        Ok(wanted.collect())
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
