//! A project's page as it was understood, whatever its form was.
//!
//! Filled by the readers of JSON and HTML, judged in [`super::judge`], written anew in
//! [`super::render`]. Everything in it is still the index's word. Addresses are kept in the one
//! spelling that pip makes of them before it asks, so that what is asked for is what was stated.

use std::fmt::Write as _;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::model::Algorithm;
use crate::model::Digest;
use crate::model::Integrity;

/// A project's page.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Name that the page states.
    pub(super) name: Option<String>,
    /// Version of the page's format, `1.x`.
    pub(super) api: Option<String>,
    /// The index's count of changes.
    pub(super) serial: Option<String>,
    /// PEP 792 status and reason.
    pub(super) status: Option<(String, Option<String>)>,
    /// PEP 708: the projects that this one follows.
    pub(super) tracks: Vec<String>,
    /// PEP 708: the other places of the project.
    pub(super) alternates: Vec<String>,
    /// PEP 700: all versions.
    pub(super) versions: Option<Vec<String>>,
    /// Files, in the page's order.
    pub(super) links: Vec<Link>,
}

/// One file of a page.
#[derive(Clone, Debug)]
pub(super) struct Link {
    /// Absolute address without fragment; `None` when it is none that can be asked for.
    pub(super) url: Option<Url>,
    /// File name.
    pub(super) file: String,
    /// Digests as stated: algorithm and hex.
    pub(super) digests: Vec<(String, String)>,
    /// PEP 440 specifier of interpreters.
    pub(super) requires_python: Option<String>,
    /// Withdrawn, with a reason that may be empty.
    pub(super) yanked: Option<String>,
    /// PEP 714: the metadata file and its digests, where they are stated.
    pub(super) metadata: Option<Vec<(String, String)>>,
    /// The same under the older key, PEP 658.
    pub(super) older_metadata: Option<Vec<(String, String)>>,
    /// PEP 700.
    pub(super) size: Option<u64>,
    /// PEP 700.
    pub(super) upload_time: Option<String>,
    /// PEP 740: where attestations lie.
    pub(super) provenance: Option<String>,
}

impl Link {
    /// A file at an address, relative to the page's, with the digests of its fragment.
    pub(super) fn new(base: &Url, href: &str) -> Self {
        let joined = base.join(href.trim()).ok();
        let digests = joined.as_ref().and_then(Url::fragment).map(fragment);
        let url = joined.and_then(plain);
        let file = url.as_ref().and_then(file_name).unwrap_or_default();
        Self {
            url,
            file,
            digests: digests.unwrap_or_default(),
            requires_python: None,
            yanked: None,
            metadata: None,
            older_metadata: None,
            size: None,
            upload_time: None,
            provenance: None,
        }
    }
}

/// The last segment of the address, decoded.
fn file_name(url: &Url) -> Option<String> {
    let last = url.path().rsplit('/').next()?;
    let decoded = percent_decode_str(last).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

/// The digests in a fragment: `sha256=…`, other keys aside.
fn fragment(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter_map(|part| part.split_once('='))
        .filter(|(key, _)| !matches!(*key, "egg" | "subdirectory"))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// The address without fragment, in pip's spelling. `None` for one that carries credentials or has
/// more than one reading.
fn plain(mut url: Url) -> Option<Url> {
    url.set_fragment(None);
    let host = url.host_str().is_some_and(|host| !host.is_empty());
    if !host || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    let path = spelled(url.path())?;
    url.set_path(&path);
    // Setting a path encodes what it must; here nothing may be left to encode.
    (url.path() == path).then_some(url)
}

fn spelled(path: &str) -> Option<String> {
    let mut spelled = String::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        let (byte, encoded) = match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let mut decoded = [0_u8];
                hex::decode_to_slice(digits, &mut decoded).ok()?;
                let [decoded] = decoded;
                (decoded, true)
            }
            plain => (plain, false),
        };
        let unreserved = byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        if unreserved || (!encoded && matches!(byte, b'/' | b'@')) {
            spelled.push(char::from(byte));
        } else if byte < 0x20 || matches!(byte, b'\\' | 0x7f) {
            return None;
        } else {
            write!(spelled, "%{byte:02X}").ok()?;
        }
    }
    let dots = |segment: &str| matches!(segment, "." | "..");
    if spelled.contains("//") || spelled.split('/').any(dots) {
        return None;
    }
    Some(spelled)
}

