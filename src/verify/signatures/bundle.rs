//! Sigstore bundles: an attestation over an artifact, with certificate or key, in a transparency log.
//!
//! The certificate's chain, its own log entry, the log's proof and the signature are checked by the
//! Sigstore library against [`Roots`]; that the statement is about this artifact by name and digest, and
//! that a key was valid when the log took the entry, is checked here. Source repository and commit come
//! from the certificate alone, never from the statement, which its signer wrote. Without the feature
//! `sigstore` nothing is verified and that is said.
//!
//! Sigstore bundle format; Fulcio certificate extensions; SLSA provenance.

use std::time::SystemTime;

use super::{Judgement, Keys};
use crate::model::Digest;

/// Longest bundle that is read. The largest known ones have some ten kilobytes.
pub(super) const LENGTH: usize = 1 << 20;

/// What an attestation must be about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its name in statements.
    pub name: &'a str,
    /// Digests of its bytes.
    pub digests: &'a [&'a Digest],
}

/// A verified attestation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attested {
    /// Type of what is stated.
    pub predicate: String,
    /// The key that signed, where it was no certificate's.
    pub key: Option<String>,
    /// Name in the certificate.
    pub identity: Option<String>,
    /// Source repository in the certificate.
    pub repository: Option<String>,
    /// Commit in the certificate.
    pub commit: Option<String>,
    /// Branch or tag in the certificate.
    pub reference: Option<String>,
    /// When the log or a time stamp authority saw it.
    pub time: Option<SystemTime>,
}

/// Why a trust root cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootsError {
    /// Not a trust root.
    #[error("the Sigstore trust root cannot be used: {0}")]
    Malformed(String),
}

#[cfg(feature = "sigstore")]
pub use with::Roots;
#[cfg(not(feature = "sigstore"))]
pub use without::Roots;

#[cfg(feature = "sigstore")]
mod with {
    //! The check itself.

    use std::fmt;
    use std::time::{Duration, SystemTime};

    use sigstore_verify::crypto::CertificateInfo;
    use sigstore_verify::trust_root::{SIGSTORE_PRODUCTION_TRUSTED_ROOT, TrustedRoot};
    use sigstore_verify::types::{Artifact, ArtifactDigest, Bundle, DerPublicKey, HashAlgorithm};
    use sigstore_verify::{
        CertificateError, Error, PublicKeyVerificationPolicy, TimestampError, TransparencyLogError,
        VerificationPolicy, VerificationResult, Verifier,
    };

    use super::super::{moment, ring, statement};
    use super::{Attested, Judgement, Keys, LENGTH, RootsError, Subject};
    use crate::model::{Algorithm, Digest, KeyUse};

    /// The day of the built-in root: the release of the library that carries it.
    const AS_OF: &str = "2026-10-23";
    /// Age from which a built-in root is called stale.
    const FRESH: Duration = Duration::from_secs(180 * 24 * 3600);

    /// Authorities and logs that are trusted.
    pub struct Roots {
        verifier: Verifier,
        built_in: bool,
    }

