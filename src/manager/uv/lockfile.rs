//! `uv.lock` as what `uv sync` installs from: every entry is checked, every wheel is an anchor.
//!
//! uv fetches each wheel from the address that the lock names and asks no index. So the lock's word
//! on an address is handed to the proxy together with its digest; it is a promise and not a
//! permission: the proxy lets it through only where an index of the run names that address too.
//! Form: version 1, <https://docs.astral.sh/uv/concepts/projects/layout/#the-lockfile>.

use std::path::Path;

use toml::de::{DeTable, DeValue};
use url::Url;

use super::document::{Document, items, table, text, value};
use crate::manager::python::asked::Origin;
use crate::manager::python::index::Allowed;
use crate::manager::python::lock;
use crate::manager::python::requirement::normal_version;
use crate::model::{Anchor, Code, Expected, Finding, Integrity, python};

/// What a lock was found to say.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// Wheels with their address.
    pub(super) expected: Vec<Expected>,
    /// Refusals.
    pub(super) findings: Vec<Finding>,
}

/// Checks a lock. `builds` says whether the project itself would be installed.
pub(super) fn check(document: &Document, allowed: &Allowed, builds: bool) -> Checked {
    let mut checked = Checked::default();
    let root = match document.parse() {
        Ok(root) => root,
        Err(finding) => {
            let path = document.path.as_path();
            checked.findings.push(lock::invalid(path, &finding.message));
            return checked;
        }
    };
    let version = value(&root, "version").map(|(_, value)| value);
    if !matches!(version, Some(DeValue::Integer(number)) if number.as_str() == "1") {
        let message = "has a version that v4run does not know";
        checked
            .findings
            .push(lock::invalid(&document.path, message));
        return checked;
    }
    let packages = value(&root, "package").map(|(position, value)| items(position, value));
    for (position, package) in packages.unwrap_or_default() {
        if let DeValue::Table(package) = package
            && let Err(finding) = checked.package(package, position, document, allowed, builds)
        {
            checked.findings.push(finding);
        }
    }
    checked
}

impl Checked {
    fn package(
        &mut self,
        package: &DeTable<'_>,
        position: usize,
        document: &Document,
        allowed: &Allowed,
        builds: bool,
    ) -> Result<(), Finding> {
        let at = |key: &str| {
            let position = value(package, key).map_or(position, |(position, _)| position);
            document.place(position)
        };
        let entry = |message: &str| Finding::new(Code::LockInvalid, at("name"), message.to_owned());
        let name = text(package, "name").and_then(python::normalize_name);
        let name = name.ok_or_else(|| entry("has an entry without the name of a package"))?;
        let source =
            table(package, "source").ok_or_else(|| entry("has an entry without source"))?;
        let (kind, from) = match source.iter().next() {
            Some((kind, from)) => (kind.get_ref().as_ref(), from.get_ref()),
            None => return Err(entry("has an entry without source")),
        };
        let from = if let DeValue::String(from) = from {
            from.as_ref()
        } else {
            ""
        };
        match (kind, from) {
            ("registry", index) => {
                allowed.index(index, &at("source"), Origin::Project)?;
            }
            ("virtual", ".") => return Ok(()),
            ("editable" | "directory", ".") if builds => {
                let message =
                    format!("`{name}` is the project itself: installing it runs its build backend");
                let finding = Finding::new(Code::CommandRunsCode, at("source"), message);
                return Err(finding.with_hint(
                    "install its dependencies only: `v4run uv sync --no-install-project`",
                ));
            }
            ("editable" | "directory", ".") => return Ok(()),
            (kind, _) => {
                let message = format!("`{name}` comes from a {kind} source, not from an index");
                return Err(Finding::new(Code::DependencyRefused, at("source"), message));
            }
        }
        let version = text(package, "version").ok_or_else(|| entry("has no version"))?;
        let wheels = value(package, "wheels").map(|(position, value)| items(position, value));
        for (position, wheel) in wheels.unwrap_or_default() {
            let DeValue::Table(wheel) = wheel else {
                continue;
            };
            let place = document.place(position);
            self.expected.push(promise(wheel, &name, version, place)?);
        }
        Ok(())
    }
}

/// The promise about one wheel.
fn promise(
    wheel: &DeTable<'_>,
    name: &str,
    version: &str,
    place: String,
) -> Result<Expected, Finding> {
    let refuse = |code, message: &str| Finding::new(code, &place, format!("`{name}` {message}"));
    let address = text(wheel, "url").and_then(|url| Url::parse(url).ok());
    let mut url = address.ok_or_else(|| {
        refuse(
            Code::DependencyRefused,
            "has a wheel without an address of an index",
        )
    })?;
    if url.scheme() != "https" {
        return Err(refuse(
            Code::PlainHttp,
            "has a wheel that would be fetched without TLS",
        ));
    }
    url.set_fragment(None);
    let file = url.path_segments().and_then(Iterator::last);
    let file = file
        .and_then(|file| {
            let decoded = percent_encoding::percent_decode_str(file)
                .decode_utf8()
                .ok()?;
            Some(decoded.into_owned())
        })
        .filter(|file| {
            python::wheel_name(file).is_some_and(|wheel| {
                wheel.name == name && normal_version(&wheel.version) == normal_version(version)
            })
        })
        .ok_or_else(|| {
            refuse(
                Code::LockInvalid,
                "has a wheel of another package or version",
            )
        })?;
    let digest = text(wheel, "hash").ok_or_else(|| {
        refuse(Code::IntegrityMissing, "has a wheel without a digest")
            .with_hint("recreate the lock with `v4run uv lock`")
    })?;
    let digest = lock::digest(digest).ok().flatten().ok_or_else(|| {
        refuse(
            Code::IntegrityWeak,
            "has a wheel whose digest suffices for nothing",
        )
    })?;
    Ok(Expected {
        name: name.to_owned(),
        version: normal_version(version),
        file: Some(file),
        url: Some(url),
        integrity: Integrity::any_of(vec![digest]),
        anchor: Anchor::Lockfile,
        stated_in: place,
    })
}

