//! Registry signatures: ECDSA over `name@version:integrity`.
//!
//! The signature covers the text of the integrity as the registry states it; that this text fits the
//! bytes is checked here too, because the two are only worth something together. The time of signing is
//! the registry's word. Where it is missing, a key that is valid now still speaks; for one that has
//! ended nobody can tell, and it is unknown: taking some early day in its place would make every
//! expired key pass. What was published before a key began may have been signed anew with it, as
//! registries do when they change keys; a key that has not begun today signs nothing.
//!
//! npm registry signatures.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Judgement, Keys};
use crate::model::{Digest, Integrity, KeyUse};

/// Signatures of one version that are looked at.
const MOST: usize = 16;

/// One signature as stated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Name of the key.
    pub key: String,
    /// The signature, base64 of DER.
    pub signature: String,
}

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// Package name.
    pub name: &'a str,
    /// Package version.
    pub version: &'a str,
    /// Integrity as the registry states it.
    pub integrity: &'a str,
    /// Time of publication as the registry states it.
    pub published: Option<SystemTime>,
    /// The moment of the check.
    pub now: SystemTime,
}

impl Signed<'_> {
    /// Checks the signatures over an artifact with these digests. What holds is the name of the key.
    pub fn judge(
        &self,
        signatures: &[Signature],
        keys: &Keys,
        digests: &[&Digest],
    ) -> Judgement<String> {
        if signatures.is_empty() {
            return Judgement::Unknown("the repository states no signature".to_owned());
        }
        let stated = Integrity::parse(self.integrity);
        let fits = stated.is_ok_and(|stated| digests.iter().any(|digest| stated.accepts(digest)));
        if !fits {
            let shown: String = self.integrity.escape_debug().take(120).collect();
            return Judgement::Invalid(format!("it is over another digest: {shown}"));
        }
        let message = format!("{}@{}:{}", self.name, self.version, self.integrity);
        let mut found = Judgement::Unknown("its key is not known".to_owned());
        for one in signatures.iter().take(MOST) {
            match self.one(one, keys, message.as_bytes()) {
                Judgement::Invalid(reason) => return Judgement::Invalid(reason),
                Judgement::Holds(key) => found = Judgement::Holds(key),
                Judgement::Unknown(reason) => {
                    if !matches!(found, Judgement::Holds(_)) {
                        found = Judgement::Unknown(reason);
                    }
                }
            }
        }
        found
    }

    fn one(&self, one: &Signature, keys: &Keys, message: &[u8]) -> Judgement<String> {
        let mut known = keys.named(&one.key, KeyUse::Signatures).peekable();
        let shown: String = one.key.escape_debug().take(100).collect();
        if known.peek().is_none() {
            return Judgement::Unknown(format!("the key `{shown}` is not among the trusted ones"));
        }
        let signature = STANDARD.decode(one.signature.trim()).unwrap_or_default();
        let Some(key) = known.find(|key| key.signed(message, &signature)) else {
            return Judgement::Invalid(format!(
                "the key `{shown}` did not sign this name, version and digest"
            ));
        };
        if let Err(reason) = key.begun(self.now) {
            return Judgement::Invalid(reason);
        }
        match self.published {
            Some(published) => match key.lasts(published) {
                Ok(()) => Judgement::Holds(shown),
                Err(reason) => Judgement::Invalid(reason),
            },
            None => match key.lasts(self.now) {
                Ok(()) => Judgement::Holds(shown),
                Err(reason) => Judgement::Unknown(format!(
                    "the repository does not say when it was published, and {reason}"
                )),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::moment;
    use super::super::samples::{Pair, digest, samples};
    use super::*;
    use crate::model::{Algorithm, SigningKey};

    fn signed<'a>(integrity: &'a str, published: Option<&str>) -> Signed<'a> {
        Signed {
            name: "left",
            version: "1.0.0",
            integrity,
            published: published.map(|text| moment(text).unwrap()),
            now: moment("2026-06-01T00:00:00Z").unwrap(),
        }
    }

    struct Case {
        pair: Pair,
        digest: Digest,
        integrity: String,
        signatures: Vec<Signature>,
    }

    fn case() -> Case {
        let pair = Pair::new("SHA256:one");
        let digest = digest(Algorithm::Sha512, 7);
        let integrity = digest.to_string();
        let signatures = vec![pair.sign(&format!("left@1.0.0:{integrity}"))];
        Case {
            pair,
            digest,
            integrity,
            signatures,
        }
    }

    impl Case {
        fn judge(&self, signed: &Signed<'_>, key: &SigningKey) -> Judgement<String> {
            signed.judge(
                &self.signatures,
                &Keys::read([key]).unwrap(),
                &[&self.digest],
            )
        }
    }

    #[test]
    fn a_signature_holds_for_what_was_signed_only() {
        let case = case();
        let key = case.pair.stated();
        let good = signed(&case.integrity, None);
        assert_eq!(
            case.judge(&good, &key),
            Judgement::Holds("SHA256:one".into())
        );
        for other in [
            Signed {
                name: "right",
                ..good
            },
            Signed {
                version: "1.0.1",
                ..good
            },
        ] {
            assert!(matches!(case.judge(&other, &key), Judgement::Invalid(_)));
        }
        let other = digest(Algorithm::Sha512, 8).to_string();
        let moved = Signed {
            integrity: &other,
            ..good
        };
        assert!(matches!(case.judge(&moved, &key), Judgement::Invalid(_)));
        for at in [0, 20, 60] {
            let mut flipped = STANDARD.decode(&case.signatures[0].signature).unwrap();
            flipped[at] ^= 1;
            let signature = Signature {
                key: "SHA256:one".into(),
                signature: STANDARD.encode(flipped),
            };
            let keys = Keys::read([&key]).unwrap();
            let judged = good.judge(&[signature], &keys, &[&case.digest]);
            assert!(matches!(judged, Judgement::Invalid(_)), "{at}");
        }
    }

    #[test]
    fn another_key_under_a_known_name_is_invalid_and_an_unknown_name_is_unknown() {
        let case = case();
        let good = signed(&case.integrity, None);
        let stranger = Pair::new("SHA256:one").stated();
        assert!(matches!(
            case.judge(&good, &stranger),
            Judgement::Invalid(_)
        ));
        let unknown = Pair::new("SHA256:two").stated();
        assert!(matches!(case.judge(&good, &unknown), Judgement::Unknown(_)));
        let mut attestations = case.pair.stated();
        attestations.usage = Some(KeyUse::Attestations);
        assert!(matches!(
            case.judge(&good, &attestations),
            Judgement::Unknown(_)
        ));
        let none = good.judge(&[], &Keys::default(), &[&case.digest]);
        assert!(matches!(none, Judgement::Unknown(_)));
    }

    #[test]
    fn an_invalid_signature_beside_a_good_one_is_invalid() {
        let mut case = case();
        let key = case.pair.stated();
        let other = case.pair.sign("left@1.0.1:x");
        case.signatures.push(other);
        let good = signed(&case.integrity, None);
        assert!(matches!(case.judge(&good, &key), Judgement::Invalid(_)));
    }

    #[test]
    fn time_decides_where_it_is_known_and_a_missing_one_revives_no_expired_key() {
        let case = case();
        let mut key = case.pair.stated();
        key.start = Some("2025-01-01T00:00:00Z".into());
        key.end = Some("2026-01-01T00:00:00Z".into());
        let at = |time: Option<&str>| case.judge(&signed(&case.integrity, time), &key);
        assert!(matches!(
            at(Some("2025-06-01T00:00:00Z")),
            Judgement::Holds(_)
        ));
        assert!(matches!(
            at(Some("2026-03-01T00:00:00Z")),
            Judgement::Invalid(_)
        ));
        assert!(matches!(
            at(Some("2024-03-01T00:00:00Z")),
            Judgement::Holds(_)
        ));
        assert!(matches!(at(None), Judgement::Unknown(_)));
        key.end = None;
        key.start = Some("2027-01-01T00:00:00Z".into());
        let early = case.judge(&signed(&case.integrity, None), &key);
        assert!(matches!(early, Judgement::Invalid(_)), "{early:?}");
        key.start = Some("2025-01-01T00:00:00Z".into());
        let current = case.judge(&signed(&case.integrity, None), &key);
        assert!(matches!(current, Judgement::Holds(_)));
    }

    #[test]
    fn a_published_signature_verifies() {
        let Some(samples) = samples() else { return };
        let vector = samples.json("npm-registry-signatures.json")["vectors"][0].clone();
        let text = |key: &str| vector[key].as_str().unwrap().to_owned();
        let keys = Keys::read(&samples.npm_keys()).unwrap();
        let integrity = text("integrity");
        let parsed = Integrity::parse(&integrity).unwrap();
        let digest = parsed.deciding().next().unwrap().clone();
        let signature = |sig: &str| Signature {
            key: text("keyid"),
            signature: sig.to_owned(),
        };
        let version = text("version");
        let signed = |version, published: Option<&str>| Signed {
            name: "sigstore",
            version,
            integrity: &integrity,
            published: published.map(|time| moment(time).unwrap()),
            now: moment("2026-11-01T00:00:00Z").unwrap(),
        };
        let day = Some("2023-02-09T17:56:00Z");
        let good = [signature(&text("sig"))];
        let judge = |signed: Signed<'_>, with: &[Signature]| signed.judge(with, &keys, &[&digest]);
        assert_eq!(
            judge(signed(&version, day), &good),
            Judgement::Holds(text("keyid"))
        );
        assert!(matches!(
            judge(signed("1.0.1", day), &good),
            Judgement::Invalid(_)
        ));
        assert!(matches!(
            judge(signed(&version, Some("2025-03-01T00:00:00Z")), &good),
            Judgement::Invalid(_)
        ));
        assert!(matches!(
            judge(signed(&version, None), &good),
            Judgement::Unknown(_)
        ));
        let mut bytes = STANDARD.decode(text("sig")).unwrap();
        bytes[30] ^= 4;
        let flipped = [signature(&STANDARD.encode(bytes))];
        assert!(matches!(
            judge(signed(&version, day), &flipped),
            Judgement::Invalid(_)
        ));
    }
}