    impl fmt::Debug for Roots {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Roots")
                .field("built_in", &self.built_in)
                .finish_non_exhaustive()
        }
    }

    impl Roots {
        /// Those of that file, or else the built-in ones.
        pub fn new(json: Option<&str>) -> Result<Self, RootsError> {
            ring::install();
            let malformed = |error: &dyn fmt::Display| RootsError::Malformed(error.to_string());
            let text = json.unwrap_or(SIGSTORE_PRODUCTION_TRUSTED_ROOT);
            let root = TrustedRoot::from_json(text).map_err(|error| malformed(&error))?;
            let verifier = Verifier::new(&root).map_err(|error| malformed(&error))?;
            Ok(Self {
                verifier,
                built_in: json.is_none(),
            })
        }

        /// What they are, for records; that they are old, where they are.
        pub fn state(&self, now: SystemTime) -> String {
            if !self.built_in {
                return "the policy's trust root".to_owned();
            }
            let day = moment(&format!("{AS_OF}T00:00:00Z"));
            let age = day.and_then(|day| now.duration_since(day).ok());
            match age.is_some_and(|age| age > FRESH) {
                true => format!("the built-in trust root of {AS_OF}, which is stale"),
                false => format!("the built-in trust root of {AS_OF}"),
            }
        }

        /// Checks an attestation over an artifact.
        pub fn judge(
            &self,
            bundle: &str,
            subject: &Subject<'_>,
            keys: &Keys,
        ) -> Judgement<Attested> {
            if bundle.len() > LENGTH {
                return Judgement::Unknown(format!("it is longer than {LENGTH} bytes"));
            }
            let Some((statement, hint)) = statement::read(bundle) else {
                return Judgement::Unknown("it is no attestation that is understood".to_owned());
            };
            let parsed = match Bundle::from_json(bundle) {
                Ok(parsed) => parsed,
                Err(error) => return Judgement::Unknown(format!("it cannot be read: {error}")),
            };
            if !statement.is_of(subject) {
                let name = subject.name;
                return Judgement::Invalid(format!("it is not about these bytes of `{name}`"));
            }
            let Some(digest) = subject.digests.iter().find_map(|digest| typed(digest)) else {
                return Judgement::Unknown("no digest of the bytes is known".to_owned());
            };
            let mut attested = Attested {
                predicate: statement.predicate,
                ..Attested::default()
            };
            match hint {
                None => {
                    let policy = VerificationPolicy::any_identity();
                    let artifact = Artifact::Digest(digest);
                    match self.verifier.verify(artifact, &parsed, &policy) {
                        Ok(result) => {
                            attested.time = time(&result);
                            match result.certificate() {
                                Some(certificate) => fill(&mut attested, certificate),
                                None => return Judgement::Unknown("it has no certificate".into()),
                            }
                            Judgement::Holds(attested)
                        }
                        Err(error) => judge(&error),
                    }
                }
                Some(hint) => self.keyed(&hint, digest, &parsed, keys, attested),
            }
        }

        fn keyed(
            &self,
            hint: &str,
            digest: ArtifactDigest,
            bundle: &Bundle,
            keys: &Keys,
            mut attested: Attested,
        ) -> Judgement<Attested> {
            let shown: String = hint.escape_debug().take(100).collect();
            let mut last =
                Judgement::Unknown(format!("the key `{shown}` is not among the trusted ones"));
            for key in keys.named(hint, KeyUse::Attestations) {
                let der = DerPublicKey::new(key.info().to_vec());
                let policy = PublicKeyVerificationPolicy::new(der);
                let artifact = Artifact::Digest(digest.clone());
                match self.verifier.verify(artifact, bundle, &policy) {
                    Ok(result) => {
                        // A log entry may carry a time that nobody signed; that is none.
                        let Some(time) = time(&result) else {
                            return Judgement::Unknown("when it was signed is not proven".into());
                        };
                        return match key.holds(time) {
                            Ok(()) => {
                                attested.time = Some(time);
                                attested.key = Some(shown);
                                Judgement::Holds(attested)
                            }
                            Err(reason) => Judgement::Invalid(reason),
                        };
                    }
                    Err(error) => last = judge(&error),
                }
            }
            last
        }
    }

    fn typed(digest: &Digest) -> Option<ArtifactDigest> {
        let algorithm = match digest.algorithm() {
            Algorithm::Sha256 => HashAlgorithm::Sha2256,
            Algorithm::Sha512 => HashAlgorithm::Sha2512,
            Algorithm::Md5 | Algorithm::Sha1 | Algorithm::Sha384 => return None,
        };
        let bytes = hex::decode(digest.hex()).ok()?;
        ArtifactDigest::new(algorithm, bytes).ok()
    }

    fn fill(attested: &mut Attested, certificate: &CertificateInfo) {
        let claims = &certificate.ci_claims;
        let older = &claims.deprecated_github;
        let host = || {
            // Older certificates name owner and project only; the address of both is in the identity.
            let identity = certificate.identity.as_ref()?.as_str();
            let project = older.workflow_repository.as_deref()?;
            let end = identity.find(&format!("/{project}/"))?;
            Some(format!("{}/{project}", identity.get(..end)?))
        };
        attested.identity = certificate
            .identity
            .as_ref()
            .map(|identity| identity.as_str().to_owned());
        attested.repository = claims.source_repository_uri.clone().or_else(host);
        let commit = claims.source_repository_digest.clone();
        attested.commit = commit.or_else(|| older.workflow_sha.clone());
        let reference = claims.source_repository_ref.clone();
        attested.reference = reference.or_else(|| older.workflow_ref.clone());
    }

    /// The earliest time that somebody else than the signer vouches for.
    fn time(result: &VerificationResult) -> Option<SystemTime> {
        let earliest = result.verified_timestamps().iter().min()?;
        let seconds = u64::try_from(earliest.as_second()).ok()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }

    /// What is beyond the trust root, or beyond the library, is unknown; what contradicts is invalid.
    fn judge(error: &Error) -> Judgement<Attested> {
        let text: String = error.to_string().escape_debug().take(300).collect();
        let beyond = match error {
            Error::Certificate(certificate) => matches!(
                certificate,
                CertificateError::ChainInvalid(_)
                    | CertificateError::NoValidAuthority { .. }
                    | CertificateError::Malformed(_)
            ),
            Error::TransparencyLog(log) => matches!(log, TransparencyLogError::UnknownLog { .. }),
            Error::Timestamp(time) => matches!(time, TimestampError::NoVerifiedTimestamp(_)),
            other => matches!(
                other,
                Error::UnsupportedBundle(_) | Error::UnsupportedArtifact(_) | Error::Types(_)
            ),
        };
        match beyond {
            true => Judgement::Unknown(text),
            false => Judgement::Invalid(text),
        }
    }
}

#[cfg(not(feature = "sigstore"))]
mod without {
    //! A build that verifies no bundles.

    use std::time::SystemTime;

    use super::{Attested, Judgement, Keys, RootsError, Subject};

    /// None.
    #[derive(Debug)]
    pub struct Roots(());

    impl Roots {
        /// Takes no file: it would not be used.
        pub fn new(json: Option<&str>) -> Result<Self, RootsError> {
            match json {
                None => Ok(Self(())),
                Some(_) => Err(RootsError::Malformed(
                    "this build of v4run does not verify Sigstore bundles".to_owned(),
                )),
            }
        }

        /// That there are none.
        pub fn state(&self, _now: SystemTime) -> String {
            "no trust root: this build of v4run does not verify Sigstore bundles".to_owned()
        }

        /// Nothing is verified.
        pub fn judge(&self, _: &str, _: &Subject<'_>, _: &Keys) -> Judgement<Attested> {
            Judgement::Unknown("this build of v4run does not verify Sigstore bundles".to_owned())
        }
    }
}
