//! Indexes: which may be asked, and which are.
//!
//! Allowed is what the user, the machine, the policy or pip itself names. A project (requirement
//! files, a `pip.conf` of its own) may choose among those and name no other. Credentials are taken
//! off every address: they come from the address, from another address of the same index, or from
//! netrc, and only the proxy gets them.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use url::Url;

use super::asked::Index;
use super::asked::Origin;
use super::netrc::{self, Login};
use crate::manager::read;
use crate::model::{Code, Credential, Finding, Secret, redact_url};
use crate::profile::Policy;

/// pip's file that states its own index is a few kilobytes.
const LIMIT: u64 = 1 << 20;

/// What may be asked.
#[derive(Debug, Default)]
pub(in crate::manager) struct Allowed {
    known: Vec<Index>,
    logins: Vec<Login>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

impl Allowed {
    /// What policy and pip itself allow.
    pub(in crate::manager) fn new(
        policy: &Policy,
        standard: Option<Url>,
        logins: Vec<Login>,
    ) -> Self {
        let mut allowed = Self {
            known: Vec::new(),
            logins,
        };
        for repository in &policy.repositories {
            allowed.known.push(Index {
                url: repository.url.clone(),
                credential: None,
                configured_in: repository.stated_in.clone(),
                may_be_private: true,
            });
        }
        if let Some(url) = standard {
            allowed.known.push(Index {
                url,
                credential: None,
                configured_in: "pip's built-in default".to_owned(),
                may_be_private: false,
            });
        }
        allowed
    }

    /// Adds what the user names; what cannot be read is reported where it is used.
    pub(in crate::manager) fn add(&mut self, text: &str, place: &str) {
        if let Ok((url, credential)) = address(text, place) {
            let place = place.to_owned();
            self.known.push(Index {
                url,
                credential,
                configured_in: place,
                may_be_private: true,
            });
        }
    }

    /// pip's own index, when nothing else is configured.
    pub(in crate::manager) fn standard(&self) -> Option<Index> {
        let own = self.known.iter().find(|index| !index.may_be_private)?;
        Some(self.with_credential(own.clone()))
    }

    /// Reads an address that some place states and says whether it may be asked.
    pub(in crate::manager) fn index(
        &self,
        text: &str,
        place: &str,
        origin: Origin,
    ) -> Result<Index, Finding> {
        let (url, credential) = address(text, place)?;
        let named = self.known.iter().filter(|known| known.url == url);
        let may_be_private = match (
            origin,
            named.clone().map(|known| known.may_be_private).max(),
        ) {
            (Origin::Project, None) => {
                let shown = redact_url(&url);
                let message = format!(
                    "names the index {shown}, which neither your configuration nor a policy lists"
                );
                let hint = format!(
                    "if it is to be trusted, add to v4run.toml: repositories = [{{ url = \"{shown}\" }}]"
                );
                return Err(Finding::new(Code::RegistryNotAllowed, place, message).with_hint(hint));
            }
            (Origin::Project, Some(private)) => private,
            (Origin::Cli | Origin::Environment | Origin::User, _) => true,
        };
        let configured_in = match (origin, named.clone().next()) {
            (Origin::Project, Some(known)) => known.configured_in.clone(),
            _ => place.to_owned(),
        };
        Ok(self.with_credential(Index {
            url,
            credential,
            configured_in,
            may_be_private,
        }))
    }

    fn with_credential(&self, mut index: Index) -> Index {
        let same = self.known.iter().filter(|known| known.url == index.url);
        index.credential = index.credential.take().or_else(|| {
            let stated = same.filter_map(|known| known.credential.clone()).next();
            let login = || netrc::find(&self.logins, index.url.host_str().unwrap_or_default());
            stated.or_else(|| login().map(|login| basic(&login.user, &login.password)))
        });
        index
    }
}

fn basic(user: &str, password: &str) -> Credential {
    Credential::Basic(Secret::new(STANDARD.encode(format!("{user}:{password}"))))
}

/// Reads an address: https, credentials taken off, path with a final `/`.
fn address(text: &str, place: &str) -> Result<(Url, Option<Credential>), Finding> {
    let wrong = |code, message: &str| Finding::new(code, place, message);
    let parsed = Url::parse(text.trim()).ok();
    let Some(mut url) = parsed.filter(|url| url.has_host()) else {
        let message =
            "names an index that is no https address; a directory of wheels is for `--find-links`";
        return Err(wrong(Code::ConfigRefused, message));
    };
    if url.scheme() == "http" {
        let message = format!(
            "names an index that would be fetched without TLS: {}",
            redact_url(&url)
        );
        return Err(
            wrong(Code::PlainHttp, &message).with_hint("use the https address of the index")
        );
    }
    if url.scheme() != "https" {
        return Err(wrong(
            Code::ConfigRefused,
            "names an index that is no https address",
        ));
    }
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let named = !url.username().is_empty() || url.password().is_some();
    let credential = named.then(|| {
        basic(
            &decode(url.username()),
            &decode(url.password().unwrap_or_default()),
        )
    });
    // Both fail only for addresses that cannot carry them.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    let path = format!("{}/", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok((url, credential))
}

/// The index that pip uses when nothing is configured, from its own definition of it.
pub(in crate::manager) fn standard(pip: &Path) -> Option<Url> {
    let path = pip.join("_internal/models/index.py");
    let bytes = read::file(&path, LIMIT).ok().flatten()?;
    let text = String::from_utf8(bytes).ok()?;
    let (_, rest) = text.split_once("\nPyPI = PackageIndex(")?;
    let (base, _) = rest.trim_start().strip_prefix('"')?.split_once('"')?;
    let url = Url::parse(base).ok()?.join("simple/").ok()?;
    (url.scheme() == "https" && url.has_host()).then_some(url)
}

/// The indexes that hold at one point of pip's reading.
#[derive(Clone, Debug, Default)]
pub(in crate::manager) struct Scope {
    /// In order, the one of `--index-url` first.
    pub(in crate::manager) indexes: Vec<Index>,
    /// Whether `--no-index` was said; nothing adds an index afterwards.
    pub(in crate::manager) none: bool,
}

impl Scope {
    /// `--no-index`.
    pub(in crate::manager) fn close(&mut self) {
        self.none = true;
        self.indexes.clear();
    }

