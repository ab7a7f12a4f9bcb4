//! Digests that the policy itself states of artifacts: what it names, and what it approves as code.
//!
//! Called before the start, when the repositories of the run are known. An entry of `artifacts` is about
//! the file at its address below one of them; entries without such an address are about files of other
//! managers. An approval lets bytes run wherever they come from; here it also says what the artifact of
//! its package URL is, so that other bytes under that name are refused when they are fetched, and the
//! repository is asked for no digest of it. Versions that change are left out: their bytes may.
//!
//! Neither permits an address, and neither is asked where a complete lock says what there is.

use std::collections::BTreeMap;
use std::str::FromStr as _;
use std::time::SystemTime;

use packageurl::PackageUrl;

use crate::model::maven::{self, Coordinates};
use crate::model::{Anchor, Digest, Expected, Integrity, Repository};
use crate::profile::{Approval, Policy};

/// Statements about artifacts that the policy names, each with the path below a repository.
pub(super) fn named(policy: &Policy, repositories: &[Repository]) -> Vec<(String, Expected)> {
    let named = policy.artifacts.iter().filter_map(|artifact| {
        let url = artifact.url.as_ref()?;
        let below = |base: &url::Url| url.as_str().strip_prefix(base.as_str());
        let mut all = repositories.iter();
        let path = all.find_map(|one| below(&one.base).or_else(|| below(&one.origin)))?;
        let coordinates = Coordinates::from_path(path)?;
        let file = coordinates.file() == artifact.file;
        let integrity = artifact.integrity.clone();
        let stated = expected(&coordinates, integrity, artifact.stated_in.clone());
        file.then(|| (path.to_owned(), stated))
    });
    named.collect()
}

/// Statements about what the policy approves as code. One name may have several approvals: any of
/// their digests will do.
pub(super) fn approved(policy: &Policy) -> Vec<Expected> {
    let mut found: BTreeMap<Coordinates, (Vec<Digest>, Vec<&str>)> = BTreeMap::new();
    for (approval, purl) in approvals(policy) {
        if let Some(coordinates) = coordinates(&purl) {
            let (digests, places) = found.entry(coordinates).or_default();
            digests.push(approval.digest.clone());
            places.push(&approval.stated_in);
        }
    }
    let stated = found
        .into_iter()
        .filter_map(|(coordinates, (digests, places))| {
            let integrity = Integrity::any_of(digests)?;
            Some(expected(&coordinates, integrity, places.join(", ")))
        });
    stated.collect()
}

/// The approvals of Maven's artifacts that are not over, each with what it names.
pub(super) fn approvals(policy: &Policy) -> impl Iterator<Item = (&Approval, PackageUrl<'_>)> {
    let now = SystemTime::now();
    let all = policy.approvals.iter();
    all.filter(move |approval| !approval.is_expired(now))
        .filter_map(|approval| {
            let purl = PackageUrl::from_str(&approval.purl).ok()?;
            (purl.ty() == "maven").then_some((approval, purl))
        })
}

/// The file that a package URL means.
fn coordinates(purl: &PackageUrl<'_>) -> Option<Coordinates> {
    let version = purl.version()?;
    let qualifier = |key: &str| purl.qualifiers().get(key).map(ToString::to_string);
    let coordinates = Coordinates {
        group: purl.namespace()?.to_owned(),
        artifact: purl.name().to_owned(),
        base: version.to_owned(),
        version: version.to_owned(),
        classifier: qualifier("classifier"),
        extension: qualifier("type").unwrap_or_else(|| "jar".to_owned()),
    };
    let read = Coordinates::from_path(&coordinates.path())?;
    let fixed = !maven::is_changing(version);
    (fixed && read.file() == coordinates.file()).then_some(coordinates)
}

fn expected(coordinates: &Coordinates, integrity: Integrity, stated_in: String) -> Expected {
    Expected {
        name: coordinates.name(),
        version: coordinates.version.clone(),
        file: Some(coordinates.file()),
        url: None,
        integrity: Some(integrity),
        anchor: Anchor::Policy,
        stated_in,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Policy {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("v4run.toml"), text).unwrap();
        let missing = directory.path().join("missing.toml");
        Policy::load(None, directory.path(), &missing).unwrap()
    }

    fn approval(purl: &str, byte: &str, more: &str) -> String {
        format!(
            "[[approvals]]\npurl = \"{purl}\"\nsha256 = \"{}\"\nowner = \"o\"\nreason = \"r\"\n{more}\n",
            byte.repeat(32)
        )
    }

    #[test]
    fn approvals_of_one_name_are_alternatives() {
        let old = "expires = \"2001-01-01\"";
        let text = [
            approval("pkg:maven/g.h/p@1", "ab", ""),
            approval("pkg:maven/g.h/p@1?type=jar", "cd", ""),
            approval("pkg:maven/g.h/p@1?type=jar&classifier=c", "ef", ""),
            approval("pkg:maven/g.h/p@1", "11", old),
            approval("pkg:maven/g.h/p@1-SNAPSHOT", "22", ""),
            approval("pkg:maven/g.h/p@1?type=a%2Fb", "33", ""),
            approval("pkg:npm/p@1", "44", ""),
        ];
        let stated = approved(&policy(&text.concat()));
        let told: Vec<_> = stated
            .iter()
            .map(|one| {
                let integrity = one.integrity.as_ref().unwrap();
                (one.file.as_deref().unwrap(), integrity.deciding().count())
            })
            .collect();
        assert_eq!(told, [("p-1.jar", 2), ("p-1-c.jar", 1)]);
        assert!(stated.iter().all(|one| one.name == "g.h:p"));
        assert!(stated.iter().all(|one| one.anchor == Anchor::Policy));
    }

    #[test]
    fn an_artifact_is_known_by_its_address_below_a_repository_of_the_run() {
        let entry = |file: &str, url: &str| {
            format!(
                "[[artifacts]]\nfile = \"{file}\"\nurl = \"{url}\"\nsha256 = \"{}\"\n",
                "ab".repeat(32)
            )
        };
        let text = [
            entry("x-1.jar", "https://m.invalid/r/g/h/x/1/x-1.jar"),
            entry("y-1.jar", "https://o.invalid/r/g/h/y/1/y-1.jar"),
            entry("z-1.jar", "https://other.invalid/r/g/h/z/1/z-1.jar"),
            entry("v-1.jar", "https://m.invalid/r/g/h/x/1/x-1.jar"),
            entry("w-1.whl", "https://m.invalid/r/w-1.whl"),
        ];
        let url = |text: &str| url::Url::parse(text).unwrap();
        let repository = Repository {
            id: "m".into(),
            base: url("https://m.invalid/r/"),
            origin: url("https://o.invalid/r/"),
            configured_in: "test".into(),
            may_be_private: false,
            credential: None,
        };
        let stated = named(&policy(&text.concat()), &[repository]);
        let paths: Vec<&str> = stated.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["g/h/x/1/x-1.jar", "g/h/y/1/y-1.jar"]);
    }
}
