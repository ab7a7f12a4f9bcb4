//! One requirement, told apart as pip tells it apart.
//!
//! pip first looks for an address, then for a path or an archive, and only then reads PEP 508. The
//! same order is kept here, so that nothing that pip would fetch or build passes as a name. What
//! does pass is written down again from its parts ([`Named::text`]). Names, extras and specifiers
//! are read strictly; markers stay text of a small alphabet, because v4run needs none of their
//! answers. A library for the whole of PEP 508 was not taken: the steps before it are pip's own, and
//! specifiers, the one difficult part, are read by `pep440_rs`.
//! <https://packaging.python.org/en/latest/specifications/dependency-specifiers/>

use std::str::FromStr as _;

use pep440_rs::{Operator, Version, VersionSpecifiers};

use crate::model::python;

/// What a requirement is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::manager) enum Kind {
    /// Something that an index has.
    Named(Named),
    /// A package at an address: its name if stated, the address, marker included in neither.
    Address(Option<String>, String, Option<String>),
    /// A file of the caller: path as written, marker.
    File(String, Option<String>),
    /// A directory of the caller.
    Directory(String),
    /// A version control address.
    Repository(String),
}

/// A requirement that an index can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::manager) struct Named {
    /// Normalized name.
    pub(in crate::manager) name: String,
    /// Normalized extras.
    pub(in crate::manager) extras: Vec<String>,
    /// Specifier, without spaces.
    pub(in crate::manager) specifier: String,
    /// The one version that it allows, when it pins one.
    pub(in crate::manager) pinned: Option<String>,
    /// Marker.
    pub(in crate::manager) marker: Option<String>,
}

/// The text is no requirement that v4run can read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::manager) enum RequirementError {
    /// No name at its start.
    #[error("is no requirement: it names no package")]
    Name,
    /// The specifier.
    #[error("is no requirement: its version specifier cannot be read: {0}")]
    Specifier(String),
    /// The marker.
    #[error("is no requirement: its marker holds something that no marker needs")]
    Marker,
}

/// Endings that pip takes for an archive.
const ARCHIVES: &[&str] = &[
    ".zip",
    ".whl",
    ".tar.bz2",
    ".tbz",
    ".tar.gz",
    ".tgz",
    ".tar",
    ".tar.xz",
    ".txz",
    ".tlz",
    ".tar.lz",
    ".tar.lzma",
];
const ADDRESSES: &[&str] = &["http", "https", "file", "ftp"];
const VERSION_CONTROL: &[&str] = &["git", "hg", "svn", "bzr"];

/// Tells a requirement apart. `is_directory` answers for paths as pip would resolve them.
pub(in crate::manager) fn parse(
    text: &str,
    is_directory: impl Fn(&str) -> bool,
) -> Result<Kind, RequirementError> {
    let separator = if scheme(text).is_some() { "; " } else { ";" };
    let (text, marker) = match text.split_once(separator) {
        Some((text, marker)) => (text.trim(), self::marker(marker)?),
        None => (text.trim(), None),
    };
    if let Some(scheme) = scheme(text) {
        return Ok(if ADDRESSES.contains(&scheme.as_str()) {
            Kind::Address(None, text.to_owned(), marker)
        } else {
            Kind::Repository(text.to_owned())
        });
    }
    let bare = without_extras(text);
    if (looks_like_path(text) || bare == "~") && is_directory(bare) {
        return Ok(Kind::Directory(bare.to_owned()));
    }
    let direct = text
        .split_once('@')
        .filter(|(name, _)| !looks_like_path(name));
    if is_archive(bare) && direct.is_none() {
        return Ok(Kind::File(bare.to_owned(), marker));
    }
    if let Some((name, address)) = direct {
        let (name, _) = name_and_extras(name.trim())?;
        let address = address.trim();
        return Ok(match scheme(address) {
            Some(scheme)
                if VERSION_CONTROL
                    .iter()
                    .any(|system| scheme.starts_with(system)) =>
            {
                Kind::Repository(address.to_owned())
            }
            Some(_) | None => Kind::Address(Some(name), address.to_owned(), marker),
        });
    }
    if looks_like_path(text) {
        return Ok(Kind::Directory(bare.to_owned()));
    }
    named(text, marker).map(Kind::Named)
}

