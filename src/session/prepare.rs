//! Where the project's policy is looked for.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Name of the project's policy file.
pub(super) const POLICY: &str = "v4run.toml";

/// The nearest directory with a policy, from `start` up to the repository's root. Directories that
/// others may write end the search: whoever can put a file there is not the project.
pub(super) fn policy_directory(start: &Path) -> PathBuf {
    for directory in start.ancestors() {
        let closed = std::fs::metadata(directory).is_ok_and(|m| m.mode() & 0o002 == 0);
        if !closed {
            break;
        }
        if directory.join(POLICY).exists() {
            return directory.to_owned();
        }
        if directory.join(".git").exists() {
            break;
        }
    }
    start.to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, create_dir_all, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_nearest_policy_counts_and_open_directories_end_the_search() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("a/b");
        create_dir_all(&inner).unwrap();
        write(root.path().join(POLICY), "").unwrap();
        assert_eq!(policy_directory(&inner), root.path());
        set_permissions(root.path(), Permissions::from_mode(0o777)).unwrap();
        assert_eq!(policy_directory(&inner), inner);
        set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        create_dir_all(inner.join(".git")).unwrap();
        assert_eq!(policy_directory(&inner), inner);
    }
}
