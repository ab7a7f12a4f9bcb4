//! Files that must exist so that Landlock can grant them, and results that move to their place.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::manager::{Promotion, Seed};
use crate::model::{Code, Finding};

/// What was made and has to go again if the manager left it as it is.
#[derive(Debug, Default)]
pub(super) struct Sown {
    directories: Vec<PathBuf>,
    files: Vec<(PathBuf, Vec<u8>)>,
}

fn failed(path: &Path, error: &io::Error) -> Finding {
    let shown = path.display().to_string();
    Finding::new(
        Code::Usage,
        &shown,
        format!("cannot prepare `{shown}`: {error}"),
    )
}

/// Makes what is missing. Never changes what is there.
pub(super) fn sow(seeds: &[Seed]) -> Result<Sown, Finding> {
    let mut sown = Sown::default();
    for seed in seeds {
        match seed {
            Seed::Directory(path) => {
                let mut missing: Vec<_> = path.ancestors().take_while(|p| !p.exists()).collect();
                while let Some(next) = missing.pop() {
                    if let Err(error) = DirBuilder::new().create(next) {
                        sown.weed();
                        return Err(failed(path, &error));
                    }
                    sown.directories.push(next.to_owned());
                }
                if !path.is_dir() {
                    sown.weed();
                    return Err(failed(path, &io::Error::from(io::ErrorKind::NotADirectory)));
                }
            }
            Seed::File(path, content) => {
                let made = OpenOptions::new().write(true).create_new(true).open(path);
                match made.and_then(|mut file| file.write_all(content)) {
                    Ok(()) => sown.files.push((path.clone(), content.clone())),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(error) => {
                        sown.weed();
                        return Err(failed(path, &error));
                    }
                }
            }
        }
    }
    Ok(sown)
}

impl Sown {
    /// Removes what was made and is still as it was made.
    pub(super) fn weed(&self) {
        for (path, content) in &self.files {
            if std::fs::read(path).is_ok_and(|now| now == *content) {
                let _ = std::fs::remove_file(path);
            }
        }
        // Only an empty directory can be removed this way.
        for path in self.directories.iter().rev() {
            let _ = std::fs::remove_dir(path);
        }
    }
}

/// Moves results to their place. An existing file of that name is replaced, as the bare manager
/// does.
pub(super) fn promote(promotions: &[Promotion]) -> Result<(), Finding> {
    for promotion in promotions {
        let moved = (|| {
            for entry in std::fs::read_dir(&promotion.from)? {
                let entry = entry?;
                if entry.file_type()?.is_file() {
                    let mut staged = tempfile::NamedTempFile::new_in(&promotion.to)?;
                    io::copy(&mut std::fs::File::open(entry.path())?, &mut staged)?;
                    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
                    staged.as_file().set_permissions(mode)?;
                    staged.persist(promotion.to.join(entry.file_name()))?;
                }
            }
            Ok(())
        })();
        moved.map_err(|error: io::Error| failed(&promotion.to, &error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_made_and_left_alone_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        std::fs::write(path("there"), "theirs").unwrap();
        let seeds = [
            Seed::Directory(path("empty")),
            Seed::Directory(path("used")),
            Seed::Directory(path("deep/er")),
            Seed::File(path("there"), b"seed".to_vec()),
            Seed::File(path("changed"), b"seed".to_vec()),
            Seed::File(path("same"), b"seed".to_vec()),
        ];
        let sown = sow(&seeds).unwrap();
        std::fs::write(path("used/file"), "").unwrap();
        std::fs::write(path("changed"), "new").unwrap();
        sown.weed();
        assert_eq!(std::fs::read(path("there")).unwrap(), b"theirs");
        assert!(path("used/file").exists() && path("changed").exists());
        assert!(!path("empty").exists() && !path("same").exists() && !path("deep").exists());
    }
}
