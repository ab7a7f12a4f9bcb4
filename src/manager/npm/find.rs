//! Finds the real npm and node behind the usual layouts, without running anything.
//!
//! First step of a run. `npm` on PATH is a link to `npm-cli.js` (distribution packages, nvm and the
//! like, official archives), or a version manager's shim, which is looked behind because running it
//! would start more programs than the one that is allowed. What a project or another user can write
//! is no package manager: such candidates are passed over and named. The environment says where to
//! look, never what is trusted.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::manifest::Manifest;
use super::version;
use crate::manager::elf::{self, Needs};
use crate::manager::place;
use crate::manager::read;
use crate::manager::version::{choose, installed};
use crate::model::{Code, Finding};

/// npm and the program that runs it. Paths are canonical.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Runtime {
    /// node's ELF.
    pub(super) node: PathBuf,
    /// node's version, where its installation states it.
    pub(super) node_version: Option<String>,
    /// npm's package directory.
    pub(super) npm: PathBuf,
    /// npm's version.
    pub(super) version: Option<String>,
    /// What node needs to start.
    pub(super) needs: Needs,
}

impl Runtime {
    /// The script that node runs.
    pub(super) fn script(&self) -> PathBuf {
        self.npm.join("bin/npm-cli.js")
    }

    /// npm's global prefix unless configuration names another.
    pub(super) fn prefix(&self) -> PathBuf {
        self.node
            .ancestors()
            .nth(2)
            .unwrap_or(Path::new("/"))
            .to_path_buf()
    }
}

/// Where to look.
#[derive(Debug)]
pub(super) struct Search<'a> {
    pub(super) environment: &'a BTreeMap<OsString, OsString>,
    pub(super) project: &'a Path,
    pub(super) home: Option<&'a Path>,
    pub(super) pinned: Option<&'a Path>,
}

/// One npm that was found, and where its node is looked for first.
struct Candidate {
    npm: PathBuf,
    beside: Vec<PathBuf>,
}

