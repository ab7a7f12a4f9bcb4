//! An install scheme: where the parts of a wheel go.
//!
//! Worked out by a driver before the start; layout, rules and the look afterwards are made from it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::target::Target;

/// Files that the interpreter looks for beside its program before it knows where its library is.
pub(in crate::manager) const LANDMARKS: [&str; 2] = ["pyvenv.cfg", "pybuilddir.txt"];

/// An install scheme: where the parts of a wheel go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::manager) struct Install {
    /// What all of it lies below.
    pub(in crate::manager) base: PathBuf,
    /// Package directories, pure ones first.
    pub(in crate::manager) packages: Vec<PathBuf>,
    /// Scripts.
    pub(in crate::manager) scripts: PathBuf,
    /// Headers.
    pub(in crate::manager) headers: PathBuf,
    /// Other data.
    pub(in crate::manager) data: PathBuf,
}

impl Install {
    /// The environment's own.
    pub(in crate::manager) fn of(target: &Target) -> Self {
        Self {
            packages: target.site_packages.clone(),
            scripts: target.scripts.clone(),
            ..Self::below(target, &target.data)
        }
    }

    /// The ordinary one below a directory.
    pub(in crate::manager) fn below(target: &Target, base: &Path) -> Self {
        let (major, minor) = target.python_version;
        let folder = format!("python{major}.{minor}");
        let headers = if target.is_virtual() && base == target.prefix {
            base.join("include/site").join(&folder)
        } else {
            base.join("include").join(&folder)
        };
        Self {
            packages: vec![base.join("lib").join(&folder).join("site-packages")],
            scripts: base.join("bin"),
            headers,
            data: base.to_path_buf(),
            base: base.to_path_buf(),
        }
    }

    /// Packages in a directory of their own (`--target`).
    pub(in crate::manager) fn flat(directory: PathBuf) -> Self {
        Self {
            packages: vec![directory.clone()],
            scripts: directory.join("bin"),
            headers: directory.join("include"),
            data: directory.clone(),
            base: directory,
        }
    }

    /// The scheme by the words of the wheel format.
    pub(in crate::manager) fn by_word(&self) -> BTreeMap<String, String> {
        let pure = self.packages.first();
        let native = self.packages.last();
        let all = [
            ("purelib", pure),
            ("platlib", native),
            ("scripts", Some(&self.scripts)),
            ("headers", Some(&self.headers)),
            ("data", Some(&self.data)),
        ];
        let relative = all.into_iter().filter_map(|(word, path)| {
            let path = path?.strip_prefix(&self.base).ok()?;
            Some((word.to_owned(), path.to_str()?.to_owned()))
        });
        relative.collect()
    }

    /// The same below another root directory.
    pub(in crate::manager) fn moved(self, root: &Path) -> Self {
        let below = |path: PathBuf| root.join(path.strip_prefix("/").unwrap_or(&path));
        Self {
            base: root.to_path_buf(),
            packages: self.packages.into_iter().map(below).collect(),
            scripts: below(self.scripts),
            headers: below(self.headers),
            data: below(self.data),
        }
    }
}
