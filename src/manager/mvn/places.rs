//! Repositories of a run, their credentials, and the way out, from settings and policy.
//!
//! Allowed is what the user, the machine or the policy names: mirrors, repositories of profiles, and
//! the one that Maven uses without configuration. What a POM or a settings file of the project names
//! is reached only where one of those covers it. Which mirror stands for which repository follows
//! Maven's own rule: an exact name first, then the first pattern that fits.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use super::security::Vault;
use super::settings::{Author, Mirror, Server, Settings};
use crate::model::{Code, Credential, Finding, Pin, Repository, Secret};
use crate::profile::Policy;

/// A repository before mirrors are applied.
struct Wanted {
    id: String,
    url: String,
    place: String,
    private: bool,
}

/// Everything that decides where artifacts may come from.
#[derive(Debug)]
pub(super) struct Grounds<'a> {
    /// The user's file first.
    pub(super) settings: &'a [&'a Settings],
    pub(super) policy: &'a Policy,
    /// The address that Maven knows without configuration.
    pub(super) central: Option<&'a str>,
    pub(super) vault: &'a Vault,
}

impl Grounds<'_> {
    /// The repositories as the proxy will allow them.
    pub(super) fn repositories(&self) -> Result<Vec<Repository>, Finding> {
        let mut found: Vec<Repository> = Vec::new();
        let trusted = || {
            let all = self.settings.iter();
            all.filter(|settings| settings.author == Author::User)
        };
        let central = self.central.map(|url| Wanted {
            id: "central".to_owned(),
            url: url.to_owned(),
            place: "Maven's built-in model".to_owned(),
            private: false,
        });
        let named = trusted().flat_map(|settings| &settings.repositories);
        let named = named.map(|named| Wanted {
            id: named.id.clone(),
            url: named.url.clone(),
            place: named.place.clone(),
            private: true,
        });
        // A profile of that name replaces the built-in address.
        let replaced = trusted().any(|settings| {
            let mut all = settings.repositories.iter();
            all.any(|named| named.id == "central")
        });
        let wanted: Vec<Wanted> = central
            .filter(|_| !replaced)
            .into_iter()
            .chain(named)
            .collect();
        let mirrors: Vec<&Mirror> = trusted().flat_map(|settings| &settings.mirrors).collect();
        for wanted in &wanted {
            match mirror_for(&mirrors, &wanted.id, &wanted.url) {
                Some(mirror) if mirror.blocked => {}
                Some(mirror) => {
                    let origin = wanted.url.as_str();
                    self.add(
                        &mut found,
                        &mirror.id,
                        &mirror.url,
                        origin,
                        &mirror.place,
                        true,
                    )?;
                }
                None => {
                    let url = wanted.url.as_str();
                    self.add(
                        &mut found,
                        &wanted.id,
                        url,
                        url,
                        &wanted.place,
                        wanted.private,
                    )?;
                }
            }
        }
        // A mirror may stand for what only a POM names.
        for mirror in mirrors.iter().filter(|mirror| !mirror.blocked) {
            self.add(
                &mut found,
                &mirror.id,
                &mirror.url,
                &mirror.url,
                &mirror.place,
                true,
            )?;
        }
        for (index, allowed) in self.policy.repositories.iter().enumerate() {
            let id = format!("policy-{}", index + 1);
            let url = allowed.url.as_str();
            self.add(&mut found, &id, url, url, &allowed.stated_in, true)?;
        }
        Ok(found)
    }

    fn add(
        &self,
        found: &mut Vec<Repository>,
        id: &str,
        url: &str,
        origin: &str,
        place: &str,
        private: bool,
    ) -> Result<(), Finding> {
        // Without TLS nothing is allowed: Maven will ask and be refused, with the address.
        let Some(base) = base(url) else { return Ok(()) };
        if found.iter().any(|known| known.base == base) {
            return Ok(());
        }
        let stated = self.policy.repositories.iter();
        let stated = stated.filter(|allowed| allowed.url == base);
        let stated = stated.filter_map(|allowed| allowed.origin.clone()).next();
        let origin = stated.or_else(|| self::base(origin));
        found.push(Repository {
            id: id.to_owned(),
            origin: origin.unwrap_or_else(|| base.clone()),
            base,
            configured_in: place.to_owned(),
            may_be_private: private,
            credential: self.credential(id)?,
        });
        Ok(())
    }

    /// What is sent to the repository of that identifier.
    fn credential(&self, id: &str) -> Result<Option<Credential>, Finding> {
        let mut servers = self.settings.iter().flat_map(|settings| &settings.servers);
        let Some(server) = servers.find(|server| server.id == id) else {
            return Ok(None);
        };
        if let Some(token) = bearer(server) {
            return Ok(Some(Credential::Bearer(Secret::new(token))));
        }
        if let Some((name, _)) = server.headers.first() {
            let message = format!("asks for the header `{name}`, which v4run cannot send");
            let hint = "use user name and password, or a bearer token";
            return Err(Finding::new(Code::Usage, &server.place, message).with_hint(hint));
        }
        let (Some(user), Some(password)) = (&server.user, &server.password) else {
            return Ok(None);
        };
        let password = self.vault.open(password, &server.place)?;
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        Ok(Some(Credential::Basic(Secret::new(encoded))))
    }

    /// The proxy towards the outside, and what it is not for.
    pub(super) fn way_out(&self) -> Result<Option<(Secret, String)>, Finding> {
        let trusted = self.settings.iter();
        let trusted = trusted.filter(|settings| settings.author == Author::User);
        let mut proxies = trusted.flat_map(|settings| &settings.proxies);
        // Maven asks by the protocol of what is fetched, and that is always the same here.
        let Some(way) = proxies.find(|way| way.protocol.eq_ignore_ascii_case("https")) else {
            return Ok(None);
        };
        let mut address =
            Url::parse(&format!("http://{}:{}/", way.host, way.port)).map_err(|_error| {
                let message = "names no proxy: host or port cannot be read";
                Finding::new(Code::Usage, &way.place, message)
            })?;
        if let Some(user) = &way.user {
            let password = way.password.as_deref().unwrap_or_default();
            let password = self.vault.open(password, &way.place)?;
            // Setting them fails only for addresses without a host.
            let _ = address.set_username(user);
            let _ = address.set_password(Some(&password));
        }
        let without = way.without.replace('|', ",").replace("*.", ".");
        Ok(Some((Secret::new(address.to_string()), without)))
    }
}

