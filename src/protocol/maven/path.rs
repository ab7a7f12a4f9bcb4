//! The grammar of repository addresses.
//!
//! `group/artifact/version/file`, `maven-metadata.xml` at group, artifact and version, and beside
//! each of them checksums and signatures. A path says the same thing twice, in its directories and in
//! the file's name, and both must agree. Percent-encoding is decoded once and only to characters
//! that a segment may have, so that nothing hides in it.

use http::Method;
use percent_encoding::percent_decode_str;
use url::Url;

use super::checksum;
use crate::model::maven::{self, Coordinates};
use crate::protocol::Class;

const METADATA: &str = "maven-metadata.xml";

/// Beside an artifact: signatures, each verified by whoever wants to.
const SIGNATURES: [&str; 3] = [".asc", ".sigstore.json", ".sigstore"];

/// What a repository says of itself: the groups that it has.
const PREFIXES: &str = ".meta/prefixes.txt";

pub(super) fn classify(method: &Method, base: &Url, url: &Url) -> Class {
    read(method, base, url).into()
}

fn read(method: &Method, base: &Url, url: &Url) -> Result<Class, &'static str> {
    let path = url
        .path()
        .strip_prefix(base.path())
        .ok_or("the address is not below the repository")?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("no address of a repository has a query");
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err("an install reads artifacts and deploys none");
    }
    let path = decoded(path).ok_or("the address has characters that no artifact has")?;
    let Some((of, algorithm)) = checksum::of(&path) else {
        return plain(&path);
    };
    plain(of)?;
    let (of, _) = checksum::of(url.path()).ok_or("the address is not one of the layout")?;
    let mut file = url.clone();
    file.set_path(of);
    Ok(Class::SideFile {
        of: file,
        algorithm,
    })
}

/// What is not a checksum.
fn plain(path: &str) -> Result<Class, &'static str> {
    if path == PREFIXES {
        return Ok(Class::Metadata);
    }
    let signed = SIGNATURES
        .iter()
        .find_map(|ending| path.strip_suffix(ending));
    if let Some(signed) = signed {
        return match Coordinates::from_path(signed) {
            Some(_) => Ok(Class::Metadata),
            None => Err("the signature is beside no artifact"),
        };
    }
    if let Some(directory) = path.strip_suffix(METADATA) {
        let directory = directory
            .strip_suffix('/')
            .ok_or("metadata lies in the directory of a group, an artifact or a version")?;
        return index(directory).ok_or("metadata lies where no group or artifact can be");
    }
    let read = Coordinates::from_path(path).ok_or("the address is not one of the layout")?;
    Ok(Class::Artifact {
        name: read.name(),
        file: Some(read.file()),
        version: Some(read.version),
    })
}

/// Of a version that changes, an artifact, or a group: the last two look alike.
fn index(directory: &str) -> Option<Class> {
    let package = match directory.rsplit_once('/') {
        Some((package, version)) if maven::is_changing(version) => {
            maven::is_version(version).then_some(package)?
        }
        Some(_) | None => directory,
    };
    let name = match package.rsplit_once('/') {
        Some((group, artifact)) if maven::is_name(artifact) => {
            format!("{}:{artifact}", maven::group_of(group)?)
        }
        Some(_) => return None,
        None => maven::group_of(package)?,
    };
    Some(Class::Index { name })
}

