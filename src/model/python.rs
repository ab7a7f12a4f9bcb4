//! Names of Python packages and their wheel files.
//!
//! Index protocol and package managers must mean the same package by the same text. Names follow
//! <https://packaging.python.org/en/latest/specifications/name-normalization/>, wheel file names
//! <https://packaging.python.org/en/latest/specifications/binary-distribution-format/>. Versions
//! are not ordered or normalized here.

/// The normalized form of a name: lower case, each run of `-`, `_` and `.` one `-`. `None` for
/// what no package can be called.
pub fn normalize_name(name: &str) -> Option<String> {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let fits = edge(name.chars().next()) && edge(name.chars().last()) && name.chars().all(inner);
    if !fits {
        return None;
    }
    let mut normal = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            normal.push(c.to_ascii_lowercase());
        } else if !normal.ends_with('-') {
            normal.push('-');
        }
    }
    Some(normal)
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
    use super::*;

    #[test]
    fn names_have_one_spelling() {
        for name in ["Zope.Interface", "zope_interface", "zope-.-interface"] {
            assert_eq!(normalize_name(name).as_deref(), Some("zope-interface"));
        }
        for name in ["", "-a", "a-", "a b", "a/b", "ä", "..", "a\n"] {
            assert_eq!(normalize_name(name), None, "{name:?}");
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
}
