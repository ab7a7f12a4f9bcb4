//! The allowed repositories and what belongs to whom.
//!
//! An address belongs to the repository with the longest base that it lies below: same scheme,
//! host and port, and a path that begins with the base's. Credentials follow that rule, so that they
//! never leave their base; where the protocol says so they also go to the very files that the index
//! named on the base's own scheme, host and port.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderValue;
use url::Url;

use crate::model::Credential;
use crate::model::Repository;

/// The repositories of a run; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Repositories {
    all: Arc<[Repository]>,
    /// Other ports of a configured repository's own host that its index named.
    beside: Arc<Mutex<HashSet<(String, u16)>>>,
    /// Files outside its base that a repository's credentials are for: address to identifier.
    covered: Arc<Mutex<HashMap<Url, String>>>,
}

impl Repositories {
    /// Those of the plan.
    pub(super) fn new(repositories: Vec<Repository>) -> Self {
        Self {
            all: repositories.into(),
            beside: Arc::default(),
            covered: Arc::default(),
        }
    }

    /// The base of the default repository.
    pub(super) fn first(&self) -> Option<&Url> {
        self.all.first().map(|repository| &repository.base)
    }

    /// All of them, the default one first.
    pub(super) fn all(&self) -> &[Repository] {
        &self.all
    }

    /// The repository that an address belongs to.
    pub(super) fn of(&self, url: &Url) -> Option<&Repository> {
        self.all
            .iter()
            .filter(|repository| is_below(&repository.base, url))
            .max_by_key(|repository| repository.base.path().len())
    }

    /// Whether a repository lives at that host and port.
    pub(super) fn at_host(&self, host: &str, port: u16) -> bool {
        self.all
            .iter()
            .any(|repository| lives_at(repository, host, port))
    }

    /// Whether the user configured a repository at that host and port, which may then be internal,
    /// or such a repository keeps its files there.
    pub(super) fn may_be_private(&self, host: &str, port: u16) -> bool {
        let configured =
            |repository: &Repository| repository.may_be_private && lives_at(repository, host, port);
        self.all.iter().any(configured) || self.beside().contains(&(host.to_owned(), port))
    }

    /// Notes where the index of a repository says that a file lies. Only a configured repository
    /// counts, and only its own host: no index opens the network that it stands in.
    pub(super) fn note(&self, repository: &Repository, file: &Url) {
        if let (true, Some(host), Some(port)) = (
            repository.may_be_private && repository.base.host_str() == file.host_str(),
            file.host_str(),
            file.port_or_known_default(),
        ) && !lives_at(repository, host, port)
        {
            self.beside().insert((host.to_owned(), port));
        }
    }

    fn beside(&self) -> MutexGuard<'_, HashSet<(String, u16)>> {
        self.beside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the credentials of a repository go to a file that its index named, if that lies where the
    /// repository itself is and belongs to no other.
    pub(super) fn cover(&self, repository: &Repository, file: &Url) {
        let same = repository.base.scheme() == "https"
            && file.scheme() == "https"
            && repository.base.host_str() == file.host_str()
            && repository.base.port_or_known_default() == file.port_or_known_default();
        if repository.credential.is_some() && same && self.of(file).is_none() {
            let mut covered = self.covered.lock().unwrap_or_else(PoisonError::into_inner);
            // The first that names a file keeps it.
            covered
                .entry(file.clone())
                .or_insert_with(|| repository.id.clone());
        }
    }

    fn covering(&self, url: &Url) -> Option<&Repository> {
        let covered = self.covered.lock().unwrap_or_else(PoisonError::into_inner);
        let id = covered.get(url)?;
        self.all.iter().find(|repository| repository.id == *id)
    }

