//! `maven-metadata.xml`: which versions there are, which file a snapshot is, what a prefix means.
//!
//! It states no digest. Checked is that it is such a document, that it speaks of the place where it
//! lies, and that what Maven makes paths of has the form of a path's segment: a version `../../x`
//! would lead the local repository elsewhere. Which version is taken is Maven's to decide.
//!
//! <https://maven.apache.org/repositories/metadata.html>.

use url::Url;

use crate::model::maven::{group_of, is_name, is_version};
use crate::model::xml::{Element, Text, XmlError};

/// What is wrong with it.
#[derive(Debug, thiserror::Error)]
pub(super) enum MetadataError {
    /// Not a document that can be read.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// A value that would not stay where it belongs.
    #[error("line {line}: `{element}` is not one that a repository can have: {value}")]
    Value {
        element: String,
        value: String,
        line: u32,
    },
    /// It speaks of another place.
    #[error("line {line}: it speaks of another place than where it lies: {value}")]
    Place { value: String, line: u32 },
}

/// Checks the document at that address.
pub(super) fn check(url: &Url, body: &[u8]) -> Result<(), MetadataError> {
    let text = Text::decode(body)?;
    let tree = text.tree("metadata")?;
    let root = tree.root();
    place(root, url)?;
    for element in root.below() {
        let fits = match element.name() {
            "artifactId" => is_name,
            "version" | "release" | "latest" | "value" => is_version,
            "classifier" | "extension" | "prefix" | "timestamp" => is_segment,
            _ => continue,
        };
        let value = element.text();
        // Empty elements say nothing, and tools write them.
        if !value.is_empty() && !fits(&value) {
            return Err(MetadataError::Value {
                element: element.name().chars().take(64).collect(),
                value: value.escape_debug().take(128).collect(),
                line: element.line(),
            });
        }
    }
    Ok(())
}

/// The group, and the artifact if it names one, end the address.
fn place(root: Element<'_>, url: &Url) -> Result<(), MetadataError> {
    let Some(group) = root.child("groupId") else {
        return Ok(());
    };
    let named = group.text().replace('.', "/");
    let artifact = root.value("artifactId");
    let below = |directory: &str| {
        url.path()
            .ends_with(&format!("/{directory}/maven-metadata.xml"))
    };
    let version = root.value("version");
    let lies = group_of(&named).is_some()
        && match artifact.as_deref() {
            None => below(&named),
            Some(artifact) => {
                let own = format!("{named}/{artifact}");
                let of_version = |version| below(&format!("{own}/{version}"));
                below(&own) || version.is_some_and(of_version)
            }
        };
    if lies || group.text().is_empty() {
        return Ok(());
    }
    let artifact = artifact.unwrap_or_default();
    Err(MetadataError::Place {
        value: format!("{}:{artifact}", group.text())
            .escape_debug()
            .take(128)
            .collect(),
        line: group.line(),
    })
}

fn is_segment(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+~".contains(&byte);
    !text.starts_with('.') && text.bytes().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str, body: &str) -> Result<(), String> {
        let url = Url::parse(&format!("https://r.invalid/m/{path}/maven-metadata.xml")).unwrap();
        check(&url, body.as_bytes()).map_err(|error| error.to_string())
    }

    const VERSIONS: &str = "<metadata><groupId>a.b</groupId><artifactId>x</artifactId><versioning>\
        <latest>2</latest><release>2</release><versions><version>1</version><version>2</version>\
        </versions><lastUpdated>20240101000000</lastUpdated></versioning></metadata>";

    #[test]
    fn each_level_is_read_where_it_lies() {
        at("a/b/x", VERSIONS).unwrap();
        let snapshot = "<metadata modelVersion='1.1.0'><groupId>a.b</groupId><artifactId>x\
            </artifactId><version>1-SNAPSHOT</version><versioning><snapshot><timestamp>\
            20240102.030405</timestamp><buildNumber>1</buildNumber></snapshot><snapshotVersions>\
            <snapshotVersion><classifier>s</classifier><extension>jar</extension>\
            <value>1-20240102.030405-1</value></snapshotVersion></snapshotVersions></versioning>\
            </metadata>";
        at("a/b/x/1-SNAPSHOT", snapshot).unwrap();
        let group = "<metadata><plugins><plugin><name>N</name><prefix>x</prefix>\
            <artifactId>x-maven-plugin</artifactId></plugin></plugins></metadata>";
        at("a/b", group).unwrap();
        at("a/b/x", "<metadata/>").unwrap();
    }

    #[test]
    fn it_speaks_of_its_own_place() {
        for path in ["a/b/y", "a/x", "c/a/b/x/y"] {
            let error = at(path, VERSIONS).unwrap_err();
            assert!(error.contains("another place"), "{error}");
        }
        let group = "<metadata><groupId>a..b</groupId></metadata>";
        assert!(at("a/b", group).is_err());
    }

    #[test]
    fn values_stay_segments_of_a_path() {
        for (name, value) in [
            ("version", "../../../etc"),
            ("value", "1/../../x"),
            ("artifactId", "..\\x"),
            ("release", "."),
            ("extension", "jar/x"),
            ("classifier", "\u{202e}"),
        ] {
            let body = format!("<metadata>\n<a><{name}>{value}</{name}></a></metadata>");
            let error = at("a/b/x", &body).unwrap_err();
            assert!(error.starts_with("line 2: "), "{error}");
        }
    }

    #[test]
    fn what_is_no_metadata_is_an_error() {
        for body in [
            "",
            "<html/>",
            "<!DOCTYPE m [<!ENTITY a 'b'>]><metadata>&a;</metadata>",
        ] {
            assert!(at("a/b/x", body).is_err(), "{body}");
        }
    }
}
