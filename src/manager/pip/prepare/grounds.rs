//! What a pip run may read, and where code may be mapped from.

use std::path::{Path, PathBuf};

use super::Plan;
use crate::manager::pip::writes::Places;
use crate::manager::rules::{self, Grounds};

impl Plan<'_> {
    pub(super) fn grounds<'b>(
        &'b self,
        places: &'b Places,
        pip: &Path,
        cache: Option<&Path>,
    ) -> Grounds<'b> {
        let target = &self.target;
        let request = self.request;
        let mut runtime = Vec::new();
        let written = |place: &Path| {
            let mut directories = places.writes.directories.iter();
            directories.any(|(path, _)| path.starts_with(place))
        };
        let mut readable = vec![(target.library.clone(), "the standard library")];
        if written(&target.library) {
            // Packages lie in the library's own directory: its parts count one by one.
            runtime.extend(parts(&target.library));
        } else {
            runtime.push((target.library.clone(), "the standard library"));
        }
        runtime.push((pip.join("pip"), "pip itself"));
        let search = target.search.iter().chain(&target.site_packages);
        let search = search.filter_map(|path| path.canonicalize().ok());
        readable.extend(search.map(|path| (path, "packages that are installed already")));
        let settings = ["pyvenv.cfg", "pip.conf"].map(|name| target.prefix.join(name));
        let settings = settings.iter().filter_map(|path| path.canonicalize().ok());
        readable.extend(settings.map(|path| (path, "settings of the environment")));
        let links = self.checked.find_links.iter().chain(&self.checked.reads);
        let links = links.chain(&self.checked.destination.paths);
        let links = links.filter_map(|path| request.directory.join(path).canonicalize().ok());
        readable.extend(links.map(|path| (path, "a file or directory that the command names")));
        readable.extend(cache.map(|cache| (cache.to_path_buf(), "pip's cache")));
        let home = request.home.as_deref();
        Grounds {
            profile: &self.profile,
            private: request.private,
            manager: "pip",
            program: (&target.interpreter, "Python runs pip"),
            needs: &target.needs,
            runtime,
            readable,
            project: Some(request.directory.as_path()).filter(|path| path.parent().is_some()),
            broad: rules::is_broad(&request.directory, home, request.private),
            writes: &places.writes,
        }
    }
}

/// The directories of a standard library that hold no packages.
fn parts(library: &Path) -> Vec<(PathBuf, &'static str)> {
    let Ok(entries) = std::fs::read_dir(library) else {
        return Vec::new();
    };
    let paths = entries.flatten().take(4096).map(|entry| entry.path());
    let plain = paths.filter(|path| {
        let name = path.file_name().unwrap_or_default();
        path.is_dir() && name != "site-packages" && name != "dist-packages"
    });
    let mut found: Vec<(PathBuf, &'static str)> = plain
        .filter_map(|path| Some((path.canonicalize().ok()?, "the standard library")))
        .collect();
    found.sort();
    found
}
