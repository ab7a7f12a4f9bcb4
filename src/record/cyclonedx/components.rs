//! Components, tools, project and the dependency graph.
//!
//! One component a package URL, whatever the number of its places on disk. Digests are those that
//! v4run computed over the released bytes; where nothing was released for a package, the digest of
//! the manager's own record, if it is a strong one.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use super::iri::iri;
use super::schema::{
    Component, ComponentEvidence, Dependency, ExternalReference, Hash, Identity, Method,
    Occurrence, Property, property,
};
use super::{PROJECT, hash};
use crate::model::{
    Digest, InstalledPackage, Released, Standing, Taxonomy, Tool, Vouched, redact_url,
};
use crate::record::Outcome;
use crate::record::index::Index;
use crate::record::summary::anchor;

/// Installed packages, by package URL.
pub(super) fn installed(index: &Index<'_>) -> Vec<Component> {
    let mut places: BTreeMap<&str, Vec<&InstalledPackage>> = BTreeMap::new();
    for package in &index.packages {
        places.entry(&package.purl).or_default().push(package);
    }
    places
        .into_iter()
        .filter_map(|(purl, packages)| component(index, purl, &packages))
        .collect()
}

fn component(index: &Index<'_>, purl: &str, places: &[&InstalledPackage]) -> Option<Component> {
    let first = places.first()?;
    let released = places.iter().find_map(|package| index.release_of(package));
    let vouched = places.iter().find_map(|package| index.vouched_of(package));
    let optional = places.iter().all(|package| package.optional);
    Some(Component {
        kind: "library",
        bom_ref: purl.to_owned(),
        name: first.name.clone(),
        version: Some(first.version.clone()),
        scope: Some(if optional { "optional" } else { "required" }),
        purl: Some(purl.to_owned()),
        hashes: match released {
            Some(released) => released.digests().filter_map(hash).collect(),
            None => recorded(places),
        },
        external_references: distribution(released, places)
            .into_iter()
            .chain(vouched.and_then(source))
            .collect(),
        evidence: Some(ComponentEvidence {
            identity: released.map(identity).into_iter().collect(),
            occurrences: places
                .iter()
                .map(|package| Occurrence {
                    location: package.path.clone(),
                })
                .collect(),
        }),
        properties: properties(purl, places, released)
            .into_iter()
            .chain(vouched.into_iter().flat_map(signed))
            .collect(),
        ..Component::default()
    })
}

