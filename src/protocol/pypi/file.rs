//! File names: which project, version and kind of distribution a file is.
//!
//! Called for every link of a page and for every address of a file. Names come from the network;
//! one that does not parse is of no kind and is not given out. Only the name is looked at: whether
//! the content agrees is the wheel check's business.
//!
//! PEP 427 and 491 (wheels), PEP 625 (source archives).

use std::borrow::Cow;

use crate::model::python::normalize_name;
use crate::model::python::normalize_version;

/// Ending of a file that repeats the metadata of a wheel.
pub(super) const METADATA: &str = ".metadata";

/// Endings of what would have to be built, or is no longer installed by anything.
const SOURCES: [&str; 11] = [
    ".tar.gz",
    ".tgz",
    ".tar.bz2",
    ".tbz",
    ".tar.xz",
    ".tar.lzma",
    ".tar",
    ".zip",
    ".egg",
    ".exe",
    ".msi",
];

/// A wheel or a source archive as its name tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WheelName {
    /// Normalized project name.
    pub(super) name: String,
    /// Normalized version.
    pub(super) version: String,
}

/// Whether the name is one of a wheel, well-formed or not.
pub(super) fn is_wheel(file: &str) -> bool {
    file.to_ascii_lowercase().ends_with(".whl")
}

/// Whether the name is one of a source archive, an egg or an installer.
pub(super) fn is_source(file: &str) -> bool {
    let lower = file.to_ascii_lowercase();
    SOURCES.iter().any(|ending| lower.ends_with(ending))
}

/// Reads a wheel's name.
pub(super) fn wheel(file: &str) -> Option<WheelName> {
    let stem = file.strip_suffix(".whl")?;
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+!".contains(&byte);
    if file.len() > 255 || !stem.bytes().all(fine) {
        return None;
    }
    let parts: Vec<&str> = stem.split('-').collect();
    let (name, version) = match parts.as_slice() {
        [name, version, tags @ ..]
            if tags.iter().all(|tag| !tag.is_empty())
                && (tags.len() == 3
                    || tags.len() == 4
                        && tags.first().is_some_and(|build| {
                            build.starts_with(|c: char| c.is_ascii_digit())
                        })) =>
        {
            (name, version)
        }
        _ => return None,
    };
    // The hyphen of a version is escaped; a local version is sometimes escaped too.
    let version =
        normalize_version(version).or_else(|| normalize_version(&version.replacen('_', "+", 1)))?;
    Some(WheelName {
        name: normalize_name(name)?,
        version,
    })
}

/// Reads the name of a source archive of that project, in the one form that builds take.
pub(super) fn source(file: &str, project: &str) -> Option<WheelName> {
    let stem = file.strip_suffix(".tar.gz")?;
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+!".contains(&byte);
    if file.len() > 255 || !stem.bytes().all(fine) {
        return None;
    }
    // Older names hold the project's hyphens as they are.
    let mut splits = stem.match_indices('-');
    splits.find_map(|(at, _)| {
        let (name, version) = (stem.get(..at)?, stem.get(at.saturating_add(1)..)?);
        let name = normalize_name(name).filter(|name| name == project)?;
        let version = normalize_version(version)?;
        Some(WheelName { name, version })
    })
}

/// The normalized version without the zeros at the end of its release number.
pub(super) fn same_version(version: &str) -> Cow<'_, str> {
    let Some(normal) = normalize_version(version) else {
        return Cow::Borrowed(version);
    };
    let start = normal.find('!').map_or(0, |at| at.saturating_add(1));
    let (epoch, rest) = normal.split_at_checked(start).unwrap_or(("", &normal));
    let end = rest
        .find(|c: char| c != '.' && !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (release, suffix) = rest.split_at_checked(end).unwrap_or((rest, ""));
    // The dot before `post` and `dev` belongs to what follows.
    let dot = if release.ends_with('.') { "." } else { "" };
    let mut release = release.trim_end_matches('.');
    while let Some(shorter) = release.strip_suffix(".0") {
        release = shorter;
    }
    Cow::Owned(format!("{epoch}{release}{dot}{suffix}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wheels_are_known_by_their_names() {
        for (file, name, version) in [
            ("left-1.0-py3-none-any.whl", "left", "1.0"),
            ("Left_Pad-1.0.0-2-py3-none-any.whl", "left-pad", "1.0.0"),
            (
                "ruamel.yaml-0.18.6-py3-none-any.whl",
                "ruamel-yaml",
                "0.18.6",
            ),
            (
                "torch-2.0.1+cu118-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
                "torch",
                "2.0.1+cu118",
            ),
            (
                "torch-2.0.1_cu118-cp311-cp311-any.whl",
                "torch",
                "2.0.1+cu118",
            ),
            ("left-1!2.0-py3-none-any.whl", "left", "1!2.0"),
        ] {
            let read = wheel(file).unwrap();
            assert_eq!((read.name.as_str(), read.version.as_str()), (name, version));
        }
        for file in [
            "",
            ".whl",
            "left.whl",
            "left-1.0.whl",
            "left-1.0-py3-none.whl",
            "left-1.0-x-py3-none-any.whl",
            "left-1.0-1-py3-none-any-more.whl",
            "left--py3-none-any.whl",
            "left-x-py3-none-any.whl",
            "-1.0-py3-none-any.whl",
            "left-1.0-py3--any.whl",
            "left-1.0-py3-none-any.WHL",
            "le ft-1.0-py3-none-any.whl",
            "../left-1.0-py3-none-any.whl",
            "left-1.0-py3-none-any.whl.metadata",
            "l\u{435}ft-1.0-py3-none-any.whl",
        ] {
            assert_eq!(wheel(file), None, "{file}");
        }
    }

    #[test]
    fn everything_that_needs_a_build_is_source() {
        for file in [
            "left-1.0.tar.gz",
            "left-1.0.zip",
            "left-1.0.EGG",
            "left.exe",
        ] {
            assert!(is_source(file) && !is_wheel(file), "{file}");
        }
        assert!(!is_source("left-1.0-py3-none-any.whl"));
    }

    #[test]
    fn sources_are_known_by_the_name_of_their_project() {
        for (file, project, version) in [
            ("left-1.0.tar.gz", "left", "1.0"),
            ("Left_Pad-1.0rc1.tar.gz", "left-pad", "1.0rc1"),
            ("left-pad-2-2.0.tar.gz", "left-pad-2", "2.0"),
        ] {
            let read = source(file, project).unwrap();
            assert_eq!(
                (read.name.as_str(), read.version.as_str()),
                (project, version)
            );
        }
        for (file, project) in [
            ("left-1.0.zip", "left"),
            ("left-1.0.tar.gz", "right"),
            ("left-pad-1.0.tar.gz", "left"),
            ("left.tar.gz", "left"),
            ("../left-1.0.tar.gz", "left"),
            ("left-1.0.tar.gz.metadata", "left"),
        ] {
            assert_eq!(source(file, project), None, "{file}");
        }
    }

    #[test]
    fn zeros_at_the_end_of_a_release_say_nothing() {
        for (one, other) in [
            ("1.0", "1"),
            ("1.0.0", "1"),
            ("1.10", "1.10"),
            ("0.0", "0"),
            ("1!2.0.0", "1!2"),
            ("1.0.post1", "1.post1"),
            ("1.0.0rc1", "1rc1"),
            ("2.0+cu.0", "2+cu.0"),
            ("not a version", "not a version"),
        ] {
            assert_eq!(same_version(one), other, "{one}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(file in ".{0,60}") {
            let _ = wheel(&file);
            let _ = source(&file, "left");
            let _ = same_version(&file);
        }
    }
}