/// The digests that are understood, as one promise; weak ones only when there is nothing better.
pub(super) fn integrity(stated: &[(String, String)]) -> Option<Integrity> {
    let known = |name: &str| {
        [
            Algorithm::Sha512,
            Algorithm::Sha384,
            Algorithm::Sha256,
            Algorithm::Sha1,
            Algorithm::Md5,
        ]
        .into_iter()
        .find(|algorithm| algorithm.name() == name)
    };
    let mut best: Option<Digest> = None;
    for (name, value) in stated {
        let digest = known(name).and_then(|algorithm| Digest::from_hex(algorithm, value).ok());
        let Some(digest) = digest else { continue };
        let better = best
            .as_ref()
            .is_none_or(|best| digest.algorithm() > best.algorithm());
        if better {
            best = Some(digest);
        }
    }
    best.map(Integrity::of)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn link(href: &str) -> Link {
        let base = Url::parse("https://index.invalid/simple/left/").unwrap();
        Link::new(&base, href)
    }

    #[test]
    fn addresses_have_the_spelling_that_pip_asks_with() {
        for (href, url, file) in [
            ("a.whl", "https://index.invalid/simple/left/a.whl", "a.whl"),
            (
                "../../p/a+b.whl#sha256=00",
                "https://index.invalid/p/a%2Bb.whl",
                "a+b.whl",
            ),
            (
                "https://files.invalid/%61/x%2by@z%40/a.whl?x=1",
                "https://files.invalid/a/x%2By@z%40/a.whl?x=1",
                "a.whl",
            ),
            (
                "//files.invalid/a%2fb.whl",
                "https://files.invalid/a%2Fb.whl",
                "a/b.whl",
            ),
            (
                "http://files.invalid/a.whl",
                "http://files.invalid/a.whl",
                "a.whl",
            ),
            (
                " /\u{e9}.whl ",
                "https://index.invalid/%C3%A9.whl",
                "\u{e9}.whl",
            ),
        ] {
            let link = link(href);
            assert_eq!(link.url.unwrap().as_str(), url);
            assert_eq!(link.file, file);
        }
        for href in [
            "https://u:p@files.invalid/a.whl",
            "https://files.invalid//a.whl",
            "https://files.invalid/a%00.whl",
            "https://files.invalid/a%5cb.whl",
            "https://files.invalid/%zz.whl",
            "https://files.invalid/%2",
            "https:// /a",
            "data:text/plain,x",
            "javascript:x",
            "file:///etc/a.whl",
        ] {
            assert_eq!(link(href).url, None, "{href}");
        }
    }

    #[test]
    fn the_strongest_digest_counts() {
        let read = |fragment: &str| integrity(&link(&format!("a.whl#{fragment}")).digests);
        let (long, short) = ("ab".repeat(64), "cd".repeat(32));
        let both = read(&format!("sha256={short}&sha512={long}")).unwrap();
        assert_eq!(both.algorithm(), Algorithm::Sha512);
        let one = read(&format!("egg=x&sha256={short}")).unwrap();
        assert_eq!(one.algorithm(), Algorithm::Sha256);
        assert_eq!(
            read(&format!("md5={}", "0".repeat(32)))
                .unwrap()
                .algorithm(),
            Algorithm::Md5
        );
        for none in [
            "",
            "sha256=",
            "sha256=abc",
            "blake2b=ab",
            "x",
            &format!("SHA256={short}"),
        ] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn spelling_is_stable(href in ".{0,60}") {
            if let Some(url) = link(&href).url {
                prop_assert_eq!(link(url.as_str()).url, Some(url));
            }
        }
    }
}
