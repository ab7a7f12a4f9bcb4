//! `--find-links`: directories of wheels.
//!
//! The user may name any directory, a project only one of its own or one that the user named too.
//! Which of the wheels may be opened is decided by digests alone. Pages of links, local or fetched,
//! are no index and are refused.

use std::path::{Path, PathBuf};

use super::asked::Origin;
use super::requirement::spellings;
use crate::model::{Code, Expected, Finding, Integrity, python};

/// Wheels of one directory that are looked at.
const ENTRIES: usize = 65_536;

/// The directories.
#[derive(Clone, Debug, Default)]
pub(in crate::manager) struct Links {
    /// In order, canonical.
    pub(in crate::manager) directories: Vec<PathBuf>,
}

impl Links {
    /// A directory of the user, or of a project's own configuration file.
    pub(in crate::manager) fn add(
        &mut self,
        text: &str,
        around: (&Path, Option<&Path>),
        origin: Origin,
        place: &str,
        project: &Path,
    ) -> Result<(), Finding> {
        let (directory, home) = around;
        let path = match (text.strip_prefix("~/"), home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => directory.join(text),
        };
        match origin {
            Origin::Project => self.project(text, &path, place, project),
            Origin::Cli | Origin::Environment | Origin::User => {
                let path = resolve(text, &path, place)?;
                self.keep(path);
                Ok(())
            }
        }
    }

    /// A directory that a project names.
    pub(in crate::manager) fn project(
        &mut self,
        text: &str,
        path: &Path,
        place: &str,
        project: &Path,
    ) -> Result<(), Finding> {
        let path = resolve(text, path, place)?;
        if !path.starts_with(project) && !self.directories.contains(&path) {
            let message = format!(
                "`--find-links` leads out of the project, to {}",
                path.display()
            );
            return Err(Finding::new(Code::ConfigRefused, place, message)
                .with_hint("name the directory in your user configuration if you mean it"));
        }
        self.keep(path);
        Ok(())
    }

    fn keep(&mut self, path: PathBuf) {
        if !self.directories.contains(&path) {
            self.directories.push(path);
        }
    }

    /// The wheels whose digest some statement gives.
    pub(in crate::manager) fn pinned(&self, expected: &[Expected]) -> Vec<(PathBuf, Integrity)> {
        let mut pinned = Vec::new();
        for directory in &self.directories {
            let Ok(entries) = std::fs::read_dir(directory) else {
                continue;
            };
            for entry in entries.take(ENTRIES).flatten() {
                let name = entry.file_name();
                let Some(file) = name.to_str() else { continue };
                let Some(wheel) = python::wheel_name(file) else {
                    continue;
                };
                let versions = spellings(&wheel.version);
                let mut fitting = expected.iter().filter(|one| {
                    one.name == wheel.name
                        && versions.contains(&one.version)
                        && one.file.as_deref().is_none_or(|stated| stated == file)
                });
                // A statement about this very file says more than one about the version.
                let exact = fitting.clone().find(|one| one.file.is_some());
                let integrity = exact
                    .or_else(|| fitting.next())
                    .and_then(|one| one.integrity.clone());
                let path = entry.path().canonicalize().ok();
                pinned.extend(path.zip(integrity));
            }
        }
        pinned
    }
}

/// The directory that a value names.
fn resolve(text: &str, path: &Path, place: &str) -> Result<PathBuf, Finding> {
    let scheme = text
        .split_once(':')
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    let path = match scheme.as_deref() {
        Some("http") => {
            let message = "`--find-links` names a page that would be fetched without TLS";
            return Err(Finding::new(Code::PlainHttp, place, message));
        }
        Some("https" | "ftp") => {
            let message =
                "`--find-links` names a page of links, which states no digests of its own";
            return Err(Finding::new(Code::ConfigRefused, place, message)
                .with_hint("name an index with `--extra-index-url`, or a directory of wheels"));
        }
        Some("file") => {
            let url = url::Url::parse(text)
                .ok()
                .and_then(|url| url.to_file_path().ok());
            url.ok_or_else(|| {
                Finding::new(Code::Usage, place, "`--find-links` names no directory")
            })?
        }
        Some(_) | None => path.to_path_buf(),
    };
    let real = path.canonicalize().ok().filter(|real| real.is_dir());
    real.ok_or_else(|| {
        let message = format!(
            "`--find-links` has no effect: there is no directory {}",
            path.display()
        );
        let page = path.is_file();
        if page {
            Finding::new(
                Code::ConfigRefused,
                place,
                "`--find-links` names a file; only directories are taken",
            )
        } else {
            Finding::new(Code::ConfigIgnored, place, message)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Algorithm, Anchor, Digest};

    fn expected(version: &str, file: Option<&str>, byte: u8) -> Expected {
        let digest = Digest::new(Algorithm::Sha256, vec![byte; 32]).unwrap();
        Expected {
            name: "a".to_owned(),
            version: version.to_owned(),
            file: file.map(str::to_owned),
            url: None,
            integrity: Some(Integrity::of(digest)),
            anchor: Anchor::Lockfile,
            stated_in: "x".to_owned(),
        }
    }

    #[test]
    fn a_project_stays_inside_itself() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let project = root.join("project");
        std::fs::create_dir_all(project.join("wheels")).unwrap();
        std::fs::create_dir(root.join("other")).unwrap();
        std::os::unix::fs::symlink("../other", project.join("out")).unwrap();
        let around = (project.as_path(), None);
        let mut links = Links::default();
        let mut add = |text: &str, origin| links.add(text, around, origin, "p", &project);
        assert!(add("wheels", Origin::Project).is_ok());
        assert_eq!(
            add("out", Origin::Project).unwrap_err().code,
            Code::ConfigRefused
        );
        assert!(add("../other", Origin::User).is_ok());
        assert!(add("out", Origin::Project).is_ok());
        assert_eq!(
            add("none", Origin::User).unwrap_err().code,
            Code::ConfigIgnored
        );
        assert_eq!(
            add("https://l.invalid/x.html", Origin::Cli)
                .unwrap_err()
                .code,
            Code::ConfigRefused
        );
        assert_eq!(
            add("http://l.invalid/", Origin::Cli).unwrap_err().code,
            Code::PlainHttp
        );
        assert_eq!(
            links.directories,
            [project.join("wheels"), root.join("other")]
        );
    }

    #[test]
    fn only_wheels_with_a_known_digest_are_pinned() {
        let root = tempfile::tempdir().unwrap();
        for file in [
            "a-1.0-py3-none-any.whl",
            "a-2-py3-none-any.whl",
            "b-1-py3-none-any.whl",
            "a-1.tar.gz",
        ] {
            std::fs::write(root.path().join(file), "x").unwrap();
        }
        let links = Links {
            directories: vec![root.path().canonicalize().unwrap()],
        };
        let statements = [
            expected("1", None, 1),
            expected("1", Some("a-1.0-py3-none-any.whl"), 2),
            expected("2", Some("other.whl"), 3),
        ];
        let pinned = links.pinned(&statements);
        assert_eq!(pinned.len(), 1);
        assert!(pinned[0].0.ends_with("a-1.0-py3-none-any.whl"));
        assert_eq!(Some(&pinned[0].1), statements[1].integrity.as_ref());
    }
}
