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
        let mut files = self.shared.python.lock().unwrap();
        files
            .entry(project.to_string())
            .or_default()
            .push(PythonFile {
                name: name.into(),
                content: content.into(),
                fragment: fragment.into(),
            });
    }
}

/// The answer to a request of the Python index or its files; `None` for any other.
pub(super) fn answer(shared: &Shared, path: &str) -> Option<Response<Reply>> {
    let files = shared.python.lock().unwrap();
    if let Some(project) = path.strip_prefix("/simple/") {
        let Some(found) = files.get(project.trim_end_matches('/')) else {
            let response = Response::builder().status(404);
            return Some(response.body(Reply::whole(Vec::new())).unwrap());
        };
        let links: String = found
            .iter()
            .map(|file| {
                let separator = if file.fragment.is_empty() { "" } else { "#" };
                format!(
                    "<a href=\"../../files/{0}{separator}{1}\">{0}</a>\n",
                    file.name, file.fragment
                )
            })
            .collect();
        let page = format!("<!DOCTYPE html><html><body>\n{links}</body></html>\n");
        let response = Response::builder().header("content-type", "text/html");
        return Some(response.body(Reply::whole(page.into_bytes())).unwrap());
    }
    let name = path.strip_prefix("/files/")?;
    let file = files.values().flatten().find(|file| file.name == name)?;
    let response = Response::builder().header("content-type", "application/octet-stream");
    Some(response.body(Reply::whole(file.content.clone())).unwrap())
}
