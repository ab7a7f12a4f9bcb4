//! A build that the policy approves: its limits, and what is recorded of it. Plain data.

use serde::{Deserialize, Serialize};

use super::Digest;

/// What a build may use at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Seconds from start to end.
    pub seconds: u32,
    /// Seconds of processor time, all processes together.
    pub cpu_seconds: u32,
    /// Mebibytes of memory, all processes together.
    pub memory: u32,
    /// Processes and threads that it starts, living or not.
    pub processes: u32,
    /// Mebibytes of one file.
    pub file: u32,
    /// Mebibytes on disk in the places that it may write, beyond what was there.
    pub disk: u32,
}

impl Default for Limits {
    /// Enough for a large native module on a slow machine.
    fn default() -> Self {
        Self {
            seconds: 1800,
            cpu_seconds: 7200,
            memory: 4096,
            processes: 10_000,
            file: 1024,
            disk: 2048,
        }
    }
}

impl Limits {
    /// One mebibyte.
    pub const MIB: u64 = 1 << 20;
}

/// A build that begins, with the approval that it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BuildStart {
    /// Package URL of the component.
    pub purl: String,
    /// Install path relative to the project.
    pub path: String,
    /// Digest of the artifact that the component was installed from; the approval names the same.
    pub digest: Option<Digest>,
    /// Name of the hook.
    pub script: String,
    /// The command line.
    pub command: String,
    /// Who answers for it.
    pub owner: String,
    /// Why it may run.
    pub reason: String,
    /// Last day of the approval.
    pub expires: String,
    /// Where the approval stands.
    pub stated_in: String,
}

/// A program that a build started.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BuildProgram {
    /// Process that became it.
    pub process: i32,
    /// The real file.
    pub path: String,
    /// SHA-256 of the file.
    pub sha256: Option<Digest>,
    /// Its arguments as they stood there when it asked, cut where they are long.
    pub arguments: Vec<String>,
}

/// A file that a build left in the component's folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BuildFile {
    /// Package URL of the component.
    pub purl: String,
    /// Path relative to the project.
    pub path: String,
    /// SHA-256 of the content; none for a link, and for a file that is gone.
    pub sha256: Option<Digest>,
    /// Size in bytes.
    pub size: u64,
    /// `new`, `changed` or `removed`.
    pub change: String,
}

/// The end of one script of a build, with what it used.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BuildEnd {
    /// Package URL of the component.
    pub purl: String,
    /// Name of the hook.
    pub script: String,
    /// Exit code, if it exited.
    pub code: Option<i32>,
    /// Signal, if it was ended by one.
    pub signal: Option<i32>,
    /// Milliseconds from start to end.
    pub milliseconds: u64,
    /// Milliseconds of processor time.
    pub cpu_milliseconds: u64,
    /// Most memory that was seen in use at a time, in bytes.
    pub memory: u64,
    /// Processes and threads that were started.
    pub processes: u64,
    /// Bytes on disk that were added.
    pub disk: u64,
}
