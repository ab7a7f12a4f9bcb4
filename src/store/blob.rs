//! Artifact bytes by digest: `v1/blob/<algorithm>/ab/<hex>`.
//!
//! Only [`Verified`] content is written, under the digest that it was compared with. Nobody is
//! trusted on the way back: what is read is hashed again, and a blob that does not match is a miss
//! and is removed. Small content is held in memory and is answered from there, so that it passes
//! through no second read; large content lives in a staged file from the start.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::{Directory, Put, Staged, Store as _, StoreError};
use crate::model::Digest;
use crate::model::Integrity;
use crate::verify::Digests;
use crate::verify::Hashed;
use crate::verify::Hashing;
use crate::verify::Sink;
use crate::verify::Verified;

/// Content up to this size is held in memory: most packages are far smaller, and as many as the
/// manager has connections may be under way at once.
pub const MEMORY: u64 = 1024 * 1024;

/// A blob that is used gets a new time at most this often, so that trimming by age keeps it.
const TOUCH: Duration = Duration::from_secs(24 * 3600);

/// Content that can be answered, any number of times.
#[derive(Clone, Debug)]
pub enum Content {
    /// In memory, in the pieces in which it arrived.
    Memory(Arc<[Bytes]>),
    /// An open, read-only file of this size.
    File(Arc<File>, u64),
}

/// Takes content that is still to be verified: in memory while it is small, else in a staged file.
#[derive(Debug)]
pub struct Spool {
    directory: Directory,
    size: u64,
    chunks: Vec<Bytes>,
    staged: Option<Staged>,
}

impl Spool {
    /// An empty one.
    pub fn new(directory: &Directory) -> Self {
        Self {
            directory: directory.clone(),
            size: 0,
            chunks: Vec::new(),
            staged: None,
        }
    }

    fn spill(&mut self) -> io::Result<&mut Staged> {
        let mut staged = match self.staged.take() {
            Some(staged) => staged,
            None => self.directory.stage().map_err(io::Error::other)?,
        };
        for chunk in self.chunks.drain(..) {
            staged.write_all(&chunk)?;
        }
        Ok(self.staged.insert(staged))
    }
}

impl Sink for Spool {
    fn take(&mut self, chunk: Bytes) -> io::Result<()> {
        self.size = self
            .size
            .saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        self.chunks.push(chunk);
        if self.size > MEMORY {
            self.spill()?;
        }
        Ok(())
    }
}

/// The blobs of a store.
#[derive(Clone, Debug)]
pub struct Blobs {
    directory: Directory,
}

impl Blobs {
    /// Over that directory.
    pub fn new(directory: &Directory) -> Self {
        Self {
            directory: directory.clone(),
        }
    }

    /// The directory.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Content that keeps all `promises`, if it is here.
    pub fn find(&self, promises: &[Integrity]) -> Result<Option<(Content, Digests)>, StoreError> {
        for digest in promises.iter().flat_map(Integrity::deciding) {
            if !digest.algorithm().is_strong() {
                continue;
            }
            let key = key(digest);
            let Some(file) = self.directory.get(&key)? else {
                continue;
            };
            let read = |source| StoreError::Io {
                path: self.directory.root().join(&key),
                source,
            };
            let metadata = file.metadata().map_err(read)?;
            let found = if !metadata.is_file() {
                None
            } else if metadata.len() <= MEMORY {
                Some(small(&file, metadata.len(), promises).map_err(read)?)
            } else {
                Some(large(&file, promises).map_err(read)?)
            };
            let Some(found) =
                found.filter(|found| found.digests.under(digest.algorithm()) == Some(digest))
            else {
                self.directory.remove(&key)?;
                continue;
            };
            if !found.kept {
                // What its name says, but of several statements one names other bytes.
                continue;
            }
            if metadata
                .modified()
                .ok()
                .and_then(|at| at.elapsed().ok())
                .is_some_and(|age| age > TOUCH)
            {
                // Only the owner can; for others the blob ages as it would anyway.
                let _ = file.set_modified(SystemTime::now());
            }
            return Ok(Some((found.content, found.digests)));
        }
        Ok(None)
    }

    /// Stores content under the digest that it was compared with, and gives it back.
    pub fn keep(
        &self,
        content: Verified<Spool>,
        promises: &[Integrity],
    ) -> Result<(Content, Digests), StoreError> {
        let (mut spool, digests) = content.into_parts();
        let Some(digest) = promises
            .iter()
            .find(|promise| promise.algorithm().is_strong())
            .and_then(|promise| digests.under(promise.algorithm()))
        else {
            return Err(StoreError::Key("no strong digest".to_owned()));
        };
        let key = key(digest);
        let failed = |source| StoreError::Io {
            path: self.directory.root().join(&key),
            source,
        };
        let content = if spool.staged.is_some() {
            let staged = spool
                .staged
                .as_ref()
                .map(|staged| staged.file().try_clone());
            let file = staged
                .transpose()
                .map_err(failed)?
                .ok_or_else(|| failed(io::Error::other("the staged file is gone")))?;
            Content::File(Arc::new(file), digests.size)
        } else {
            Content::Memory(spool.chunks.iter().cloned().collect())
        };
        spool.spill().map_err(failed)?;
        if let Some(staged) = spool.staged.take() {
            let (Put::Created | Put::Existed) = self.directory.put_if_absent(&key, staged)?;
        }
        Ok((content, digests))
    }
}