/// Where the lock of a project lies.
pub(super) fn path(project: &Path) -> std::path::PathBuf {
    project.join("uv.lock")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Policy;

    fn checked(packages: &str, builds: bool) -> Checked {
        let document = Document {
            path: "/p/uv.lock".into(),
            shown: "uv.lock".to_owned(),
            text: format!("version = 1\n{packages}"),
        };
        let mut allowed = Allowed::new(&Policy::default(), None, Vec::new());
        allowed.add("https://i.invalid/simple", "test");
        check(&document, &allowed, builds)
    }

    const REGISTRY: &str = "source = { registry = 'https://i.invalid/simple' }";

    #[test]
    fn wheels_are_promised_with_address_and_digest() {
        let digest = "ab".repeat(32);
        let text = format!(
            "[[package]]\nname = 'a'\nversion = '1.0'\n{REGISTRY}\nwheels = [\n  {{ url = 'https://f.invalid/x/a-1.0-py3-none-any.whl', hash = 'sha256:{digest}' }},\n]\n[[package]]\nname = 'own'\nversion = '0'\nsource = {{ virtual = '.' }}\n"
        );
        let checked = checked(&text, true);
        assert!(checked.findings.is_empty(), "{:?}", checked.findings);
        let [one] = checked.expected.as_slice() else {
            panic!("{:?}", checked.expected)
        };
        assert_eq!(one.stated_in, "uv.lock:7");
        assert_eq!(one.url.as_ref().unwrap().host_str(), Some("f.invalid"));
        assert_eq!(one.anchor, Anchor::Lockfile);
    }

    #[test]
    fn sources_that_are_no_index_are_refused_by_line() {
        for (source, code) in [
            (
                "{ git = 'https://g.invalid/a?rev=1#2' }",
                Code::DependencyRefused,
            ),
            (
                "{ url = 'https://g.invalid/a.whl' }",
                Code::DependencyRefused,
            ),
            ("{ path = 'a.whl' }", Code::DependencyRefused),
            ("{ editable = 'lib' }", Code::DependencyRefused),
            ("{ directory = '../x' }", Code::DependencyRefused),
            ("{ editable = '.' }", Code::CommandRunsCode),
            (
                "{ registry = 'https://other.invalid/simple' }",
                Code::RegistryNotAllowed,
            ),
            ("{ registry = 'wheels' }", Code::ConfigRefused),
        ] {
            let text = format!("[[package]]\nname = 'a'\nversion = '1'\nsource = {source}\n");
            let checked = checked(&text, true);
            assert_eq!(checked.findings.len(), 1, "{source}");
            assert_eq!(checked.findings[0].code, code, "{source}");
            assert_eq!(checked.findings[0].subject, "uv.lock:5", "{source}");
        }
        let own = "[[package]]\nname = 'a'\nversion = '1'\nsource = { editable = '.' }\n";
        assert!(checked(own, false).findings.is_empty());
    }

    #[test]
    fn wheels_without_a_digest_that_suffices_are_refused() {
        for (wheel, code) in [
            (
                "url = 'https://f.invalid/a-1-py3-none-any.whl'",
                Code::IntegrityMissing,
            ),
            (
                "url = 'https://f.invalid/a-1-py3-none-any.whl', hash = 'md5:00'",
                Code::IntegrityWeak,
            ),
            (
                "url = 'https://f.invalid/b-1-py3-none-any.whl', hash = 'sha256:00'",
                Code::LockInvalid,
            ),
            (
                "url = 'http://f.invalid/a-1-py3-none-any.whl', hash = 'sha256:00'",
                Code::PlainHttp,
            ),
            (
                "path = 'a-1-py3-none-any.whl', hash = 'sha256:00'",
                Code::DependencyRefused,
            ),
        ] {
            let text = format!(
                "[[package]]\nname = 'a'\nversion = '1'\n{REGISTRY}\nwheels = [{{ {wheel} }}]\n"
            );
            let checked = checked(&text, true);
            assert_eq!(checked.findings.len(), 1, "{wheel}");
            assert_eq!(checked.findings[0].code, code, "{wheel}");
        }
        assert_eq!(
            checked("version = 1", true).findings[0].code,
            Code::LockInvalid
        );
    }
}
