//! The plan of a run: what session hands down to launcher, supervisor and proxy.
//!
//! Made once, before anything starts, from trusted input and checked untrusted input. Paths are
//! canonical; they are `OsString` because a project may live below a name that is not UTF-8.
//! A plan is sent over private sockets only: it may carry credentials ([`Credential`]).

use std::collections::BTreeMap;
use std::ffi::OsString;

use serde::{Deserialize, Serialize};
use url::Url;

use super::{Code, Digest, Event, Integrity, Limits, Secret, Signing};

/// What Landlock grants on a path. A grant on a directory covers everything below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Read files, list directories.
    Read,
    /// List directories; files in them need a rule of their own.
    List,
    /// Read and execute one file: the manager's ELF and its program interpreter.
    Execute,
    /// Read, list and execute what lies below a directory: a toolchain of a build.
    Programs,
    /// Read, create, change, remove, rename below a directory. Never devices, sockets or pipes.
    Write,
    /// Read and change the content of one existing file.
    WriteFile,
    /// Read and write a character device such as `/dev/null`.
    Device,
}

/// One Landlock rule with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathRule {
    /// Canonical path.
    pub path: OsString,
    /// What is granted.
    pub access: Access,
    /// Why the run needs it; printed by `v4run profile show`.
    pub why: String,
}

/// How the launcher starts the manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The manager's real ELF, links resolved.
    pub executable: OsString,
    /// `argv`, `argv[0]` included.
    pub arguments: Vec<OsString>,
    /// The whole environment: nothing is inherited.
    pub environment: Vec<(OsString, OsString)>,
    /// Working directory.
    pub directory: OsString,
    /// Landlock rules, complete.
    pub rules: Vec<PathRule>,
    /// The ELF that one child process may execute, once. `None`: the run is one process.
    #[serde(default)]
    pub child: Option<OsString>,
    /// The limits of an approved build, which may start processes from its toolchain and has no
    /// network at all. `None`: an install.
    #[serde(default)]
    pub build: Option<Limits>,
}

/// Bytes that mark an artifact format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Magic {
    /// Position of the first byte.
    pub offset: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Whether they stand anywhere in the last `offset` bytes instead, where some formats begin to be
    /// read.
    #[serde(default)]
    pub tail: bool,
}

impl Magic {
    /// Length of the head of a file in which marks are looked for; that of a tar archive ends at 262.
    pub const WITHIN: usize = 512;

    /// Length of the tail; the last record of a zip archive and its comment are no longer.
    pub const TAIL: usize = 22 + 65_535;
}

/// A file that the manager sees with another content than it has on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Canonical path of the file.
    pub path: OsString,
    /// What a read-only open gives.
    pub content: Vec<u8>,
}

/// A refusal that the profile expects and that therefore is no violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Glob on the name of the system call.
    pub call: String,
    /// Glob on the subject of the call.
    pub subject: String,
    /// Why it is harmless.
    pub why: String,
}

/// A digest whose bytes may run as code of the manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// Who says so and why; where it is written.
    pub why: String,
}

/// A directory whose files are the same as files that the operating system installed, if they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Twin {
    /// The directory that the run writes.
    pub below: OsString,
    /// The directory of the operating system, with the same layout.
    pub installed: OsString,
}

/// What stands for artifacts that the manager only moves about, until the driver puts them in its place
/// when the run is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StandIns {
    /// Nothing: the manager reads artifacts.
    #[default]
    None,
    /// For an artifact a file of the same length, because it is copied.
    Files,
    /// For each entry of an artifact a short text under its name, because it is unpacked.
    Entries,
    /// What is seen of it anyway, because it is read by some and packed by others.
    Views,
}

/// Which artifacts the manager may get as they are, because it may run them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// By digest.
    pub approved: Vec<Approval>,
    /// By identity with what the operating system installed.
    pub twins: Vec<Twin>,
    /// Whether others are seen with what their classes declare, as a compiler needs it.
    pub declarations: bool,
    /// Where not empty: the only artifacts that may work on such views, by name.
    pub workers: Vec<String>,
    /// The artifacts that the command itself names: without their code it makes no sense.
    #[serde(default)]
    pub wanted: Vec<String>,
    /// What stands for artifacts that the manager only moves about.
    #[serde(default)]
    pub stand_ins: StandIns,
    /// Whether the run is a rehearsal, in which nothing that was downloaded runs, trusted or not.
    #[serde(default)]
    pub rehearsal: bool,
    /// What descriptions of the project are judged by that only a repository has.
    #[serde(default)]
    pub lineage: Option<Lineage>,
}

