//! The cryptography of Sigstore bundles, done by the one provider that the whole program uses.
//!
//! Hashes and verification only: nothing here signs. What it cannot check is an error, never a pass.
//! The provider checks signatures over bytes and not over digests. Where the library asks for the latter,
//! which it does for signatures that name nothing, the bytes are lent for the time of the call: their digest
//! is compared, and the signature is checked over them.

use std::cell::RefCell;

use ring::digest::{Context, SHA256, SHA384, SHA512, digest};
use ring::signature::{self as check, UnparsedPublicKey, VerificationAlgorithm};
use sigstore_verify::crypto::provider::{CryptoProvider, HashContext, install_default_provider};
use sigstore_verify::crypto::{Error, SigningScheme};
use sigstore_verify::types::HashAlgorithm;

/// Makes it the provider of this process. Whoever was first stays, and is this one.
pub(super) fn install() {
    let _ = install_default_provider(&Ring);
}

thread_local! {
    /// The bytes of which a digest may be checked.
    static LENT: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Does something that checks a signature over the digest of these bytes.
pub(super) fn lending<T>(content: &[u8], check: impl FnOnce() -> T) -> T {
    LENT.set(Some(content.to_vec()));
    let checked = check();
    LENT.set(None);
    checked
}

#[derive(Debug)]
struct Ring;

struct Running(Context);

impl HashContext for Running {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn finalize(self: Box<Self>) -> Vec<u8> {
        self.0.finish().as_ref().to_vec()
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library may name more than it does today"
)]
fn algorithm(scheme: SigningScheme) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match scheme {
        SigningScheme::EcdsaP256Sha256 => &check::ECDSA_P256_SHA256_ASN1,
        SigningScheme::EcdsaP256Sha384 => &check::ECDSA_P256_SHA384_ASN1,
        SigningScheme::EcdsaP384Sha256 => &check::ECDSA_P384_SHA256_ASN1,
        SigningScheme::EcdsaP384Sha384 => &check::ECDSA_P384_SHA384_ASN1,
        SigningScheme::Ed25519 => &check::ED25519,
        SigningScheme::RsaPssSha256 => &check::RSA_PSS_2048_8192_SHA256,
        SigningScheme::RsaPssSha384 => &check::RSA_PSS_2048_8192_SHA384,
        SigningScheme::RsaPssSha512 => &check::RSA_PSS_2048_8192_SHA512,
        SigningScheme::RsaPkcs1Sha256 => &check::RSA_PKCS1_2048_8192_SHA256,
        SigningScheme::RsaPkcs1Sha384 => &check::RSA_PKCS1_2048_8192_SHA384,
        SigningScheme::RsaPkcs1Sha512 => &check::RSA_PKCS1_2048_8192_SHA512,
        _ => return None,
    })
}

impl CryptoProvider for Ring {
    fn hash(&self, algorithm: HashAlgorithm) -> Result<Box<dyn HashContext>, Error> {
        let backend = match algorithm {
            HashAlgorithm::Sha2256 => &SHA256,
            HashAlgorithm::Sha2384 => &SHA384,
            HashAlgorithm::Sha2512 => &SHA512,
            _ => return Err(Error::UnsupportedAlgorithm(algorithm.to_string())),
        };
        Ok(Box::new(Running(Context::new(backend))))
    }

    fn verify_raw(
        &self,
        scheme: SigningScheme,
        key: &[u8],
        data: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        let Some(algorithm) = algorithm(scheme) else {
            return Err(Error::UnsupportedAlgorithm(scheme.name().to_string()));
        };
        UnparsedPublicKey::new(algorithm, key)
            .verify(data, signature)
            .map_err(|_wrong| Error::Verification(format!("{} signature invalid", scheme.name())))
    }

    fn verify_prehashed(
        &self,
        scheme: SigningScheme,
        key: &[u8],
        hashed: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        LENT.with_borrow(|content| {
            let same = |content: &&Vec<u8>| {
                let mut all = [&SHA256, &SHA384, &SHA512].into_iter();
                all.any(|algorithm| digest(algorithm, content).as_ref() == hashed)
            };
            match content.as_ref().filter(same) {
                Some(content) => self.verify_raw(scheme, key, content, signature),
                None => {
                    let text = format!("{} over a digest", scheme.name());
                    Err(Error::UnsupportedAlgorithm(text))
                }
            }
        })
    }
}
