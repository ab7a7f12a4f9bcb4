//! Signatures and origin of artifacts: what they are checked with, and what was found.
//!
//! [`Signing`] goes down with the plan: keys and roots that lie outside the channel that is checked.
//! [`Vouched`] comes up as an event, one an artifact at most. What the repository only says of itself
//! is kept apart from what was verified: [`Standing`] tells which. Plain data; nothing decides here.

use serde::{Deserialize, Serialize};
use url::Url;

use super::Digest;

/// What a key may sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyUse {
    /// Versions in an index.
    Signatures,
    /// Attestations.
    Attestations,
}

/// A public key that a repository signs with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKey {
    /// Its name, as signatures give it.
    pub id: String,
    /// `SubjectPublicKeyInfo`, base64.
    pub key: String,
    /// What it may sign; both where nothing is said.
    #[serde(default)]
    pub usage: Option<KeyUse>,
    /// Begin of its validity, RFC 3339.
    #[serde(default)]
    pub start: Option<String>,
    /// End of its validity, RFC 3339.
    #[serde(default)]
    pub end: Option<String>,
    /// Where it is written, for messages.
    pub stated_in: String,
}

/// Keys that speak for an origin, through whatever mirror.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginKeys {
    /// Base address of the origin.
    pub origin: Url,
    /// Its keys.
    pub keys: Vec<SigningKey>,
}

/// The one source repository that a name may be built from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePin {
    /// Package name in the protocol's normalized form, or the beginning of one with a final `*`.
    pub name: String,
    /// Address of the source repository.
    pub repository: String,
    /// Where it is written, for messages.
    pub stated_in: String,
}

/// A key with which the publisher of some names signs each file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublisherKey {
    /// Package name in the protocol's normalized form, or the beginning of one with a final `*`.
    pub name: String,
    /// Fingerprint of the key or subkey that signs, hexadecimal.
    pub fingerprint: String,
    /// The public key that has it, in OpenPGP's armor.
    pub key: String,
    /// Begin of its validity, RFC 3339.
    #[serde(default)]
    pub start: Option<String>,
    /// End of its validity, RFC 3339.
    #[serde(default)]
    pub end: Option<String>,
    /// Where it is written, for messages.
    pub stated_in: String,
}

/// What signatures are checked with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Signing {
    /// The repository that the manager asks when nothing else is configured, by its own definition.
    pub standard: Option<Url>,
    /// Keys by origin.
    pub origins: Vec<OriginKeys>,
    /// Sigstore trust root in place of the built-in one, JSON.
    pub roots: Option<String>,
    /// Source repositories by name.
    pub sources: Vec<SourcePin>,
    /// Publishers' keys by name.
    pub publishers: Vec<PublisherKey>,
}

/// What was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// The repository's signature over name, version and digest.
    RegistrySignature,
    /// The repository's statement that it published these bytes, in a transparency log.
    PublishAttestation,
    /// A builder's statement where the bytes come from, in a transparency log.
    Provenance,
    /// The digest that the origin of a mirror states.
    Origin,
    /// The publisher's signature over the file, by a key that the policy pins.
    PublisherSignature,
}

impl Proof {
    /// The words used in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RegistrySignature => "registry signature",
            Self::PublishAttestation => "publish attestation",
            Self::Provenance => "provenance",
            Self::Origin => "digest of the origin",
            Self::PublisherSignature => "publisher's signature",
        }
    }
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It contradicts.
    Invalid,
    /// It could not be decided.
    Unknown,
    /// It holds by the word of the repository that is checked.
    Observed,
    /// It holds by something outside that repository.
    Verified,
}

/// One check of one artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was checked.
    pub proof: Proof,
    /// What came of it.
    pub standing: Standing,
    /// Key or certificate identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// When it was signed, as far as that is proven, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Why, where it is not plain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Where bytes were built from, as a verified certificate says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    /// Address of the source repository.
    pub repository: String,
    /// Commit.
    pub commit: String,
    /// Branch or tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Identity of the builder: the certificate's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builder: Option<String>,
    /// Who says that this is the right repository: a policy, or the index alone.
    pub pinned: bool,
}

/// How an artifact was published, strongest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// Nothing is known.
    Unmarked,
    /// By a workload with an identity of its own; no human factor.
    Workload,
    /// A person approved it with a second factor, as the repository says.
    Approved,
}

impl Grade {
    /// The word used in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unmarked => "unmarked",
            Self::Workload => "workload",
            Self::Approved => "approved",
        }
    }
}

/// What is known of an artifact beside its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vouched {
    /// Identifier of the repository in the plan.
    pub repository: String,
    /// Package name.
    pub name: String,
    /// Package version.
    pub version: String,
    /// SHA-256 of the bytes.
    pub sha256: Digest,
    /// The checks.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// Where it was built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub built: Option<Built>,
    /// How it was published; nothing where the repository was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grade: Option<Grade>,
    /// Time of publication, as the repository states it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<String>,
    /// The source repository that the publisher names, unsigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed: Option<String>,
    /// Whether an earlier run saw the same bytes under that name and version.
    #[serde(default)]
    pub seen_before: bool,
    /// When the repository said it, where nobody was asked in this run: what it said then was kept, and
    /// verified again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recalled: Option<String>,
    /// Why not everything was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unasked: Option<String>,
}

impl Vouched {
    /// The best that came of a kind of check.
    pub fn standing(&self, proof: Proof) -> Option<Standing> {
        let checks = self.checks.iter().filter(|check| check.proof == proof);
        checks.map(|check| check.standing).max()
    }
}