fn recorded(places: &[&InstalledPackage]) -> Vec<Hash> {
    let stated: BTreeSet<&Digest> = places
        .iter()
        .filter_map(|package| package.integrity.as_ref())
        .flat_map(|integrity| integrity.deciding())
        .collect();
    // Several are alternatives, and a list of hashes would say that all hold.
    match (stated.first(), stated.len()) {
        (Some(only), 1) => hash(only).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn identity(released: &Released) -> Identity {
    Identity {
        field: "hash",
        confidence: 1.0,
        methods: vec![Method {
            technique: "hash-comparison",
            confidence: 1.0,
            value: format!(
                "compared before release, expected digest from {}",
                anchor(released.anchor)
            ),
        }],
    }
}

fn distribution(
    released: Option<&Released>,
    places: &[&InstalledPackage],
) -> Option<ExternalReference> {
    if let Some((released, url)) = released.and_then(|found| Some((found, iri(&found.url)?))) {
        return Some(ExternalReference {
            kind: "distribution",
            url,
            comment: Some(format!("repository {}", released.repository)),
            hashes: released.digests().filter_map(hash).collect(),
        });
    }
    // Foreign text: only what is a web address, and without what may be a credential.
    let url = places.iter().find_map(|package| {
        let url = Url::parse(package.resolved.as_deref()?).ok()?;
        matches!(url.scheme(), "http" | "https").then(|| iri(&redact_url(&url)))?
    })?;
    Some(ExternalReference {
        kind: "distribution",
        url,
        comment: Some("as the package manager's own record says; not fetched in this run".into()),
        hashes: Vec::new(),
    })
}

/// Where it was built from, by a certificate that was verified.
fn source(vouched: &Vouched) -> Option<ExternalReference> {
    let built = vouched.built.as_ref()?;
    Some(ExternalReference {
        kind: "vcs",
        url: iri(&built.repository)?,
        comment: Some(format!(
            "commit {}, as a verified certificate says",
            built.commit
        )),
        hashes: Vec::new(),
    })
}

/// Who signed and how it was published, each with how that is known.
fn signed(vouched: &Vouched) -> Vec<Property> {
    let standing = |standing| match standing {
        Standing::Invalid => "invalid",
        Standing::Unknown => "unknown",
        Standing::Observed => "observed",
        Standing::Verified => "verified",
    };
    let mut found: Vec<Property> = vouched
        .checks
        .iter()
        .map(|check| {
            let parts = [&check.signer, &check.time, &check.reason]
                .into_iter()
                .flatten();
            let parts: Vec<&str> = parts.map(String::as_str).collect();
            let name = check.proof.name();
            let value = format!("{name} {}: {}", standing(check.standing), parts.join(", "));
            property("v4run:signed", value.trim_end_matches(": "))
        })
        .collect();
    if let Some(built) = &vouched.built {
        found.push(property("v4run:source:commit", &built.commit));
    }
    if let Some(published) = &vouched.published {
        found.push(property("v4run:published", published));
    }
    if let Some(grade) = vouched.grade {
        found.push(property("v4run:publishing", grade.name()));
    }
    found
}

fn properties(
    purl: &str,
    places: &[&InstalledPackage],
    released: Option<&Released>,
) -> Vec<Property> {
    let mut found = BTreeSet::new();
    if let Some(names) = Taxonomy::of(purl) {
        for package in places {
            found.insert((names.path, package.path.clone()));
        }
        if places.iter().all(|package| package.bundled) {
            found.insert((names.bundled, "true".to_owned()));
        }
        if places.iter().all(|package| package.dev) {
            found.insert((names.development, "true".to_owned()));
        }
    }
    if released.is_none() && places.iter().any(|package| package.retained) {
        found.insert(("v4run:retained", "true".to_owned()));
    }
    if places.iter().all(|package| package.local) {
        found.insert(("v4run:local", "true".to_owned()));
    }
    for script in places.iter().flat_map(|package| &package.scripts) {
        found.insert((
            "v4run:script-suppressed",
            format!("{}: {}", script.name, script.command),
        ));
    }
    if let Some(released) = released {
        found.insert(("v4run:repository", released.repository.clone()));
        found.insert(("v4run:anchor", anchor(released.anchor).to_owned()));
    }
    let details: BTreeSet<(&String, &String)> =
        places.iter().flat_map(|package| &package.details).collect();
    let details = details
        .into_iter()
        .map(|(name, value)| property(format!("v4run:{name}"), value));
    found
        .into_iter()
        .map(|(name, value)| property(name, value))
        .chain(details)
        .collect()
}

/// v4run, the manager and its runtime.
pub(super) fn tools(index: &Index<'_>) -> Vec<Component> {
    let own = index.tools.iter().any(|tool| tool.name == "v4run");
    let mut seen = BTreeSet::new();
    let mut tools: Vec<Component> = index
        .tools
        .iter()
        .filter(|tool| seen.insert((&tool.name, &tool.path)))
        .enumerate()
        .map(|(number, tool)| described(number, tool))
        .collect();
    tools.extend(
        index
            .trusted
            .iter()
            .map(|(digest, place)| code(digest, *place)),
    );
    if !own {
        tools.insert(
            0,
            Component {
                kind: "application",
                bom_ref: "tool:v4run".to_owned(),
                name: "v4run".to_owned(),
                version: Some(env!("CARGO_PKG_VERSION").to_owned()),
                ..Component::default()
            },
        );
    }
    tools
}

/// An artifact whose code the manager may have run.
fn code(digest: &Digest, (path, why): (&str, &str)) -> Component {
    let name = path.rsplit('/').next().unwrap_or_default();
    Component {
        kind: "library",
        bom_ref: format!("tool:code:{}", digest.hex()),
        name: name.to_owned(),
        hashes: hash(digest).into_iter().collect(),
        properties: vec![property("v4run:path", path), property("v4run:trusted", why)],
        ..Component::default()
    }
}

fn described(number: usize, tool: &Tool) -> Component {
    Component {
        kind: "application",
        bom_ref: format!("tool:{number}:{}", tool.name),
        name: tool.name.clone(),
        version: tool.version.clone(),
        hashes: tool.sha256.as_ref().and_then(hash).into_iter().collect(),
        properties: vec![property("v4run:path", tool.path.clone())],
        ..Component::default()
    }
}

/// The project that was installed into.
pub(super) fn project(index: &Index<'_>, outcome: &Outcome) -> Component {
    let name = outcome.project.name.clone().or_else(|| {
        let folder = outcome.project.root.file_name()?;
        Some(folder.to_string_lossy().into_owned())
    });
    let inputs: BTreeSet<(&str, String)> = index
        .inputs
        .iter()
        .map(|input| (input.name, input.sha256.hex()))
        .collect();
    Component {
        kind: "application",
        bom_ref: PROJECT.to_owned(),
        name: name.unwrap_or_else(|| PROJECT.to_owned()),
        version: outcome.project.version.clone(),
        properties: std::iter::once(property(
            "v4run:root",
            outcome.project.root.to_string_lossy(),
        ))
        .chain(
            inputs
                .into_iter()
                .map(|(name, hex)| property("v4run:input", format!("{name} sha256:{hex}"))),
        )
        .collect(),
        ..Component::default()
    }
}

/// Who needs whom, by package URL; the project first.
pub(super) fn dependencies(index: &Index<'_>) -> Vec<Dependency> {
    let purls: BTreeMap<&str, &str> = index
        .packages
        .iter()
        .map(|package| (package.path.as_str(), package.purl.as_str()))
        .collect();
    let resolve = |paths: &[String]| -> BTreeSet<String> {
        paths
            .iter()
            .filter_map(|path| purls.get(path.as_str()))
            .map(|purl| (*purl).to_owned())
            .collect()
    };
    let mut edges: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for package in &index.packages {
        edges
            .entry(&package.purl)
            .or_default()
            .extend(resolve(&package.dependencies));
    }
    let root = Dependency {
        reference: PROJECT.to_owned(),
        depends_on: resolve(index.direct.unwrap_or_default())
            .into_iter()
            .collect(),
    };
    let rest = edges.into_iter().map(|(purl, mut needs)| {
        needs.remove(purl);
        Dependency {
            reference: purl.to_owned(),
            depends_on: needs.into_iter().collect(),
        }
    });
    std::iter::once(root).chain(rest).collect()
}
