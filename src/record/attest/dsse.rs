//! DSSE envelopes: a payload, its type, and signatures over both.
//!
//! One envelope a line of the attestation. What must always hold: nothing of a payload is looked at
//! before a signature over exactly those bytes was verified with the key that the caller named.
//! Dead Simple Signing Envelope 1.0.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::{Deserialize, Serialize};

use super::key::{KeyError, PublicKey, SigningKey};

/// The type of an in-toto payload.
const TYPE: &str = "application/vnd.in-toto+json";

/// An envelope.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::record) struct Envelope {
    payload_type: String,
    payload: String,
    signatures: Vec<Signature>,
}

/// A signature.
#[derive(Debug, Serialize, Deserialize)]
struct Signature {
    #[serde(default)]
    keyid: String,
    sig: String,
}

/// Why an envelope is not believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::record) enum Distrust {
    /// No envelope.
    #[error("is no DSSE envelope")]
    Form,
    /// Another type of payload.
    #[error("carries something else than an in-toto statement")]
    Type,
    /// None by that key.
    #[error("is signed by another key: {0}")]
    Key(String),
    /// By that key, but over something else.
    #[error("was changed after it was signed")]
    Signature,
    /// No signature at all.
    #[error("carries no signature")]
    Bare,
}

/// What a signature is made over.
fn pre_authentication(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// Signs a payload.
pub(in crate::record) fn sign(key: &SigningKey, payload: &[u8]) -> Result<Envelope, KeyError> {
    let signature = key.sign(&pre_authentication(TYPE, payload))?;
    Ok(Envelope {
        payload_type: TYPE.to_owned(),
        payload: STANDARD.encode(payload),
        signatures: vec![Signature {
            keyid: key.public().id(),
            sig: STANDARD.encode(signature),
        }],
    })
}

/// The payload of a line, if the key signed it.
pub(in crate::record) fn open(line: &[u8], key: &PublicKey) -> Result<Vec<u8>, Distrust> {
    let envelope = parse(line)?;
    let payload = decode(&envelope.payload).ok_or(Distrust::Form)?;
    let message = pre_authentication(&envelope.payload_type, &payload);
    let holds = envelope.signatures.iter().any(|signature| {
        decode(&signature.sig).is_some_and(|signature| key.verifies(&message, &signature))
    });
    if holds {
        return Ok(payload);
    }
    let id = key.id();
    let named = |signature: &Signature| signature.keyid.is_empty() || signature.keyid == id;
    match envelope.signatures.first() {
        None => Err(Distrust::Bare),
        Some(_) if envelope.signatures.iter().any(named) => Err(Distrust::Signature),
        Some(other) => Err(Distrust::Key(other.keyid.clone())),
    }
}

/// The payload of a line and the keys that it claims to be signed by; nothing of it is verified.
pub(in crate::record) fn peek(line: &[u8]) -> Result<(Vec<u8>, Vec<String>), Distrust> {
    let envelope = parse(line)?;
    let payload = decode(&envelope.payload).ok_or(Distrust::Form)?;
    if envelope.signatures.iter().all(|one| one.sig.is_empty()) {
        return Err(Distrust::Bare);
    }
    let keys = envelope.signatures.into_iter().map(|one| one.keyid);
    Ok((payload, keys.collect()))
}

/// Reads any bytes as an envelope; for the fuzz target.
#[cfg(any(test, feature = "fuzz"))]
pub(in crate::record) fn fuzz(line: &[u8]) {
    let _ = peek(line);
}

fn parse(line: &[u8]) -> Result<Envelope, Distrust> {
    let envelope: Envelope = serde_json::from_slice(line).map_err(|_error| Distrust::Form)?;
    if envelope.payload_type != TYPE {
        return Err(Distrust::Type);
    }
    Ok(envelope)
}

/// Both alphabets are allowed.
fn decode(text: &str) -> Option<Vec<u8>> {
    let decoded = STANDARD
        .decode(text)
        .or_else(|_other| URL_SAFE.decode(text));
    decoded.ok()
}

#[cfg(test)]
mod tests {
    use super::super::key::tests::fresh;
    use super::*;

    #[test]
    fn the_published_vector_of_what_is_signed() {
        let message = pre_authentication("http://example.com/HelloWorld", b"hello world");
        assert_eq!(
            message,
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn any_flipped_bit_of_an_envelope_is_noticed() {
        let (key, _) = fresh(false);
        let line = serde_json::to_vec(&sign(&key, br#"{"a":1}"#).unwrap()).unwrap();
        let public = key.public();
        assert_eq!(open(&line, &public).unwrap(), br#"{"a":1}"#);
        let text = String::from_utf8(line.clone()).unwrap();
        // The key identifier is a hint: any text will do there.
        let start = text.find(&public.id()).unwrap();
        let hint = start..start + public.id().len();
        for position in 0..line.len() {
            for bit in 0..8 {
                let mut changed = line.clone();
                changed[position] ^= 1 << bit;
                let opened = open(&changed, &public);
                // A change of the field's own name leaves it out, which is allowed too.
                let is_hint = hint.contains(&position)
                    || (start.saturating_sub(10)..start + 65).contains(&position);
                match opened {
                    Ok(payload) => assert!(is_hint && payload == br#"{"a":1}"#, "{position}"),
                    Err(_) => assert_ne!(changed, line),
                }
            }
        }
    }

    #[test]
    fn another_key_and_no_signature_are_told_apart() {
        let (key, _) = fresh(true);
        let (other, _) = fresh(true);
        let envelope = sign(&key, b"{}").unwrap();
        let line = serde_json::to_vec(&envelope).unwrap();
        let id = key.public().id();
        assert_eq!(open(&line, &other.public()), Err(Distrust::Key(id)));
        let bare = Envelope {
            signatures: Vec::new(),
            ..envelope
        };
        let line = serde_json::to_vec(&bare).unwrap();
        assert_eq!(open(&line, &key.public()), Err(Distrust::Bare));
        assert_eq!(peek(&line), Err(Distrust::Bare));
        assert_eq!(open(b"{}", &key.public()), Err(Distrust::Form));
        let text = String::from_utf8(line).unwrap();
        let typed = text.replace("vnd.in-toto", "vnd.other");
        assert_eq!(open(typed.as_bytes(), &key.public()), Err(Distrust::Type));
    }
}
