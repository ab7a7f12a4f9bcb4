//! The vocabulary of a run: plain data without I/O and without policy.
//!
//! Every other module speaks in these types; session, proxy and launcher exchange nothing else.
//! It must not decide anything and must not import another module of the crate.

mod assurance;
mod build;
mod code;
mod component;
mod control;
mod digest;
mod event;
mod finding;
mod look;
pub mod maven;
mod plan;
pub mod python;
mod secret;
mod signing;
mod verdict;
pub mod xml;

pub use assurance::{Exception, Fact, KnownRepository, Outcome, Probed, Voucher};
pub use build::{BuildEnd, BuildFile, BuildProgram, BuildStart, Limits};
pub use code::{Code, Severity};
pub use component::{InstalledPackage, Script, Taxonomy, spellings};
pub use control::{ControlId, Status};
pub use digest::{Algorithm, Digest, DigestError, Integrity};
pub use event::{AnchorClass, Decision, Event, Examined, Released, Source, TlsPeer, Tool};
pub use finding::Finding;
pub use look::{LookMode, Looked, Sign, Weight};
pub use plan::{
    Access, Anchor, Approval, Credential, Expected, FileGuard, Launch, Layout, Lineage, Magic,
    Network, Occupied, PathRule, Pin, Probe, ProxyMessage, ReleaseAge, Repository, StandIns, Trust,
    Twin, View,
};
pub use secret::{Secret, redact_text, redact_url};
pub use signing::{
    Built, Check, Grade, KeyUse, OriginKeys, Proof, PublisherKey, Signing, SigningKey, SourcePin,
    Standing, Vouched,
};
pub use verdict::{
    Assessment, ControlVerdict, Level, LevelError, LevelStatus, LevelVerdict, Subject,
};
