//! Files whose content is replaced, found again under any name.
//!
//! A view is meant for a file, not for one of its names: links and bind mounts lead to the same file.
//! Which file that is, is looked up once where the run cannot put another one into its place, and
//! each time elsewhere.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::model::View;

/// Device and inode.
type Identity = (u64, u64);

#[derive(Debug)]
struct Replaced {
    path: PathBuf,
    /// Of a file that stays.
    identity: Option<Identity>,
    content: Vec<u8>,
}

/// The views of a run.
#[derive(Debug)]
pub(super) struct Views(Vec<Replaced>);

impl Views {
    /// Looks up the files of the views; `stays` tells which path the run cannot change.
    pub(super) fn new(views: Vec<View>, stays: impl Fn(&Path) -> bool) -> Self {
        let replaced = views.into_iter().map(|view| {
            let path = PathBuf::from(view.path);
            Replaced {
                identity: if stays(&path) {
                    identity_at(&path)
                } else {
                    None
                },
                path,
                content: view.content,
            }
        });
        Self(replaced.collect())
    }

    /// What a file is replaced by.
    pub(super) fn of(&self, path: &Path, metadata: &Metadata) -> Option<&[u8]> {
        let wanted = Some(identity(metadata));
        let mut all = self.0.iter();
        let view = all.find(|view| {
            let same = || view.identity.or_else(|| identity_at(&view.path)) == wanted;
            view.path == path || same()
        });
        Some(&view?.content)
    }
}

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

fn identity_at(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().as_ref().map(identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_holds_for_each_name_of_its_file() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        fs::write(at("file"), "as it is").unwrap();
        fs::write(at("other"), "other").unwrap();
        fs::hard_link(at("file"), at("second")).unwrap();
        for stays in [true, false] {
            let view = View {
                path: at("file").into(),
                content: b"shown".to_vec(),
            };
            let views = Views::new(vec![view], |_| stays);
            let shown = |name| {
                let content = views.of(&at(name), &fs::metadata(at(name)).unwrap());
                content.map(<[u8]>::to_vec)
            };
            assert_eq!(shown("file").as_deref(), Some(&b"shown"[..]));
            assert_eq!(shown("second").as_deref(), Some(&b"shown"[..]));
            assert_eq!(shown("other"), None);
        }
    }

    #[test]
    fn a_file_that_is_replaced_is_looked_up_anew() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        fs::write(at("file"), "first").unwrap();
        let view = View {
            path: at("file").into(),
            content: b"shown".to_vec(),
        };
        let views = Views::new(vec![view], |_| false);
        fs::write(at("new"), "second").unwrap();
        fs::rename(at("new"), at("file")).unwrap();
        fs::hard_link(at("file"), at("second")).unwrap();
        let metadata = fs::metadata(at("second")).unwrap();
        assert_eq!(views.of(&at("second"), &metadata), Some(&b"shown"[..]));
    }
}
