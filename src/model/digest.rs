//! Digests and integrity strings.
//!
//! Parses Subresource Integrity strings (W3C SRI, as npm's `integrity`) and hex digests; keeps the
//! order of strength. SHA-1 and MD5 can be named, so that a refusal can name them, but
//! [`Algorithm::is_strong`] is false for them and nothing is ever released on their word.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// A hash function, ordered from weak to strong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// MD5: never sufficient.
    Md5,
    /// SHA-1: never sufficient.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// The lower-case name that SRI and the store use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// Digest length in bytes.
    pub const fn size(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Whether a match under this function alone may release bytes.
    pub const fn is_strong(self) -> bool {
        matches!(self, Self::Sha256 | Self::Sha384 | Self::Sha512)
    }

    fn from_name(name: &str) -> Option<Self> {
        [
            Self::Md5,
            Self::Sha1,
            Self::Sha256,
            Self::Sha384,
            Self::Sha512,
        ]
        .into_iter()
        .find(|algorithm| algorithm.name() == name)
    }
}

/// Why a digest could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// The text names no supported algorithm.
    #[error("no supported hash algorithm in `{0}`")]
    Algorithm(String),
    /// The encoded value does not have the length of its algorithm.
    #[error("`{0}` is not a digest of its algorithm's length")]
    Length(String),
}

/// One digest: algorithm and bytes. Text form is `algorithm-base64`, as in SRI.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    bytes: Vec<u8>,
}

impl Digest {
    /// Takes computed or decoded bytes; the length must fit the algorithm.
    pub fn new(algorithm: Algorithm, bytes: Vec<u8>) -> Result<Self, DigestError> {
        if bytes.len() == algorithm.size() {
            Ok(Self { algorithm, bytes })
        } else {
            Err(DigestError::Length(algorithm.name().to_owned()))
        }
    }

    /// Reads a lower- or upper-case hex digest.
    pub fn from_hex(algorithm: Algorithm, text: &str) -> Result<Self, DigestError> {
        let bytes = hex::decode(text).map_err(|_source| DigestError::Length(text.to_owned()))?;
        Self::new(algorithm, bytes)
    }

    /// The hash function.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Lower-case hex of the value.
    pub fn hex(&self) -> String {
        hex::encode(&self.bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}-{}",
            self.algorithm.name(),
            STANDARD.encode(&self.bytes)
        )
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        // Options after `?` are allowed by SRI and carry no meaning for verification.
        let value = text.split('?').next().unwrap_or_default();
        let (name, encoded) = value
            .split_once('-')
            .ok_or_else(|| DigestError::Algorithm(text.to_owned()))?;
        let algorithm =
            Algorithm::from_name(name).ok_or_else(|| DigestError::Algorithm(text.to_owned()))?;
        let bytes = STANDARD
            .decode(encoded)
            .map_err(|_source| DigestError::Length(text.to_owned()))?;
        Self::new(algorithm, bytes).map_err(|_source| DigestError::Length(text.to_owned()))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A set of alternative digests of one content: what `integrity` in a lockfile or index says.
///
/// Where it comes from SRI, only the digests of the strongest algorithm present decide and weaker
/// ones are kept for messages. Where it lists what any of several files may have
/// ([`Integrity::any_of`]), every one decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Integrity(Form);

/// Untagged, so that the usual form stays a plain list in records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Strongest(Vec<Digest>),
    Any { any: Vec<Digest> },
}

impl Integrity {
    /// The integrity that one digest gives.
    pub fn of(digest: Digest) -> Self {
        Self(Form::Strongest(vec![digest]))
    }

    /// The integrity that content with any one of these digests has, whatever their algorithms.
    /// Weak ones are left out; `None` when nothing else is there.
    pub fn any_of(digests: impl IntoIterator<Item = Digest>) -> Option<Self> {
        let strong = digests
            .into_iter()
            .filter(|digest| digest.algorithm().is_strong());
        let digests: Vec<Digest> = strong.collect();
        let first = digests.first()?.algorithm();
        let alike = digests.iter().all(|digest| digest.algorithm() == first);
        Some(Self(if alike {
            Form::Strongest(digests)
        } else {
            Form::Any { any: digests }
        }))
    }

