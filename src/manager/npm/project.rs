//! Which directory npm will call the project, and its workspaces.
//!
//! npm walks up from the working directory to the first `package.json` or `node_modules`, then on
//! to a directory whose `workspaces` cover that one. v4run follows the same walk before the start,
//! because Landlock rules, configuration checks and lock checks hang on it. The project is
//! untrusted: links out of it, and a project that is the whole disk, are refused.

use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::manifest::{self, Manifest};
use crate::manager::read;
use crate::model::{Code, Finding};

/// Directories looked at when workspaces are searched.
const WALK_LIMIT: usize = 50_000;

/// The deepest directory level that a `**` pattern is followed to.
const DEPTH_LIMIT: usize = 12;

/// Where npm works.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Location {
    /// npm's local prefix, canonical.
    pub(super) root: PathBuf,
}

/// Finds the project of a working directory (canonical). `prefix` is `--prefix`, `alone` means that
/// workspaces are switched off.
pub(super) fn locate(
    directory: &Path,
    prefix: Option<&str>,
    alone: bool,
) -> Result<Location, Finding> {
    if let Some(prefix) = prefix {
        let root = directory.join(prefix);
        let root = root.canonicalize().map_err(|error| {
            Finding::new(
                Code::Usage,
                prefix,
                format!("`--prefix` cannot be used: {error}"),
            )
            .with_hint("create the directory first")
        })?;
        return Ok(Location { root });
    }
    let mut first: Option<&Path> = None;
    for place in directory.ancestors() {
        let manifest = place.join("package.json").is_file();
        match first {
            None if manifest || place.join("node_modules").is_dir() => {
                first = Some(place);
                if alone {
                    break;
                }
            }
            Some(inner) if manifest => {
                let covers = || {
                    read_manifest(place).ok().flatten().is_some_and(|manifest| {
                        workspaces(place, &manifest).is_ok_and(|all| all.iter().any(|w| w == inner))
                    })
                };
                if covers() {
                    return Ok(Location {
                        root: place.to_path_buf(),
                    });
                }
            }
            _ => {}
        }
    }
    Ok(Location {
        root: first.unwrap_or(directory).to_path_buf(),
    })
}

/// Reads the manifest of a project directory.
pub(super) fn read_manifest(root: &Path) -> Result<Option<Manifest>, Finding> {
    let path = root.join("package.json");
    let unreadable =
        |message: String| Finding::new(Code::ConfigRefused, path.display().to_string(), message);
    let bytes = read::inside(root, &path, manifest::LIMIT)
        .map_err(|error| unreadable(error.to_string()))?;
    let Some(bytes) = bytes else { return Ok(None) };
    Manifest::parse(&bytes)
        .map(Some)
        .map_err(|error| unreadable(format!("is not JSON: {error}")))
}

/// Directories of the workspaces that a manifest declares, in path order.
pub(super) fn workspaces(root: &Path, manifest: &Manifest) -> Result<Vec<PathBuf>, Finding> {
    let mut wanted = GlobSetBuilder::new();
    let mut unwanted = GlobSetBuilder::new();
    let mut depth = 0;
    for pattern in &manifest.workspaces {
        let bare = pattern.trim_start_matches('!');
        let negated = (pattern.len() - bare.len()) % 2 == 1;
        let bare = bare
            .trim_start_matches("./")
            .trim_start_matches('/')
            .trim_end_matches('/');
        let glob = GlobBuilder::new(bare)
            .literal_separator(true)
            .build()
            .map_err(|error| {
                let place = root.join("package.json").display().to_string();
                Finding::new(
                    Code::ConfigRefused,
                    place,
                    format!("`workspaces` cannot be read: {error}"),
                )
            })?;
        let levels = if bare.contains("**") {
            DEPTH_LIMIT
        } else {
            bare.split('/').count()
        };
        if negated {
            unwanted.add(glob);
        } else {
            depth = depth.max(levels.min(DEPTH_LIMIT));
            wanted.add(glob);
        }
    }
    let sets = (build(wanted, root)?, build(unwanted, root)?);
    let mut walk = Walk {
        root,
        sets,
        depth,
        seen: 0,
        found: Vec::new(),
    };
    if depth > 0 {
        walk.descend(root, 1)?;
    }
    walk.found.sort();
    Ok(walk.found)
}

fn build(builder: GlobSetBuilder, root: &Path) -> Result<GlobSet, Finding> {
    builder.build().map_err(|error| {
        let place = root.join("package.json").display().to_string();
        Finding::new(
            Code::ConfigRefused,
            place,
            format!("`workspaces` cannot be read: {error}"),
        )
    })
}

struct Walk<'a> {
    root: &'a Path,
    sets: (GlobSet, GlobSet),
    depth: usize,
    seen: usize,
    found: Vec<PathBuf>,
}

impl Walk<'_> {
    fn descend(&mut self, directory: &Path, level: usize) -> Result<(), Finding> {
        let Ok(entries) = std::fs::read_dir(directory) else {
            return Ok(());
        };
        for entry in entries.flatten() {
            self.seen += 1;
            if self.seen > WALK_LIMIT {
                let message = format!("`workspaces` covers more than {WALK_LIMIT} files");
                let place = self.root.join("package.json").display().to_string();
                return Err(Finding::new(Code::ConfigRefused, place, message));
            }
            let name = entry.file_name();
            let hidden = name.to_string_lossy().starts_with('.');
            if name == "node_modules"
                || hidden
                || !entry.file_type().is_ok_and(|kind| kind.is_dir())
            {
                continue;
            }
            let path = entry.path();
            let relative = path.strip_prefix(self.root).unwrap_or(&path);
            let matched = self.sets.0.is_match(relative) && !self.sets.1.is_match(relative);
            if matched && path.join("package.json").is_file() {
                self.found.push(path.clone());
            }
            if level < self.depth {
                self.descend(&path, level + 1)?;
            }
        }
        Ok(())
    }
}

