//! The local repository: the same layout, with a few names of Maven's own.
//!
//! Called for a path below a repository, remote or local, with what it is known as between runs.
//! Metadata is kept under the identifier of the repository that it came from; a snapshot is kept
//! under its time stamp and once more without. What Maven made itself (`maven-metadata-local.xml`,
//! its notes about downloads) came from nowhere and is known as nothing.
//!
//! <https://maven.apache.org/resolver/local-repository.html>.

use crate::model::maven::{self, Coordinates};
use crate::protocol::Kept;

const METADATA: &str = "maven-metadata";

pub(super) fn kept(path: &str) -> Option<Kept> {
    let (directory, file) = path.rsplit_once('/')?;
    if let Some(rest) = file.strip_prefix(METADATA) {
        let repository = rest.strip_suffix(".xml")?;
        let named = repository.is_empty() || repository.starts_with('-');
        let group = maven::group_of(directory);
        return (named && repository != "-local" && group.is_some()).then(|| Kept {
            name: directory.to_owned(),
            version: String::new(),
            file: format!("{METADATA}.xml"),
            changing: true,
        });
    }
    let read = Coordinates::from_path(path)?;
    let changing = maven::is_changing(&read.base);
    let read = match changing {
        true => Coordinates {
            version: read.base.clone(),
            ..read
        },
        false => read,
    };
    Some(Kept {
        name: read.name(),
        file: read.file(),
        version: read.version,
        changing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(path: &str) -> Option<(String, String, String, bool)> {
        kept(path).map(|kept| (kept.name, kept.version, kept.file, kept.changing))
    }

    #[test]
    fn one_file_is_known_as_one_thing_wherever_it_lies() {
        let of = |name: &str, version: &str, file: &str, changing| {
            Some((
                name.to_owned(),
                version.to_owned(),
                file.to_owned(),
                changing,
            ))
        };
        assert_eq!(known("g/h/x/1/x-1.jar"), of("g.h:x", "1", "x-1.jar", false));
        let snapshot = of("g:x", "1-SNAPSHOT", "x-1-SNAPSHOT-c.jar", true);
        assert_eq!(known("g/x/1-SNAPSHOT/x-1-SNAPSHOT-c.jar"), snapshot);
        assert_eq!(
            known("g/x/1-SNAPSHOT/x-1-20240102.030405-6-c.jar"),
            snapshot
        );
        let metadata = of("g/x", "", "maven-metadata.xml", true);
        assert_eq!(known("g/x/maven-metadata.xml"), metadata);
        assert_eq!(known("g/x/maven-metadata-central.xml"), metadata);
        for path in [
            "g/x/maven-metadata-local.xml",
            "g/x/maven-metadata-central.xml.sha1",
            "g/x/1/_remote.repositories",
            "g/x/1/x-1.jar.lastUpdated",
            "g/x/1/x-1-sources.jar.lastUpdated",
            "g/x/1/x-1-sources.jar.sha1",
            "g/x/1/x-1-sources.jar.sha1-06d2289c.tmp",
            "g/x/maven-metadata-central.xml.sha1-06d2289c.tmp",
            "g/../maven-metadata.xml",
            "maven-metadata.xml",
        ] {
            assert_eq!(known(path), None, "{path}");
        }
    }
}