    /// Reads white-space separated SRI. Unknown algorithms are passed over, as the W3C text says;
    /// a value with no known algorithm, or a known one of wrong length, is an error.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let mut digests = Vec::new();
        for token in text.split_ascii_whitespace() {
            match token.parse::<Digest>() {
                Ok(digest) => digests.push(digest),
                Err(DigestError::Algorithm(_)) => {}
                Err(error @ DigestError::Length(_)) => return Err(error),
            }
        }
        if digests.is_empty() {
            return Err(DigestError::Algorithm(text.to_owned()));
        }
        Ok(Self(Form::Strongest(digests)))
    }

    fn digests(&self) -> &[Digest] {
        match &self.0 {
            Form::Strongest(digests) | Form::Any { any: digests } => digests,
        }
    }

    /// The strongest algorithm present.
    pub fn algorithm(&self) -> Algorithm {
        self.digests()
            .iter()
            .map(Digest::algorithm)
            .max()
            .unwrap_or(Algorithm::Md5)
    }

    /// The digests that decide: a content must match one of them.
    pub fn deciding(&self) -> impl Iterator<Item = &Digest> {
        let strongest = match &self.0 {
            Form::Strongest(_) => Some(self.algorithm()),
            Form::Any { .. } => None,
        };
        self.digests()
            .iter()
            .filter(move |digest| strongest.is_none_or(|known| digest.algorithm() == known))
    }

    /// Whether `computed` satisfies this integrity. False when the algorithm is not a deciding one
    /// or is weak.
    pub fn accepts(&self, computed: &Digest) -> bool {
        computed.algorithm().is_strong() && self.deciding().any(|expected| expected == computed)
    }

    /// Whether both statements can hold for one content: some deciding digest is shared, or one of
    /// them decides by an algorithm that the other does not use, so that only the bytes can tell.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let beyond = |one: &Self, other: &Self| {
            one.deciding().any(|digest| {
                other
                    .deciding()
                    .all(|theirs| theirs.algorithm() != digest.algorithm())
            })
        };
        let shared = || {
            self.deciding()
                .any(|digest| other.deciding().any(|theirs| theirs == digest))
        };
        shared() || beyond(self, other) || beyond(other, self)
    }
}

impl fmt::Display for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, digest) in self.digests().iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            fmt::Display::fmt(digest, f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digest(algorithm: Algorithm, byte: u8) -> Digest {
        Digest::new(algorithm, vec![byte; algorithm.size()]).unwrap()
    }

    #[test]
    fn strongest_algorithm_decides() {
        let strong = digest(Algorithm::Sha512, 1);
        let weak = digest(Algorithm::Sha1, 2);
        let integrity = Integrity::parse(&format!("{weak} {strong}")).unwrap();
        assert_eq!(integrity.algorithm(), Algorithm::Sha512);
        assert!(integrity.accepts(&strong));
        assert!(!integrity.accepts(&weak));
    }

    #[test]
    fn every_alternative_of_a_mixed_list_decides() {
        let (short, long) = (digest(Algorithm::Sha256, 1), digest(Algorithm::Sha512, 2));
        let weak = digest(Algorithm::Sha1, 3);
        let any = Integrity::any_of([short.clone(), weak.clone(), long.clone()]).unwrap();
        assert!(any.accepts(&short) && any.accepts(&long) && !any.accepts(&weak));
        assert_eq!(Integrity::any_of([weak]), None);
        let other = Integrity::of(digest(Algorithm::Sha256, 9));
        assert!(
            any.agrees_with(&other),
            "the bytes may have the SHA-512 that is listed"
        );
        let plain = Integrity::any_of([short.clone()]).unwrap();
        assert!(!plain.agrees_with(&other) && plain.agrees_with(&any));
        for integrity in [any, plain] {
            let text = serde_json::to_string(&integrity).unwrap();
            assert_eq!(serde_json::from_str::<Integrity>(&text).unwrap(), integrity);
        }
        assert_eq!(
            serde_json::to_string(&Integrity::of(short.clone())).unwrap(),
            format!("[\"{short}\"]")
        );
    }

    #[test]
    fn weak_digests_never_accept() {
        let weak = digest(Algorithm::Sha1, 2);
        assert!(!Integrity::of(weak.clone()).accepts(&weak));
    }

    #[test]
    fn values_that_npm_would_skip_are_errors() {
        for text in ["", "sha999-abc", "sha512-", "sha512-YWJj", "sha512"] {
            assert!(Integrity::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn text_form_round_trips(bytes in proptest::collection::vec(any::<u8>(), 64)) {
            let digest = Digest::new(Algorithm::Sha512, bytes).unwrap();
            prop_assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest.clone());
            prop_assert_eq!(Digest::from_hex(Algorithm::Sha512, &digest.hex()).unwrap(), digest);
        }

        #[test]
        fn parsing_never_panics(text in ".{0,200}") {
            let _ = Integrity::parse(&text);
        }
    }
}