/// The policy's pins, by the identifiers of this run.
pub(super) fn pins(policy: &Policy, repositories: &[Repository]) -> Vec<Pin> {
    let told = |pin: &crate::profile::NamePin| {
        let own = repositories
            .iter()
            .find(|known| known.base == pin.repository || known.origin == pin.repository);
        let end = if pin.prefix { "*" } else { "" };
        Pin {
            name: format!("{}{end}", pin.name),
            repository: own.map_or_else(|| pin.repository.to_string(), |own| own.id.clone()),
            stated_in: pin.stated_in.clone(),
        }
    };
    policy.pins.iter().map(told).collect()
}

/// An address as the base of a repository; nothing but https.
fn base(url: &str) -> Option<Url> {
    let text = url.trim();
    let text = if text.ends_with('/') {
        text.to_owned()
    } else {
        format!("{text}/")
    };
    let mut url = Url::parse(&text).ok()?;
    if url.scheme() != "https" || url.host_str().is_none() || url.query().is_some() {
        return None;
    }
    url.set_fragment(None);
    // Credentials belong into `servers`; what stands in an address is not sent.
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    Some(url)
}

fn bearer(server: &Server) -> Option<String> {
    let [(name, value)] = server.headers.as_slice() else {
        return None;
    };
    let token = value.strip_prefix("Bearer ")?;
    name.eq_ignore_ascii_case("authorization")
        .then(|| token.trim().to_owned())
}

/// Whether a mirror with TLS of the user or the machine stands for a repository.
pub(super) fn is_mirrored(settings: &[&Settings], id: &str, url: &str) -> bool {
    let trusted = settings
        .iter()
        .filter(|settings| settings.author == Author::User);
    let mirrors: Vec<&Mirror> = trusted.flat_map(|settings| &settings.mirrors).collect();
    mirror_for(&mirrors, id, url)
        .is_some_and(|mirror| !mirror.blocked && mirror.url.starts_with("https://"))
}

/// The mirror that stands for a repository.
fn mirror_for<'a>(mirrors: &[&'a Mirror], id: &str, url: &str) -> Option<&'a Mirror> {
    let exact = mirrors.iter().find(|mirror| mirror.of == id);
    let fits = |mirror: &&&Mirror| covers(&mirror.of, id, url);
    exact.or_else(|| mirrors.iter().find(fits)).copied()
}

