//! Repositories, credentials, certificates and the way out, from configuration and policy.
//!
//! Only what the user, the machine or the policy names is allowed; a project may choose among those.
//! Credentials go into the plan of the proxy and nowhere else. The built-in registry comes from
//! npm's own definitions.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use super::config::{Config, Origin, Setting};
use super::registry::{self, Registries, Replace};
use crate::manager::read;
use crate::model::{Code, Credential, Finding, Repository, Secret, redact_url};
use crate::profile::Policy;

/// Certificate bundles of whole systems are a few hundred kilobytes.
const LIMIT: u64 = 8 << 20;

/// Where packages may come from.
#[derive(Debug)]
pub(super) struct Places {
    /// As npm will use them.
    pub(super) registries: Registries,
    /// As the proxy will allow them, the default one first.
    pub(super) repositories: Vec<Repository>,
}

/// A registry that trusted input names.
struct Named {
    id: String,
    base: Url,
    user: Option<(String, String)>,
    place: String,
    private: bool,
}

/// Works out registries and repositories. `standard` is npm's built-in registry.
pub(super) fn places(
    config: &Config,
    policy: &Policy,
    standard: Option<&Url>,
) -> Result<Places, Vec<Finding>> {
    let mut findings = Vec::new();
    let mut named = Vec::new();
    match (config.trusted("registry"), standard) {
        (Some(setting), _) => named.extend(read_named("registry", setting, &mut findings)),
        (None, Some(url)) => named.push(Named {
            id: "registry".to_owned(),
            base: url.clone(),
            user: None,
            place: "npm's built-in default".to_owned(),
            private: false,
        }),
        (None, None) => {
            let message = "this npm states no default registry, and no configuration names one";
            findings.push(
                Finding::new(Code::Usage, "registry", message)
                    .with_hint("set `registry` in your user configuration"),
            );
        }
    }
    let scopes = scope_keys(config);
    for key in &scopes {
        let scope = key.trim_end_matches(":registry");
        if let Some(setting) = config.trusted(key) {
            named.extend(read_named(scope, setting, &mut findings));
        }
    }
    for (index, allowed) in policy.repositories.iter().enumerate() {
        named.push(Named {
            id: format!("policy-{}", index + 1),
            base: allowed.url.clone(),
            user: None,
            place: allowed.stated_in.clone(),
            private: true,
        });
    }
    let mut choose = |key: &str| choose(config, key, &named, &mut findings);
    let default = choose("registry").or_else(|| named.first().map(|first| first.base.clone()));
    let by_scope: BTreeMap<String, Url> = scopes
        .iter()
        .filter_map(|key| {
            choose(key).map(|url| (key.trim_end_matches(":registry").to_owned(), url))
        })
        .collect();
    let Some(default) = default.filter(|_| findings.is_empty()) else {
        return Err(findings);
    };
    let setting = config.passed("replace-registry-host");
    let replace = Replace::of(setting, standard.and_then(Url::host_str));
    let mut repositories: Vec<Repository> = Vec::new();
    for named in named {
        if repositories.iter().all(|known| known.base != named.base) {
            repositories.push(repository(named, config, policy));
        }
    }
    repositories.sort_by_key(|repository| repository.base != default);
    Ok(Places {
        registries: Registries {
            default,
            scopes: by_scope,
            replace,
        },
        repositories,
    })
}

fn scope_keys(config: &Config) -> Vec<String> {
    let keys = config.taken.iter().map(|setting| setting.key.clone());
    let mut keys: Vec<String> = keys.filter(|key| key.starts_with('@')).collect();
    keys.sort();
    keys.dedup();
    keys
}

fn read_named(id: &str, setting: &Setting, findings: &mut Vec<Finding>) -> Option<Named> {
    let Some((base, user)) = registry::base(&setting.value) else {
        let message = format!("`{}` is no address of a registry", setting.key);
        findings.push(Finding::new(Code::Usage, &setting.place, message));
        return None;
    };
    if base.scheme() != "https" {
        let message = format!("`{}` would be fetched without TLS: {base}", setting.key);
        findings.push(
            Finding::new(Code::PlainHttp, &setting.place, message)
                .with_hint("use the https address of the registry"),
        );
        return None;
    }
    Some(Named {
        id: id.to_owned(),
        base,
        user,
        place: setting.place.clone(),
        private: true,
    })
}

/// The effective address of a registry setting; a project's word must name an allowed one.
fn choose(config: &Config, key: &str, named: &[Named], findings: &mut Vec<Finding>) -> Option<Url> {
    let setting = config.taken(key)?;
    let address = registry::base(&setting.value).map(|(base, _)| base);
    if setting.origin != Origin::Project {
        return address;
    }
    // Only the part of the project's text that is no secret of the caller is shown.
    let shown = address.as_ref().map_or_else(String::new, redact_url);
    match address {
        Some(base) if base.scheme() != "https" => {
            let message = format!("`{key}` would be fetched without TLS");
            findings.push(
                Finding::new(Code::PlainHttp, &setting.place, message)
                    .with_hint("use the https address of the registry"),
            );
            None
        }
        Some(base) if named.iter().any(|named| named.base == base) => Some(base),
        Some(_) => {
            let message = format!(
                "`{key}` names {shown}, which neither your configuration nor a policy lists"
            );
            let hint = format!(
                "if it is to be trusted, add to v4run.toml: repositories = [{{ url = \"{shown}\" }}]"
            );
            findings.push(
                Finding::new(Code::RegistryNotAllowed, &setting.place, message).with_hint(hint),
            );
            None
        }
        None => {
            let message = format!("`{key}` is no address of a registry");
            findings.push(Finding::new(Code::ConfigRefused, &setting.place, message));
            None
        }
    }
}