/// Refuses projects whose grant would be the whole disk, and trees that lead out of the project.
pub(super) fn check(root: &Path, workspaces: &[PathBuf]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if root == Path::new("/") {
        let message =
            "the project would be the root of the file system, which cannot be granted to npm";
        let hint = "work in a directory of its own, for instance `mkdir /app && cd /app`";
        findings.push(Finding::new(Code::Usage, "/", message).with_hint(hint));
    }
    if root.to_str().is_none() {
        let message = "the path is not UTF-8, and node cannot open files below it";
        findings.push(
            Finding::new(Code::Usage, root.display().to_string(), message)
                .with_hint("rename the directory"),
        );
    }
    for place in std::iter::once(root).chain(workspaces.iter().map(PathBuf::as_path)) {
        let tree = place.join("node_modules");
        if std::fs::symlink_metadata(&tree).is_ok_and(|data| !data.is_dir()) {
            let message = "is a link or file; npm would write wherever it leads";
            findings.push(
                Finding::new(Code::ConfigRefused, tree.display().to_string(), message)
                    .with_hint("remove it, so that npm makes a directory"),
            );
        }
    }
    findings
}

/// A path joined to a directory with `.` and `..` resolved by text, as npm resolves lock entries.
pub(super) fn resolve(base: &Path, relative: &str) -> PathBuf {
    let mut result = base.to_path_buf();
    for part in Path::new(relative).components() {
        match part {
            Component::ParentDir => {
                result.pop();
            }
            Component::Normal(name) => result.push(name),
            Component::RootDir => result = PathBuf::from("/"),
            Component::CurDir | Component::Prefix(_) => {}
        }
    }
    result
}

/// Whether a path, by text and with links followed as far as it exists, lies inside a directory.
pub(super) fn lies_inside(root: &Path, path: &Path) -> bool {
    if !path.starts_with(root) {
        return false;
    }
    let existing = path.ancestors().find_map(|place| place.canonicalize().ok());
    existing.is_some_and(|real| real.starts_with(root))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        for (name, text) in files {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        (directory, root)
    }

    #[test]
    fn the_nearest_manifest_or_tree_is_the_project() {
        let (_guard, root) = tree(&[
            ("p/package.json", "{}"),
            ("p/src/deep/x", ""),
            ("q/node_modules/x", ""),
        ]);
        let find = |place: &str| locate(&root.join(place), None, false).unwrap().root;
        assert_eq!(find("p/src/deep"), root.join("p"));
        assert_eq!(find("q"), root.join("q"));
        assert_eq!(
            locate(&root, Some("p"), false).unwrap().root,
            root.join("p")
        );
        assert!(locate(&root, Some("none"), false).is_err());
    }

    #[test]
    fn workspaces_lead_to_their_root() {
        let manifest = r#"{"workspaces":["packages/*","!packages/no","tools/**"]}"#;
        let (_guard, root) = tree(&[
            ("package.json", manifest),
            ("packages/a/package.json", "{}"),
            ("packages/no/package.json", "{}"),
            ("packages/plain/x", ""),
            ("tools/x/y/package.json", "{}"),
            ("packages/a/node_modules/b/package.json", "{}"),
        ]);
        let parsed = read_manifest(&root).unwrap().unwrap();
        let all = workspaces(&root, &parsed).unwrap();
        assert_eq!(all, [root.join("packages/a"), root.join("tools/x/y")]);
        let found = locate(&root.join("packages/a"), None, false).unwrap();
        assert_eq!(found.root, root);
        assert_eq!(
            locate(&root.join("packages/no"), None, false).unwrap().root,
            root.join("packages/no")
        );
        assert_eq!(
            locate(&root.join("packages/a"), None, true).unwrap().root,
            root.join("packages/a")
        );
    }

    #[test]
    fn trees_that_lead_out_are_refused() {
        let (_guard, root) = tree(&[("p/package.json", "{}"), ("out/x", "")]);
        std::os::unix::fs::symlink("../out", root.join("p/node_modules")).unwrap();
        assert_eq!(check(&root.join("p"), &[]).len(), 1);
        assert_eq!(check(Path::new("/"), &[])[0].code, Code::Usage);
        assert!(!lies_inside(
            &root.join("p"),
            &root.join("p/node_modules/x")
        ));
        assert!(lies_inside(&root.join("p"), &root.join("p/new/dir")));
        assert_eq!(resolve(&root, "a/../../../b"), resolve(&root, "../../b"));
    }

    #[test]
    fn manifests_that_lead_out_are_refused() {
        let (_guard, root) = tree(&[("secret.json", "{}"), ("p/x", "")]);
        std::os::unix::fs::symlink("../secret.json", root.join("p/package.json")).unwrap();
        assert!(
            read_manifest(&root.join("p"))
                .unwrap_err()
                .message
                .contains("out of the project")
        );
    }
}
