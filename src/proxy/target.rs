//! What a request inside a tunnel asks for, read in the one way in which it may be written.
//!
//! The tunnel's name, the TLS server name and the request's own host must be one (N20), and the
//! path must be written so that every reader gives it the same meaning: no dot segments in any
//! spelling, no empty segments, nothing that the URL standard would rewrite.
//!
//! RFC 9110 section 7.2, RFC 9112 section 3.2, RFC 9113 section 8.3.1.

use http::header::HOST;
use http::{Request, Version};
use url::Url;

/// Host and port that a tunnel leads to, in the form of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Lower case, IPv6 in brackets.
    pub(super) host: String,
    /// Port.
    pub(super) port: u16,
}

impl Endpoint {
    /// Reads `host:port`; without a port it is that of https.
    pub(super) fn read(authority: &str) -> Option<Self> {
        if authority.is_empty() || authority.contains(['/', '?', '#', '\\', '@']) {
            return None;
        }
        let url = Url::parse(&format!("https://{authority}/")).ok()?;
        let host = url.host_str().filter(|host| !host.is_empty())?;
        Some(Self {
            host: host.to_owned(),
            port: url.port_or_known_default()?,
        })
    }

    /// Whether the host is an address literal, for which TLS knows no server name.
    pub(super) fn is_literal(&self) -> bool {
        self.host.starts_with('[') || self.host.parse::<std::net::Ipv4Addr>().is_ok()
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The address that a request asks for, or why it is refused.
pub(super) fn read<B>(tunnel: &Endpoint, request: &Request<B>) -> Result<Url, String> {
    let uri = request.uri();
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next().map(|value| value.to_str().unwrap_or_default());
    if hosts.next().is_some() {
        return Err("the request names two hosts".to_owned());
    }
    let http2 = request.version() == Version::HTTP_2;
    if http2 {
        if uri.scheme_str() != Some("https") {
            return Err("the request is not one of https".to_owned());
        }
        same(
            tunnel,
            uri.authority()
                .map(http::uri::Authority::as_str)
                .unwrap_or_default(),
        )?;
        if let Some(host) = host {
            same(tunnel, host)?;
        }
    } else {
        if uri.authority().is_some() || uri.scheme().is_some() {
            return Err("the request has the form of one to a proxy".to_owned());
        }
        same(tunnel, host.unwrap_or_default())?;
    }
    let path = uri
        .path_and_query()
        .map_or("", http::uri::PathAndQuery::as_str);
    address(tunnel, path)
}

fn same(tunnel: &Endpoint, authority: &str) -> Result<(), String> {
    if Endpoint::read(authority).as_ref() == Some(tunnel) {
        Ok(())
    } else {
        let shown: String = authority.escape_debug().take(256).collect();
        Err(format!(
            "the request is for `{shown}`, the tunnel leads to `{tunnel}`"
        ))
    }
}

fn address(tunnel: &Endpoint, path: &str) -> Result<Url, String> {
    let refuse = |reason: &str| Err(format!("the path is refused: {reason}"));
    if !path.starts_with('/') {
        return refuse("it does not begin with a slash");
    }
    if path
        .bytes()
        .any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'\\' | b'#'))
    {
        return refuse("it has characters that a path cannot have");
    }
    let only = path.split('?').next().unwrap_or_default();
    let lower = only.to_ascii_lowercase();
    if ["%00", "%5c", "%0a", "%0d"]
        .iter()
        .any(|encoded| lower.contains(encoded))
    {
        return refuse("it has encoded control characters");
    }
    let decoded = lower.replace("%2e", ".");
    let mut segments = decoded.split(['/']).skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        if matches!(segment, "." | "..") || (segment.is_empty() && !last) {
            return refuse("it has empty or dot segments");
        }
    }
    match Url::parse(&format!("https://{tunnel}{path}")) {
        Ok(url) if url.path() == only => Ok(url),
        Ok(_) | Err(_) => refuse("it has more than one reading"),
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn tunnel() -> Endpoint {
        Endpoint::read("registry.invalid:443").unwrap()
    }

    fn request(uri: &str, host: &[&str], version: Version) -> Result<Url, String> {
        let mut request = Request::builder()
            .method(Method::GET)
            .uri(uri)
            .version(version);
        for host in host {
            request = request.header(HOST, *host);
        }
        read(&tunnel(), &request.body(()).unwrap())
    }

    #[test]
    fn endpoints_have_one_form() {
        assert_eq!(Endpoint::read("Registry.Invalid").unwrap(), tunnel());
        assert_eq!(Endpoint::read("registry.invalid:443").unwrap(), tunnel());
        assert!(Endpoint::read("[::1]:8443").unwrap().is_literal());
        assert!(Endpoint::read("127.1:443").unwrap().is_literal());
        for text in [
            "", ":443", "u@h:443", "h:x", "h/x:443", "h h:443", "h:99999",
        ] {
            assert_eq!(Endpoint::read(text), None, "{text:?}");
        }
    }

    #[test]
    fn host_and_tunnel_are_one() {
        for host in ["registry.invalid", "REGISTRY.invalid:443"] {
            assert!(request("/left", &[host], Version::HTTP_11).is_ok());
            assert!(request("https://registry.invalid/left", &[host], Version::HTTP_2).is_ok());
        }
        for host in [
            &["other.invalid"][..],
            &["registry.invalid:8443"],
            &[],
            &["registry.invalid"; 2],
        ] {
            assert!(
                request("/left", host, Version::HTTP_11).is_err(),
                "{host:?}"
            );
        }
        let own = &["registry.invalid"];
        assert!(request("https://registry.invalid/left", own, Version::HTTP_11).is_err());
        assert!(request("https://other.invalid/left", &[], Version::HTTP_2).is_err());
        assert!(request("http://registry.invalid/left", &[], Version::HTTP_2).is_err());
        assert!(
            request(
                "https://registry.invalid/left",
                &["other.invalid"],
                Version::HTTP_2
            )
            .is_err()
        );
    }

    #[test]
    fn paths_have_one_reading() {
        for path in ["/", "/left", "/@scope%2fname", "/a/-/a-1.tgz?x=1", "/a/"] {
            let url = address(&tunnel(), path).unwrap();
            assert_eq!(url.as_str(), format!("https://registry.invalid{path}"));
        }
        for path in [
            "",
            "*",
            "left",
            "/a/../b",
            "/a/./b",
            "/a/%2e%2e/b",
            "/a/.%2E/b",
            "//a",
            "/a//b",
            "/a\\b",
            "/a%5cb",
            "/a%00",
            "/a%0d%0ab",
            "/a#b",
            "/a\u{e9}",
            "/a\"b",
            "/a b",
        ] {
            assert!(address(&tunnel(), path).is_err(), "{path:?}");
        }
    }
}