impl Search<'_> {
    /// Finds npm and node.
    pub(super) fn run(&self) -> Result<Runtime, Finding> {
        let mut looked = Vec::new();
        let found = match self.pinned {
            Some(path) => self.candidate(path, &mut looked),
            None => self
                .path()
                .find_map(|dir| self.candidate(&dir.join("npm"), &mut looked)),
        };
        let Some(found) = found else {
            return Err(not_found("npm", &looked, self.pinned));
        };
        let beside = found.beside.iter().cloned();
        let node = beside
            .chain(self.path())
            .find_map(|dir| self.node(&dir, &mut looked));
        let Some(node) = node else {
            return Err(not_found("node", &looked, None));
        };
        let needs = elf::needs(&node).map_err(|error| {
            let message = format!("cannot be read as a program: {error}");
            Finding::new(Code::ManagerNotFound, node.display().to_string(), message)
        })?;
        let manifest = manifest(&found.npm);
        Ok(Runtime {
            node_version: version::of_node(&node),
            node,
            version: manifest.and_then(|manifest| manifest.version),
            npm: found.npm,
            needs,
        })
    }

    fn path(&self) -> impl Iterator<Item = PathBuf> {
        place::search_path(self.environment)
    }

    fn candidate(&self, path: &Path, looked: &mut Vec<String>) -> Option<Candidate> {
        std::fs::symlink_metadata(path).ok()?;
        let mut note = |why: &str| looked.push(format!("{}: {why}", path.display()));
        let directory = path.parent()?;
        if let Some(why) = self.unsafe_place(directory) {
            note(why);
            return None;
        }
        let Ok(real) = path.canonicalize() else {
            note("leads nowhere");
            return None;
        };
        if real.is_dir() {
            return self.package(&real, directory, looked);
        }
        if place::is_ours(&real, directory) {
            note("is v4run itself");
            return None;
        }
        // npm's own `bin/npm` of old releases is a script beside `npm-cli.js`.
        let owner = real
            .parent()
            .filter(|bin| bin.ends_with("bin"))
            .and_then(Path::parent);
        let script = ["npm-cli.js", "npm"]
            .iter()
            .any(|name| real.ends_with(name));
        if let Some(npm) = owner.filter(|npm| script && npm.join("bin/npm-cli.js").is_file()) {
            return self.package(npm, directory, looked);
        }
        let before = looked.len();
        let behind = self.behind_shim(directory, looked);
        if behind.is_none() && looked.len() == before {
            looked.push(format!(
                "{}: a wrapper that v4run cannot look behind",
                path.display()
            ));
        }
        behind
    }

    /// Accepts a directory as npm's package.
    fn package(&self, npm: &Path, directory: &Path, looked: &mut Vec<String>) -> Option<Candidate> {
        let named = manifest(npm).is_some_and(|manifest| manifest.name.as_deref() == Some("npm"));
        let why = match self.unsafe_place(npm) {
            None if named => None,
            None => Some("is not npm's package"),
            why => why,
        };
        if let Some(why) = why {
            looked.push(format!("{}: {why}", npm.display()));
            return None;
        }
        // `<prefix>/lib/node_modules/npm` belongs to `<prefix>/bin/node`.
        let prefix = npm.ancestors().nth(3).map(|prefix| prefix.join("bin"));
        let beside = std::iter::once(directory.to_path_buf())
            .chain(prefix)
            .collect();
        Some(Candidate {
            npm: npm.to_path_buf(),
            beside,
        })
    }

    /// Looks into a version manager's installations, whose shims lie in `directory`.
    fn behind_shim(&self, directory: &Path, looked: &mut Vec<String>) -> Option<Candidate> {
        let root = directory.parent()?;
        let folders = [
            "installs/node",
            "installs/nodejs",
            "versions/node",
            "versions",
            "tools/image/node",
        ];
        for folder in folders {
            let installed = installed(&root.join(folder), "bin/npm");
            if installed.is_empty() {
                continue;
            }
            let wanted = version::wanted(self.environment, self.project, self.home, root);
            let Some(chosen) = choose(&wanted, &installed) else {
                let names: Vec<&str> = installed.iter().map(String::as_str).take(20).collect();
                looked.push(format!(
                    "{}: a version manager with {} ({}) and no choice among them that v4run can read",
                    root.join(folder).display(),
                    if names.len() == 1 { "one version" } else { "several versions" },
                    names.join(", "),
                ));
                return None;
            };
            let bin = root.join(folder).join(chosen).join("bin");
            let npm = bin.join("npm");
            // A shim's installation is never another shim, so this does not recur.
            let real = npm.canonicalize().ok()?;
            let owner = real.parent().and_then(Path::parent)?;
            return self.package(owner, &bin, looked);
        }
        None
    }

    fn node(&self, directory: &Path, looked: &mut Vec<String>) -> Option<PathBuf> {
        let path = directory.join("node");
        let real = path.canonicalize().ok()?;
        let place = self.unsafe_place(directory);
        let why = place.or_else(|| self.unsafe_place(real.parent()?));
        let why = why.or_else(|| (!elf::is_elf(&real)).then_some("is not a program but a script"));
        let why = why.or_else(|| place::is_ours(&real, directory).then_some("is v4run itself"));
        if let Some(why) = why {
            looked.push(format!("{}: {why}", path.display()));
            return None;
        }
        Some(real)
    }

    /// Why nothing from a directory may be trusted.
    fn unsafe_place(&self, directory: &Path) -> Option<&'static str> {
        let real = directory.canonicalize().ok()?;
        if let Some(why) = place::inside_project(&real, self.project, self.home) {
            return Some(why);
        }
        if real.ends_with("node_modules/.bin") {
            return Some("belongs to an install tree");
        }
        place::open_to_others(&real)
    }
}

fn manifest(npm: &Path) -> Option<Manifest> {
    let bytes = read::file(&npm.join("package.json"), super::manifest::LIMIT)
        .ok()
        .flatten()?;
    Manifest::parse(&bytes).ok()
}

