//! Registry protocols: URL grammar, index formats, digests. One folder a protocol.
//!
//! Apart from the managers, because several managers share a protocol. The proxy sees only
//! [`Protocol`]; adding one is a folder and a line in [`ALL`]. Nothing here does I/O.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use http::Method;
use url::Url;

use crate::model::Algorithm;
use crate::model::Digest;
use crate::model::Examined;
use crate::model::Expected;
use crate::model::Finding;

mod inspector;
mod lifecycle;
pub mod maven;
pub mod npm;
mod placing;
mod probing;
mod published;
pub mod pypi;

pub use inspector::Inspector;
pub use lifecycle::{Lifecycle, Remark, Thinned};
pub use probing::{Probes, Query};
pub use published::{About, Attestation, Detached, Published, Signs};

/// What one artifact leads to, in the same repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leads {
    /// Descriptions that a manager will probably ask for next.
    pub descriptions: Vec<Url>,
    /// The artifact that this one describes, if it is a description: a manager that wants more of the
    /// version than its description will probably ask for it.
    pub described: Option<Url>,
}

/// What a request asks for, decided before anything is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// An index document; it may name digests.
    Index {
        /// Package name, decoded.
        name: String,
    },
    /// Metadata without digests (dist-tags, keys, advisories read with GET).
    Metadata,
    /// An artifact. Released only with an expectation for it.
    Artifact {
        /// Package name, decoded.
        name: String,
        /// Version, if the address names it.
        version: Option<String>,
        /// File name, where a version has several.
        file: Option<String>,
    },
    /// A file that states the digest of another one, as the manager asks for it. It gets what was
    /// computed over what it was given.
    SideFile {
        /// The other file.
        of: Url,
        /// The hash function.
        algorithm: Algorithm,
    },
    /// An advisory query that carries the dependency list (POST).
    Audit,
    /// Anything else, with the reason.
    Refused(String),
}

impl From<Result<Self, &'static str>> for Class {
    fn from(read: Result<Self, &'static str>) -> Self {
        read.unwrap_or_else(|reason| Self::Refused(reason.to_owned()))
    }
}

/// Why an index document could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// Not the document that the address promises.
    #[error("malformed index document: {0}")]
    Malformed(String),
}

/// An index document as it came.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    /// The package that was asked for.
    pub name: &'a str,
    /// Where the document came from, redirects followed.
    pub url: &'a Url,
    /// Its `Content-Type`.
    pub kind: Option<&'a str>,
    /// The document.
    pub body: &'a [u8],
    /// What is done about files that would have to be built.
    pub sources: Sources,
}

/// What is done about files of an index that would have to be built before they can be installed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sources {
    /// They are left out, which is told where nothing else is there.
    #[default]
    Withheld,
    /// They are given out: the run only fetches them.
    Shown,
    /// All files are left out: what was built of one is at hand, and nothing else is to be chosen.
    Built,
}

/// What an index document says, and what of it may be given out.
#[derive(Debug, Default)]
pub struct Index {
    /// The digests that it names.
    pub expected: Vec<Expected>,
    /// What the manager is given in its place: less than it said, never more.
    pub rewritten: Option<Rewritten>,
    /// What was left out, and what that means.
    pub findings: Vec<Finding>,
    /// Addresses of the same package in other repositories that this one says it follows.
    pub tracks: Vec<Url>,
    /// Addresses that the package's owner says are the same package.
    pub alternates: Vec<Url>,
    /// What it says of versions beside their digests.
    pub published: Vec<Published>,
    /// The repository's count of changes.
    pub serial: Option<String>,
    /// What it says against versions.
    pub remarks: Vec<Remark>,
}

/// An index document that v4run wrote.
#[derive(Debug)]
pub struct Rewritten {
    /// Its `Content-Type`.
    pub kind: &'static str,
    /// The document.
    pub body: Bytes,
}

/// Content that can be read at any position.
pub trait ReadAt {
    /// Reads at a position; zero at the end only.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Length in bytes.
    fn size(&self) -> io::Result<u64>;
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.get(at..));
        let rest = rest.unwrap_or_default();
        let count = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        Ok(count)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

/// An artifact that is to be looked into. Name and version are what the statements about it say.
#[derive(Clone, Copy, Debug)]
pub struct Artifact<'a> {
    /// Package name, when it is known.
    pub name: Option<&'a str>,
    /// Package version, when it is known.
    pub version: Option<&'a str>,
    /// File name.
    pub file: &'a str,
}

/// A file that an artifact puts into the install tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The format's word for the kind of file; a key of [`crate::model::Layout::places`].
    pub kind: &'static str,
    /// Path below the directory of that kind.
    pub path: String,
    /// Digest, where the content is fixed.
    pub digest: Option<Digest>,
}

