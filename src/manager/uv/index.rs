//! The indexes of a uv run: what the command line, variables and files name, and uv's own.
//!
//! What the user names is allowed; a project may only choose among those. uv's own index is read
//! from uv's program, which states it once. Logins go to the proxy: those of the address, those of
//! variables for a named index, those of netrc.

use std::io::Read as _;
use std::path::Path;

use url::Url;

use super::config::{StatedIndex, named};
use super::line::variable;
use crate::manager::Request;
use crate::manager::python::asked::{Index, Origin};
use crate::manager::python::index::Allowed;
use crate::manager::python::netrc;
use crate::manager::python::settings::{Judged, Setting};
use crate::model::{Code, Finding};

/// A program is some tens of megabytes.
const LARGEST: u64 = 512 << 20;

/// Longest name of a host.
const HOST: usize = 253;

/// What may be asked.
#[derive(Debug)]
pub(super) struct Indexes {
    /// For what requirement files say.
    pub(super) allowed: Allowed,
    /// The effective ones, the default first.
    pub(super) effective: Vec<Index>,
    /// Refusals.
    pub(super) findings: Vec<Finding>,
}

/// Puts everything together. `closed` leaves the indexes out.
pub(super) fn collect(
    request: &Request<'_>,
    program: &Path,
    judged: &Judged,
    files: &[StatedIndex],
    closed: bool,
) -> Indexes {
    let mut stated: Vec<StatedIndex> = judged.all("index").map(said).collect();
    stated.extend(files.iter().cloned());
    for one in &mut stated {
        one.url = with_login(one, request);
    }
    let own = standard(program);
    let mut allowed = Allowed::new(request.policy, own.clone(), netrc::of(request));
    for one in stated.iter().filter(|one| one.origin != Origin::Project) {
        allowed.add(&one.url, &one.place);
    }
    let mut indexes = Indexes {
        allowed,
        effective: Vec::new(),
        findings: Vec::new(),
    };
    if closed {
        return indexes;
    }
    // The first of them that takes the place of uv's own; the others are asked before it.
    let default = stated.iter().position(|one| one.default);
    match default {
        Some(at) => {
            let one = stated.remove(at);
            indexes.keep(&one);
        }
        None => match indexes.allowed.standard() {
            Some(index) => indexes.effective.push(index),
            None => indexes.findings.push(
                Finding::new(
                    Code::Usage,
                    "default-index",
                    "this uv states no default index that v4run can read, and no configuration \
                     names one",
                )
                .with_hint("name it with `--default-index`, or in your user configuration"),
            ),
        },
    }
    for one in stated.iter().filter(|one| !one.default) {
        indexes.keep(one);
    }
    indexes
}

impl Indexes {
    fn keep(&mut self, one: &StatedIndex) {
        match self.allowed.index(&one.url, &one.place, one.origin) {
            Ok(index) if self.effective.iter().any(|known| known.url == index.url) => {}
            Ok(index) => self.effective.push(index),
            Err(finding) => self.findings.push(finding),
        }
    }
}

/// An option or variable as a file would say it.
fn said(setting: &Setting) -> StatedIndex {
    let (name, url) = named(setting.text());
    StatedIndex {
        name: name.map(str::to_owned),
        url: url.to_owned(),
        default: matches!(setting.option.name(), "default-index" | "index-url"),
        origin: setting.origin,
        place: setting.place.clone(),
    }
}

/// The address with the login that variables give for its name.
fn with_login(one: &StatedIndex, request: &Request<'_>) -> String {
    let login = one.name.as_ref().and_then(|name| {
        let upper = name.to_uppercase();
        let upper: String = upper
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        let part = |what: &str| variable(request.environment, &format!("UV_INDEX_{upper}_{what}"));
        let (user, password) = (part("USERNAME"), part("PASSWORD"));
        (user.is_some() || password.is_some()).then_some((user.unwrap_or_default(), password))
    });
    let (Some((user, password)), Ok(mut url)) = (login, Url::parse(&one.url)) else {
        return one.url.clone();
    };
    // Both fail only for addresses that cannot carry them, which are refused later.
    let _ = url.set_username(user);
    let _ = url.set_password(password);
    url.to_string()
}

/// uv's own index, from its program: the one address there that ends like an index.
fn standard(program: &Path) -> Option<Url> {
    let file = std::fs::File::open(program).ok()?;
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).ok()?;
    let text = only(&bytes)?;
    let url = Url::parse(&format!("{text}/")).ok()?;
    (url.scheme() == "https" && url.has_host()).then_some(url)
}

/// The one `https://HOST/simple` in these bytes. `None` when there is none, or more than one.
fn only(bytes: &[u8]) -> Option<String> {
    const START: &[u8] = b"https://";
    const END: &[u8] = b"/simple";
    let mut found: Option<&[u8]> = None;
    let mut rest = bytes;
    while let Some(at) = position(rest, END) {
        let before = rest.get(..at).unwrap_or_default();
        let after = rest.get(at + END.len()..).unwrap_or_default();
        let window = before.get(before.len().saturating_sub(HOST + START.len())..)?;
        // A longer path is another address.
        let ends = !matches!(after.first(), Some(b'-' | b'_' | b'.' | b'0'..=b'9'));
        let start = window
            .windows(START.len())
            .rposition(|part| part == START)
            .filter(|_| ends);
        if let Some(host) = start.and_then(|start| window.get(start + START.len()..))
            && !host.is_empty()
            && host.contains(&b'.')
            && host
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || b".-".contains(b))
        {
            match found {
                Some(known) if known != host => return None,
                Some(_) | None => found = Some(host),
            }
        }
        rest = after;
    }
    let host = std::str::from_utf8(found?).ok()?;
    Some(format!("https://{host}/simple"))
}

/// Where a short text begins.
fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    loop {
        let rest = bytes.get(from..)?;
        let at = rest.iter().position(|byte| *byte == first)?;
        if rest.get(at..)?.starts_with(wanted) {
            return Some(from + at);
        }
        from += at + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_in_a_program_is_found_where_it_is_the_only_one() {
        let text = |bytes: &[u8]| only(bytes);
        let one = b"\x00ahttps://index.invalid/simplehttps://x.invalid/other/simple\xff";
        assert_eq!(text(one).as_deref(), Some("https://index.invalid/simple"));
        let twice = b"https://index.invalid/simple https://index.invalid/simple/";
        assert_eq!(text(twice).as_deref(), Some("https://index.invalid/simple"));
        let two = b"https://a.invalid/simple https://b.invalid/simple";
        assert_eq!(text(two), None);
        for none in [
            &b"http://a.invalid/simple"[..],
            b"https:///simple",
            b"https://{host}.x/simple",
            b"https://a.invalid/simple-index",
            b"/simple",
            b"",
        ] {
            assert_eq!(text(none), None, "{}", String::from_utf8_lossy(none));
        }
    }
}