fn decoded(path: &str) -> Option<String> {
    let text = percent_decode_str(path).decode_utf8().ok()?;
    let slashes = |text: &str| text.bytes().filter(|byte| *byte == b'/').count();
    let plain = !text.contains(['%', '\\']) && !text.chars().any(char::is_control);
    (plain && slashes(&text) == slashes(path)).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Algorithm;

    fn get(path: &str) -> Class {
        with(&Method::GET, path)
    }

    fn with(method: &Method, path: &str) -> Class {
        let base = Url::parse("https://repository.invalid/maven2/").unwrap();
        let url = Url::parse(&format!("https://repository.invalid/maven2/{path}")).unwrap();
        classify(method, &base, &url)
    }

    fn artifact(name: &str, version: &str, file: &str) -> Class {
        Class::Artifact {
            name: name.into(),
            version: Some(version.into()),
            file: Some(file.into()),
        }
    }

    #[test]
    fn artifacts_are_named_by_their_path() {
        assert_eq!(
            get("a/b/x/1.0/x-1.0.jar"),
            artifact("a.b:x", "1.0", "x-1.0.jar")
        );
        assert_eq!(get("a/x/1/x-1.pom"), artifact("a:x", "1", "x-1.pom"));
        assert_eq!(
            get("a/x/1%2B2/x-1%2B2.jar"),
            artifact("a:x", "1+2", "x-1+2.jar")
        );
        let stamped = "1-20240102.030405-1";
        let file = format!("x-{stamped}.jar");
        assert_eq!(
            get(&format!("a/x/1-SNAPSHOT/{file}")),
            artifact("a:x", stamped, &file)
        );
        assert_eq!(
            with(&Method::HEAD, "a/x/1/x-1.war"),
            artifact("a:x", "1", "x-1.war")
        );
    }

    #[test]
    fn metadata_has_three_levels() {
        for (path, name) in [
            ("a/b/x/maven-metadata.xml", "a.b:x"),
            ("a/b/x/1-SNAPSHOT/maven-metadata.xml", "a.b:x"),
            ("x/maven-metadata.xml", "x"),
        ] {
            assert_eq!(get(path), Class::Index { name: name.into() }, "{path}");
        }
    }

    #[test]
    fn checksums_and_signatures_lie_beside_what_there_is() {
        for (ending, algorithm) in [
            ("sha1", Algorithm::Sha1),
            ("md5", Algorithm::Md5),
            ("sha256", Algorithm::Sha256),
            ("sha512", Algorithm::Sha512),
        ] {
            for path in [
                "a/x/1%2B2/x-1%2B2.jar",
                "a/x/maven-metadata.xml",
                "a/x/1/x-1.pom.asc",
            ] {
                let Class::SideFile {
                    of,
                    algorithm: read,
                } = get(&format!("{path}.{ending}"))
                else {
                    panic!("{path}.{ending}");
                };
                assert!(of.path().ends_with(path), "{of}");
                assert_eq!(read, algorithm);
            }
        }
        assert_eq!(get("a/x/1/x-1.jar.asc"), Class::Metadata);
        assert_eq!(get("a/x/1/x-1.jar.sigstore.json"), Class::Metadata);
        assert_eq!(get(".meta/prefixes.txt"), Class::Metadata);
    }

    #[test]
    fn everything_else_is_refused() {
        for path in [
            "",
            "a/",
            "a/x/1/",
            "a/x/1/y-1.jar",
            "a/x/1/x-2.jar",
            "a/x/1/x-1.jar?x",
            "a/x/1/x-1.jar.lastUpdated/",
            "a/x/1/x-1.jar.sha1.sha1",
            "a/x/1/x-1.jar%00.sha1",
            "a/x/1/..%2fx-1.jar",
            "a%2fx/1/x-1.jar",
            "a/x/1/x-1%5c.jar",
            "a/x/1/x-1.jar%252f",
            "x-1.jar.asc",
            "maven-metadata.xml",
            "a/xmaven-metadata.xml",
            ".index/nexus-maven-repository-index.gz",
            "archetype-catalog.xml",
            ".meta/x",
            "a/.x/maven-metadata.xml",
            "a/x/_remote.repositories",
        ] {
            assert!(
                matches!(get(path), Class::Refused(_)),
                "{path}: {:?}",
                get(path)
            );
        }
        for method in [Method::PUT, Method::POST, Method::DELETE, Method::OPTIONS] {
            assert!(matches!(with(&method, "a/x/1/x-1.jar"), Class::Refused(_)));
        }
    }

    proptest! {
        #[test]
        fn names_have_no_path_in_them(path in "[-a-c1./%2F]{0,40}(\\.jar|\\.sha1|maven-metadata.xml)?") {
            if let Class::Index { name } | Class::Artifact { name, .. } = get(&path) {
                prop_assert!(!name.contains(['/', '%']));
                prop_assert!(!name.contains(".."));
            }
        }
    }
}
