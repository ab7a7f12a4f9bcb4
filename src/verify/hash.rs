//! Hashing while content passes, and the one way from hashed to verified content.
//!
//! [`Hashing`] wraps a [`Sink`]: each chunk is hashed under SHA-256, which names the content in
//! records, and under what the promises need besides, and handed on without a copy.
//! [`Hashed::verify`] compares with promises, [`Hashed::confirm`] with what the sender itself states;
//! they are the only constructors of [`Verified`]. SHA-1 keeps no promise and is computed only where
//! a sender states nothing better; MD5 is never computed.
//!
//! FIPS 180-4; W3C Subresource Integrity for what a promise looks like.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use bytes::Bytes;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::model::Algorithm;
use crate::model::Digest;
use crate::model::Integrity;

/// Bytes read from a file at a time.
const BLOCK: usize = 64 * 1024;

/// Where hashed chunks go.
pub trait Sink {
    /// Takes the next chunk of the content.
    fn take(&mut self, chunk: Bytes) -> io::Result<()>;
}

/// Keeps nothing: for content that stays where it is.
impl Sink for () {
    fn take(&mut self, _chunk: Bytes) -> io::Result<()> {
        Ok(())
    }
}

/// Content on its way into a sink.
#[derive(Debug)]
pub struct Hashing<S> {
    sink: S,
    size: u64,
    sha1: Option<Sha1>,
    sha256: Sha256,
    sha384: Option<Sha384>,
    sha512: Option<Sha512>,
}

impl<S: Sink> Hashing<S> {
    /// Starts over `sink`.
    pub fn new<'a>(sink: S, promises: impl IntoIterator<Item = &'a Integrity>) -> Self {
        let mut hashing = Self {
            sink,
            size: 0,
            sha1: None,
            sha256: Sha256::new(),
            sha384: None,
            sha512: None,
        };
        for digest in promises.into_iter().flat_map(Integrity::deciding) {
            match digest.algorithm() {
                Algorithm::Sha384 => drop(hashing.sha384.get_or_insert_default()),
                Algorithm::Sha512 => drop(hashing.sha512.get_or_insert_default()),
                Algorithm::Sha256 | Algorithm::Sha1 | Algorithm::Md5 => {}
            }
        }
        hashing
    }

    /// Computes everything that a sender may state of its bytes.
    #[must_use]
    pub fn complete(mut self) -> Self {
        self.sha1 = Some(Sha1::new());
        self.sha512.get_or_insert_default();
        self
    }

    /// Hashes the chunk and hands it to the sink.
    pub fn push(&mut self, chunk: Bytes) -> io::Result<()> {
        self.update(&chunk);
        self.sink.take(chunk)
    }

    /// Bytes so far.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Ends the content.
    pub fn finish(self) -> Hashed<S> {
        let (digests, content) = self.digests();
        Hashed { content, digests }
    }
}

impl<S> Hashing<S> {
    fn update(&mut self, chunk: &[u8]) {
        self.size = self
            .size
            .saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        if let Some(sha1) = &mut self.sha1 {
            sha1.update(chunk);
        }
        self.sha256.update(chunk);
        if let Some(sha384) = &mut self.sha384 {
            sha384.update(chunk);
        }
        if let Some(sha512) = &mut self.sha512 {
            sha512.update(chunk);
        }
    }

    fn digests(self) -> (Digests, S) {
        let digests = Digests {
            size: self.size,
            sha1: self
                .sha1
                .map(|sha| digest(Algorithm::Sha1, sha.finalize().to_vec())),
            sha256: digest(Algorithm::Sha256, self.sha256.finalize().to_vec()),
            sha384: self
                .sha384
                .map(|sha| digest(Algorithm::Sha384, sha.finalize().to_vec())),
            sha512: self
                .sha512
                .map(|sha| digest(Algorithm::Sha512, sha.finalize().to_vec())),
        };
        (digests, self.sink)
    }
}

impl Hashed<File> {
    /// Hashes a file from its first byte to its end; its position is neither used nor moved.
    pub fn read<'a>(
        file: File,
        promises: impl IntoIterator<Item = &'a Integrity>,
    ) -> io::Result<Self> {
        let mut hashing = Hashing::new((), promises);
        blocks(&file, |block| hashing.update(block))?;
        let (digests, ()) = hashing.digests();
        Ok(Self {
            content: file,
            digests,
        })
    }
}

/// The SHA-256 of a file alone, from its first byte to its end.
pub fn sha256_of(file: &File) -> io::Result<Digest> {
    let mut sha256 = Sha256::new();
    blocks(file, |block| sha256.update(block))?;
    Ok(digest(Algorithm::Sha256, sha256.finalize().to_vec()))
}