fn repository(named: Named, config: &Config, policy: &Policy) -> Repository {
    let allowed = policy
        .repositories
        .iter()
        .find(|allowed| allowed.url == named.base);
    let origin = allowed.and_then(|allowed| allowed.origin.clone());
    let basic = |user: &str, password: &str| {
        Credential::Basic(Secret::new(STANDARD.encode(format!("{user}:{password}"))))
    };
    let credential = registry::credential_keys(&named.base)
        .iter()
        .find_map(|address| credential(config, address))
        .or_else(|| {
            named
                .user
                .as_ref()
                .map(|(user, password)| basic(user, password))
        });
    Repository {
        id: named.id,
        origin: origin.unwrap_or_else(|| named.base.clone()),
        base: named.base,
        configured_in: named.place,
        may_be_private: named.private,
        credential,
    }
}

/// The credential that is configured for exactly this address.
fn credential(config: &Config, address: &str) -> Option<Credential> {
    let value = |name: &str| {
        let setting = config.taken(&format!("{address}:{name}"));
        setting
            .map(|setting| setting.value.clone())
            .filter(|value| !value.is_empty())
    };
    if let Some(token) = value("_authToken") {
        return Some(Credential::Bearer(Secret::new(token)));
    }
    if let Some(both) = value("_auth") {
        return Some(Credential::Basic(Secret::new(both)));
    }
    let (user, password) = (value("username")?, value("_password")?);
    let password = STANDARD.decode(password.trim()).ok()?;
    let mut pair = format!("{user}:").into_bytes();
    pair.extend(password);
    Some(Credential::Basic(Secret::new(STANDARD.encode(pair))))
}

/// Certificates of the user's configuration, one PEM block each.
pub(super) fn anchors(
    config: &Config,
    directory: &Path,
    home: Option<&Path>,
) -> (Vec<String>, Vec<Finding>) {
    let mut texts: Vec<String> = Vec::new();
    let mut findings = Vec::new();
    let inline = config.trusted("ca").map(|setting| setting.origin);
    let inline = config
        .taken
        .iter()
        .filter(|s| s.key == "ca" && Some(s.origin) == inline);
    texts.extend(inline.map(|setting| setting.value.replace("\\n", "\n")));
    if let Some(setting) = config
        .trusted("cafile")
        .filter(|setting| setting.value != "null")
    {
        let path = match (setting.value.strip_prefix("~/"), home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => directory.join(&setting.value),
        };
        match read::file(&path, LIMIT) {
            Ok(Some(bytes)) => texts.push(String::from_utf8_lossy(&bytes).into_owned()),
            Ok(None) => findings.push(Finding::new(
                Code::ConfigIgnored,
                &setting.place,
                format!("`cafile` has no effect: there is no {}", path.display()),
            )),
            Err(error) => findings.push(Finding::new(
                Code::ConfigIgnored,
                &setting.place,
                format!("`cafile` has no effect: {} {error}", path.display()),
            )),
        }
    }
    (
        texts.iter().flat_map(|text| blocks(text)).collect(),
        findings,
    )
}

/// The certificates of a PEM text.
fn blocks(text: &str) -> Vec<String> {
    const START: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let parts = text.split(START).skip(1);
    parts
        .filter_map(|part| part.split_once(END))
        .map(|(body, _)| format!("{START}{body}{END}\n"))
        .collect()
}

/// The proxy towards the outside and the hosts that go without it.
pub(super) fn way_out(
    config: &Config,
    environment: &BTreeMap<OsString, OsString>,
) -> (Option<Secret>, String) {
    let variable = |names: &[&str]| {
        let values = names
            .iter()
            .filter_map(|name| environment.get(OsStr::new(name)));
        values
            .filter_map(|value| value.to_str())
            .find(|value| !value.is_empty())
            .map(str::to_owned)
    };
    let setting = |key: &str| {
        let value = config.trusted(key).map(|setting| setting.value.clone());
        value.filter(|value| !matches!(value.as_str(), "" | "null" | "false" | "true"))
    };
    let proxy = setting("https-proxy").or_else(|| setting("proxy"));
    let proxy = proxy.or_else(|| variable(&["https_proxy", "HTTPS_PROXY"]));
    let without = setting("noproxy").or_else(|| variable(&["no_proxy", "NO_PROXY"]));
    (proxy.map(Secret::new), without.unwrap_or_default())
}
