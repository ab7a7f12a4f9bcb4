//! One greeting of TLS 1.1, to see whether a repository still takes it.
//!
//! Only for `v4run probe`: the greeting offers TLS 1.0 and 1.1, and the first bytes of the answer say
//! whether one of them was chosen. No handshake follows, nothing is asked, and the connection is dropped.
//! The library that does TLS everywhere else cannot speak those versions, and so cannot offer them either.
//!
//! RFC 4346 (TLS 1.1), RFC 5246 section E.1, RFC 8422 (curves), RFC 6066 (server name), RFC 8996.

use std::io;

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use url::Url;

use super::connector::Connector;
use crate::proxy::limits;

/// Record type of a handshake message, and of an alert.
const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;
/// The versions, as they are written.
const TLS_1_1: [u8; 2] = [3, 2];
/// Cipher suites of those versions that servers of their time had: ECDHE and RSA with AES or 3DES.
const SUITES: [[u8; 2]; 7] = [
    [0xc0, 0x09],
    [0xc0, 0x0a],
    [0xc0, 0x13],
    [0xc0, 0x14],
    [0x00, 0x2f],
    [0x00, 0x35],
    [0x00, 0x0a],
];
/// Extensions: curves P-256 and P-384, and points as they are.
const CURVES: [u8; 16] = [0, 10, 0, 6, 0, 4, 0, 23, 0, 24, 0, 11, 0, 2, 1, 0];

/// What the greeting met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Older {
    /// A version below 1.2 was chosen.
    Taken(String),
    /// An alert, or the end of the connection.
    Refused,
    /// Nothing that says anything.
    Unclear(String),
}

/// Greets whoever stands at an address. `private` is whether it may lead inside.
pub(in crate::proxy) async fn older(connector: &Connector, url: &Url, private: bool) -> Older {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Older::Unclear("the address has no host".to_owned());
    };
    let mut random = [0; 32];
    let Some(hello) = SystemRandom::new()
        .fill(&mut random)
        .ok()
        .and_then(|()| hello(host, &random))
    else {
        return Older::Unclear("no greeting could be made".to_owned());
    };
    let mut stream = match connector.unprotected(host, port, private).await {
        Ok(stream) => stream,
        Err(error) => return Older::Unclear(error.to_string()),
    };
    let asked = timeout(limits::PIECE, async {
        stream.write_all(&hello).await?;
        // Record: type, version, length; then type, length and version of the message.
        let mut head = [0; 11];
        let mut count = 0;
        while let Some(rest) = head.get_mut(count..).filter(|rest| !rest.is_empty()) {
            match stream.read(rest).await? {
                0 => break,
                read => count += read,
            }
        }
        Ok::<_, io::Error>(head.get(..count).unwrap_or_default().to_vec())
    });
    match asked.await {
        Ok(Ok(head)) => judge(&head),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => Older::Refused,
        Ok(Err(error)) => Older::Unclear(error.to_string()),
        Err(_elapsed) => Older::Unclear("there was no answer in time".to_owned()),
    }
}

fn judge(head: &[u8]) -> Older {
    match head {
        // A fatal one; after a warning the handshake may go on.
        [] | [ALERT, 3, _, _, _, 2, ..] => Older::Refused,
        [HANDSHAKE, 3, _, _, _, 2, _, _, _, 3, minor @ (1 | 2), ..] => {
            Older::Taken(format!("TLS 1.{}", minor - 1))
        }
        // SSL 3 was not offered, and a later version neither.
        _ => Older::Unclear("the answer is not one of TLS".to_owned()),
    }
}

/// The greeting, as a record.
fn hello(host: &str, random: &[u8; 32]) -> Option<Vec<u8>> {
    let mut extensions = Vec::new();
    // A literal address is no server name.
    if host.parse::<std::net::IpAddr>().is_err() && !host.starts_with('[') {
        let name = [&[0][..], &sized(host.as_bytes())?].concat();
        extensions.extend([0, 0]);
        extensions.extend(sized(&sized(&name)?)?);
    }
    extensions.extend(CURVES);
    let body = [
        &TLS_1_1[..],
        random,
        &[0],
        &sized(&SUITES.concat())?,
        &[1, 0],
        &sized(&extensions)?,
    ]
    .concat();
    let message = [&[1, 0][..], &sized(&body)?].concat();
    Some([&[HANDSHAKE, 3, 1][..], &sized(&message)?].concat())
}

/// Bytes with their length in two bytes before them.
fn sized(bytes: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(bytes.len()).ok()?;
    Some([&length.to_be_bytes()[..], bytes].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_say_which_version_was_chosen() {
        let hello = |minor| vec![22, 3, minor, 0, 80, 2, 0, 0, 76, 3, minor];
        assert_eq!(judge(&hello(1)), Older::Taken("TLS 1.0".into()));
        assert_eq!(judge(&hello(2)), Older::Taken("TLS 1.1".into()));
        assert_eq!(judge(&[21, 3, 2, 0, 2, 2, 70]), Older::Refused);
        assert_eq!(judge(&[]), Older::Refused);
        for odd in [
            &b"HTTP/1.1 400"[..],
            &hello(3),
            &[22, 3],
            &[21, 3, 2, 0, 2, 1, 112],
        ] {
            assert!(matches!(judge(odd), Older::Unclear(_)), "{odd:?}");
        }
    }

    #[test]
    fn the_greeting_is_as_long_as_it_says() {
        for (host, name) in [("registry.invalid", true), ("127.0.0.1", false)] {
            let record = hello(host, &[7; 32]).unwrap();
            let length = |at: usize| usize::from(u16::from_be_bytes([record[at], record[at + 1]]));
            assert_eq!(length(3), record.len() - 5);
            assert_eq!(length(7), record.len() - 9);
            assert_eq!(record[9..11], TLS_1_1);
            let found = record
                .windows(host.len())
                .any(|part| part == host.as_bytes());
            assert_eq!(found, name);
        }
        assert_eq!(hello(&"x".repeat(70_000), &[7; 32]), None);
    }
}