fn not_found(what: &str, looked: &[String], pinned: Option<&Path>) -> Finding {
    let message = if looked.is_empty() {
        format!("no `{what}` in any directory of PATH")
    } else {
        format!("no usable `{what}`; looked at {}", looked.join("; "))
    };
    let hint = match pinned {
        Some(path) => format!(
            "the policy pins {}: correct `[managers.npm] path`",
            path.display()
        ),
        None => format!(
            "put the directory of the real `{what}` first in PATH, or pin npm with \
             `[managers.npm] path = \"/…/bin/npm\"` in the policy"
        ),
    };
    Finding::new(Code::ManagerNotFound, what, message).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    struct Layout {
        _guard: tempfile::TempDir,
        root: PathBuf,
        environment: BTreeMap<OsString, OsString>,
    }

    impl Layout {
        fn new() -> Self {
            let guard = tempfile::tempdir().unwrap();
            let root = guard.path().canonicalize().unwrap();
            std::fs::create_dir(root.join("project")).unwrap();
            Self {
                _guard: guard,
                root,
                environment: BTreeMap::new(),
            }
        }

        /// An installation as archives and nvm make it.
        fn install(&self, prefix: &str) -> PathBuf {
            let prefix = self.root.join(prefix);
            let npm = prefix.join("lib/node_modules/npm");
            std::fs::create_dir_all(npm.join("bin")).unwrap();
            std::fs::create_dir_all(prefix.join("bin")).unwrap();
            std::fs::write(npm.join("bin/npm-cli.js"), "").unwrap();
            std::fs::write(
                npm.join("package.json"),
                r#"{"name":"npm","version":"11.0.0"}"#,
            )
            .unwrap();
            std::fs::copy(std::env::current_exe().unwrap(), prefix.join("bin/node")).unwrap();
            symlink(
                "../lib/node_modules/npm/bin/npm-cli.js",
                prefix.join("bin/npm"),
            )
            .unwrap();
            prefix
        }

        fn search(&mut self, path: &[&str]) -> Result<Runtime, Finding> {
            let path = path.iter().map(|part| self.root.join(part));
            self.environment
                .insert("PATH".into(), std::env::join_paths(path).unwrap());
            let project = self.root.join("project");
            let search = Search {
                environment: &self.environment,
                project: &project,
                home: None,
                pinned: None,
            };
            search.run()
        }
    }

    fn mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn links_are_followed_to_npm_and_its_node() {
        let mut layout = Layout::new();
        let prefix = layout.install("nvm/v20");
        let runtime = layout.search(&["none", "nvm/v20/bin"]).unwrap();
        assert_eq!(runtime.npm, prefix.join("lib/node_modules/npm"));
        assert_eq!(runtime.node, prefix.join("bin/node"));
        assert_eq!(runtime.prefix(), prefix);
        assert_eq!(runtime.version.as_deref(), Some("11.0.0"));
    }

    #[test]
    fn what_others_can_write_is_passed_over() {
        let mut layout = Layout::new();
        layout.install("project/tools");
        layout.install("shared");
        mode(&layout.root.join("shared/bin"), 0o1777);
        layout.install("good");
        let runtime = layout
            .search(&["project/tools/bin", "shared/bin", "good/bin"])
            .unwrap();
        assert!(runtime.node.ends_with("good/bin/node"));
        let finding = layout
            .search(&["project/tools/bin", "shared/bin"])
            .unwrap_err();
        assert_eq!(finding.code, Code::ManagerNotFound);
        assert!(
            finding.message.contains("inside the project"),
            "{}",
            finding.message
        );
        assert!(
            finding.message.contains("by other users"),
            "{}",
            finding.message
        );
    }

    #[test]
    fn v4run_is_not_npm() {
        let mut layout = Layout::new();
        std::fs::create_dir(layout.root.join("shims")).unwrap();
        symlink(
            std::env::current_exe().unwrap(),
            layout.root.join("shims/npm"),
        )
        .unwrap();
        let finding = layout.search(&["shims"]).unwrap_err();
        assert!(
            finding.message.contains("v4run itself"),
            "{}",
            finding.message
        );
    }

    #[test]
    fn shims_are_looked_behind() {
        for (shims, versions) in [
            ("asdf/shims", "asdf/installs/nodejs"),
            ("mise/shims", "mise/installs/node"),
            ("nodenv/shims", "nodenv/versions"),
            ("volta/bin", "volta/tools/image/node"),
        ] {
            let mut layout = Layout::new();
            layout.install(&format!("{versions}/20.1.0"));
            std::fs::create_dir_all(layout.root.join(shims)).unwrap();
            std::fs::write(layout.root.join(shims).join("npm"), "#!/bin/sh\n").unwrap();
            let runtime = layout.search(&[shims]).unwrap();
            assert!(runtime.node.ends_with("20.1.0/bin/node"), "{shims}");
            layout.install(&format!("{versions}/22.0.0"));
            let finding = layout.search(&[shims]).unwrap_err();
            assert!(finding.message.contains("22.0.0"), "{}", finding.message);
            std::fs::write(layout.root.join("project/.nvmrc"), "v20\n").unwrap();
            let runtime = layout.search(&[shims]).unwrap();
            assert!(runtime.node.ends_with("20.1.0/bin/node"), "{shims}");
        }
    }

    #[test]
    fn an_unknown_wrapper_is_named() {
        let mut layout = Layout::new();
        std::fs::create_dir(layout.root.join("bin")).unwrap();
        std::fs::write(layout.root.join("bin/npm"), "#!/bin/sh\n").unwrap();
        let finding = layout.search(&["bin"]).unwrap_err();
        assert!(finding.message.contains("wrapper"), "{}", finding.message);
        assert!(finding.hint.unwrap().contains("managers.npm"));
    }
}
