//! The allowed repositories and what belongs to whom.
//!
//! An address belongs to the repository with the longest base that it lies below: same scheme,
//! host and port, and a path that begins with the base's. Credentials follow that rule and no
//! other, so that they never leave their base.

use std::sync::Arc;

use http::HeaderValue;
use url::Url;

use crate::model::Credential;
use crate::model::Repository;

/// The repositories of a run; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Repositories(Arc<[Repository]>);

impl Repositories {
    /// Those of the plan.
    pub(super) fn new(repositories: Vec<Repository>) -> Self {
        Self(repositories.into())
    }

    /// The base of the default repository.
    pub(super) fn first(&self) -> Option<&Url> {
        self.0.first().map(|repository| &repository.base)
    }

    /// All of them, the default one first.
    pub(super) fn all(&self) -> &[Repository] {
        &self.0
    }

    /// The repository that an address belongs to.
    pub(super) fn of(&self, url: &Url) -> Option<&Repository> {
        self.0
            .iter()
            .filter(|repository| is_below(&repository.base, url))
            .max_by_key(|repository| repository.base.path().len())
    }

    /// Whether a repository lives at that host and port.
    pub(super) fn at_host(&self, host: &str, port: u16) -> bool {
        self.0
            .iter()
            .any(|repository| lives_at(repository, host, port))
    }

    /// Whether the user configured a repository at that host and port, which may then be internal.
    pub(super) fn may_be_private(&self, host: &str, port: u16) -> bool {
        self.0
            .iter()
            .any(|repository| repository.may_be_private && lives_at(repository, host, port))
    }

    /// The `Authorization` for an address.
    pub(super) fn credential(&self, url: &Url) -> Option<HeaderValue> {
        let text = match self.of(url)?.credential.as_ref()? {
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
}
