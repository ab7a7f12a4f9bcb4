//! What a build left in its component's folder: every new, changed and removed file, with its digest.
//!
//! The folder is read before and after, when nothing of the build is left. Folders of other components below it
//! cannot be taken out of what Landlock grants, so a change there is found here, and is a violation.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::manager::Wanted;
use crate::model::{BuildFile, Code, Digest, Event, Finding, Limits};
use crate::verify::hash::sha256_of;

/// Entries that a folder may have.
const ENTRIES: usize = 1_000_000;
/// Produced files that are recorded one by one.
const RECORDED: usize = 10_000;

/// A file: digest and size; a link: where it leads.
#[derive(Debug, PartialEq, Eq)]
enum Entry {
    File(Digest, u64),
    Link(PathBuf),
    Other,
}

/// A folder at one moment.
#[derive(Debug)]
pub(super) struct Snapshot {
    folder: PathBuf,
    entries: BTreeMap<PathBuf, Entry>,
}

impl Snapshot {
    /// Reads the folder.
    pub(super) fn take(folder: &Path) -> Result<Self, Finding> {
        let mut entries = BTreeMap::new();
        walk(folder, &mut entries).map_err(|error| {
            let shown = folder.display().to_string();
            let message = format!("`{shown}` cannot be read: {error}");
            Finding::new(Code::BuildLimit, shown, message)
        })?;
        Ok(Self {
            folder: folder.to_path_buf(),
            entries,
        })
    }

    /// What is different now.
    pub(super) fn changes(&self, wanted: &Wanted, root: &Path, limits: Limits) -> Vec<Event> {
        let after = match Self::take(&self.folder) {
            Ok(after) => after,
            Err(finding) => return vec![Event::Found(finding)],
        };
        let mut events = Vec::new();
        let mut foreign = None;
        let mut count = 0_usize;
        let most = u64::from(limits.file).saturating_mul(Limits::MIB);
        let all = self.entries.keys().chain(after.entries.keys());
        let all: std::collections::BTreeSet<&PathBuf> = all.collect();
        for path in all {
            let (before, now) = (self.entries.get(path), after.entries.get(path));
            if before == now {
                continue;
            }
            count += 1;
            if wanted.others.iter().any(|other| path.starts_with(other)) {
                foreign.get_or_insert(path);
            }
            let (sha256, size) = match now {
                Some(Entry::File(digest, size)) => (Some(digest.clone()), *size),
                Some(Entry::Link(_) | Entry::Other) | None => (None, 0),
            };
            if size >= most {
                let shown = path.display().to_string();
                let message = format!("`{shown}` reached the limit of {} MiB", limits.file);
                events.push(Event::Found(Finding::new(
                    Code::BuildLimit,
                    "file",
                    message,
                )));
            }
            let change = match (before, now) {
                (None, _) => "new",
                (Some(_), Some(_)) => "changed",
                (Some(_), None) => "removed",
            };
            if count <= RECORDED {
                events.push(Event::BuildFile(BuildFile {
                    purl: wanted.purl.clone(),
                    path: path
                        .strip_prefix(root)
                        .unwrap_or(path)
                        .display()
                        .to_string(),
                    sha256,
                    size,
                    change: change.to_owned(),
                }));
            }
        }
        if count > RECORDED {
            let message = format!("it left {count} files; {RECORDED} are recorded");
            events.push(Event::Found(Finding::new(
                Code::BuildLimit,
                &wanted.path,
                message,
            )));
        }
        if let Some(path) = foreign {
            let shown = path.display().to_string();
            let message = format!(
                "the build of `{}` changed `{shown}`, which is not its own",
                wanted.purl
            );
            let finding = Finding::new(Code::FileAccessRefused, shown, message);
            events.push(Event::Found(finding.with_hint("install anew with `v4run`")));
        }
        events
    }
}

fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, Entry>) -> io::Result<()> {
    let mut pending = vec![folder.to_path_buf()];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let path = entry.path();
            let kind = entry.file_type()?;
            if kind.is_dir() {
                pending.push(path);
                continue;
            }
            if found.len() >= ENTRIES {
                return Err(io::Error::other(
                    "it holds more files than any build leaves",
                ));
            }
            let state = if kind.is_symlink() {
                Entry::Link(std::fs::read_link(&path)?)
            } else if kind.is_file() {
                let file = File::open(&path)?;
                Entry::File(sha256_of(&file)?, file.metadata()?.len())
            } else {
                Entry::Other
            };
            found.insert(path, state);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_told_and_that_of_others_is_a_violation() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("node_modules/a");
        let write = |path: &str, text: &str| {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("same", "1");
        write("other", "1");
        write("gone", "1");
        write("node_modules/b/index.js", "1");
        let wanted = Wanted {
            purl: "pkg:npm/a@1".into(),
            folder: folder.clone(),
            others: vec![folder.join("node_modules")],
            ..Wanted::default()
        };
        let before = Snapshot::take(&folder).unwrap();
        let told = || before.changes(&wanted, root.path(), Limits::default());
        assert_eq!(told(), []);
        write("other", "2");
        write("build/a.node", "binary");
        std::fs::remove_file(folder.join("gone")).unwrap();
        let files: Vec<(String, String)> = told()
            .into_iter()
            .filter_map(|event| {
                if let Event::BuildFile(file) = event {
                    Some((file.path, file.change))
                } else {
                    None
                }
            })
            .collect();
        let expected = [
            ("build/a.node", "new"),
            ("gone", "removed"),
            ("other", "changed"),
        ];
        let expected =
            expected.map(|(path, change)| (format!("node_modules/a/{path}"), change.to_owned()));
        assert_eq!(files, expected);
        write("node_modules/b/index.js", "2");
        let foreign = told().into_iter().any(
            |event| matches!(event, Event::Found(finding) if finding.code == Code::FileAccessRefused),
        );
        assert!(foreign);
    }
}