    /// `--index-url` in a requirements file: replaces everything before.
    pub(in crate::manager) fn replace(&mut self, index: Index) {
        if !self.none {
            self.indexes = vec![index];
        }
    }

    /// `--extra-index-url`.
    pub(in crate::manager) fn extend(&mut self, index: Index) {
        if !self.none && self.indexes.iter().all(|known| known.url != index.url) {
            self.indexes.push(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed() -> Allowed {
        let policy = Policy {
            repositories: vec![crate::profile::AllowedRepository {
                url: Url::parse("https://policy.invalid/simple/").unwrap(),
                origin: None,
                inherits: None,
                stated_in: "v4run.toml:2".to_owned(),
            }],
            ..Policy::default()
        };
        let standard = Url::parse("https://index.invalid/simple/").unwrap();
        let logins = netrc::parse("machine index.invalid login n password m").unwrap();
        let mut allowed = Allowed::new(&policy, Some(standard), logins);
        allowed.add("https://u:p%40w@user.invalid/simple", "PIP_INDEX_URL");
        allowed
    }

    fn secret(index: &Index) -> Option<String> {
        match index.credential.as_ref()? {
            Credential::Basic(secret) | Credential::Bearer(secret) => {
                Some(String::from_utf8(STANDARD.decode(secret.expose()).unwrap()).unwrap())
            }
        }
    }

    #[test]
    fn a_project_chooses_among_what_is_allowed() {
        let allowed = allowed();
        let project = |text: &str| allowed.index(text, "requirements.txt:1", Origin::Project);
        let index = project("https://user.invalid/simple/").unwrap();
        assert_eq!(index.configured_in, "PIP_INDEX_URL");
        assert_eq!(secret(&index).as_deref(), Some("u:p@w"));
        assert!(!format!("{index:?}").contains("p@w"));
        assert!(
            project("https://policy.invalid/simple")
                .unwrap()
                .may_be_private
        );
        let standard = project("https://index.invalid/simple").unwrap();
        assert_eq!(
            (standard.may_be_private, secret(&standard).as_deref()),
            (false, Some("n:m"))
        );
        for text in [
            "https://evil.invalid/simple",
            "https://user.invalid/other",
            "https://user.invalid:444/simple",
        ] {
            assert_eq!(
                project(text).unwrap_err().code,
                Code::RegistryNotAllowed,
                "{text}"
            );
        }
    }

    #[test]
    fn an_index_is_an_https_address() {
        let allowed = allowed();
        let cli = |text: &str| allowed.index(text, "command line", Origin::Cli);
        assert_eq!(
            cli("https://new.invalid").unwrap().url.as_str(),
            "https://new.invalid/"
        );
        assert_eq!(cli("http://a.invalid/").unwrap_err().code, Code::PlainHttp);
        let secret = cli("http://u:hidden@a.invalid/").unwrap_err();
        assert!(!secret.message.contains("hidden"));
        for text in ["file:///x", "./dir", "ftp://a.invalid/", ""] {
            assert_eq!(cli(text).unwrap_err().code, Code::ConfigRefused, "{text}");
        }
    }

    #[test]
    fn the_default_is_read_from_pip_itself() {
        let pip = tempfile::tempdir().unwrap();
        let models = pip.path().join("_internal/models");
        std::fs::create_dir_all(&models).unwrap();
        let text = "class X:\n    pass\n\nPyPI = PackageIndex(\"https://index.invalid/\", file_storage_domain=\"f\")\n";
        std::fs::write(models.join("index.py"), text).unwrap();
        assert_eq!(
            standard(pip.path()).unwrap().as_str(),
            "https://index.invalid/simple/"
        );
        std::fs::write(models.join("index.py"), "PyPI = 1\n").unwrap();
        assert_eq!(standard(pip.path()), None);
    }

    #[test]
    fn no_index_holds_from_there_on() {
        let allowed = allowed();
        let index = |text: &str| allowed.index(text, "x", Origin::Cli).unwrap();
        let mut scope = Scope {
            indexes: vec![allowed.standard().unwrap()],
            none: false,
        };
        scope.extend(index("https://a.invalid/"));
        scope.extend(index("https://a.invalid"));
        assert_eq!(scope.indexes.len(), 2);
        scope.replace(index("https://b.invalid/"));
        assert_eq!(scope.indexes.len(), 1);
        scope.close();
        scope.extend(index("https://a.invalid/"));
        assert!(scope.indexes.is_empty());
    }
}