/// Whether a pattern fits a repository. What excludes or names it decides, wherever it stands.
fn covers(pattern: &str, id: &str, url: &str) -> bool {
    let scheme = url
        .split(':')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let host = Url::parse(url).ok();
    let host = host.as_ref().and_then(Url::host_str).unwrap_or_default();
    let external = !matches!(host, "localhost" | "127.0.0.1") && scheme != "file";
    let mut fits = false;
    for token in pattern.split(',').map(str::trim) {
        match token.strip_prefix('!') {
            Some(excluded) if excluded == id => return false,
            Some(_) => {}
            None if token == id => return true,
            None => {
                fits |= token == "*"
                    || (token == "external:*" && external)
                    || (token == "external:http:*" && external && scheme == "http");
            }
        }
    }
    fits
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::manager::mvn::settings::{Scope, load};

    fn settings(text: &str, author: Author) -> Settings {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let path = root.join("settings.xml");
        std::fs::write(&path, format!("<settings>{text}</settings>")).unwrap();
        let scope = Scope {
            environment: &BTreeMap::new(),
            home: None,
            properties: &BTreeMap::new(),
        };
        let mut read = load(&path, author, &root, &scope).unwrap().unwrap();
        read.path = PathBuf::from("/settings.xml");
        read
    }

    fn bases(all: &[&Settings]) -> Vec<(String, String, bool)> {
        let vault = Vault::new(Path::new("/nowhere"));
        let policy = Policy::default();
        let grounds = Grounds {
            settings: all,
            policy: &policy,
            central: Some("https://central.invalid/maven2"),
            vault: &vault,
        };
        let all = grounds.repositories().unwrap().into_iter();
        all.map(|one| (one.id, one.base.to_string(), one.credential.is_some()))
            .collect()
    }

    #[test]
    fn mirrors_cover_what_maven_says_they_cover() {
        let http = "http://r.invalid/";
        let https = "https://r.invalid/";
        for (pattern, url, expected) in [
            ("*", https, true),
            ("r", https, true),
            ("a,r", https, true),
            ("*,!r", https, false),
            ("!r,*", https, false),
            ("!a,*", https, true),
            ("external:*", https, true),
            ("external:*", "https://localhost:1/", false),
            ("external:*", "file:///x", false),
            ("external:http:*", http, true),
            ("external:http:*", https, false),
            ("external:http:*", "http://127.0.0.1/", false),
            ("a", https, false),
            ("", https, false),
        ] {
            assert_eq!(covers(pattern, "r", url), expected, "{pattern} {url}");
        }
    }

    #[test]
    fn a_mirror_takes_the_place_of_what_it_stands_for() {
        let user = settings(
            "<mirrors><mirror><id>m</id><mirrorOf>*</mirrorOf><url>https://m.invalid/x</url></mirror></mirrors>\
             <servers><server><id>m</id><username>u</username><password>p</password></server></servers>\
             <profiles><profile><repositories><repository><id>r</id><url>https://r.invalid</url>\
             </repository></repositories></profile></profiles>",
            Author::User,
        );
        let all = bases(&[&user]);
        assert_eq!(all, [("m".into(), "https://m.invalid/x/".into(), true)]);
    }

    #[test]
    fn a_project_s_settings_allow_nothing() {
        let text = "<mirrors><mirror><id>m</id><mirrorOf>*</mirrorOf><url>https://m.invalid/</url></mirror></mirrors>";
        let all = bases(&[&settings(text, Author::Project)]);
        let central = (
            "central".into(),
            "https://central.invalid/maven2/".into(),
            false,
        );
        assert_eq!(all, [central]);
    }

    #[test]
    fn nothing_without_tls_is_allowed() {
        let user = settings(
            "<mirrors><mirror><id>m</id><mirrorOf>central</mirrorOf><url>http://m.invalid/</url></mirror></mirrors>",
            Author::User,
        );
        assert_eq!(bases(&[&user]), []);
    }

    #[test]
    fn the_way_out_is_the_one_for_https() {
        let user = settings(
            "<proxies><proxy><protocol>https</protocol><host>o.invalid</host><port>3128</port>\
             <username>u</username><password>p</password><nonProxyHosts>a|*.b</nonProxyHosts></proxy></proxies>",
            Author::User,
        );
        let vault = Vault::new(Path::new("/nowhere"));
        let policy = Policy::default();
        let grounds = Grounds {
            settings: &[&user],
            policy: &policy,
            central: None,
            vault: &vault,
        };
        let (address, without) = grounds.way_out().unwrap().unwrap();
        assert_eq!(address.expose(), "http://u:p@o.invalid:3128/");
        assert_eq!(without, "a,.b");
    }
}
