//! What the artifacts may be that a manager kept from earlier runs.
//!
//! A manager may keep its downloads in a directory that is laid out like the repositories they came
//! from. Nothing protects the files there between two runs, so each is compared, when it is opened,
//! with what the ledger says that was released under its path before: name, version and file by the
//! protocol's own reading, origin by the repositories of this run. What no run has released is unknown.

use std::path::{Path, PathBuf};

use http::Method;
use url::Url;

use super::confined::internal;
use crate::manager::Prepared;
use crate::model::{Finding, redact_url};
use crate::protocol::{self, Class};
use crate::store::{Directory, Item, Ledger};
use crate::supervisor::Earlier;
use crate::verify::Digests;

/// For the directories and repositories of a run.
pub(super) fn of(prepared: &Prepared) -> Result<Earlier, Finding> {
    let network = &prepared.network;
    let kept: Vec<PathBuf> = prepared.files.kept.iter().map(PathBuf::from).collect();
    let named = protocol::by_name(&network.protocol).filter(|_| !kept.is_empty());
    let Some(named) = named else {
        return Ok(Earlier::new(|_, _| false));
    };
    let directory =
        Directory::open(Path::new(&network.store)).map_err(|error| internal("store", error))?;
    let ledger = Ledger::new(&directory, &network.run);
    let repositories: Vec<(Url, String)> = network
        .repositories
        .iter()
        .map(|repository| (repository.base.clone(), redact_url(&repository.origin)))
        .collect();
    Ok(Earlier::new(move |path: &Path, digests: &Digests| {
        let mut below = kept
            .iter()
            .filter_map(|place| path.strip_prefix(place).ok());
        let Some(below) = below.next() else {
            return false;
        };
        let mut repositories = repositories.iter();
        repositories.any(|(base, origin)| {
            let Some(url) = address(base, below) else {
                return false;
            };
            let Class::Artifact {
                name,
                version: Some(version),
                file,
            } = named.classify(&Method::GET, base, &url)
            else {
                return false;
            };
            let last = url.path().rsplit('/').next().unwrap_or_default();
            let item = Item {
                protocol: named.name(),
                origin,
                name: &name,
                version: &version,
                file: file.as_deref().unwrap_or(last),
            };
            let mut content = String::new();
            let item = match named.is_changing(&version) {
                true => item.changing(&digests.sha512, &mut content),
                false => item,
            };
            // What cannot be read is not known.
            ledger.knows(item, digests).unwrap_or(false)
        })
    }))
}

/// The address that a path below such a directory has in a repository.
fn address(base: &Url, below: &Path) -> Option<Url> {
    let mut url = base.clone();
    {
        let mut segments = url.path_segments_mut().ok()?;
        segments.pop_if_empty();
        for part in below {
            segments.push(part.to_str()?);
        }
    }
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_the_address_without_its_base() {
        let base = Url::parse("https://r.invalid/maven2/").unwrap();
        let url = address(&base, Path::new("g/a b/1.0/x#1.jar")).unwrap();
        assert_eq!(
            url.as_str(),
            "https://r.invalid/maven2/g/a%20b/1.0/x%231.jar"
        );
    }
}
