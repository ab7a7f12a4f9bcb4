//! Signatures that GnuPG made, and what changes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::model::PublisherKey;
use crate::verify::signatures::moment;

const CONTENT: &[u8] = b"some bytes\n";

macro_rules! made {
    ($name:literal) => {
        (
            include_str!(concat!(
                "../../../../tests/fixtures/openpgp/",
                $name,
                ".pub"
            )),
            include_str!(concat!(
                "../../../../tests/fixtures/openpgp/",
                $name,
                ".asc"
            )),
        )
    };
}

const RSA: (&str, &str) = made!("rsa3072");
const ALL: [((&str, &str), &str); 4] = [
    (RSA, "8FF2 7CAA 4A03 906A B400  232B 1FD2 5817 42DE CF40"),
    (made!("ed25519"), "22774FF873AD21E06480C503D26D380EE4532758"),
    (
        made!("nistp256"),
        "22c2a5077c8b34dc56a835f7aae469460fc9145d",
    ),
    (
        made!("nistp384"),
        "0x864321D1EB86748FC8650F34F1D093FEB9A7F9E6",
    ),
];

fn stated(key: &str, fingerprint: &str) -> PublisherKey {
    PublisherKey {
        name: "org.example:*".into(),
        fingerprint: fingerprint.into(),
        key: key.into(),
        start: None,
        end: None,
        stated_in: "v4run.toml:1".into(),
    }
}

fn rsa() -> Publisher {
    Publisher::read(&stated(RSA.0, ALL[0].1)).unwrap()
}

fn by(key: &Publisher, text: &str, content: &[u8]) -> Judgement<SignedBy> {
    judge(text.as_bytes(), &[key], content)
}

#[test]
fn signatures_of_each_kind_hold_for_what_was_signed_only() {
    for ((key, signature), fingerprint) in ALL {
        let key = Publisher::read(&stated(key, fingerprint)).unwrap();
        let Judgement::Holds(found) = by(&key, signature, CONTENT) else {
            panic!("{:?}", by(&key, signature, CONTENT));
        };
        assert_eq!(found.fingerprint, key.fingerprint());
        assert_eq!(Some(found.time), moment("2026-01-01T00:00:00Z"));
        let other = by(&key, signature, b"other bytes\n");
        assert!(matches!(other, Judgement::Invalid(_)), "{other:?}");
    }
}

#[test]
fn no_flipped_bit_holds() {
    let key = rsa();
    let bytes = packet::armored(RSA.1, "SIGNATURE").unwrap();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        let text = format!(
            "-----BEGIN PGP SIGNATURE-----\n\n{}\n-----END PGP SIGNATURE-----\n",
            STANDARD.encode(&flipped)
        );
        let judged = by(&key, &text, CONTENT);
        // Two bytes only hint at the digest, and what is not signed only names the key.
        let hints = packet::packets(&flipped).is_some_and(|packets| {
            let same = |flipped: &[u8], bytes: &[u8]| {
                read(flipped).ok().map(|one| one.trailer) == read(bytes).ok().map(|one| one.trailer)
            };
            let own = packet::packets(&bytes).unwrap();
            packets.first().is_some_and(|one| {
                one.tag == SIGNATURE
                    && same(one.body, own[0].body)
                    && read(one.body).unwrap().rest == read(own[0].body).unwrap().rest
            })
        });
        assert!(
            hints || !matches!(judged, Judgement::Holds(_)),
            "{at}: {judged:?}"
        );
    }
}

#[test]
fn another_key_contradicts_the_pin_and_a_weak_hash_is_unknown() {
    let ((other, _), fingerprint) = ALL[1];
    let other = Publisher::read(&stated(other, fingerprint)).unwrap();
    let judged = by(&other, RSA.1, CONTENT);
    assert!(matches!(&judged, Judgement::Invalid(reason) if reason.contains("not one that")));
    let both = judge(RSA.1.as_bytes(), &[&other, &rsa()], CONTENT);
    assert!(matches!(both, Judgement::Holds(_)), "{both:?}");
    let weak = include_str!("../../../../tests/fixtures/openpgp/sha1.asc");
    for text in [weak, "", "<html>not found</html>"] {
        let judged = by(&rsa(), text, CONTENT);
        assert!(matches!(judged, Judgement::Unknown(_)), "{judged:?}");
    }
}

#[test]
fn a_key_holds_in_the_time_that_the_policy_states() {
    let with = |start: Option<&str>, end: Option<&str>| {
        let stated = PublisherKey {
            start: start.map(str::to_owned),
            end: end.map(str::to_owned),
            ..stated(RSA.0, ALL[0].1)
        };
        by(&Publisher::read(&stated).unwrap(), RSA.1, CONTENT)
    };
    assert!(matches!(
        with(None, Some("2026-01-02T00:00:00Z")),
        Judgement::Holds(_)
    ));
    assert!(matches!(
        with(None, Some("2026-01-01T00:00:00Z")),
        Judgement::Invalid(_)
    ));
    assert!(matches!(
        with(Some("2026-01-02T00:00:00Z"), None),
        Judgement::Invalid(_)
    ));
}

#[test]
fn a_key_that_is_none_is_an_error() {
    let read =
        |key: &str, fingerprint: &str| Publisher::read(&stated(key, fingerprint)).unwrap_err();
    assert!(matches!(read("", ALL[0].1), PublisherError::Encoding));
    assert!(matches!(read(RSA.1, ALL[0].1), PublisherError::Encoding));
    assert!(matches!(read(RSA.0, ALL[1].1), PublisherError::Absent(_)));
    let wrong = PublisherKey {
        end: Some("soon".into()),
        ..stated(RSA.0, ALL[0].1)
    };
    assert!(matches!(
        Publisher::read(&wrong),
        Err(PublisherError::Time(_))
    ));
}
