//! Everything that can happen in a run: the only message between the working modules.
//!
//! Events go up (launcher, supervisor, proxy → session → record). They carry no credential: URLs
//! are redacted before they become part of an event. Records of all outputs are folds over them.

use serde::{Deserialize, Serialize};

use super::{
    Anchor, BuildEnd, BuildFile, BuildProgram, BuildStart, ControlId, Digest, Exception, Finding,
    InstalledPackage, KnownRepository, Probed, Vouched,
};

/// A program that takes part in the run, with what identifies it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// `v4run`, `npm`, `node`, …
    pub name: String,
    /// Its version, where it could be read.
    pub version: Option<String>,
    /// The real file, links resolved.
    pub path: String,
    /// SHA-256 of that file.
    pub sha256: Option<Digest>,
}

/// How a trust anchor came to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnchorClass {
    /// In the public web's root set.
    PublicWeb,
    /// Only in this machine's trust store.
    SystemOnly,
    /// From the manager's user or global configuration.
    UserConfigured,
}

/// The verified other end of a TLS connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TlsPeer {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: String,
    /// Cipher suite name.
    pub cipher: String,
    /// SHA-256 of the leaf certificate.
    pub leaf: Digest,
    /// SHA-256 of the leaf's public key info.
    pub leaf_key: Digest,
    /// SHA-256 of the anchor certificate that the chain ends at.
    pub anchor: Option<Digest>,
    /// Subject of the anchor.
    pub anchor_subject: Option<String>,
    /// How the anchor is trusted.
    pub anchor_class: Option<AnchorClass>,
    /// End of the leaf's validity, RFC 3339.
    pub not_after: String,
}

/// Where released bytes came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Fetched in this run.
    Network,
    /// From the store, hashed again.
    Store,
}

/// An artifact that the manager was given after its digest matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// Identifier of the repository in the plan.
    pub repository: String,
    /// Package name.
    pub name: String,
    /// Package version.
    pub version: String,
    /// Redacted URL that was fetched.
    pub url: String,
    /// Size in bytes.
    pub size: u64,
    /// Computed by v4run.
    pub sha256: Digest,
    /// Computed by v4run, where a statement needed it.
    pub sha512: Option<Digest>,
    /// The strongest statement that the bytes were compared with.
    pub anchor: Anchor,
    /// Network or store.
    pub source: Source,
}

impl Released {
    /// Every digest that was computed.
    pub fn digests(&self) -> impl Iterator<Item = &Digest> {
        std::iter::once(&self.sha256).chain(&self.sha512)
    }
}

/// What a look into an artifact found: data for a reader of the record, no judgement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examined {
    /// Package name.
    pub name: String,
    /// Package version.
    pub version: String,
    /// File name of the artifact.
    pub file: String,
    /// SHA-256 of the artifact.
    pub sha256: Option<Digest>,
    /// Files in it.
    pub files: u64,
    /// Their size together.
    pub unpacked: u64,
    /// Programs that it installs.
    pub programs: Vec<String>,
    /// Those of them that have the name of a system program.
    pub shadows: Vec<String>,
    /// Files that run code whenever the interpreter starts.
    pub startup: Vec<String>,
    /// Native libraries, as many as are listed.
    pub native: Vec<String>,
    /// Native libraries, all of them.
    pub natives: u64,
}

/// What the supervisor answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Let through, or emulated with success.
    Allowed,
    /// Refused with this errno.
    Refused(i32),
}

