//! The grammar of addresses below an index.
//!
//! One project is one directory: `<base>/<name>/`. Files mostly lie elsewhere and are allowed by
//! the exact address that a page named; one that lies below the index and that no page named can
//! only be released by a digest known before. Everything else is refused, the list of all projects
//! included.
//!
//! PEP 503.

use http::Method;
use percent_encoding::percent_decode_str;
use url::Url;

use super::file;
use crate::model::python::normalize_name;
use crate::protocol::Class;

pub(super) fn classify(method: &Method, base: &Url, url: &Url) -> Class {
    read(method, base, url).into()
}

fn read(method: &Method, base: &Url, url: &Url) -> Result<Class, &'static str> {
    let path = url
        .path()
        .strip_prefix(base.path())
        .ok_or("the address is not below the index")?;
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err("an install reads packages and changes none");
    }
    let last = percent_decode_str(path.rsplit('/').next().unwrap_or_default())
        .decode_utf8()
        .ok()
        .ok_or("the address is not one of the index protocol")?;
    if path.contains('/') && file::is_source(&last) {
        return Err("source archives are not given out: installing one would run its build code");
    }
    let wheel = last.strip_suffix(file::METADATA).unwrap_or(&last);
    if let Some(named) = file::wheel(wheel) {
        return Ok(Class::Artifact {
            name: named.name,
            version: Some(named.version),
            file: Some(last.into_owned()),
        });
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("no page of the index protocol has a query");
    }
    if path.is_empty() {
        return Err("an install reads pages of projects, not the list of all of them");
    }
    let name = path.strip_suffix('/').unwrap_or(path);
    match normalize_name(name) {
        Some(name) => Ok(Class::Index { name }),
        None => Err("the address is not one of the index protocol"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with(method: &Method, path: &str) -> Class {
        let base = Url::parse("https://index.invalid/simple/").unwrap();
        let url = Url::parse(&format!("https://index.invalid/simple/{path}")).unwrap();
        classify(method, &base, &url)
    }

    fn get(path: &str) -> Class {
        with(&Method::GET, path)
    }

    #[test]
    fn projects_are_pages_in_any_spelling() {
        for path in ["left-pad/", "left-pad", "Left_Pad/", "left.pad/"] {
            let Class::Index { name } = get(path) else {
                panic!("{path}");
            };
            assert_eq!(name, "left-pad");
        }
    }

    #[test]
    fn wheels_below_the_index_are_artifacts() {
        for (path, version, file) in [
            (
                "left/left-1.0-py3-none-any.whl",
                "1.0",
                "left-1.0-py3-none-any.whl",
            ),
            (
                "+f/ab/left-1.0%2Bx-py3-none-any.whl",
                "1.0+x",
                "left-1.0+x-py3-none-any.whl",
            ),
            (
                "left/left-1.0-py3-none-any.whl.metadata",
                "1.0",
                "left-1.0-py3-none-any.whl.metadata",
            ),
        ] {
            assert_eq!(
                get(path),
                Class::Artifact {
                    name: "left".into(),
                    version: Some(version.into()),
                    file: Some(file.into()),
                }
            );
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for path in [
            "",
            "?x",
            "left/?x=1",
            "left/right/",
            "left//",
            "le%2fft/",
            "%2e%2e/",
            "-left/",
            "left-/",
            "l%C3%A9ft/",
            "%ff/",
            "left/left-1.0.tar.gz",
            "left/left-1.0.zip",
            "left/left-1.0-py3-none-any.whl.asc",
            "left/left.whl",
            "left 1/",
        ] {
            assert!(
                matches!(get(path), Class::Refused(_)),
                "{path}: {:?}",
                get(path)
            );
        }
        for method in [Method::PUT, Method::POST, Method::DELETE] {
            assert!(matches!(with(&method, "left/"), Class::Refused(_)));
        }
        let Class::Refused(reason) = get("left/left-1.0.tar.gz") else {
            panic!("source is refused");
        };
        assert!(reason.contains("build code"));
    }

    proptest! {
        #[test]
        fn names_are_always_normal(path in "[-a-zA-Z0-9_%./+]{0,40}") {
            if let Class::Index { name } | Class::Artifact { name, .. } = get(&path) {
                prop_assert_eq!(normalize_name(&name), Some(name));
            }
        }
    }
}