/// Reads the part of a requirement before the marker.
fn named(text: &str, marker: Option<String>) -> Result<Named, RequirementError> {
    let end = text.find(|c: char| "=<>!~(".contains(c) || c.is_whitespace());
    let end = end.map(|end| match text.get(end..).map(str::trim_start) {
        // Extras may stand apart from the name.
        Some(rest) if rest.starts_with('[') => rest.find(']').map_or(text.len(), |close| {
            text.len()
                .saturating_sub(rest.len())
                .saturating_add(close)
                .saturating_add(1)
        }),
        _ => end,
    });
    // Inside the brackets there may be spaces too.
    let end = match (text.find('['), text.find(']')) {
        (Some(open), Some(close)) if end.is_none_or(|end| open <= end) => {
            Some(close.saturating_add(1))
        }
        _ => end,
    };
    let (head, tail) = text
        .split_at_checked(end.unwrap_or(text.len()))
        .ok_or(RequirementError::Name)?;
    let (name, extras) = name_and_extras(head.trim())?;
    let tail = tail.trim();
    let inner = tail
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'));
    let tail = inner.unwrap_or(tail).trim();
    let wrong = || RequirementError::Specifier(tail.to_owned());
    let specifiers = VersionSpecifiers::from_str(tail).map_err(|_error| wrong())?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "=<>!~.,*+-_ \t".contains(c);
    if !tail.chars().all(plain) {
        return Err(wrong());
    }
    let pinned = match &*specifiers {
        [one] if matches!(one.operator(), Operator::Equal | Operator::ExactEqual) => {
            Some(one.version().to_string())
        }
        _ => None,
    };
    let specifier = tail.chars().filter(|c| !c.is_whitespace()).collect();
    Ok(Named {
        name,
        extras,
        specifier,
        pinned,
        marker,
    })
}

fn name_and_extras(text: &str) -> Result<(String, Vec<String>), RequirementError> {
    let (name, extras) = match text.split_once('[') {
        Some((name, rest)) => (name, rest.strip_suffix(']').ok_or(RequirementError::Name)?),
        None => (text, ""),
    };
    let name = python::normalize_name(name.trim()).ok_or(RequirementError::Name)?;
    let parts = extras.split(',').map(str::trim);
    let parts = parts.filter(|part| !(part.is_empty() && extras.trim().is_empty()));
    let extras: Option<Vec<String>> = parts.map(python::normalize_name).collect();
    Ok((name, extras.ok_or(RequirementError::Name)?))
}

/// A marker is handed on as it is, as long as it can be nothing but a marker.
fn marker(text: &str) -> Result<Option<String>, RequirementError> {
    let text = text.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || "_ .,<>=!~()'\"+*-/".contains(c);
    if text.is_empty() {
        return Ok(None);
    }
    // A word with a leading dash would be read as an option of the line.
    if !text.chars().all(plain) || text.split(' ').any(|word| word.starts_with('-')) {
        return Err(RequirementError::Marker);
    }
    Ok(Some(text.to_owned()))
}

/// The scheme, if pip takes the text for an address.
fn scheme(text: &str) -> Option<String> {
    let (scheme, _) = text.trim_start().split_once(':')?;
    let scheme = scheme.to_ascii_lowercase();
    let control = scheme
        .split('+')
        .next()
        .is_some_and(|system| VERSION_CONTROL.contains(&system));
    (ADDRESSES.contains(&scheme.as_str()) || control).then_some(scheme)
}

fn looks_like_path(text: &str) -> bool {
    text.contains('/') || text.starts_with('.')
}

fn without_extras(text: &str) -> &str {
    match text.rfind('[') {
        Some(open) if text.ends_with(']') => text.get(..open).unwrap_or(text).trim_end(),
        _ => text,
    }
}

fn is_archive(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ARCHIVES.iter().any(|ending| text.ends_with(ending))
}

impl Named {
    /// The requirement as pip is shown it.
    pub(in crate::manager) fn text(&self) -> String {
        let extras = if self.extras.is_empty() {
            String::new()
        } else {
            format!("[{}]", self.extras.join(","))
        };
        let marker = self
            .marker
            .as_ref()
            .map(|marker| format!("; {marker}"))
            .unwrap_or_default();
        format!("{}{extras}{}{marker}", self.name, self.specifier)
    }
}

/// The spellings of a version that an index may use for what a pin means: PEP 440 compares
/// releases without regard to zeros at their end.
pub(in crate::manager) fn spellings(version: &str) -> Vec<String> {
    const LONGEST: usize = 5;
    let Ok(parsed) = Version::from_str(version) else {
        return vec![version.to_owned()];
    };
    let mut release: Vec<u64> = parsed.release().to_vec();
    let mut all = vec![parsed.to_string()];
    while release.len() > 1 && release.last() == Some(&0) {
        release.pop();
    }
    while release.len() <= LONGEST {
        let spelled = parsed.clone().with_release(release.clone()).to_string();
        if !all.contains(&spelled) {
            all.push(spelled);
        }
        release.push(0);
    }
    all
}