/// One event. `kind` in the record is the kebab-case name of the variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Event {
    /// First event of every record.
    RunStarted {
        /// Version of v4run.
        v4run: String,
        /// Name of the manager.
        manager: String,
        /// Arguments, credentials removed.
        arguments: Vec<String>,
        /// Working directory.
        directory: String,
        /// Real user id after privileges were set.
        uid: u32,
        /// How user and capabilities were chosen.
        user: String,
    },
    /// A program that takes part.
    ToolIdentified(Tool),
    /// Which layers hold, from kernel and launcher.
    Enforced {
        /// Landlock ABI that the kernel offers.
        landlock_abi: u32,
        /// Landlock errata bits.
        landlock_errata: u32,
        /// Seccomp filters installed.
        seccomp_filters: u32,
        /// How the manager's memory is read.
        memory: String,
        /// Landlock protections that this kernel lacks, each closed by another layer.
        single_layer: Vec<String>,
    },
    /// The verifying proxy accepts connections; its self-test of certificate checks passed.
    ProxyReady {
        /// SHA-256 of the CA certificate of this run.
        authority: Digest,
    },
    /// Input that the run is anchored to.
    InputRead {
        /// What it is: `package-lock.json`, `v4run.toml`, …
        name: String,
        /// Absolute path.
        path: String,
        /// SHA-256 of the bytes read.
        sha256: Digest,
    },
    /// Where the manager keeps artifacts between runs, in the layout of their repositories.
    ArtifactsKept {
        /// Canonical path of the directory.
        path: String,
    },
    /// A repository of the plan, with what is stated about it.
    RepositoryKnown(KnownRepository),
    /// What an earlier probe of a repository of the plan saw.
    Probed(Probed),
    /// A gap that the policy answers for.
    Excepted(Exception),
    /// A connection to a repository, after its certificate was verified.
    Connected {
        /// Host and port.
        host: String,
        /// Network address.
        address: String,
        /// The verified peer.
        tls: TlsPeer,
    },
    /// An index document was passed on.
    MetadataServed {
        /// Identifier of the repository in the plan.
        repository: String,
        /// Redacted URL.
        url: String,
        /// HTTP status.
        status: u16,
        /// Size in bytes.
        size: u64,
        /// SHA-256, where the repository states a digest of it and the two agree.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<Digest>,
        /// The repository's count of changes at that moment, where it states one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        serial: Option<String>,
    },
    /// An artifact was passed on.
    Released(Released),
    /// What is known of a released artifact beside its digest: signatures, provenance, publication.
    Vouched(Vouched),
    /// An artifact was looked into before it was passed on.
    Examined(Examined),
    /// The programs that the plan starts, in order, where they are more than the manager's own.
    Planned {
        /// Real paths.
        programs: Vec<String>,
    },
    /// The one start of the manager, or an attempt to start something else.
    Exec {
        /// The program, as far as it could be read.
        path: String,
        /// Answer.
        decision: Decision,
    },
    /// A system call that the supervisor judged: connect, map, open of an artifact, metadata.
    Call {
        /// Name of the system call.
        call: String,
        /// Path, address or argument.
        subject: String,
        /// Answer.
        decision: Decision,
        /// Digest of the file that was handed out, for artifact opens.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        digest: Option<Digest>,
    },
    /// An artifact file was handed to a manager that may run what it opens.
    HandedOut {
        /// The file.
        path: String,
        /// SHA-256 of the file.
        sha256: Digest,
        /// Why the manager got it as it is; nothing where it got a view without code.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        trusted: Option<String>,
    },
    /// A kept file that the manager used without opening it was compared when the run was over.
    Compared {
        /// The file.
        path: String,
        /// SHA-256 of it.
        sha256: Digest,
    },
    /// The kept files that the run had to do with were compared once more when it was over; those that
    /// differ are findings.
    KeptCompared {
        /// How many.
        files: u64,
    },
    /// A file that the manager made of a view was replaced after the run by the artifact itself, or by
    /// what the artifact has under that name.
    DeliveredWhole {
        /// The file.
        path: String,
        /// SHA-256 of what stands there now.
        sha256: Digest,
    },
    /// Install-time code that was not run.
    ScriptSuppressed {
        /// Package name, or the project's for its own scripts.
        name: String,
        /// Package version.
        version: String,
        /// Install path relative to the project; empty for the project itself.
        path: String,
        /// Name of the hook.
        script: String,
        /// The command line.
        command: String,
    },
    /// A script of an approved component begins, in a sandbox of its own.
    BuildStarted(BuildStart),
    /// A program that a build started.
    BuildProgram(BuildProgram),
    /// A script of an approved component ended.
    BuildEnded(BuildEnd),
    /// A file that a build left.
    BuildFile(BuildFile),
    /// A finding: violation, error, failure or note, as its code says.
    Found(Finding),
    /// The manager ended.
    ManagerExited {
        /// Exit code, if it exited.
        code: Option<i32>,
        /// Signal, if it was ended by one.
        signal: Option<i32>,
    },
    /// The install tree was read back; the packages follow, one event each.
    Inspected {
        /// Install paths that the project itself depends on.
        direct: Vec<String>,
        /// Whether the manager fetches artifacts to choose among them and says which it took, so
        /// that one that was fetched need not be installed.
        #[serde(default)]
        chooses: bool,
    },
    /// A package on disk after the run.
    Installed(InstalledPackage),
    /// Nothing of the run is left.
    Contained {
        /// Processes that had to be killed after the manager's end.
        killed: u32,
    },
    /// Counts of what is not recorded one by one.
    Counted {
        /// Notifications answered.
        notifications: u64,
        /// Reads outside the runtime's roots that were left to Landlock.
        opens: u64,
        /// Connections handed to the proxy.
        connections: u64,
        /// Refusals not recorded one by one: equal ones after the third, all beyond a bound.
        repeated: u64,
    },
    /// Artifacts were looked into statically; the findings are in a file of their own.
    LookedInto {
        /// Artifacts that were looked at as a whole.
        artifacts: u64,
        /// Artifacts that were not, or not as a whole.
        left: u64,
        /// Signs in all of them.
        signs: u64,
        /// SHA-256 of the file.
        findings: Digest,
    },
    /// A control's status, as assessed when the record was sealed.
    Assessed {
        /// Control.
        control: ControlId,
        /// Status name.
        status: super::Status,
    },
    /// Last event of a complete record.
    Sealed {
        /// v4run's exit status.
        exit_code: u8,
        /// SHA-256 of the CycloneDX file.
        bom: Digest,
    },
}
