//! The caller's own HTTP proxy (`HTTPS_PROXY`, `NO_PROXY`).
//!
//! Repositories are reached through it by `CONNECT`; TLS with the repository then runs inside, so
//! the forward proxy sees names and sizes and cannot change anything. Its own credentials go to it
//! and to nobody else. Only `http://` proxies are known.
//!
//! RFC 9110 section 9.3.6 (CONNECT), section 11.7 (proxy authentication).

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

use crate::model::Secret;

/// Longest answer to a `CONNECT` that is read.
const HEAD: usize = 16 * 1024;

/// Why the caller's proxy cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForwardError {
    /// Not the address of an HTTP proxy.
    #[error("the HTTP proxy of the environment is not an `http://` address: {0}")]
    Address(String),
    /// The proxy closed, or sent something else than an HTTP answer.
    #[error("the HTTP proxy sent no usable answer")]
    Answer(#[source] std::io::Error),
    /// The proxy refused.
    #[error("the HTTP proxy refused the connection: {0}")]
    Refused(String),
}

/// The caller's proxy.
#[derive(Debug)]
pub(in crate::proxy) struct Forward {
    host: String,
    port: u16,
    authorization: Option<Secret>,
    exempt: Vec<Exempt>,
}

/// One entry of `NO_PROXY`.
#[derive(Debug, PartialEq, Eq)]
enum Exempt {
    Everything,
    /// A name with everything below it, and a port if one is given.
    Name(String, Option<u16>),
    /// A network and its prefix length.
    Network(IpAddr, u8),
}

impl Forward {
    /// Reads the settings of the environment.
    pub(in crate::proxy) fn new(proxy: &Secret, no_proxy: &str) -> Result<Self, ForwardError> {
        let text = proxy.expose();
        let text = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let unusable = |shown: &str| ForwardError::Address(shown.to_owned());
        let url = Url::parse(&text).map_err(|_invalid| unusable("it cannot be read"))?;
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(unusable("it names no host"));
        };
        if url.scheme() != "http" {
            return Err(unusable(&format!("its scheme is `{}`", url.scheme())));
        }
        let authorization = (!url.username().is_empty()).then(|| {
            let part = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
            let mut pair = part(url.username());
            pair.push(b':');
            pair.extend(part(url.password().unwrap_or_default()));
            Secret::new(format!("Basic {}", STANDARD.encode(pair)))
        });
        let exempt = no_proxy
            .split([',', ' '])
            .filter_map(Exempt::read)
            .collect();
        Ok(Self {
            host: host.to_owned(),
            port,
            authorization,
            exempt,
        })
    }

    /// Whether a host is reached through the proxy.
    pub(super) fn serves(&self, host: &str, port: u16) -> bool {
        !self.exempt.iter().any(|exempt| exempt.covers(host, port))
    }

    /// Host and port of the proxy.
    pub(super) fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// Asks the proxy, on a new connection to it, for a tunnel.
    pub(super) async fn tunnel(
        &self,
        stream: &mut TcpStream,
        host: &str,
        port: u16,
    ) -> Result<(), ForwardError> {
        let mut head = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
        if let Some(authorization) = &self.authorization {
            head.push_str("Proxy-Authorization: ");
            head.push_str(authorization.expose());
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        stream
            .write_all(head.as_bytes())
            .await
            .map_err(ForwardError::Answer)?;
        let answer = read_head(stream).await.map_err(ForwardError::Answer)?;
        let line = answer.split("\r\n").next().unwrap_or_default();
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse::<u16>().ok());
        match status {
            Some(200..=299) if line.starts_with("HTTP/1.") => Ok(()),
            _ => Err(ForwardError::Refused(line.escape_debug().to_string())),
        }
    }
}

