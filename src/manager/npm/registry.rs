//! Addresses of registries and of the archives in them.
//!
//! Pure rules that npm applies to addresses: which registry a package name belongs to, how the
//! default registry's host in a lockfile stands for the configured one, and whether an archive's
//! address names the package that it is to be. Nothing here decides what is allowed.
//! Addresses: npm's registry documentation; credentials by address as in npm-registry-fetch.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use url::Url;

/// Registries by scope, as npm will use them.
#[derive(Clone, Debug)]
pub(super) struct Registries {
    /// For names without a scope of their own registry.
    pub(super) default: Url,
    /// By scope, `@` included.
    pub(super) scopes: BTreeMap<String, Url>,
    /// Host that stands for the configured registry in lockfiles, `replace-registry-host`.
    pub(super) replace: Replace,
}

/// Which addresses of a lockfile are moved to the configured registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Replace {
    /// None.
    Never,
    /// All.
    Always,
    /// Those on a host.
    Host(String),
    /// Those below an address.
    Below(Url),
}

impl Replace {
    /// Reads the setting; `standard` is the host of npm's built-in default registry.
    pub(super) fn of(setting: Option<&str>, standard: Option<&str>) -> Self {
        match setting {
            Some("never") => Self::Never,
            Some("always") => Self::Always,
            None | Some("npmjs" | "") => match standard {
                Some(host) => Self::Host(host.to_owned()),
                None => Self::Never,
            },
            Some(other) => match Url::parse(other) {
                Ok(url) if url.has_host() => Self::Below(url),
                _ => Self::Host(other.to_owned()),
            },
        }
    }
}

impl Registries {
    /// The address that npm will really ask for an address in a lockfile.
    pub(super) fn effective(&self, resolved: &Url) -> Url {
        let (host, prefix) = match &self.replace {
            Replace::Never => return resolved.clone(),
            Replace::Always => (resolved.host_str(), ""),
            Replace::Host(host) => (Some(host.as_str()), ""),
            Replace::Below(url) => (url.host_str(), url.path().trim_end_matches('/')),
        };
        let path = resolved.path();
        let below = |path: &str, prefix: &str| {
            path == prefix
                || path
                    .strip_prefix(prefix)
                    .is_some_and(|rest| rest.starts_with('/'))
        };
        if host != resolved.host_str() || (!prefix.is_empty() && !below(path, prefix)) {
            return resolved.clone();
        }
        let base = self.default.path().trim_end_matches('/');
        let path = if !prefix.is_empty() {
            format!("{base}{}", path.get(prefix.len()..).unwrap_or_default())
        } else if !base.is_empty() && !below(path, base) {
            format!("{base}{path}")
        } else {
            path.to_owned()
        };
        let mut moved = self.default.clone();
        moved.set_path(&path);
        moved.set_query(resolved.query());
        moved
    }
}

/// Reads a registry address as npm would use it: a final `/`, credentials taken off.
pub(super) fn base(text: &str) -> Option<(Url, Option<(String, String)>)> {
    let mut url = Url::parse(text.trim()).ok()?;
    if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
        return None;
    }
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = (!url.username().is_empty() || url.password().is_some()).then(|| {
        (
            decode(url.username()),
            decode(url.password().unwrap_or_default()),
        )
    });
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Some((url, user))
}

/// Whether an address lies below a base.
pub(super) fn lies_below(base: &Url, url: &Url) -> bool {
    base.scheme() == url.scheme()
        && base.host_str() == url.host_str()
        && base.port_or_known_default() == url.port_or_known_default()
        && url.path().starts_with(base.path())
        && !percent_decode_str(url.path())
            .decode_utf8_lossy()
            .split('/')
            .any(|part| part == "..")
}

/// Whether the address of an archive below `base` names this package and version.
///
/// `NAME/-/FILE-VERSION.tgz` is npm's own form; some registries put the version into a folder of
/// its own (`NAME/VERSION/…`), or something before the name.
pub(super) fn names_package(base: &Url, url: &Url, name: &str, version: &str) -> bool {
    let Some(rest) = url.path().strip_prefix(base.path()) else {
        return false;
    };
    let Ok(rest) = percent_decode_str(rest).decode_utf8() else {
        return false;
    };
    let parts: Vec<&str> = rest.split('/').collect();
    let wanted: Vec<&str> = name.split('/').collect();
    let file = format!(
        "{}-{version}.tgz",
        wanted.last().copied().unwrap_or_default()
    );
    (0..parts.len()).any(|start| {
        let before = parts.get(..start).unwrap_or_default();
        let Some(after) = parts
            .get(start..)
            .and_then(|rest| rest.strip_prefix(&wanted[..]))
        else {
            return false;
        };
        let plain = match after {
            ["-", rest @ ..] => match rest {
                [last] => *last == file,
                [scope, last] => Some(scope) == wanted.first() && *last == file,
                _ => false,
            },
            [folder, ..] => *folder == version,
            [] => false,
        };
        plain && !before.contains(&"-")
    })
}

