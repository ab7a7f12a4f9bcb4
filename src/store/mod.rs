//! The store: immutable objects behind four calls.
//!
//! Holds verified blobs and the first-seen ledger; written by the proxy only. Layout and calls are
//! the same for a directory and, later, for a bucket. There is no overwrite and no get-then-put:
//! [`Store::put_if_absent`] is the only way in, and it is atomic. Readers hash what they read.

use std::fs::File;
use std::path::PathBuf;

mod blob;
mod directory;
mod entry;
mod grades;
mod heard;
mod ledger;
mod trim;

pub use blob::{Blobs, Content, MEMORY, Spool};
pub use directory::{Directory, Staged};
pub use grades::{Graded, Grading};
pub use heard::Heard;
pub use ledger::{Entry, FirstSeen, Item, Ledger};

/// What a put did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The object is new.
    Created,
    /// An object of that key was there and was left as it is.
    Existed,
}

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// An I/O error at a path.
    #[error("cannot use the store at `{path}`")]
    Io {
        /// The object or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A key that is not a path of safe segments.
    #[error("not a key of the store: `{0}`")]
    Key(String),
    /// An entry of the ledger that cannot be read; it is never replaced.
    #[error("the ledger entry at `{path}` cannot be read")]
    Entry {
        /// The object.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// Immutable objects by key. Keys are relative paths of safe segments (`v1/blob/sha512/ab/…`).
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Opens an object for reading.
    fn get(&self, key: &str) -> Result<Option<File>, StoreError>;
    /// Makes staged content an object, unless the key exists.
    fn put_if_absent(&self, key: &str, content: Staged) -> Result<Put, StoreError>;
    /// Size of an object.
    fn head(&self, key: &str) -> Result<Option<u64>, StoreError>;
    /// Keys below a prefix.
    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError>;
}
