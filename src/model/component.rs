//! What is on disk after a run, as a manager's driver reads it back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Integrity;

/// Code that a package wanted to run at install time and that was not run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Script {
    /// Name of the hook (`postinstall`, or `binding.gyp` for the implicit native build).
    pub name: String,
    /// The command line as the package states it.
    pub command: String,
}

/// One installed package: one place on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledPackage {
    /// Package URL, for instance `pkg:npm/%40scope/name@1.0.0`.
    pub purl: String,
    /// Name in the ecosystem's own form.
    pub name: String,
    /// Version in the ecosystem's own form.
    pub version: String,
    /// Install path relative to the project, with `/`.
    pub path: String,
    /// What the manager's own record of the install says about the bytes.
    pub integrity: Option<Integrity>,
    /// Where the manager's own record says the bytes came from, credentials removed.
    pub resolved: Option<String>,
    /// Needed for development only.
    pub dev: bool,
    /// Optional for its dependents.
    pub optional: bool,
    /// Shipped inside another package, so never fetched on its own.
    pub bundled: bool,
    /// Was there before the run, with the same integrity.
    pub retained: bool,
    /// A directory of the project itself (a workspace, the target of a link): never fetched.
    #[serde(default)]
    pub local: bool,
    /// Install-time code that was not run.
    pub scripts: Vec<Script>,
    /// Install paths of the packages this one resolves its dependencies to.
    pub dependencies: Vec<String>,
    /// What else the driver knows of it, by the driver's own names: the artifact's file name, whether
    /// it was asked for, extras.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

/// A name as it was written, and where that is another one, as an ecosystem that takes several
/// spellings for one name writes it.
pub fn spellings(name: &str) -> impl Iterator<Item = String> {
    let normal = super::python::normalize_name(name).filter(|normal| normal != name);
    std::iter::once(name.to_owned()).chain(normal)
}

/// Names that the CycloneDX property taxonomy has for the packages of an ecosystem.
///
/// <https://github.com/CycloneDX/cyclonedx-property-taxonomy>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taxonomy {
    /// Where the package lies.
    pub path: &'static str,
    /// That it was shipped inside another package.
    pub bundled: &'static str,
    /// That it is needed for development only.
    pub development: &'static str,
}

/// By the beginning of the package URL.
const TAXONOMIES: &[(&str, Taxonomy)] = &[(
    "pkg:npm/",
    Taxonomy {
        path: "cdx:npm:package:path",
        bundled: "cdx:npm:package:bundled",
        development: "cdx:npm:package:development",
    },
)];

impl Taxonomy {
    /// The names for a package, where its ecosystem has any.
    pub fn of(purl: &str) -> Option<&'static Self> {
        let mut all = TAXONOMIES.iter();
        let (_, names) = all.find(|(start, _)| purl.starts_with(start))?;
        Some(names)
    }
}
