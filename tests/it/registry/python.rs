//! The Python side of the loopback registry: wheels in memory, an index page a project.
//!
//! The page states SHA-256 digests unless a test says otherwise.

use std::collections::BTreeMap;

use hyper::Response;
use sha2::{Digest as _, Sha256};

use super::body::Reply;
use super::{Registry, Shared};

/// A file of a project.
#[derive(Clone, Debug)]
pub(crate) struct PythonFile {
    /// File name.
    pub(crate) name: String,
    /// Content.
    pub(crate) content: Vec<u8>,
    /// What the page puts behind the address, `#` not included.
    pub(crate) fragment: String,
    /// The address on the page, where it is not the file's own.
    pub(crate) address: Option<String>,
}

/// Files by project.
pub(super) type Files = BTreeMap<String, Vec<PythonFile>>;

impl Registry {
    /// Address of the Python index.
    pub(crate) fn python_index(&self) -> String {
        format!("{}simple/", self.base())
    }

    /// Publishes a file; the page states its true digest, which is returned.
    pub(crate) fn publish_file(&self, project: &str, name: &str, content: &[u8]) -> String {
        let digest = hex::encode(Sha256::digest(content));
        self.publish_file_as(project, name, content, &format!("sha256={digest}"));
        digest
    }

    /// Publishes a file of which the page states this.
    pub(crate) fn publish_file_as(
        &self,
        project: &str,
        name: &str,
        content: &[u8],
        fragment: &str,
    ) {
        self.hold_file(project, name, content, fragment, None);
    }

    /// Puts a link onto the page of a project; the file behind it is somewhere else or nowhere.
    pub(crate) fn publish_link(&self, project: &str, name: &str, address: &str, fragment: &str) {
        self.hold_file(project, name, &[], fragment, Some(address.into()));
    }

    /// Address of a published file.
    pub(crate) fn file_url(&self, name: &str) -> String {
        format!("{}files/{name}", self.base())
    }

    /// Requests for files so far.
    pub(crate) fn files_seen(&self) -> Vec<String> {
        let paths = self.seen().into_iter().map(|seen| seen.path);
        paths.filter(|path| path.starts_with("/files/")).collect()
    }

    fn hold_file(
        &self,
        project: &str,
        name: &str,
        content: &[u8],
        fragment: &str,
        address: Option<String>,
    ) {
        let mut files = self.shared.python.lock().unwrap();
        files
            .entry(project.to_string())
            .or_default()
            .push(PythonFile {
                name: name.into(),
                content: content.into(),
                fragment: fragment.into(),
                address,
            });
    }
}

/// Type and content of a page of the Python index or a file of it; `None` for any other path, and an
/// empty type for a project that is not there.
pub(super) fn content(shared: &Shared, path: &str) -> Option<(&'static str, Vec<u8>)> {
    let files = shared.python.lock().unwrap();
    if let Some(project) = path.strip_prefix("/simple/") {
        let Some(found) = files.get(project.trim_end_matches('/')) else {
            return Some(("", Vec::new()));
        };
        let links: String = found
            .iter()
            .map(|file| {
                let separator = if file.fragment.is_empty() { "" } else { "#" };
                let own = format!("../../files/{}", file.name);
                let address = file.address.as_ref().unwrap_or(&own);
                format!(
                    "<a href=\"{address}{separator}{}\">{}</a>\n",
                    file.fragment, file.name
                )
            })
            .collect();
        let page = format!("<!DOCTYPE html><html><body>\n{links}</body></html>\n");
        return Some(("text/html", page.into_bytes()));
    }
    let name = path.strip_prefix("/files/")?;
    let file = files.values().flatten().find(|file| file.name == name)?;
    Some(("application/octet-stream", file.content.clone()))
}

/// The answer to a request of the Python index or its files; `None` for any other.
pub(super) fn answer(shared: &Shared, path: &str) -> Option<Response<Reply>> {
    let (kind, content) = content(shared, path)?;
    let response = match kind {
        "" => Response::builder().status(404),
        kind => Response::builder().header("content-type", kind),
    };
    Some(response.body(Reply::whole(content)).unwrap())
}
