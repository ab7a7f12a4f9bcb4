//! Publishers' signatures: detached OpenPGP signatures by keys that the policy pins.
//!
//! Called by the proxy beside the artifact path for repositories where a publisher's signature lies beside
//! each file. A signature counts only by a pinned key, and presence counts for nothing. What a certificate
//! authority is for others, the policy is here: there is no web of trust, no key server and no chain. A
//! signature by another key than a pinned one contradicts the pin. Forms that are not read (older versions,
//! SHA-1, signatures over text) are unknown and never valid.
//!
//! Own code, because of a whole implementation (150 crates, three minutes to build) one kind of packet is
//! needed; the cryptography is the library's that TLS uses.
//!
//! RFC 9580, section 5.2 (signature packet) and 5.2.4 (what is hashed).

mod key;
mod packet;

use std::time::{Duration, SystemTime};

use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use sha2::{Sha256, Sha384, Sha512};

use super::Judgement;
use key::Material;
pub use key::{Publisher, PublisherError};

/// Longest text of signatures that is read.
const LENGTH: usize = 64 * 1024;
/// Signatures of one text.
const MOST: usize = 8;
/// Packet type of a signature.
const SIGNATURE: u8 = 2;

/// A signature that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBy {
    /// Fingerprint of the key.
    pub fingerprint: String,
    /// When it was made, as its maker says.
    pub time: SystemTime,
}

/// A signature packet, as far as it is understood.
#[derive(Debug)]
struct Signature<'a> {
    /// What is hashed after the content.
    trailer: Vec<u8>,
    algorithm: u8,
    hash: u8,
    /// Whose it says it is: the end of a fingerprint.
    issuer: String,
    time: SystemTime,
    ends: Option<SystemTime>,
    rest: &'a [u8],
}

/// Checks the signatures over some content. Keys are those pinned for its name, at least one.
pub fn judge(text: &[u8], keys: &[&Publisher], content: &[u8]) -> Judgement<SignedBy> {
    let unreadable = || Judgement::Unknown("it is no signature that is understood".to_owned());
    let text = std::str::from_utf8(text).ok();
    let text = text.filter(|text| text.len() <= LENGTH);
    let Some(bytes) = text.and_then(|text| packet::armored(text, "SIGNATURE")) else {
        return unreadable();
    };
    let Some(packets) = packet::packets(&bytes) else {
        return unreadable();
    };
    let mut found = unreadable();
    for packet in packets.iter().filter(|one| one.tag == SIGNATURE).take(MOST) {
        match one(packet.body, keys, content) {
            // One that contradicts is not made good by another one that holds.
            invalid @ Judgement::Invalid(_) => return invalid,
            holds @ Judgement::Holds(_) => found = holds,
            unknown @ Judgement::Unknown(_) if !matches!(found, Judgement::Holds(_)) => {
                found = unknown;
            }
            Judgement::Unknown(_) => {}
        }
    }
    found
}

fn one(body: &[u8], keys: &[&Publisher], content: &[u8]) -> Judgement<SignedBy> {
    let signature = match read(body) {
        Ok(signature) => signature,
        Err(reason) => return Judgement::Unknown(reason),
    };
    let issuer = &signature.issuer;
    let Some(key) = keys.iter().find(|key| key.is(issuer)) else {
        return Judgement::Invalid(format!(
            "it is by the key {issuer}, which is not one that the policy names"
        ));
    };
    match verify(&signature, &key.material, content) {
        None => {
            return Judgement::Unknown(format!(
                "it is of a kind that is not checked (algorithm {}, hash {})",
                signature.algorithm, signature.hash
            ));
        }
        Some(false) => {
            let key = key.fingerprint();
            return Judgement::Invalid(format!("the key {key} did not sign these bytes"));
        }
        Some(true) => {}
    }
    if signature.ends.is_some_and(|ends| ends <= SystemTime::now()) {
        return Judgement::Invalid("the signature itself says that it has ended".to_owned());
    }
    match key.holds(signature.time) {
        Ok(()) => Judgement::Holds(SignedBy {
            fingerprint: key.fingerprint().to_owned(),
            time: signature.time,
        }),
        Err(reason) => Judgement::Invalid(reason),
    }
}

