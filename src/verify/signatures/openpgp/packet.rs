//! Armor and packets: the outer forms of OpenPGP keys and signatures.
//!
//! Every length is bounded by the text that it came in; lengths that are not stated (partial,
//! indeterminate) are not read, because neither keys nor detached signatures have them.
//!
//! RFC 9580, sections 4.2 (packets), 3.2 (multiprecision integers) and 6.2 (armor).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Longest armored text that is read: keys with many names have some hundred kilobytes.
pub(super) const LENGTH: usize = 1 << 20;
/// Packets of one text.
const MOST: usize = 512;

/// A packet: its type and its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) tag: u8,
    pub(super) body: &'a [u8],
}

/// The bytes of an armored text with that title.
pub(super) fn armored(text: &str, title: &str) -> Option<Vec<u8>> {
    if text.len() > LENGTH {
        return None;
    }
    let begin = format!("-----BEGIN PGP {title}-----");
    let end = format!("-----END PGP {title}-----");
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| *line == begin)?;
    // Headers, of which none means anything here, until an empty line.
    lines.find(|line| line.is_empty())?;
    let mut content = String::new();
    for line in lines {
        if line == end {
            return STANDARD.decode(content).ok();
        }
        // The checksum is not one that says anything about authenticity.
        if !line.starts_with('=') {
            content.push_str(line);
        }
    }
    None
}

/// The packets of some bytes, in order; nothing if any of them cannot be read.
pub(super) fn packets(bytes: &[u8]) -> Option<Vec<Packet<'_>>> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some((head, after)) = rest.split_first() {
        if head & 0x80 == 0 || found.len() >= MOST {
            return None;
        }
        let (tag, length, after) = match head & 0x40 {
            0 => old_length(*head, after)?,
            _ => {
                let (length, after) = new_length(after)?;
                (head & 0x3f, length, after)
            }
        };
        let (body, after) = after.split_at_checked(length)?;
        found.push(Packet { tag, body });
        rest = after;
    }
    Some(found)
}

fn old_length(head: u8, rest: &[u8]) -> Option<(u8, usize, &[u8])> {
    let count = match head & 0x03 {
        0 => 1,
        1 => 2,
        2 => 4,
        _ => return None,
    };
    let (length, rest) = rest.split_at_checked(count)?;
    Some(((head >> 2) & 0x0f, number(length)?, rest))
}

/// A length in the newer form, which subpackets have too.
pub(super) fn new_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    match first {
        0..192 => Some((usize::from(*first), rest)),
        192..224 => {
            let (second, rest) = rest.split_first()?;
            let high = (usize::from(*first) - 192) << 8;
            Some((high + usize::from(*second) + 192, rest))
        }
        224..255 => None,
        255 => {
            let (length, rest) = rest.split_at_checked(4)?;
            Some((number(length)?, rest))
        }
    }
}

/// A number of at most four bytes.
pub(super) fn number(bytes: &[u8]) -> Option<usize> {
    let padded: Vec<u8> = std::iter::repeat_n(0, 4_usize.checked_sub(bytes.len())?)
        .chain(bytes.iter().copied())
        .collect();
    let four: [u8; 4] = padded.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(four)).ok()
}

/// A multiprecision integer, without the bytes of its length.
pub(super) fn integer(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(2)?;
    let bits = number(length)?;
    let (value, rest) = rest.split_at_checked(bits.div_ceil(8))?;
    // One without leading zeros has one form only.
    let leading = value.first().is_none_or(|first| *first != 0);
    leading.then_some((value, rest))
}

/// The same number with as many bytes as asked for.
pub(super) fn wide(value: &[u8], size: usize) -> Option<Vec<u8>> {
    let zeros = size.checked_sub(value.len())?;
    let padding = std::iter::repeat_n(0, zeros);
    Some(padding.chain(value.iter().copied()).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn armor_is_the_lines_between_its_titles() {
        let text = "before\n-----BEGIN PGP SIGNATURE-----\nVersion: x\n\naGVs\nbG8=\n=njUN\n\
                    -----END PGP SIGNATURE-----\nafter\n";
        assert_eq!(armored(text, "SIGNATURE").unwrap(), b"hello");
        for odd in [
            text.replace("\n\n", "\n"),
            text.replace("END", "STOP"),
            text.replace("aGVs", "?GVs"),
            text.replace("BEGIN PGP SIGNATURE", "BEGIN PGP MESSAGE"),
            String::new(),
        ] {
            assert_eq!(armored(&odd, "SIGNATURE"), None, "{odd}");
        }
    }

    #[test]
    fn packets_have_an_old_and_a_new_form() {
        let bytes = [0x88, 2, 1, 2, 0xc2, 1, 7, 0x99, 0, 1, 9];
        let found = packets(&bytes).unwrap();
        let tags: Vec<(u8, &[u8])> = found.iter().map(|one| (one.tag, one.body)).collect();
        assert_eq!(tags, [(2, &[1, 2][..]), (2, &[7]), (6, &[9])]);
        for odd in [
            &[0x08, 1, 1][..],
            &[0x8b, 1],
            &[0xc2, 2, 1],
            &[0xc2, 230, 1],
            &[0xc2],
        ] {
            assert_eq!(packets(odd), None, "{odd:?}");
        }
        assert_eq!(new_length(&[193, 2]), Some((450, &[][..])));
        assert_eq!(integer(&[0, 9, 1, 2, 3]), Some((&[1, 2][..], &[3][..])));
        assert_eq!(integer(&[0, 9, 0, 2]), None);
        assert_eq!(wide(&[1], 3), Some(vec![0, 0, 1]));
        assert_eq!(wide(&[1, 2], 1), None);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = packets(&bytes);
            let _ = integer(&bytes);
            let _ = armored(&String::from_utf8_lossy(&bytes), "SIGNATURE");
        }
    }
}
