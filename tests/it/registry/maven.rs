//! The Maven side of the loopback registry: the artifacts that the operating system installed, and the
//! tests' own beside them, in the layout of a Maven repository below `/maven2/`.
//!
//! Every file has a `.sha1` beside it, made when it is asked for, unless a test says otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path};

use hyper::Response;
use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use super::body::Reply;
use super::{Registry, Shared};

/// Where Debian's packages put artifacts.
const INSTALLED: &str = "/usr/share/maven-repo";

/// The tests' own files by path, and which files have which sums.
#[derive(Default)]
pub(super) struct Files {
    own: BTreeMap<String, Vec<u8>>,
    /// Paths without any sum.
    bare: BTreeSet<String>,
    /// Whether SHA-256 is offered too.
    strong: bool,
}

impl Registry {
    /// Address of the Maven repository.
    pub(crate) fn maven(&self) -> String {
        format!("{}maven2/", self.base())
    }

    /// Publishes a file, or another content in the place of one of the system's.
    pub(crate) fn put(&self, path: &str, content: impl Into<Vec<u8>>) {
        let mut files = self.shared.maven.lock().unwrap();
        files.own.insert(path.into(), content.into());
    }

    /// Offers no sums for paths that end so.
    pub(crate) fn without_sums(&self, path: &str) {
        self.shared.maven.lock().unwrap().bare.insert(path.into());
    }

    /// Offers SHA-256 for every file.
    pub(crate) fn with_strong_sums(&self) {
        self.shared.maven.lock().unwrap().strong = true;
    }

    /// Paths of the repository that were asked for so far.
    pub(crate) fn maven_seen(&self) -> Vec<String> {
        let paths = self.seen().into_iter().map(|seen| seen.path);
        paths
            .filter_map(|path| Some(path.strip_prefix("/maven2/")?.to_owned()))
            .collect()
    }
}

/// A file of the repository; `None` when there is none.
pub(super) fn file(files: &Files, path: &str) -> Option<Vec<u8>> {
    if let Some(content) = files.own.get(path) {
        return Some(content.clone());
    }
    for (ending, sum) in [
        (
            ".sha1",
            (|bytes: &[u8]| hex::encode(Sha1::digest(bytes))) as fn(&[u8]) -> String,
        ),
        (".sha256", |bytes| hex::encode(Sha256::digest(bytes))),
    ] {
        let Some(of) = path.strip_suffix(ending) else {
            continue;
        };
        let offered = ending == ".sha1" || files.strong;
        let bare = files.bare.iter().any(|end| of.ends_with(end));
        return (offered && !bare)
            .then(|| file(files, of))?
            .map(|bytes| sum(&bytes).into_bytes());
    }
    if let Some(directory) = path.strip_suffix("/maven-metadata.xml") {
        return metadata(directory);
    }
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    if !Path::new(path).components().all(plain) {
        return None;
    }
    fs::read(Path::new(INSTALLED).join(path)).ok()
}

/// What a repository says of a plugin group, or of the versions of an artifact.
fn metadata(directory: &str) -> Option<Vec<u8>> {
    let folder = Path::new(INSTALLED).join(directory);
    let names = |folder: &Path| -> BTreeSet<String> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.path().is_dir());
        folders
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    };
    let artifact = directory.rsplit('/').next()?;
    let has_jar = |name: &String| {
        folder
            .join(name)
            .join(format!("{artifact}-{name}.jar"))
            .exists()
    };
    let versions: BTreeSet<String> = names(&folder).into_iter().filter(has_jar).collect();
    let body = match versions.last() {
        Some(last) => {
            let all: String = versions
                .iter()
                .map(|version| format!("<version>{version}</version>"))
                .collect();
            let group = directory.strip_suffix(artifact)?.trim_end_matches('/');
            format!(
                "<groupId>{}</groupId><artifactId>{artifact}</artifactId><versioning>\
                 <latest>{last}</latest><release>{last}</release><versions>{all}</versions>\
                 <lastUpdated>20240101000000</lastUpdated></versioning>",
                group.replace('/', ".")
            )
        }
        None => {
            let plugins: String = names(&folder)
                .into_iter()
                .filter_map(|name| {
                    let prefix = name.strip_prefix("maven-")?.strip_suffix("-plugin")?;
                    Some(format!(
                        "<plugin><name>{name}</name><prefix>{prefix}</prefix>\
                         <artifactId>{name}</artifactId></plugin>"
                    ))
                })
                .collect();
            if plugins.is_empty() {
                return None;
            }
            format!("<plugins>{plugins}</plugins>")
        }
    };
    let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<metadata>{body}</metadata>\n");
    Some(text.into_bytes())
}

/// Content of a path of the repository, when it is one.
pub(super) fn content(shared: &Shared, path: &str) -> Option<Vec<u8>> {
    let path = path.strip_prefix("/maven2/")?;
    file(&shared.maven.lock().unwrap(), path)
}

/// The answer to a request of the repository; `None` for any other.
pub(super) fn answer(shared: &Shared, path: &str) -> Option<Response<Reply>> {
    path.strip_prefix("/maven2/")?;
    let response = match content(shared, path) {
        Some(content) => Response::builder()
            .header("content-type", "application/octet-stream")
            .body(Reply::whole(content)),
        None => Response::builder()
            .status(404)
            .body(Reply::whole(Vec::new())),
    };
    Some(response.unwrap())
}