/// What a project inherits from descriptions that only a repository has. They are judged like the
/// project's own when they are opened, which is before anything is loaded that they name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// Where the manager keeps what it fetched.
    pub kept: OsString,
    /// The first of them, as the project names them: group, artifact and version with colons between.
    pub parents: Vec<String>,
    /// The parts of the project itself: group and artifact.
    pub members: Vec<String>,
    /// What is approved as code: group, artifact and version.
    pub approved: Vec<String>,
    /// Whether the run is a build.
    pub builds: bool,
    /// What helps where nobody answers for code.
    pub hint: String,
}

/// How the supervisor judges files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileGuard {
    /// Trusted, unwritable roots: reads below are Landlock's alone, code may be mapped from there.
    pub runtime_roots: Vec<OsString>,
    /// Paths in writable places that the run must leave alone with all that lies below them: the
    /// running manager where it lives among what it installs. Landlock cannot subtract.
    #[serde(default)]
    pub protected: Vec<OsString>,
    /// File name endings of artifacts, lower case.
    pub artifact_names: Vec<String>,
    /// Leading bytes of artifacts.
    pub artifact_magic: Vec<Magic>,
    /// Files whose content is replaced.
    pub views: Vec<View>,
    /// Local artifact files, by canonical path, with the digest that lockfile or policy names. Any
    /// other artifact file must be one that the proxy released in this run.
    pub pinned: Vec<(OsString, Integrity)>,
    /// Directories in which the run makes files of its own. An artifact file there is nobody's
    /// download: it is compared with nothing, and the driver says what the manager gets of it.
    #[serde(default)]
    pub own: Vec<OsString>,
    /// Directories in which the manager keeps artifacts over many runs, laid out as in their
    /// repositories. A file there may also be what an earlier run released under that name.
    #[serde(default)]
    pub kept: Vec<OsString>,
    /// Expected harmless probes.
    pub probes: Vec<Probe>,
    /// Which artifacts the manager may get as they are; all of them, where it runs none.
    #[serde(default)]
    pub trust: Option<Trust>,
}

/// A credential for one repository. Only the proxy gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Credential {
    /// `Authorization: Bearer …`.
    Bearer(Secret),
    /// `Authorization: Basic …`, already encoded.
    Basic(Secret),
}

/// An allowed repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// Short name used in events and the record.
    pub id: String,
    /// Base address, https, path with a final `/`, no credentials.
    pub base: Url,
    /// The authoritative origin that this is a mirror of; itself when it is none.
    pub origin: Url,
    /// Where it was configured, for messages.
    pub configured_in: String,
    /// Whether the user named it (user, global or system configuration, command line): then it
    /// may resolve to loopback and private addresses. A default may not.
    pub may_be_private: bool,
    /// Credential to send to this base only.
    pub credential: Option<Credential>,
}

/// How strong the statement is that bytes are compared with, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Anchor {
    /// A policy names the digest.
    Policy,
    /// The project's lockfile names the digest.
    Lockfile,
    /// The repository's index named it over verified TLS in this run.
    Index,
    /// Nobody but a file beside it in the same repository names it: the bytes came as they were sent
    /// and are known from this first use on.
    SideFile,
    /// The same, and by SHA-1 only.
    WeakSideFile,
}

/// An artifact that may be released, and only with this digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// Package name.
    pub name: String,
    /// Package version.
    pub version: String,
    /// File name, where one version has several files (PyPI, Maven). A statement without one
    /// speaks of every file of the version: each must have one of its digests.
    pub file: Option<String>,
    /// Address, when the statement gives one.
    pub url: Option<Url>,
    /// The promised digest. `None` in an index document means that it states none.
    pub integrity: Option<Integrity>,
    /// Who promises.
    pub anchor: Anchor,
    /// Where it is written, for messages: `package-lock.json: node_modules/x`, an index URL.
    pub stated_in: String,
}

