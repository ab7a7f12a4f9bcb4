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
            let Some(digest) = statement.digest_of(subject) else {
                let name = subject.name;
                return Judgement::Invalid(format!("it is not about these bytes of `{name}`"));
            };
            let Some(digest) = typed(digest) else {
                return Judgement::Unknown("no digest of the bytes is known".to_owned());
            };
            let attested = Attested {
                predicate: statement.predicate,
                ..Attested::default()
            };
            match hint {
                None => self.certified(Artifact::Digest(digest), &parsed, attested),
                Some(hint) => self.keyed(&hint, digest, &parsed, keys, attested),
            }
        }

        /// Checks a signature over bytes that names nothing, or an attestation over them.
        pub fn judge_beside(
            &self,
            bundle: &str,
            subject: &Subject<'_>,
            keys: &Keys,
            content: &[u8],
        ) -> Judgement<Attested> {
            if bundle.len() > LENGTH || statement::read(bundle).is_some() {
                return self.judge(bundle, subject, keys);
            }
            match Bundle::from_json(bundle) {
                Ok(parsed) => ring::lending(content, || {
                    self.certified(Artifact::Blob(content), &parsed, Attested::default())
                }),
                Err(error) => Judgement::Unknown(format!("it cannot be read: {error}")),
            }
        }

        /// Checks what a certificate signed.
        fn certified(
            &self,
            artifact: Artifact<'_>,
            bundle: &Bundle,
            mut attested: Attested,
        ) -> Judgement<Attested> {
            let policy = VerificationPolicy::any_identity();
            match self.verifier.verify(artifact, bundle, &policy) {
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
        let beyond = if let Error::Certificate(certificate) = error {
            matches!(
                certificate,
                CertificateError::ChainInvalid(_)
                    | CertificateError::NoValidAuthority { .. }
                    | CertificateError::Malformed(_)
            )
        } else if let Error::TransparencyLog(log) = error {
            matches!(log, TransparencyLogError::UnknownLog { .. })
        } else if let Error::SignatureInvalid(reason) = error {
            // The provider's word for what it has no algorithm for: nothing was checked.
            reason.contains("Unsupported algorithm")
        } else if let Error::Timestamp(time) = error {
            matches!(time, TimestampError::NoVerifiedTimestamp(_))
        } else {
            matches!(
                error,
                Error::UnsupportedBundle(_) | Error::UnsupportedArtifact(_) | Error::Types(_)
            )
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

        /// Nothing is verified.
        pub fn judge_beside(
            &self,
            bundle: &str,
            subject: &Subject<'_>,
            keys: &Keys,
            _: &[u8],
        ) -> Judgement<Attested> {
            self.judge(bundle, subject, keys)
        }
    }
}

#[cfg(test)]
#[cfg(feature = "sigstore")]
mod tests {
    use std::time::Duration;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::{Value, json};

    use super::super::moment;
    use super::super::samples::{Samples, digest, samples};
    use super::*;
    use crate::model::{Algorithm, SigningKey};

    const NAME: &str = "pkg:npm/sigstore@1.0.0";
    const SOURCE: &str = "/sigstore/sigstore-js";

    fn bytes() -> Digest {
        let hex = "7bea9f6e7ff37f5fab0b36bf061200fff03099fd2fd696b91d04bc5e4f225eb9\
                   fd6e0cadcad54ba980f43fb352a99e8810b4e0abeb5c0ef2cf9108cd1f258b36";
        Digest::from_hex(Algorithm::Sha512, hex).unwrap()
    }

    /// Provenance and publish attestation.
    fn bundles(samples: &Samples) -> (Value, Value) {
        let document = samples.json("npm-attestations-sigstore-1.0.0.json");
        let of = |kind: &str| {
            let all = document["attestations"].as_array().unwrap().iter();
            let mut all = all.filter(|one| one["predicateType"].as_str().unwrap().contains(kind));
            all.next().unwrap()["bundle"].clone()
        };
        (of("slsa.dev"), of("attestation/tree"))
    }

    fn judge(
        bundle: &Value,
        name: &str,
        digest: &Digest,
        keys: &[SigningKey],
    ) -> Judgement<Attested> {
        let roots = Roots::new(None).unwrap();
        // As in a run: both digests are known, and a statement may have either.
        let other = super::super::samples::digest(Algorithm::Sha256, 9);
        let subject = Subject {
            name,
            digests: &[&other, digest],
        };
        roots.judge(&bundle.to_string(), &subject, &Keys::read(keys).unwrap())
    }

    fn flip(text: &Value, at: usize) -> Value {
        let mut bytes = STANDARD.decode(text.as_str().unwrap()).unwrap();
        bytes[at] ^= 1;
        STANDARD.encode(bytes).into()
    }

    #[test]
    fn a_published_provenance_verifies_and_names_source_and_commit() {
        let Some(samples) = samples() else { return };
        let (provenance, _) = bundles(&samples);
        let Judgement::Holds(found) = judge(&provenance, NAME, &bytes(), &[]) else {
            panic!("{:?}", judge(&provenance, NAME, &bytes(), &[]));
        };
        assert!(found.repository.unwrap().ends_with(SOURCE));
        assert_eq!(
            found.commit.unwrap(),
            "06528997c3c8ab9f864fad9a3658446aca7fd86d"
        );
        assert_eq!(found.reference.unwrap(), "refs/tags/v1.0.0");
        assert_eq!(found.time, moment("2023-02-09T17:56:00Z"));
        assert_eq!(found.key, None);
        // The sample's own trust root is as good as the built-in one.
        let root = samples.json("sigstore-trusted_root.json").to_string();
        let roots = Roots::new(Some(&root)).unwrap();
        let digest = bytes();
        let subject = Subject {
            name: NAME,
            digests: &[&digest],
        };
        let judged = roots.judge(&provenance.to_string(), &subject, &Keys::default());
        assert!(matches!(judged, Judgement::Holds(_)), "{judged:?}");
    }

    #[test]
    fn what_was_changed_does_not_verify() {
        let Some(samples) = samples() else { return };
        let (good, _) = bundles(&samples);
        let invalid = |bundle: &Value, name: &str, digest: &Digest| {
            let judged = judge(bundle, name, digest, &[]);
            assert!(matches!(judged, Judgement::Invalid(_)), "{judged:?}");
        };
        invalid(&good, "pkg:npm/sigstore@1.0.1", &bytes());
        invalid(&good, "pkg:npm/other@1.0.0", &bytes());
        invalid(&good, NAME, &digest(Algorithm::Sha512, 1));
        invalid(&good, NAME, &digest(Algorithm::Sha256, 1));
        for (place, at) in [
            ("/dsseEnvelope/signatures/0/sig", 20),
            (
                "/verificationMaterial/tlogEntries/0/inclusionPromise/signedEntryTimestamp",
                20,
            ),
            ("/verificationMaterial/tlogEntries/0/canonicalizedBody", 60),
        ] {
            let mut changed = good.clone();
            let value = changed.pointer_mut(place).expect(place);
            *value = flip(value, at);
            let judged = judge(&changed, NAME, &bytes(), &[]);
            assert!(
                !matches!(judged, Judgement::Holds(_)),
                "{place}: {judged:?}"
            );
        }
        // Another statement under the same signature: one that says what the attacker wants.
        let mut changed = good.clone();
        let payload = &mut changed["dsseEnvelope"]["payload"];
        let text = String::from_utf8(STANDARD.decode(payload.as_str().unwrap()).unwrap()).unwrap();
        let mine = digest(Algorithm::Sha512, 9);
        *payload = STANDARD
            .encode(text.replace(&bytes().hex(), &mine.hex()))
            .into();
        invalid(&changed, NAME, &mine);
        let mut late = good.clone();
        late["verificationMaterial"]["tlogEntries"][0]["integratedTime"] = "1875965360".into();
        let judged = judge(&late, NAME, &bytes(), &[]);
        assert!(!matches!(judged, Judgement::Holds(_)), "{judged:?}");
    }

    #[test]
    fn a_publish_attestation_needs_its_key_at_its_time() {
        let Some(samples) = samples() else { return };
        let (provenance, publish) = bundles(&samples);
        let keys = samples.npm_keys();
        let judged = judge(&publish, NAME, &bytes(), &keys);
        assert!(
            matches!(judged, Judgement::Holds(Attested { key: Some(_), .. })),
            "{judged:?}"
        );
        assert!(matches!(
            judge(&publish, NAME, &bytes(), &[]),
            Judgement::Unknown(_)
        ));
        let with = |start: Option<&str>, end: Option<&str>| {
            let keys = keys.iter().cloned().map(|key| SigningKey {
                start: start.map(str::to_owned),
                end: end.map(str::to_owned),
                ..key
            });
            judge(&publish, NAME, &bytes(), &keys.collect::<Vec<_>>())
        };
        assert!(matches!(with(None, None), Judgement::Holds(_)));
        // Signed 2023-02-09.
        let expired = with(None, Some("2023-02-01T00:00:00Z"));
        assert!(matches!(expired, Judgement::Invalid(_)), "{expired:?}");
        let early = with(Some("2023-03-01T00:00:00Z"), None);
        assert!(matches!(early, Judgement::Invalid(_)), "{early:?}");
        // Another key under that name.
        let other = SigningKey {
            key: keys[2].key.clone(),
            ..keys[1].clone()
        };
        let judged = judge(&publish, NAME, &bytes(), &[other]);
        assert!(matches!(judged, Judgement::Invalid(_)), "{judged:?}");
        // A certificate's bundle does not pass as one of a key.
        let mut mixed = provenance;
        mixed["verificationMaterial"]["publicKey"] = json!({ "hint": keys[1].id });
        let judged = judge(&mixed, NAME, &bytes(), &keys);
        assert!(!matches!(judged, Judgement::Holds(_)), "{judged:?}");
    }

    #[test]
    fn what_is_beyond_the_trust_root_is_unknown() {
        let Some(samples) = samples() else { return };
        let (provenance, _) = bundles(&samples);
        let mut root = samples.json("sigstore-trusted_root.json");
        root["tlogs"] = json!([]);
        let roots = Roots::new(Some(&root.to_string())).unwrap();
        let digest = bytes();
        let subject = Subject {
            name: NAME,
            digests: &[&digest],
        };
        let judged = roots.judge(&provenance.to_string(), &subject, &Keys::default());
        assert!(!matches!(judged, Judgement::Holds(_)), "{judged:?}");
        let mut root = samples.json("sigstore-trusted_root.json");
        root["certificateAuthorities"] = json!([]);
        let roots = Roots::new(Some(&root.to_string())).unwrap();
        let judged = roots.judge(&provenance.to_string(), &subject, &Keys::default());
        assert!(matches!(judged, Judgement::Unknown(_)), "{judged:?}");
    }

    #[test]
    fn what_is_no_attestation_is_unknown_and_a_root_that_is_none_is_an_error() {
        let roots = Roots::new(None).unwrap();
        let digest = digest(Algorithm::Sha512, 1);
        let subject = Subject {
            name: "x",
            digests: &[&digest],
        };
        let long = "x".repeat(LENGTH + 1);
        for text in ["", "{}", "[]", &long, r#"{"dsseEnvelope":{"payload":"!"}}"#] {
            let judged = roots.judge(text, &subject, &Keys::default());
            assert!(matches!(judged, Judgement::Unknown(_)));
        }
        for text in ["", "{}", "[]"] {
            assert!(Roots::new(Some(text)).is_err() || text == "{}", "{text}");
        }
    }

    #[test]
    fn an_old_trust_root_says_so() {
        let roots = Roots::new(None).unwrap();
        let day = moment("2026-11-01T00:00:00Z").unwrap();
        assert!(!roots.state(day).contains("stale"));
        let later = day + Duration::from_secs(365 * 24 * 3600);
        assert!(roots.state(later).contains("stale"));
    }
}
