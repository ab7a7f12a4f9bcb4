//! The trust store that the JVM of a run reads: one certificate, that of the run's own authority.
//!
//! Java reads no PEM. The store holds nothing secret, so it is neither encrypted nor sealed with a
//! password, and Java is told none. It is written before the manager starts, into the directory that
//! the manager may only read.
//! RFC 7292 sections 4 and 4.2.3; the attribute that makes a certificate a trusted one is Java's own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use yasna::models::ObjectIdentifier;
use yasna::{DERWriterSeq, Tag};

/// Name of the file in the private configuration directory.
pub(super) const NAME: &str = "trust.p12";

/// PKCS #7 data.
const DATA: &[u64] = &[1, 2, 840, 113_549, 1, 7, 1];
/// A bag with a certificate.
const CERTIFICATE_BAG: &[u64] = &[1, 2, 840, 113_549, 1, 12, 10, 1, 3];
/// A certificate of X.509.
const X509: &[u64] = &[1, 2, 840, 113_549, 1, 9, 22, 1];
/// The name of an entry.
const FRIENDLY_NAME: &[u64] = &[1, 2, 840, 113_549, 1, 9, 20];
/// Java's mark of a trusted certificate, with what it is trusted for: anything.
const TRUSTED: &[u64] = &[2, 16, 840, 1, 113_894, 746_875, 1, 1];
const ANY_USAGE: &[u64] = &[2, 5, 29, 37, 0];

/// A store with the certificate of a PEM text; nothing when the text holds none.
pub(super) fn of(pem: &str) -> Option<Vec<u8>> {
    let certificate = der(pem)?;
    let bags = yasna::construct_der_seq(|bags| {
        bags.next().write_sequence(|bag| {
            bag.next().write_oid(&id(CERTIFICATE_BAG));
            explicit(bag, |value| {
                value.next().write_oid(&id(X509));
                let octets = |writer: yasna::DERWriter<'_>| writer.write_bytes(&certificate);
                value.next().write_tagged(Tag::context(0), octets);
            });
            bag.next().write_set_of(|attributes| {
                attributes.next().write_sequence(|attribute| {
                    attribute.next().write_oid(&id(FRIENDLY_NAME));
                    attribute
                        .next()
                        .write_set_of(|values| values.next().write_bmp_string("v4run"));
                });
                attributes.next().write_sequence(|attribute| {
                    attribute.next().write_oid(&id(TRUSTED));
                    attribute
                        .next()
                        .write_set_of(|values| values.next().write_oid(&id(ANY_USAGE)));
                });
            });
        });
    });
    let contents = yasna::construct_der_seq(|contents| {
        contents
            .next()
            .write_sequence(|content| data(content, &bags));
    });
    Some(yasna::construct_der_seq(|store| {
        store.next().write_u8(3);
        store
            .next()
            .write_sequence(|content| data(content, &contents));
    }))
}

/// The content of a sequence that holds data.
fn data(content: &mut DERWriterSeq<'_>, bytes: &[u8]) {
    content.next().write_oid(&id(DATA));
    let octets = |writer: yasna::DERWriter<'_>| writer.write_bytes(bytes);
    content.next().write_tagged(Tag::context(0), octets);
}

/// An explicitly tagged sequence.
fn explicit(parent: &mut DERWriterSeq<'_>, fill: impl FnOnce(&mut DERWriterSeq<'_>)) {
    let sequence = |writer: yasna::DERWriter<'_>| writer.write_sequence(fill);
    parent.next().write_tagged(Tag::context(0), sequence);
}

fn id(numbers: &[u64]) -> ObjectIdentifier {
    ObjectIdentifier::from_slice(numbers)
}

/// The bytes of the first certificate.
fn der(pem: &str) -> Option<Vec<u8>> {
    let (_, behind) = pem.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = behind.split_once("-----END CERTIFICATE-----")?;
    let body: String = body.split_whitespace().collect();
    STANDARD.decode(body).ok().filter(|bytes| !bytes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_stands_in_the_store_as_it_came() {
        let pem = "x\n-----BEGIN CERTIFICATE-----\nMAMC\nAQU=\n-----END CERTIFICATE-----\n";
        let store = of(pem).unwrap();
        let parsed = yasna::parse_der(&store, |reader| {
            reader.read_sequence(|store| {
                assert_eq!(store.next().read_u8()?, 3);
                store.next().read_sequence(|content| {
                    assert_eq!(content.next().read_oid()?, id(DATA));
                    content
                        .next()
                        .read_tagged(Tag::context(0), yasna::BERReader::read_bytes)
                })
            })
        });
        let inner = parsed.unwrap();
        assert!(inner.windows(5).any(|bytes| bytes == [0x30, 3, 2, 1, 5]));
        assert!(of("no certificate").is_none());
    }
}