/// Reads a signature packet; else why it is not understood.
fn read(body: &[u8]) -> Result<Signature<'_>, String> {
    let short = || "it is cut short".to_owned();
    let Some((&[version, kind, algorithm, hash], _)) = body.split_first_chunk::<4>() else {
        return Err(short());
    };
    if version != 4 {
        return Err(format!("it is of version {version}"));
    }
    if kind != 0 {
        return Err("it is not over bytes".to_owned());
    }
    let hashed = section(body.get(4..).unwrap_or_default()).ok_or_else(short)?;
    let end = 6 + hashed.0.len();
    let unhashed = section(hashed.1).ok_or_else(short)?;
    let rest = unhashed.1.get(2..).ok_or_else(short)?;
    let mut trailer = body.get(..end).ok_or_else(short)?.to_vec();
    let length = u32::try_from(end).map_err(|_long| short())?;
    trailer.extend([4, 0xff]);
    trailer.extend(length.to_be_bytes());

    let mut signature = Signature {
        trailer,
        algorithm,
        hash,
        issuer: String::new(),
        time: SystemTime::UNIX_EPOCH,
        ends: None,
        rest,
    };
    let seconds = |bytes: &[u8]| {
        let seconds = u64::try_from(packet::number(bytes)?).ok()?;
        Some(Duration::from_secs(seconds))
    };
    let mut lasts = None;
    for (kind, critical, content) in subpackets(hashed.0).ok_or_else(short)? {
        match kind {
            2 => {
                let made = seconds(content).ok_or_else(short)?;
                signature.time = SystemTime::UNIX_EPOCH + made;
            }
            3 => lasts = Some(seconds(content).ok_or_else(short)?),
            16 | 33 => name(&mut signature.issuer, kind, content),
            // A text of its maker, or hints that do not change what it means.
            20 | 26 | 28 => {}
            _ if critical => return Err(format!("it demands what is not understood ({kind})")),
            _ => {}
        }
    }
    // Whose it is need not be signed: a wrong hint names a key that did not sign.
    for (kind, _, content) in subpackets(unhashed.0).ok_or_else(short)? {
        if matches!(kind, 16 | 33) {
            name(&mut signature.issuer, kind, content);
        }
    }
    if signature.time == SystemTime::UNIX_EPOCH || signature.issuer.is_empty() {
        return Err("it does not say when and by whom it was made".to_owned());
    }
    signature.ends = lasts
        .filter(|lasts| !lasts.is_zero())
        .and_then(|lasts| signature.time.checked_add(lasts));
    Ok(signature)
}

/// Takes a name of the key: a fingerprint before an identifier, and what is signed before what is not.
fn name(issuer: &mut String, kind: u8, content: &[u8]) {
    let found = match (kind, content) {
        (33, [4, fingerprint @ ..]) if fingerprint.len() == 20 => fingerprint,
        (16, id) if id.len() == 8 => id,
        (_, _) => return,
    };
    let found = hex::encode(found);
    if issuer.is_empty() || (found.len() > issuer.len() && found.ends_with(issuer.as_str())) {
        *issuer = found;
    }
}

/// A part with its length in two bytes before it, and what follows.
fn section(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(2)?;
    rest.split_at_checked(packet::number(length)?)
}

/// Type, whether it is critical, and content of subpackets.
fn subpackets(mut bytes: &[u8]) -> Option<Vec<(u8, bool, &[u8])>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = packet::new_length(bytes)?;
        let (one, rest) = rest.split_at_checked(length)?;
        let (kind, content) = one.split_first()?;
        found.push((kind & 0x7f, kind & 0x80 != 0, content));
        bytes = rest;
    }
    Some(found)
}

/// Whether the signature is one of the key over the content; nothing where that cannot be checked.
fn verify(signature: &Signature<'_>, material: &Material, content: &[u8]) -> Option<bool> {
    let message = || [content, &signature.trailer].concat();
    let checked = match (material, signature.algorithm, signature.hash) {
        (Material::Rsa { modulus, exponent }, 1 | 3, hash) => {
            let parameters = match hash {
                8 => &RSA_PKCS1_2048_8192_SHA256,
                9 => &RSA_PKCS1_2048_8192_SHA384,
                10 => &RSA_PKCS1_2048_8192_SHA512,
                _ => return None,
            };
            let key = RsaPublicKeyComponents {
                n: modulus,
                e: exponent,
            };
            let (number, _) = packet::integer(signature.rest)?;
            let number = packet::wide(number, modulus.len())?;
            key.verify(parameters, &message(), &number)
        }
        (Material::P256(point), 19, 8) => {
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
            key.verify(&message(), &pair(signature.rest, 32)?)
        }
        (Material::P384(point), 19, 9) => {
            let key = UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point);
            key.verify(&message(), &pair(signature.rest, 48)?)
        }
        (Material::Ed25519(point), 22 | 27, hash) => {
            let parts = [content, &signature.trailer];
            let digest = match hash {
                8 => digest::<Sha256>(parts),
                9 => digest::<Sha384>(parts),
                10 => digest::<Sha512>(parts),
                _ => return None,
            };
            let key = UnparsedPublicKey::new(&ED25519, point);
            let numbers = match signature.algorithm {
                22 => pair(signature.rest, 32)?,
                _ => signature.rest.get(..64)?.to_vec(),
            };
            key.verify(&digest, &numbers)
        }
        (_, _, _) => return None,
    };
    Some(checked.is_ok())
}

fn digest<D: sha2::Digest>(parts: [&[u8]; 2]) -> Vec<u8> {
    let mut hash = D::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().to_vec()
}

/// Two numbers as one text of fixed length.
fn pair(bytes: &[u8], size: usize) -> Option<Vec<u8>> {
    let (first, rest) = packet::integer(bytes)?;
    let (second, _) = packet::integer(rest)?;
    Some([packet::wide(first, size)?, packet::wide(second, size)?].concat())
}

#[cfg(test)]
mod tests;