fn key(digest: &Digest) -> String {
    let hex = digest.hex();
    // One level of folders: making folders costs more than looking into larger ones.
    let first = hex.get(..2).unwrap_or_default();
    format!("v1/blob/{}/{first}/{hex}", digest.algorithm().name())
}

/// A blob as it was read.
struct Found {
    content: Content,
    digests: Digests,
    /// Whether every promise holds for it.
    kept: bool,
}

fn small(mut file: &File, size: u64, promises: &[Integrity]) -> io::Result<Found> {
    use std::io::Read as _;

    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    (&mut file).take(MEMORY + 1).read_to_end(&mut bytes)?;
    let bytes = Bytes::from(bytes);
    let mut hashing = Hashing::new((), promises);
    hashing.push(bytes.clone())?;
    let hashed = hashing.finish();
    Ok(Found {
        content: Content::Memory(Arc::new([bytes])),
        digests: hashed.digests().clone(),
        kept: hashed.verify(promises).is_ok(),
    })
}

fn large(file: &File, promises: &[Integrity]) -> io::Result<Found> {
    let hashed = Hashed::read(file.try_clone()?, promises)?;
    let digests = hashed.digests().clone();
    Ok(Found {
        content: Content::File(Arc::new(file.try_clone()?), digests.size),
        digests,
        kept: hashed.verify(promises).is_ok(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::FileExt as _;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::model::Algorithm;

    fn promise(content: &[u8], algorithm: Algorithm) -> Vec<Integrity> {
        let asked = [Integrity::of(
            Digest::new(algorithm, vec![0; algorithm.size()]).unwrap(),
        )];
        let mut hashing = Hashing::new((), &asked);
        hashing.push(Bytes::copy_from_slice(content)).unwrap();
        vec![Integrity::of(
            hashing.finish().digests().under(algorithm).unwrap().clone(),
        )]
    }

    fn keep(blobs: &Blobs, content: &[u8], promises: &[Integrity]) -> Content {
        let mut hashing = Hashing::new(Spool::new(blobs.directory()), promises);
        for chunk in content.chunks(100_000) {
            hashing.push(Bytes::copy_from_slice(chunk)).unwrap();
        }
        blobs
            .keep(hashing.finish().verify(promises).unwrap(), promises)
            .unwrap()
            .0
    }

    fn bytes(content: &Content) -> Vec<u8> {
        match content {
            Content::Memory(chunks) => chunks.concat(),
            Content::File(file, size) => {
                let mut bytes = vec![0; usize::try_from(*size).unwrap()];
                file.read_exact_at(&mut bytes, 0).unwrap();
                bytes
            }
        }
    }

    #[test]
    fn small_and_large_content_comes_back_under_each_algorithm() {
        let root = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(&Directory::open(root.path()).unwrap());
        let large: Vec<u8> = (0..3_000_000_u32)
            .map(|number| number.to_le_bytes()[1])
            .collect();
        for content in [&b"small"[..], &b""[..], &large[..]] {
            for algorithm in [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512] {
                let promises = promise(content, algorithm);
                assert!(blobs.find(&promises).unwrap().is_none());
                assert_eq!(bytes(&keep(&blobs, content, &promises)), content);
                let (found, digests) = blobs.find(&promises).unwrap().unwrap();
                assert_eq!(bytes(&found), content);
                assert_eq!(digests.size, u64::try_from(content.len()).unwrap());
            }
        }
        assert!(blobs.directory().list("v1/tmp").unwrap().is_empty());
    }

    #[test]
    fn a_blob_that_another_statement_excludes_is_a_miss_and_stays() {
        let root = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(&Directory::open(root.path()).unwrap());
        let of = |content: &[u8]| promise(content, Algorithm::Sha256).remove(0);
        keep(&blobs, b"content", &[of(b"content")]);
        let both = [of(b"content"), of(b"other")];
        assert!(blobs.find(&both).unwrap().is_none());
        assert!(blobs.find(&[of(b"content")]).unwrap().is_some());
    }

    #[test]
    fn a_corrupt_blob_is_a_miss_and_goes_away() {
        let root = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(&Directory::open(root.path()).unwrap());
        let promises = promise(b"content", Algorithm::Sha512);
        keep(&blobs, b"content", &promises);
        let key = blobs.directory().list("v1/blob").unwrap().remove(0);
        let path = root.path().join(&key);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&path, b"Content").unwrap();
        assert!(blobs.find(&promises).unwrap().is_none());
        assert_eq!(blobs.directory().head(&key).unwrap(), None);
        keep(&blobs, b"content", &promises);
        assert!(blobs.find(&promises).unwrap().is_some());
    }
}