/// Reads up to the empty line and not one byte further: what follows belongs to TLS.
async fn read_head(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD {
            return Err(std::io::Error::other("its head is too long"));
        }
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

impl Exempt {
    fn read(entry: &str) -> Option<Self> {
        let entry = entry.trim();
        if entry == "*" {
            return Some(Self::Everything);
        }
        let bare = entry.trim_start_matches('[').trim_end_matches(']');
        if let Some((network, length)) = bare.split_once('/') {
            return Some(Self::Network(network.parse().ok()?, length.parse().ok()?));
        }
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Some(Self::Network(address, 128));
        }
        let (name, port) = match entry.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok()?)),
            None => (entry, None),
        };
        let name = name
            .trim_start_matches('*')
            .trim_start_matches('.')
            .to_ascii_lowercase();
        (!name.is_empty()).then_some(Self::Name(name, port))
    }

    fn covers(&self, host: &str, port: u16) -> bool {
        match self {
            Self::Everything => true,
            Self::Name(name, only) => {
                let below = host.strip_suffix(name.as_str());
                only.is_none_or(|only| only == port)
                    && below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            Self::Network(network, length) => {
                let bare = host.trim_start_matches('[').trim_end_matches(']');
                bare.parse()
                    .is_ok_and(|address| contains(*network, *length, address))
            }
        }
    }
}

fn contains(network: IpAddr, length: u8, address: IpAddr) -> bool {
    let (network, address, width) = match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => (
            u128::from(network.to_bits()),
            u128::from(address.to_bits()),
            32_u32,
        ),
        (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits(), address.to_bits(), 128),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
    };
    let host_bits = width.saturating_sub(u32::from(length));
    (network ^ address).checked_shr(host_bits).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn forward(proxy: &str, no_proxy: &str) -> Forward {
        Forward::new(&Secret::new(proxy.into()), no_proxy).unwrap()
    }

    #[test]
    fn exemptions_are_read_as_curl_and_go_read_them() {
        let forward = forward(
            "http://proxy.invalid:3128",
            "localhost,.corp.invalid, exact.invalid:8443 ,10.0.0.0/8,::1,*.wild.invalid",
        );
        for (host, port) in [
            ("localhost", 443),
            ("corp.invalid", 443),
            ("a.b.corp.invalid", 1),
            ("exact.invalid", 8443),
            ("10.200.1.1", 443),
            ("[::1]", 443),
            ("x.wild.invalid", 443),
        ] {
            assert!(!forward.serves(host, port), "{host}:{port}");
        }
        for (host, port) in [
            ("notcorp.invalid", 443),
            ("exact.invalid", 443),
            ("11.0.0.1", 443),
            ("[::2]", 443),
            ("registry.invalid", 443),
        ] {
            assert!(forward.serves(host, port), "{host}:{port}");
        }
        assert!(!self::forward("proxy.invalid", "*").serves("registry.invalid", 443));
    }

    #[test]
    fn other_kinds_of_proxy_are_errors_without_their_credentials() {
        for text in [
            "https://u:secret@proxy.invalid",
            "socks5://u:secret@proxy.invalid:1",
            "http://",
        ] {
            let error = Forward::new(&Secret::new(text.into()), "").unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[tokio::test]
    async fn credentials_and_target_are_sent_and_a_refusal_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let mut heads = Vec::new();
            for answer in [
                "HTTP/1.1 200 ok\r\n\r\n",
                "HTTP/1.1 407 no\r\n\r\n",
                "SSH-2.0 200\r\n\r\n",
            ] {
                let (mut stream, _) = listener.accept().await.unwrap();
                heads.push(read_head(&mut stream).await.unwrap());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            heads
        });
        let forward = forward(&format!("http://us%40er:p%3Aw@{address}"), "");
        let mut outcomes = Vec::new();
        for _ in 0..3 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            outcomes.push(forward.tunnel(&mut stream, "registry.invalid", 443).await);
        }
        assert!(outcomes[0].is_ok());
        assert!(
            outcomes[1]
                .as_ref()
                .unwrap_err()
                .to_string()
                .contains("407")
        );
        assert!(outcomes[2].is_err());
        let head = &server.await.unwrap()[0];
        assert!(head.starts_with("CONNECT registry.invalid:443 HTTP/1.1\r\n"));
        assert!(head.contains(&format!("Basic {}", STANDARD.encode("us@er:p:w"))));
    }
}