/// The SHA-256 of what is still to be read.
pub fn sha256_from(content: &mut impl io::Read) -> io::Result<Digest> {
    let mut sha256 = Sha256::new();
    let mut block = vec![0_u8; BLOCK];
    loop {
        match content.read(&mut block) {
            Ok(0) => return Ok(digest(Algorithm::Sha256, sha256.finalize().to_vec())),
            Ok(count) => sha256.update(block.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The SHA-1 of a content in pieces: for managers that check it, and never a ground to trust.
pub fn sha1_of(pieces: impl IntoIterator<Item = io::Result<Bytes>>) -> io::Result<Digest> {
    let mut sha1 = Sha1::new();
    for piece in pieces {
        sha1.update(piece?);
    }
    Ok(digest(Algorithm::Sha1, sha1.finalize().to_vec()))
}

/// A file in pieces, from its first byte to its end.
pub fn pieces(file: &File) -> impl Iterator<Item = io::Result<Bytes>> {
    let mut at = 0_u64;
    std::iter::from_fn(move || {
        let mut block = vec![0_u8; BLOCK];
        let count = match file.read_at(&mut block, at) {
            Ok(0) => return None,
            Ok(count) => count,
            Err(error) => return Some(Err(error)),
        };
        block.truncate(count);
        at = at.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        Some(Ok(block.into()))
    })
}

fn blocks(file: &File, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut block = vec![0_u8; BLOCK];
    let mut at = 0_u64;
    loop {
        let count = file.read_at(&mut block, at)?;
        let Some(read) = block.get(..count).filter(|read| !read.is_empty()) else {
            return Ok(());
        };
        take(read);
        at = at.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }
}

/// The SHA-256 of bytes at hand.
pub fn sha256(content: &[u8]) -> Digest {
    digest(Algorithm::Sha256, Sha256::digest(content).to_vec())
}

fn digest(algorithm: Algorithm, bytes: Vec<u8>) -> Digest {
    match Digest::new(algorithm, bytes) {
        Ok(digest) => digest,
        Err(_wrong_length) => unreachable!("a hash function has one output length"),
    }
}

/// What was computed over a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digests {
    /// Length in bytes.
    pub size: u64,
    /// SHA-1, where it was asked for. It keeps no promise.
    pub sha1: Option<Digest>,
    /// SHA-256.
    pub sha256: Digest,
    /// SHA-384, where a promise needed it.
    pub sha384: Option<Digest>,
    /// SHA-512, where a promise needed it.
    pub sha512: Option<Digest>,
}

impl Digests {
    /// Whether they keep a promise; what was not computed keeps none.
    pub fn keep(&self, promise: &Integrity) -> bool {
        promise
            .deciding()
            .filter_map(|digest| self.under(digest.algorithm()))
            .any(|computed| promise.accepts(computed))
    }

    /// The digest under that function, if it was computed.
    pub const fn under(&self, algorithm: Algorithm) -> Option<&Digest> {
        match algorithm {
            Algorithm::Md5 | Algorithm::Sha1 => None,
            Algorithm::Sha256 => Some(&self.sha256),
            Algorithm::Sha384 => self.sha384.as_ref(),
            Algorithm::Sha512 => self.sha512.as_ref(),
        }
    }
}

/// Content with the digests that were computed over it. Not compared with anything yet.
#[derive(Debug)]
pub struct Hashed<C> {
    content: C,
    digests: Digests,
}

impl<C> Hashed<C> {
    /// The computed digests.
    pub const fn digests(&self) -> &Digests {
        &self.digests
    }

    /// Compares with every promise. All must hold, and there must be at least one.
    pub fn verify<'a>(
        self,
        promises: impl IntoIterator<Item = &'a Integrity>,
    ) -> Result<Verified<C>, Mismatch> {
        let mut compared = false;
        for promise in promises {
            if !self.digests.keep(promise) {
                return Err(Mismatch {
                    promised: Some(promise.clone()),
                    computed: self.digests.under(promise.algorithm()).cloned(),
                    size: self.digests.size,
                });
            }
            compared = true;
        }
        if !compared {
            return Err(Mismatch {
                promised: None,
                computed: None,
                size: self.digests.size,
            });
        }
        Ok(Verified {
            content: self.content,
            digests: self.digests,
        })
    }
}

impl<C> Hashed<C> {
    /// Compares with what the sender states about its own bytes, by whatever function: all must
    /// match, and there must be at least one. It shows that the bytes came as they were sent.
    pub fn confirm(self, stated: &[Digest]) -> Result<Verified<C>, Mismatch> {
        let digests = &self.digests;
        let computed = |algorithm: Algorithm| match algorithm.is_strong() {
            true => digests.under(algorithm),
            false => digests
                .sha1
                .as_ref()
                .filter(|one| one.algorithm() == algorithm),
        };
        let broken = stated
            .iter()
            .find(|one| computed(one.algorithm()) != Some(*one));
        if broken.is_some() || stated.is_empty() {
            let other = broken.and_then(|one| computed(one.algorithm()));
            return Err(Mismatch {
                promised: broken.cloned().map(Integrity::of),
                computed: other.cloned(),
                size: digests.size,
            });
        }
        Ok(Verified {
            content: self.content,
            digests: self.digests,
        })
    }
}

/// A promise that the content does not keep.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{size} bytes that do not have the promised digest")]
pub struct Mismatch {
    /// The broken promise; `None` when there was nothing to compare with.
    pub promised: Option<Integrity>,
    /// What was computed under its algorithm; `None` for an algorithm that never suffices.
    pub computed: Option<Digest>,
    /// Bytes received.
    pub size: u64,
}

/// Content whose digests were compared and matched.
#[derive(Debug)]
pub struct Verified<C> {
    content: C,
    digests: Digests,
}

impl<C> Verified<C> {
    /// The computed digests.
    pub const fn digests(&self) -> &Digests {
        &self.digests
    }

    /// The content.
    pub const fn content(&self) -> &C {
        &self.content
    }

    /// Parts, when the proof has been used.
    pub fn into_parts(self) -> (C, Digests) {
        (self.content, self.digests)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    impl Sink for Vec<u8> {
        fn take(&mut self, chunk: Bytes) -> io::Result<()> {
            self.extend_from_slice(&chunk);
            Ok(())
        }
    }

    const ABC: &str = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";

    fn hashed<'a>(promises: impl IntoIterator<Item = &'a Integrity>) -> Hashed<Vec<u8>> {
        let mut hashing = Hashing::new(Vec::new(), promises);
        hashing.push(Bytes::from_static(b"a")).unwrap();
        hashing.push(Bytes::from_static(b"bc")).unwrap();
        hashing.finish()
    }

    #[test]
    fn the_published_vector_is_computed_over_all_chunks() {
        let promise = Integrity::parse(&format!("sha256-{ABC}")).unwrap();
        let verified = hashed([&promise]).verify([&promise]).unwrap();
        assert_eq!(verified.content(), b"abc");
        assert_eq!(verified.digests().size, 3);
        assert_eq!(verified.digests().sha256, sha256(b"abc"));
        assert_eq!(verified.digests().sha512, None);
    }

    #[test]
    fn what_is_promised_is_computed_beside_sha256() {
        for promised in [
            "sha384-ywB1P0WjXou1oD1pmsZQBycsMqsO3tFjGotgWkP/W+2AhgcroefMI1i67KE0yCWn",
            "sha512-3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw==",
        ] {
            let promise = Integrity::parse(promised).unwrap();
            let verified = hashed([&promise]).verify([&promise]).unwrap();
            assert_eq!(verified.digests().sha256, sha256(b"abc"));
        }
    }

    #[test]
    fn one_broken_promise_among_kept_ones_is_a_mismatch() {
        let kept = Integrity::parse(&format!("sha256-{ABC}")).unwrap();
        let broken = Integrity::of(
            Digest::new(Algorithm::Sha512, vec![7; Algorithm::Sha512.size()]).unwrap(),
        );
        let mismatch = hashed([&kept, &broken])
            .verify([&kept, &broken])
            .unwrap_err();
        assert_eq!(mismatch.promised, Some(broken));
        assert!(mismatch.computed.is_some());
    }

    #[test]
    fn nothing_is_verified_without_a_promise_or_by_a_weak_one() {
        let weak = Integrity::parse("sha1-qZk+NkcGgWq6PiVxeFDCbJzQ2J0=").unwrap();
        assert!(hashed([&weak]).verify([&weak]).is_err());
        assert!(hashed([&weak]).verify([]).is_err());
    }

    #[test]
    fn a_sender_may_state_sha1_and_must_not_contradict_itself() {
        let sha1 = |hex: &str| Digest::from_hex(Algorithm::Sha1, hex).unwrap();
        let good = sha1("a9993e364706816aba3e25717850c26c9cd0d89d");
        let strong = sha256(b"abc");
        let content = || {
            let mut hashing = Hashing::new(Vec::new(), []).complete();
            hashing.push(Bytes::from_static(b"abc")).unwrap();
            hashing.finish()
        };
        let verified = content().confirm(&[strong.clone(), good.clone()]).unwrap();
        assert_eq!(verified.digests().sha1, Some(good.clone()));
        content().confirm(std::slice::from_ref(&good)).unwrap();
        assert!(content().confirm(&[]).is_err());
        let wrong = sha1(&"00".repeat(20));
        let mismatch = content().confirm(&[strong, wrong]).unwrap_err();
        assert_eq!(mismatch.computed, Some(good.clone()));
        let plain = hashed([&Integrity::of(good.clone())]);
        assert!(plain.confirm(&[good]).is_err(), "it was not computed");
    }

    #[test]
    fn a_file_is_read_whole_wherever_its_position_is() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"abc").unwrap();
        let promise = Integrity::parse(&format!("sha256-{ABC}")).unwrap();
        assert!(promise.accepts(&sha256_of(&file).unwrap()));
        assert!(
            Hashed::read(file, [&promise])
                .unwrap()
                .verify([&promise])
                .is_ok()
        );
    }
}
