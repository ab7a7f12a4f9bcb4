//! The grammar of registry addresses.
//!
//! Works on the address as it was sent: percent-encoding is decoded only where the npm client
//! uses it (the slash and the `@` of a scope, the `+` of a version), so that one resource has few
//! spellings and none that the proxy and the registry could read differently.

use http::Method;
use url::Url;

use crate::protocol::Class;

/// Longest package name that the registry has ever allowed.
const NAME: usize = 214;

pub(super) fn classify(method: &Method, base: &Url, url: &Url) -> Class {
    read(method, base, url).into()
}

fn read(method: &Method, base: &Url, url: &Url) -> Result<Class, &'static str> {
    let path = url
        .path()
        .strip_prefix(base.path())
        .ok_or("the address is not below the registry")?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("no address of the registry protocol has a query");
    }
    let segments: Vec<&str> = path.split('/').collect();
    if let Some(("-", rest)) = segments.split_first().map(|(first, rest)| (*first, rest)) {
        return service(method, rest);
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err("an install reads packages and changes none");
    }
    let (name, rest) = package(&segments)?;
    match rest {
        [] => Ok(Class::Index { name }),
        [version] if is_version(version) => Ok(Class::Index { name }),
        ["-", file] => artifact(name, file),
        // Some registries repeat the scope in the directory of the tarballs.
        ["-", scope, file] if name.split('/').next() == Some(*scope) && scope.starts_with('@') => {
            artifact(name, file)
        }
        _ => Err("the address is not one of the registry protocol"),
    }
}

fn service(method: &Method, segments: &[&str]) -> Result<Class, &'static str> {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    match segments {
        ["npm", "v1", "security", "advisories", "bulk"]
        | ["npm", "v1", "security", "audits", "quick"]
            if *method == Method::POST =>
        {
            Ok(Class::Audit)
        }
        ["npm", "v1", "keys"] if reads => Ok(Class::Metadata),
        ["npm", "v1", "attestations", rest @ ..] if reads => {
            let (last, scope) = rest.split_last().unwrap_or((&"", &[]));
            let (spec, version) = last.rsplit_once('@').unwrap_or((last, ""));
            let named: Vec<&str> = scope.iter().copied().chain([spec]).collect();
            match package(&named)? {
                (_name, []) if is_version(version) => Ok(Class::Metadata),
                _ => Err("attestations are read by name and version"),
            }
        }
        ["package", rest @ ..] if reads => match package(rest)? {
            (_name, ["dist-tags"]) => Ok(Class::Metadata),
            _ => Err("the address is not one of the registry protocol"),
        },
        _ => Err("the address is not one that an install reads"),
    }
}

/// The package name at the head of the segments, and what follows it.
fn package<'a, 'b>(segments: &'b [&'a str]) -> Result<(String, &'b [&'a str]), &'static str> {
    let (first, rest) = segments
        .split_first()
        .ok_or("the address names no package")?;
    let scoped = first
        .strip_prefix('@')
        .or_else(|| first.strip_prefix("%40"));
    let Some(scoped) = scoped else {
        part(first)?;
        return bounded((*first).to_owned(), rest);
    };
    let encoded = scoped.find("%2f").or_else(|| scoped.find("%2F"));
    let (scope, name, rest) = match encoded {
        Some(at) => {
            let (scope, name) = scoped.split_at(at);
            (scope, name.get(3..).unwrap_or_default(), rest)
        }
        None => {
            let (name, rest) = rest.split_first().ok_or("the address names a scope only")?;
            (scoped, *name, rest)
        }
    };
    part(scope)?;
    part(name)?;
    bounded(format!("@{scope}/{name}"), rest)
}

fn bounded<'a, 'b>(
    name: String,
    rest: &'b [&'a str],
) -> Result<(String, &'b [&'a str]), &'static str> {
    if name.len() > NAME {
        Err("the package name is too long")
    } else {
        Ok((name, rest))
    }
}

/// One part of a package name, as published names have it, upper case of old ones included.
fn part(text: &str) -> Result<(), &'static str> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~!'()*".contains(&byte);
    if text.is_empty() {
        Err("the package name is empty")
    } else if text.starts_with('.') {
        Err("a package name does not begin with a dot")
    } else if !text.bytes().all(known) {
        Err("the package name has characters that no package name has")
    } else {
        Ok(())
    }
}

/// A version or a dist-tag.
pub(super) fn is_version(text: &str) -> bool {
    let decoded = text.replace("%2B", "+").replace("%2b", "+");
    !decoded.is_empty()
        && !decoded.starts_with('.')
        && decoded
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.~+".contains(&byte))
}

