//! What the proxy may do for a pip run: its indexes, and where the files of wheels go.

use std::ffi::OsStr;
use std::path::Path;

use super::checked::Index;
use super::distribution;
use super::target::Target;
use super::writes::Install;
use crate::manager::Request;
use crate::model::{Layout, Occupied, Repository};
use crate::profile::Programs;

/// The indexes as the proxy will allow them.
pub(super) fn repositories(indexes: &[Index], request: &Request<'_>) -> Vec<Repository> {
    let policy = &request.policy.repositories;
    let mut found: Vec<Repository> = Vec::new();
    for (number, index) in indexes.iter().enumerate() {
        let allowed = policy.iter().find(|allowed| allowed.url == index.url);
        let origin = allowed.and_then(|allowed| allowed.origin.clone());
        let id = match number {
            0 => "index".to_owned(),
            more => format!("index-{}", more + 1),
        };
        if found.iter().all(|known| known.base != index.url) {
            found.push(Repository {
                id,
                base: index.url.clone(),
                origin: origin.unwrap_or_else(|| index.url.clone()),
                configured_in: index.configured_in.clone(),
                may_be_private: index.may_be_private,
                credential: index.credential.clone(),
            });
        }
    }
    found
}

/// Where the parts of a wheel go, and what is there already.
pub(super) fn layout(target: &Target, install: &Install, programs: &Programs) -> Layout {
    let relative = |path: &Path| {
        let path = path.strip_prefix(&install.base).ok()?;
        path.to_str().map(str::to_owned)
    };
    let mut occupied = Vec::new();
    for place in &install.packages {
        let (found, _) = distribution::read(place, true);
        for distribution in found {
            for entry in distribution.files.into_iter().flatten() {
                let compiled = entry.path.extension() == Some(OsStr::new("pyc"));
                if let Some(path) = relative(&entry.path).filter(|_| !compiled) {
                    occupied.push(Occupied {
                        path,
                        owner: distribution.name.clone(),
                        digest: entry.digest,
                    });
                }
            }
        }
    }
    let (major, minor) = target.python_version;
    let own = [
        target.prefix.join("pyvenv.cfg"),
        target.scripts.join("python"),
        target.scripts.join("python3"),
        target.scripts.join(format!("python{major}.{minor}")),
    ];
    let own = own.iter().filter(|path| path.exists());
    occupied.extend(own.filter_map(|path| relative(path)).map(|path| Occupied {
        path,
        owner: String::new(),
        digest: None,
    }));
    let reserved = relative(&target.pip).map(|path| (path, "pip".to_owned()));
    Layout {
        places: install.by_word(),
        occupied,
        reserved: reserved.into_iter().collect(),
        programs: programs.names.clone(),
    }
}
