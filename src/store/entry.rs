//! Small entries of the store: JSON that is written once and never replaced.
//!
//! What the ledgers share. An entry that cannot be read is an error, never an absent one.

use std::io::{Read as _, Write as _};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Directory, Put, Store as _, StoreError};

impl Directory {
    /// The entry of that key, of which no more than `limit` bytes are read.
    pub(super) fn entry<T: DeserializeOwned>(
        &self,
        key: &str,
        limit: u64,
    ) -> Result<Option<T>, StoreError> {
        let Some(file) = self.get(key)? else {
            return Ok(None);
        };
        let path = || self.root().join(key);
        let mut text = Vec::new();
        file.take(limit)
            .read_to_end(&mut text)
            .map_err(|source| StoreError::Io {
                path: path(),
                source,
            })?;
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|source| StoreError::Entry {
                path: path(),
                source,
            })
    }

    /// Writes the entry of that key, unless there is one.
    pub(super) fn note<T: Serialize>(&self, key: &str, entry: &T) -> Result<Put, StoreError> {
        let path = self.root().join(key);
        let text = serde_json::to_vec(entry).map_err(|source| StoreError::Entry {
            path: path.clone(),
            source,
        })?;
        let mut staged = self.stage()?;
        staged
            .write_all(&text)
            .map_err(|source| StoreError::Io { path, source })?;
        self.put_if_absent(key, staged)
    }
}