/// A version in its normal form, or as it is.
pub(in crate::manager) fn normal_version(version: &str) -> String {
    python::normalize_version(version).unwrap_or_else(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kind(text: &str) -> Result<Kind, RequirementError> {
        parse(text, |path| {
            path == "." || path == "./dir" || path == "dir.whl/"
        })
    }

    fn read(text: &str) -> Named {
        let Ok(Kind::Named(named)) = kind(text) else {
            panic!("{text}: {:?}", kind(text));
        };
        named
    }

    fn shown(text: &str) -> String {
        read(text).text()
    }

    #[test]
    fn names_are_written_down_from_their_parts() {
        for (text, expected) in [
            ("Flask", "flask"),
            ("flask >= 2.0 , < 3", "flask>=2.0,<3"),
            ("flask(>=2,<3)", "flask>=2,<3"),
            (
                "requests [security, Socks_5] == 2.*",
                "requests[security,socks-5]==2.*",
            ),
            (
                "a[x]==1; python_version < '3.9' and extra == \"t\"",
                "a[x]==1; python_version < '3.9' and extra == \"t\"",
            ),
            (
                "a===1.0;sys_platform=='linux'",
                "a===1.0; sys_platform=='linux'",
            ),
            ("a[]", "a"),
            ("a;", "a"),
            ("a~=1.4.2", "a~=1.4.2"),
            ("a==1.0+local.1", "a==1.0+local.1"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_fetched_or_built_is_never_a_name() {
        let address = |text: &str| matches!(kind(text), Ok(Kind::Address(..)));
        let file = |text: &str| matches!(kind(text), Ok(Kind::File(..)));
        let directory = |text: &str| matches!(kind(text), Ok(Kind::Directory(_)));
        let control = |text: &str| matches!(kind(text), Ok(Kind::Repository(_)));
        assert!(address("https://a.invalid/x.whl"));
        assert!(address(
            "HTTPS://a.invalid/x.whl#sha256=ab; python_version<'3'"
        ));
        assert!(address("file:///x/y-1.tar.gz"));
        assert!(address("a @ https://a.invalid/x-1.tar.gz"));
        assert!(address("a[b]@https://a.invalid/x.zip"));
        assert!(address("a @ ./x.whl"));
        assert!(control("git+https://a.invalid/x"));
        assert!(control("a @ git+ssh://git@a.invalid/x@main"));
        assert!(control("Git+file:///x"));
        assert!(control("hg+static-http://x"));
        assert!(file("./x-1-py3-none-any.whl"));
        assert!(file("x-1.tar.gz"));
        assert!(file("sub/x.ZIP[extra]"));
        assert!(file("x.whl ; python_version>'3'"));
        assert!(directory("."));
        assert!(directory("./dir[extra]"));
        assert!(directory("dir/other"));
        assert!(directory("..[x]"));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for text in [
            "",
            "-e .",
            "flask=1",
            "flask==",
            "flask >=x",
            "flask 2.0",
            "a b",
            "a==1 --hash=sha256:ab",
            "ä",
            "a; $(x)",
            "a; python_version<'3' --pre",
            "a[b",
            "a]b",
            "a[x,,y]",
            "a==1\n--pre",
            "==1",
            "a @",
            "flask\t--pre",
            "a==${V}",
            "a##",
        ] {
            assert!(
                !matches!(kind(text), Ok(Kind::Named(_))),
                "{text:?}: {:?}",
                kind(text)
            );
        }
    }

    #[test]
    fn a_pin_is_one_exact_version() {
        let pinned = |text: &str| read(text).pinned;
        assert_eq!(pinned("a==1.0.RC1").as_deref(), Some("1.0rc1"));
        assert_eq!(pinned("a===1.0").as_deref(), Some("1.0"));
        for text in ["a", "a==1.*", "a>=1", "a==1,!=2", "a~=1.0"] {
            assert_eq!(pinned(text), None, "{text}");
        }
        assert_eq!(
            spellings("1.0"),
            ["1.0", "1", "1.0.0", "1.0.0.0", "1.0.0.0.0"]
        );
        assert_eq!(spellings("2.1.0rc1")[1], "2.1rc1");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(text in "[a-z]{1,3}[ \\[\\],.=<>!~*0-9a-z;'()@/-]{0,30}") {
            if let Ok(Kind::Named(named)) = kind(&text) {
                prop_assert_eq!(kind(&named.text()), Ok(Kind::Named(named)));
            }
        }
    }
}
