//! One spelling for Python names and versions, and what a wheel's file name says.
//!
//! Index, requirement files, wheels and installed metadata write the same project in many ways, so
//! protocol and manager compare normalized forms only. A text that is no version has no normalized
//! form; what that means is the caller's to decide.
//!
//! PEP 503 (names), PEP 440 (versions).

use std::str::FromStr as _;

use pep440_rs::Version;

/// Longest name or version that is looked at; longer ones are of nobody's making.
const LONGEST: usize = 256;

/// The normalized project name: lower case, runs of `-`, `_` and `.` as one `-`. `None` for what
/// cannot be a name.
pub fn normalize_name(name: &str) -> Option<String> {
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    if bytes.len() > LONGEST || !ends(bytes.first()) || !ends(bytes.last()) {
        return None;
    }
    let mut normal = String::with_capacity(name.len());
    let mut joins = false;
    for byte in bytes {
        match byte {
            b'-' | b'_' | b'.' => joins = true,
            byte if byte.is_ascii_alphanumeric() => {
                if std::mem::take(&mut joins) {
                    normal.push('-');
                }
                normal.push(char::from(byte.to_ascii_lowercase()));
            }
            _ => return None,
        }
    }
    Some(normal)
}

/// The normalized version. `None` for what is no version.
pub fn normalize_version(version: &str) -> Option<String> {
    if version.len() > LONGEST {
        return None;
    }
    let version = Version::from_str(version).ok()?;
    Some(version.to_string())
}

/// What the file name of a wheel says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WheelName {
    /// Normalized package name.
    pub name: String,
    /// Version as written.
    pub version: String,
}

/// Reads the file name of a wheel. `None` when it is not one.
pub fn wheel_name(file: &str) -> Option<WheelName> {
    let stem = file.strip_suffix(".whl")?;
    let parts: Vec<&str> = stem.split('-').collect();
    let (name, version) = match parts.as_slice() {
        [name, version, _, _, _] => (name, version),
        [name, version, build, _, _, _] if build.starts_with(|c: char| c.is_ascii_digit()) => {
            (name, version)
        }
        _ => return None,
    };
    let tag = |part: &&str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_.+!".contains(c))
    };
    if !parts.iter().all(tag) {
        return None;
    }
    Some(WheelName {
        name: normalize_name(name)?,
        version: (*version).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_have_one_spelling() {
        for name in ["Friendly-Bard", "friendly.bard", "FRIENDLY_._bard"] {
            assert_eq!(normalize_name(name).unwrap(), "friendly-bard");
        }
        for name in ["", "-a", "a.", "a b", "a/b", "a+b", "b\u{e9}", "\u{212a}"] {
            assert_eq!(normalize_name(name), None, "{name:?}");
        }
        assert_eq!(normalize_name(&"a".repeat(LONGEST + 1)), None);
    }

    #[test]
    fn versions_have_one_spelling() {
        for (version, normal) in [
            ("v1.0", "1.0"),
            ("1.0.0-ALPHA.1", "1.0.0a1"),
            ("1.0-1", "1.0.post1"),
            ("2.0+CU_118", "2.0+cu.118"),
            ("01.0", "1.0"),
        ] {
            assert_eq!(normalize_version(version).unwrap(), normal);
        }
        for version in ["", "x", "1.0 beta?", "1..0"] {
            assert_eq!(normalize_version(version), None, "{version}");
        }
    }

    #[test]
    fn wheels_are_told_by_their_name() {
        let wheel = wheel_name("Flask_Login-1.0.post1-2-py3-none-any.whl").unwrap();
        assert_eq!(
            (wheel.name.as_str(), wheel.version.as_str()),
            ("flask-login", "1.0.post1")
        );
        assert!(
            wheel_name("numpy-2.0+cpu-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl")
                .is_some()
        );
        for file in [
            "a-1.whl",
            "a-1-x-py3-none-any.whl",
            "a-1-py3-none-any.zip",
            "../a-1-py3-none-any.whl",
            "a-1--none-any.whl",
        ] {
            assert_eq!(wheel_name(file), None, "{file}");
        }
    }

    proptest! {
        #[test]
        fn normal_forms_stay(name in "[A-Za-z0-9._-]{0,20}", version in "[0-9a-z.+!-]{0,12}") {
            if let Some(normal) = normalize_name(&name) {
                prop_assert_eq!(normalize_name(&normal), Some(normal));
            }
            if let Some(normal) = normalize_version(&version) {
                prop_assert_eq!(normalize_version(&normal), Some(normal));
            }
        }
    }
}