/// What a look into an artifact found. It depends on the bytes and the file name only.
#[derive(Clone, Debug, Default)]
pub struct Inspection {
    /// Normalized name of the package.
    pub name: String,
    /// What it puts where.
    pub placed: Vec<Placed>,
    /// What is in it, for the record.
    pub examined: Examined,
    /// What is worth a line.
    pub findings: Vec<Finding>,
}

/// As what a file is known that is kept between runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Package name; of a document the directory that it lies in.
    pub name: String,
    /// Package version; of one whose content may change, without what changes in it.
    pub version: String,
    /// File name, likewise.
    pub file: String,
    /// Whether several contents of it may be right.
    pub changing: bool,
}

/// A registry protocol.
pub trait Protocol: std::fmt::Debug + Sync {
    /// Key in plans and profiles.
    fn name(&self) -> &'static str;

    /// Upper bound of an index document in bytes.
    fn index_limit(&self) -> u64;

    /// Upper bound of an artifact in bytes.
    fn artifact_limit(&self) -> u64;

    /// Classifies a request below `base`. `url` is the full address, already known to lie below it.
    fn classify(&self, method: &Method, base: &Url, url: &Url) -> Class;

    /// The `Accept` value that is sent for what the manager asked with. One of a few constants: a
    /// header is no way out for anything else.
    fn accept(&self, asked: &str) -> &'static str;

    /// Reads an index document.
    fn index(&self, document: &Document<'_>) -> Result<Index, ProtocolError>;

    /// The form of a version under which two spellings of one version are equal.
    fn same_version<'a>(&self, version: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(version)
    }

    /// Whether a file of a version only describes another one: then it is verified and given out,
    /// and is no artifact of its own.
    fn describes(&self, _file: &str) -> bool {
        false
    }

    /// What is asked for where v4run itself wants the index of a package.
    fn index_kinds(&self) -> &'static str {
        "*/*"
    }

    /// The `Content-Type` that such an answer has by its first bytes, where its own is not at hand.
    fn index_kind(&self, _body: &[u8]) -> Option<&'static str> {
        None
    }

    /// Where a repository has the index of a package, if one name may come from any repository of
    /// a run. `None` where each name has one repository by the manager's configuration.
    fn index_address(&self, _base: &Url, _name: &str) -> Option<Url> {
        None
    }

    /// Whether the credentials of a repository are also for the files that its index names at its own
    /// scheme, host and port, wherever they lie there.
    fn credentials_cover_host(&self) -> bool {
        false
    }

    /// Whether the content of a version may change in its repository: then it is not held to what was
    /// first seen of it.
    fn is_changing(&self, _version: &str) -> bool {
        false
    }

    /// What a file is known as: by its path in a repository, or in a directory where the manager keeps
    /// what it fetched, in the same layout. `None` for what is not kept, or not told apart.
    fn kept(&self, _path: &str) -> Option<Kept> {
        None
    }

    /// The files beside one that state its digest, strongest first. None where an index states it.
    /// With them an artifact is named by its address alone.
    fn side_files(&self, _url: &Url) -> Vec<(Algorithm, Url)> {
        Vec::new()
    }

    /// What a manager will probably ask for after this artifact.
    fn leads(&self, _base: &Url, _url: &Url, _body: &[u8]) -> Leads {
        Leads::default()
    }

    /// The digest that such a file states; `None` when it cannot be read.
    fn side_digest(&self, _algorithm: Algorithm, _body: &[u8]) -> Option<Digest> {
        None
    }

    /// What it has for times and withdrawals of versions.
    fn lifecycle(&self) -> &'static dyn Lifecycle {
        &lifecycle::Undated
    }

    /// What it has for a read-only look at a repository.
    fn probes(&self) -> &'static dyn Probes {
        &probing::Silent
    }

    /// What it has for signatures and origin.
    fn signs(&self) -> &'static dyn Signs {
        &published::Unsigned
    }

    /// Whether there is something to look for in a file of that name.
    fn inspects(&self, _file: &str) -> bool {
        false
    }

    /// Looks into an artifact whose digest matched, before anybody else reads it. `None` where the
    /// format has nothing to look for.
    fn inspect(
        &self,
        _artifact: &Artifact<'_>,
        _content: &dyn ReadAt,
    ) -> Result<Option<Inspection>, Box<Finding>> {
        Ok(None)
    }
}

/// All protocols.
pub const ALL: &[&dyn Protocol] = &[&npm::Npm, &pypi::Pypi, &maven::Maven];

/// The protocol of that name.
pub fn by_name(name: &str) -> Option<&'static dyn Protocol> {
    ALL.iter().copied().find(|protocol| protocol.name() == name)
}
