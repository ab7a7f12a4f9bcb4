//! Web addresses in the form that the schema demands.
//!
//! The schema checks addresses against RFC 3987, which is narrower than what the WHATWG parser
//! lets through (`|`, `^`, a stray `%`), and part of an address comes from package names. One odd
//! name must not make the whole document invalid.

use std::fmt::Write as _;

use url::Url;

/// The address without fragment and with everything escaped that RFC 3986 does not allow; none when it is no address.
pub(super) fn iri(text: &str) -> Option<String> {
    let mut url = Url::parse(text).ok()?;
    url.set_fragment(None);
    let (authority, rest) = url
        .as_str()
        .split_at(url[..url::Position::BeforePath].len());
    let mut shown = authority.to_owned();
    let mut bytes = rest.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let is_escape = byte == b'%'
            && ahead.next().is_some_and(|digit| digit.is_ascii_hexdigit())
            && ahead.next().is_some_and(|digit| digit.is_ascii_hexdigit());
        if is_escape || is_allowed(byte) {
            shown.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(shown, "%{byte:02X}");
        }
    }
    Some(shown)
}

/// Unreserved and reserved characters of path and query.
fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_addresses_stay_and_odd_ones_are_escaped() {
        for same in [
            "https://registry.invalid:8443/@a%2fb/-/b-1.0.0.tgz",
            "https://[::1]:1/a",
        ] {
            assert_eq!(iri(same).as_deref(), Some(same));
        }
        assert_eq!(
            iri("https://registry.invalid/a|b^[c]%zz\u{202e}\n<d>").as_deref(),
            Some("https://registry.invalid/a%7Cb%5E%5Bc%5D%25zz%E2%80%AE%3Cd%3E")
        );
        assert_eq!(iri("no address"), None);
    }

    proptest! {
        #[test]
        fn the_path_is_always_plain(path in any::<String>()) {
            let shown = iri(&format!("https://registry.invalid/{path}")).unwrap();
            prop_assert!(shown.bytes().all(|byte| is_allowed(byte) || byte == b'%'));
            prop_assert_eq!(iri(&shown).unwrap(), shown.clone());
        }
    }
}