fn artifact(name: String, file: &str) -> Result<Class, &'static str> {
    let stem = file
        .strip_suffix(".tgz")
        .ok_or("an artifact of this registry ends in `.tgz`")?;
    if !is_version(stem) {
        return Err("the file name has characters that no artifact has");
    }
    let bare = name.rsplit('/').next().unwrap_or_default();
    let version = stem
        .strip_prefix(bare)
        .and_then(|rest| rest.strip_prefix('-'))
        .filter(|version| version.starts_with(|first: char| first.is_ascii_digit()))
        .map(|version| version.replace("%2B", "+").replace("%2b", "+"));
    Ok(Class::Artifact {
        name,
        version,
        file: None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn get(path: &str) -> Class {
        with(&Method::GET, path)
    }

    fn with(method: &Method, path: &str) -> Class {
        let base = Url::parse("https://registry.invalid/npm/").unwrap();
        let url = Url::parse(&format!("https://registry.invalid/npm/{path}")).unwrap();
        classify(method, &base, &url)
    }

    fn index(name: &str) -> Class {
        Class::Index {
            name: name.to_owned(),
        }
    }

    fn tarball(name: &str, version: Option<&str>) -> Class {
        Class::Artifact {
            name: name.to_owned(),
            version: version.map(str::to_owned),
            file: None,
        }
    }

    #[test]
    fn packuments_and_version_documents_are_indexes() {
        assert_eq!(get("left"), index("left"));
        assert_eq!(get("JSONStream"), index("JSONStream"));
        for path in [
            "@scope%2fname",
            "@scope%2Fname",
            "@scope/name",
            "%40scope%2fname",
        ] {
            assert_eq!(get(path), index("@scope/name"), "{path}");
        }
        assert_eq!(get("left/1.0.0"), index("left"));
        assert_eq!(get("left/latest"), index("left"));
        assert_eq!(
            get("@scope%2fname/1.0.0-rc.1%2Bbuild"),
            index("@scope/name")
        );
        assert_eq!(get("@scope/name/1.0.0"), index("@scope/name"));
    }

    #[test]
    fn tarballs_are_artifacts() {
        assert_eq!(get("left/-/left-1.0.0.tgz"), tarball("left", Some("1.0.0")));
        assert_eq!(
            get("left-pad/-/left-pad-1.0.0-2.tgz"),
            tarball("left-pad", Some("1.0.0-2"))
        );
        assert_eq!(
            get("left/-/left-1.0.0%2Bb.tgz"),
            tarball("left", Some("1.0.0+b"))
        );
        assert_eq!(get("left/-/other-1.0.0.tgz"), tarball("left", None));
        assert_eq!(get("left/-/left-evil-1.0.0.tgz"), tarball("left", None));
        for path in [
            "@scope/name/-/name-1.0.0.tgz",
            "@scope%2fname/-/name-1.0.0.tgz",
            "@scope/name/-/@scope/name-1.0.0.tgz",
        ] {
            assert_eq!(get(path), tarball("@scope/name", Some("1.0.0")), "{path}");
        }
    }

    #[test]
    fn services_are_told_apart() {
        assert_eq!(get("-/package/left/dist-tags"), Class::Metadata);
        assert_eq!(get("-/package/@scope%2fname/dist-tags"), Class::Metadata);
        assert_eq!(get("-/npm/v1/keys"), Class::Metadata);
        assert_eq!(get("-/npm/v1/attestations/left@1.0.0"), Class::Metadata);
        assert_eq!(
            get("-/npm/v1/attestations/@scope%2fname@1.0.0"),
            Class::Metadata
        );
        assert_eq!(
            get("-/npm/v1/attestations/@scope/name@1.0.0"),
            Class::Metadata
        );
        for path in [
            "-/npm/v1/security/advisories/bulk",
            "-/npm/v1/security/audits/quick",
        ] {
            assert_eq!(with(&Method::POST, path), Class::Audit);
            assert!(matches!(get(path), Class::Refused(_)));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for path in [
            "",
            "-",
            "-/",
            "-/whoami",
            "-/v1/search",
            "-/user/org.couchdb.user:me",
            "-/v1/login",
            "-/npm/v1/tokens",
            "-/npm/v1/attestations/left",
            "-/npm/v1/attestations/",
            "@scope",
            "@scope/",
            "@/name",
            "@scope%2f",
            "@%2fname",
            "left/",
            "left//1.0.0",
            "left/-/",
            "left/-/left-1.0.0.zip",
            "left/-/a/left-1.0.0.tgz",
            "left/1.0.0/x",
            "le%2fft",
            "left%2f1.0.0",
            "left%00",
            "left%252f",
            ".left",
            "%2e%2e%2fleft",
            "@scope%2fna%2fme",
            "left?write=true",
            "left/-/left-1.0.0.tgz?x",
            "a b",
            "left/-rev/1-abc",
            "left/-/%2e%2e%2fx.tgz",
            "@scope/name/-/@other/name-1.0.0.tgz",
        ] {
            assert!(
                matches!(get(path), Class::Refused(_)),
                "{path:?} gave {:?}",
                get(path)
            );
        }
        for method in [
            Method::PUT,
            Method::POST,
            Method::DELETE,
            Method::PATCH,
            Method::OPTIONS,
        ] {
            assert!(matches!(with(&method, "left"), Class::Refused(_)));
            assert!(matches!(
                with(&method, "left/-/left-1.0.0.tgz"),
                Class::Refused(_)
            ));
        }
        let long = "x".repeat(NAME + 1);
        assert!(matches!(get(&long), Class::Refused(_)));
    }

    proptest! {
        #[test]
        fn names_never_carry_encoding_or_dots(path in "[-a-z0-9@%./A-F]{0,40}") {
            if let Class::Index { name } | Class::Artifact { name, .. } = get(&path) {
                prop_assert!(!name.contains('%'));
                prop_assert!(name.split('/').all(|part| !part.is_empty() && !part.starts_with('.')));
            }
        }
    }
}