/// Keys under which npm looks for credentials of an address, most specific first:
/// `//host/a/b/`, `//host/a/b`, `//host/a/`, …
pub(super) fn credential_keys(base: &Url) -> Vec<String> {
    let port = base
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let host = format!("//{}{port}", base.host_str().unwrap_or_default());
    let mut path = base.path().to_owned();
    let mut keys = Vec::new();
    loop {
        keys.push(format!("{host}{path}"));
        if path.is_empty() {
            return keys;
        }
        if path.ends_with('/') {
            path.pop();
        } else {
            path.truncate(path.rfind('/').map_or(0, |at| at + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn the_default_host_stands_for_the_configured_registry() {
        let moved = |default: &str, setting: Option<&str>, resolved: &str| {
            let replace = Replace::of(setting, Some("standard.invalid"));
            let registries = Registries {
                default: url(default),
                scopes: BTreeMap::new(),
                replace,
            };
            registries.effective(&url(resolved)).to_string()
        };
        let standard = "https://standard.invalid/a/-/a-1.0.0.tgz";
        for (default, setting, resolved, expected) in [
            (
                "https://m.invalid/",
                None,
                standard,
                "https://m.invalid/a/-/a-1.0.0.tgz",
            ),
            (
                "https://m.invalid:8443/npm/",
                None,
                standard,
                "https://m.invalid:8443/npm/a/-/a-1.0.0.tgz",
            ),
            ("https://m.invalid/npm/", Some("never"), standard, standard),
            (
                "https://m.invalid/",
                None,
                "https://o.invalid/a",
                "https://o.invalid/a",
            ),
            (
                "https://m.invalid/npm/",
                Some("always"),
                "https://m.invalid/npm/a",
                "https://m.invalid/npm/a",
            ),
            (
                "https://m.invalid/x/",
                Some("https://o.invalid/y/"),
                "https://o.invalid/y/a",
                "https://m.invalid/x/a",
            ),
            (
                "https://m.invalid/x/",
                Some("https://o.invalid/y/"),
                "https://o.invalid/yz/a",
                "https://o.invalid/yz/a",
            ),
        ] {
            assert_eq!(moved(default, setting, resolved), expected);
        }
    }

    #[test]
    fn archives_must_name_their_package() {
        let base = url("https://r.invalid/npm/");
        for (path, name, version, fits) in [
            ("a/-/a-1.0.0.tgz", "a", "1.0.0", true),
            ("@s/a/-/a-1.0.0.tgz", "@s/a", "1.0.0", true),
            ("%40s%2fa/-/a-1.0.0.tgz", "@s/a", "1.0.0", true),
            ("@s/a/-/@s/a-1.0.0.tgz", "@s/a", "1.0.0", true),
            ("download/@s/a/1.0.0/0123", "@s/a", "1.0.0", true),
            ("repo/a/-/a-1.0.0.tgz", "a", "1.0.0", true),
            ("b/-/b-1.0.0.tgz", "a", "1.0.0", false),
            ("a/-/a-1.0.1.tgz", "a", "1.0.0", false),
            ("a/-/b-1.0.0.tgz", "a", "1.0.0", false),
            ("@t/a/-/a-1.0.0.tgz", "@s/a", "1.0.0", false),
            ("b/-/a/-/a-1.0.0.tgz", "a", "1.0.0", false),
            ("a/b/-/b-1.0.0.tgz", "a", "1.0.0", false),
            ("a", "a", "1.0.0", false),
        ] {
            let address = base.join(path).unwrap();
            assert_eq!(
                names_package(&base, &address, name, version),
                fits,
                "{path}"
            );
        }
    }

    #[test]
    fn bases_are_compared_by_origin_and_path() {
        let base = url("https://r.invalid/npm/");
        assert!(lies_below(&base, &url("https://r.invalid:443/npm/a")));
        for other in [
            "https://r.invalid/npmx/a",
            "http://r.invalid/npm/a",
            "https://r.invalid:1/npm/a",
            "https://x.invalid/npm/a",
            "https://r.invalid/npm/..%2fx",
        ] {
            assert!(!lies_below(&base, &url(other)), "{other}");
        }
    }

    #[test]
    fn credentials_are_looked_up_from_the_path_upwards() {
        assert_eq!(
            credential_keys(&url("https://r.invalid:8443/a/b/")),
            [
                "//r.invalid:8443/a/b/",
                "//r.invalid:8443/a/b",
                "//r.invalid:8443/a/",
                "//r.invalid:8443/a",
                "//r.invalid:8443/",
                "//r.invalid:8443"
            ]
        );
        let (base, user) = base("https://u:p%40w@r.invalid/npm").unwrap();
        assert_eq!(
            (base.as_str(), user),
            ("https://r.invalid/npm/", Some(("u".into(), "p@w".into())))
        );
    }
}
