//! The bare manager: the program that a shell would have started had there been no shim.
//!
//! For what a shim hands on. Found by walking PATH; a relative entry is none. What a project or
//! another user can write is no package manager, nor is v4run itself, any copy of it, or anything in
//! a folder of shims: such candidates are passed over and named. It starts nothing.

use std::path::{Path, PathBuf};

use super::{ALL, Call, place, python};
use crate::model::{Code, Finding};

/// Finds the bare manager: the path to start, links as they are. `pinned` is where the policy says that
/// it is.
pub fn bare(wanted: &Call<'_>, pinned: Option<&Path>) -> Result<PathBuf, Finding> {
    let project = python::find::root(wanted.directory, wanted.home);
    let project = project.as_deref().unwrap_or(wanted.directory);
    let name = wanted.word.to_string_lossy();
    let mut looked = Vec::new();
    let mut judged = |path: PathBuf| match refusal(&path, project, wanted.home) {
        None => Some(path),
        Some(why) => {
            looked.push(format!("{}: {why}", path.display()));
            None
        }
    };
    let found = match pinned {
        Some(path) => judged(path.to_path_buf()),
        None => place::search_path(wanted.environment)
            .map(|directory| directory.join(wanted.word))
            .filter(|path| place::is_program(path))
            .find_map(&mut judged),
    };
    found.ok_or_else(|| {
        let message = match looked.is_empty() {
            true => format!("no `{name}` but the shim in any directory of PATH"),
            false => format!("no usable `{name}`; looked at {}", looked.join("; ")),
        };
        let hint = match pinned {
            Some(path) => format!("the policy pins {}: correct its `path`", path.display()),
            None => format!("install `{name}`, and put its directory into PATH behind the shims"),
        };
        Finding::new(Code::ManagerNotFound, name, message).with_hint(hint)
    })
}

/// Why a program is not started unconfined.
fn refusal(path: &Path, project: &Path, home: Option<&Path>) -> Option<&'static str> {
    let Ok(real) = path.canonicalize() else {
        return Some("leads nowhere");
    };
    let folder = path.parent()?;
    if place::is_ours(&real, folder) {
        return Some("is v4run itself");
    }
    let beside = real.parent()?;
    if folder.ends_with("node_modules/.bin") {
        return Some("belongs to an install tree");
    }
    [folder, beside].into_iter().find_map(|folder| {
        place::inside_project(folder, project, home).or_else(|| place::open_to_others(folder))
    })
}

/// The project that a directory lies in: the nearest directory with a mark of version control or a
/// manager's own file. The home directory, and what holds it, is no project.
pub fn project_above(directory: &Path, home: Option<&Path>) -> Option<PathBuf> {
    let own = |path: &Path| path.parent().is_none() || home.is_some_and(|h| h.starts_with(path));
    let names = || {
        let manifests = ALL.iter().flat_map(|manager| manager.manifests());
        manifests.chain(python::find::ROOTS)
    };
    let marked = |path: &&Path| names().any(|name| path.join(name).exists());
    let mut above = directory.ancestors().filter(|path| !own(path));
    above.find(marked).map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ffi::OsStr;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn program(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn find(root: &Path, path: &str) -> Result<PathBuf, Finding> {
        let project = root.join("project");
        std::fs::create_dir_all(&project).unwrap();
        let environment = BTreeMap::from([("PATH".into(), path.into())]);
        let call = Call {
            word: OsStr::new("npm"),
            directory: &project,
            environment: &environment,
            home: None,
        };
        bare(&call, None)
    }

    #[test]
    fn what_is_no_manager_is_passed_over_and_named() {
        let guard = tempfile::tempdir().unwrap();
        let root = guard.path().canonicalize().unwrap();
        for place in [
            "project/tools",
            "project/node_modules/.bin",
            "open",
            "marked",
        ] {
            program(&root.join(place).join("npm"));
        }
        std::fs::set_permissions(root.join("open"), std::fs::Permissions::from_mode(0o777))
            .unwrap();
        std::fs::write(root.join("marked").join(place::MARKER), "").unwrap();
        std::fs::create_dir(root.join("self")).unwrap();
        symlink("/proc/self/exe", root.join("self/npm")).unwrap();
        std::fs::create_dir(root.join("gone")).unwrap();
        symlink("/nowhere/npm", root.join("gone/npm")).unwrap();
        // A link in a good place that leads into the project.
        std::fs::create_dir(root.join("links")).unwrap();
        symlink(root.join("project/tools/npm"), root.join("links/npm")).unwrap();
        let shown = |name: &str| root.join(name).display().to_string();
        let all = [
            ".",
            "relative",
            &shown("project/tools"),
            &shown("project/node_modules/.bin"),
            &shown("open"),
            &shown("marked"),
            &shown("self"),
            &shown("gone"),
            &shown("links"),
        ]
        .join(":");
        let finding = find(&root, &all).unwrap_err();
        assert_eq!(finding.code, Code::ManagerNotFound);
        for why in ["inside the project", "other users", "v4run itself"] {
            assert!(finding.message.contains(why), "{}", finding.message);
        }
        assert!(!finding.message.contains("relative"));
        program(&root.join("good/npm"));
        let found = find(&root, &format!("{all}:{}", shown("good"))).unwrap();
        assert_eq!(found, root.join("good/npm"));
        assert!(find(&root, "").unwrap_err().message.contains("no `npm`"));
    }

    #[test]
    fn a_project_is_told_by_its_files_and_home_is_none() {
        let guard = tempfile::tempdir().unwrap();
        let root = guard.path().canonicalize().unwrap();
        let inner = root.join("home/app/tools/bin");
        std::fs::create_dir_all(&inner).unwrap();
        let home = root.join("home");
        assert_eq!(project_above(&inner, Some(&home)), None);
        std::fs::write(home.join("package.json"), "{}").unwrap();
        assert_eq!(
            project_above(&inner, Some(&home)),
            None,
            "home is no project"
        );
        std::fs::write(home.join("app/pom.xml"), "").unwrap();
        assert_eq!(project_above(&inner, Some(&home)), Some(home.join("app")));
    }
}