    /// The `Authorization` for an address.
    pub(super) fn credential(&self, url: &Url) -> Option<HeaderValue> {
        let repository = self.of(url).or_else(|| self.covering(url))?;
        let text = match repository.credential.as_ref()? {
            Credential::Bearer(token) => format!("Bearer {}", token.expose()),
            Credential::Basic(encoded) => format!("Basic {}", encoded.expose()),
        };
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

fn lives_at(repository: &Repository, host: &str, port: u16) -> bool {
    repository.base.host_str() == Some(host)
        && repository.base.port_or_known_default() == Some(port)
}

fn is_below(base: &Url, url: &Url) -> bool {
    base.scheme() == "https"
        && url.scheme() == "https"
        && base.host_str().is_some()
        && base.host_str() == url.host_str()
        && base.port_or_known_default() == url.port_or_known_default()
        && base.path().ends_with('/')
        && url.path().starts_with(base.path())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;

    fn repository(id: &str, base: &str, token: Option<&str>) -> Repository {
        let base = Url::parse(base).unwrap();
        Repository {
            id: id.into(),
            origin: base.clone(),
            base,
            configured_in: "test".into(),
            may_be_private: false,
            credential: token.map(|token| Credential::Bearer(Secret::new(token.into()))),
        }
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn the_longest_base_wins_and_prefixes_are_whole_segments() {
        let repositories = Repositories::new(vec![
            repository("root", "https://r.invalid/npm/", None),
            repository("team", "https://r.invalid/npm/team/", Some("t")),
        ]);
        let id = |text: &str| repositories.of(&url(text)).map(|found| found.id.clone());
        assert_eq!(id("https://r.invalid/npm/left").unwrap(), "root");
        assert_eq!(id("https://r.invalid:443/npm/team/left").unwrap(), "team");
        for outside in [
            "https://r.invalid/npmx/left",
            "https://r.invalid/",
            "http://r.invalid/npm/left",
            "https://r.invalid:8443/npm/left",
            "https://x.r.invalid/npm/left",
        ] {
            assert_eq!(id(outside), None, "{outside}");
        }
        assert!(repositories.at_host("r.invalid", 443));
        assert!(!repositories.at_host("r.invalid", 80));
    }

    #[test]
    fn an_internal_index_may_keep_files_on_another_port_of_its_host() {
        let internal = Repository {
            may_be_private: true,
            ..repository("internal", "https://r.invalid/simple/", None)
        };
        let public = repository("public", "https://p.invalid/simple/", None);
        let repositories = Repositories::new(vec![internal.clone(), public.clone()]);
        for (by, file) in [
            (&internal, "https://r.invalid:8443/a.whl"),
            (&internal, "https://other.invalid/a.whl"),
            (&public, "https://p.invalid:8443/a.whl"),
            (&public, "https://r.invalid:9443/a.whl"),
        ] {
            repositories.note(by, &url(file));
        }
        assert!(repositories.may_be_private("r.invalid", 443));
        assert!(repositories.may_be_private("r.invalid", 8443));
        for (host, port) in [
            ("other.invalid", 443),
            ("p.invalid", 8443),
            ("r.invalid", 9443),
        ] {
            assert!(!repositories.may_be_private(host, port), "{host}:{port}");
        }
    }

    #[test]
    fn credentials_stay_below_their_base() {
        let repositories = Repositories::new(vec![repository(
            "team",
            "https://r.invalid/team/",
            Some("t"),
        )]);
        let sent = repositories
            .credential(&url("https://r.invalid/team/left"))
            .unwrap();
        assert_eq!(sent, "Bearer t");
        assert!(sent.is_sensitive());
        assert!(
            repositories
                .credential(&url("https://r.invalid/left"))
                .is_none()
        );
        assert!(
            repositories
                .credential(&url("https://o.invalid/team/left"))
                .is_none()
        );
    }

    #[test]
    fn files_that_an_index_names_beside_itself_may_be_covered() {
        let own = repository("own", "https://r.invalid/team/simple/", Some("t"));
        let repositories = Repositories::new(vec![own.clone()]);
        let file = url("https://r.invalid/team/files/left.whl");
        assert!(repositories.credential(&file).is_none());
        for text in [
            "https://r.invalid/team/files/left.whl",
            "https://r.invalid:444/team/files/left.whl",
            "http://r.invalid/team/files/left.whl",
            "https://other.invalid/left.whl",
        ] {
            repositories.cover(&own, &url(text));
            let sent = repositories.credential(&url(text)).is_some();
            assert_eq!(sent, url(text) == file, "{text}");
        }
        let beside = url("https://r.invalid/team/files/right.whl");
        assert!(repositories.credential(&beside).is_none());
    }
}