/// Which repository alone may speak for a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Package name in the protocol's normalized form, or the beginning of one with a final `*`.
    pub name: String,
    /// Identifier of the repository.
    pub repository: String,
    /// Where it is written, for messages.
    pub stated_in: String,
}

/// A file of the install tree that belongs to somebody before the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occupied {
    /// Path relative to the root of [`Layout`], with `/`.
    pub path: String,
    /// Normalized name of the package that owns it; empty for the environment itself.
    pub owner: String,
    /// Its digest, where it is known: the same content is no clash.
    pub digest: Option<Digest>,
}

/// Where the files of artifacts go and what is there already. Everything is relative to one root,
/// so that two ways to one file are one path. Without `places` nothing is installed, and artifacts
/// are judged by their form only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// The artifact format's word for a kind of file, and the directory that it goes to, with `/`
    /// and without one at the end; empty for the root itself.
    pub places: BTreeMap<String, String>,
    /// Files of other packages and of the environment.
    pub occupied: Vec<Occupied>,
    /// Directories with everything below them that only the package of that name may write.
    pub reserved: Vec<(String, String)>,
    /// Names of system programs that a package's programs should not have.
    pub programs: Vec<String>,
    /// Patterns of the names of artifact files that suit this platform, best first: only for a guess
    /// at what the manager will take.
    #[serde(default)]
    pub fitting: Vec<String>,
    /// Bytes that are free where packages are installed, if that is known.
    #[serde(default)]
    pub room: Option<u64>,
}

/// How long a version must have been published before it may be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseAge {
    /// Least age in seconds.
    pub seconds: u64,
    /// Packages that may be younger: name, and who answers for that.
    pub exempt: BTreeMap<String, String>,
}

/// What the proxy may do in this run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Protocol name, a key of `protocol::ALL`.
    pub protocol: String,
    /// Secret that the manager presents to the proxy.
    pub token: Secret,
    /// Allowed repositories, the default one first.
    pub repositories: Vec<Repository>,
    /// Certificates trusted beside the platform's, PEM, from user or global configuration.
    pub extra_anchors: Vec<String>,
    /// Digests known before the start.
    pub expected: Vec<Expected>,
    /// Findings in an artifact that the policy makes a refusal.
    #[serde(default)]
    pub refused: Vec<Code>,
    /// Whether these are all artifacts that may be released: then nothing else is, whatever a
    /// repository states of its own files.
    #[serde(default)]
    pub closed: bool,
    /// Whether indexes show what would have to be built too: of a run that only fetches it.
    #[serde(default)]
    pub sources: bool,
    /// Names of packages that were built before, of which no index has anything to offer.
    #[serde(default)]
    pub built: Vec<String>,
    /// Which names belong to which repository.
    #[serde(default)]
    pub pins: Vec<Pin>,
    /// Least age of what may be used; set by the session from the policy.
    #[serde(default)]
    pub release_age: Option<ReleaseAge>,
    /// Where the files of artifacts go.
    #[serde(default)]
    pub layout: Layout,
    /// What signatures of artifacts are checked with.
    #[serde(default)]
    pub signing: Signing,
    /// Whether the protocol's audit calls (POST) pass.
    pub audit: bool,
    /// Proxy towards the outside, with credentials if any.
    pub upstream_proxy: Option<Secret>,
    /// `NO_PROXY` of the caller.
    pub no_proxy: String,
    /// Root of the store.
    pub store: OsString,
    /// Identity of the run, written into first-seen entries.
    pub run: String,
}

#[cfg(test)]
impl Network {
    /// A plan for npm with one repository and nothing else.
    pub(crate) fn of(repository: &Repository) -> Self {
        serde_json::from_value(serde_json::json!({
            "protocol": "npm",
            "token": "token",
            "repositories": [repository],
            "extra_anchors": [],
            "expected": [],
            "audit": false,
            "upstream_proxy": null,
            "no_proxy": "",
            "store": OsString::from("/store"),
            "run": "run",
        }))
        .unwrap()
    }
}

/// What the proxy tells the session; one JSON line each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyMessage {
    /// It serves; this is the public certificate of the run's CA, PEM.
    Ready {
        /// PEM.
        certificate: String,
    },
    /// Something happened.
    Event(Box<Event>),
}
