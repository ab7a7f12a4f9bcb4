//! What a run used of the local repository, told from what happened.
//!
//! The local repository is shared by all projects of a user, so it is no install tree: what belongs to
//! this run is what the proxy released and what Maven opened, each with the digest that was compared.
//! Components are the artifacts that Maven itself names for the projects of the run, with scope
//! ([`listener`]); what only a plugin needs is none, and what was handed out as code is a tool of the
//! record. Where Maven names nothing (a goal that fetches by itself, or a run that failed early), it is
//! everything that was fetched or opened and not as code. POMs are no components of their own; the
//! digest of a component's POM stands with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use packageurl::PackageUrl;

use super::listener::{self, Listed};
use super::rehearsal;
use crate::manager::{Installed, KeptFile, Prepared, Snapshot, read};
use crate::model::maven::Coordinates;
use crate::model::{Code, Decision, Digest, Event, Finding, InstalledPackage, Integrity};

/// The note with the directory of the local repository.
const LOCAL: &str = "local";

/// The note with the goals.
const GOALS: &str = "goals";

/// The note with the private directory for temporary files.
const PRIVATE: &str = "private";

/// Maven's note about where files of a version came from has a line for each.
const NOTE: u64 = 1 << 20;

/// The note with the build's own modules: in each line name and directory below the project.
const MODULES: &str = "modules";

/// What [`used`] wants to know again.
pub(super) fn notes(
    local: &Path,
    private: &Path,
    goals: &str,
    modules: &[String],
) -> BTreeMap<String, String> {
    let entry = |key: &str, value: String| (key.to_owned(), value);
    BTreeMap::from([
        entry(LOCAL, local.display().to_string()),
        entry(PRIVATE, private.display().to_string()),
        entry(GOALS, goals.to_owned()),
        entry(MODULES, modules.join("\n")),
    ])
}

/// Nothing: what lies in the local repository before a run says nothing about the run.
pub(super) fn snapshot(_prepared: &Prepared) -> Snapshot {
    Snapshot::new()
}

/// Nothing is read back; see [`used`].
pub(super) fn inspect(_prepared: &Prepared, _before: &Snapshot) -> Installed {
    Installed {
        chooses: true,
        ..Installed::default()
    }
}

/// One file of a version, as far as it took part.
#[derive(Default)]
struct Part {
    digest: Option<Digest>,
    address: Option<String>,
    /// Whether it was released in this run.
    fetched: bool,
    /// What Maven got: as code, or a view.
    handed: Option<&'static str>,
}

/// A file that was verified when it was opened, with its digest.
pub(super) fn opened(event: &Event) -> Option<(&Path, &Digest)> {
    if let Event::Call {
        subject,
        decision: Decision::Allowed,
        digest: Some(digest),
        ..
    } = event
    {
        Some((Path::new(subject), digest))
    } else {
        None
    }
}

/// What happened to each file of a version, by its name.
fn parts(local: &str, events: &[Event]) -> BTreeMap<Coordinates, Part> {
    let named = |path: &Path| {
        let below = path.strip_prefix(local).ok()?;
        Coordinates::from_path(below.to_str()?)
    };
    let mut parts: BTreeMap<Coordinates, Part> = BTreeMap::new();
    for event in events {
        if let Event::Released(released) = event {
            let Some(coordinates) = fetched(&released.name, &released.url) else {
                continue;
            };
            let part = parts.entry(coordinates).or_default();
            part.digest = Some(released.sha256.clone());
            part.address = Some(released.url.clone());
            part.fetched = true;
        } else if let Some((path, digest)) = opened(event) {
            if let Some(coordinates) = named(path) {
                let part = parts.entry(coordinates).or_default();
                part.digest.get_or_insert_with(|| digest.clone());
            }
        } else if let Event::Compared { path, sha256 } = event {
            if let Some(coordinates) = named(Path::new(path)) {
                let part = parts.entry(coordinates).or_default();
                part.digest.get_or_insert_with(|| sha256.clone());
            }
        } else if let Event::HandedOut { path, trusted, .. } = event
            && let Some(coordinates) = named(Path::new(path))
        {
            let handed = if trusted.is_some() { "code" } else { "view" };
            parts.entry(coordinates).or_default().handed = Some(handed);
        }
    }
    parts
}

/// What Maven says of the projects, where it says anything.
fn listed(notes: &BTreeMap<String, String>) -> BTreeMap<Listed, String> {
    let file = notes
        .get(PRIVATE)
        .map(|private| Path::new(private).join(listener::FILE));
    let listed = file.and_then(|file| listener::listed(&file));
    listed.unwrap_or_default()
}

/// See [`crate::manager::Manager::used`].
pub(super) fn used(notes: &BTreeMap<String, String>, events: &[Event]) -> Vec<InstalledPackage> {
    let Some(local) = notes.get(LOCAL) else {
        return Vec::new();
    };
    let parts = parts(local, events);
    let pom = |coordinates: &Coordinates| parts.get(&coordinates.pom())?.digest.clone();
    let listed = listed(notes);
    let asks = |goal: &str| goal.ends_with(":get");
    let by_name = notes
        .get(GOALS)
        .is_some_and(|goals| goals.split(' ').any(asks));
    let mut components = Vec::new();
    let mut named = BTreeSet::new();
    for (one, scope) in &listed {
        match found(&parts, one) {
            Some((coordinates, part)) => {
                named.insert(coordinates);
                components.extend(component(coordinates, part, pom(coordinates), Some(scope)));
            }
            None => components.extend(module(notes, one, scope)),
        }
    }
    if listed.is_empty() || by_name {
        let rest = parts.iter().filter(|(one, part)| {
            one.extension != "pom" && part.handed != Some("code") && !named.contains(one)
        });
        let rest = rest.filter_map(|(one, part)| component(one, part, pom(one), None));
        components.extend(rest);
    }
    components
}

/// The file that Maven means. Its word for the kind of a file is not always the ending.
fn found<'a>(
    parts: &'a BTreeMap<Coordinates, Part>,
    listed: &Listed,
) -> Option<(&'a Coordinates, &'a Part)> {
    let same = |one: &Coordinates| {
        one.group == listed.group
            && one.artifact == listed.artifact
            && one.base == listed.version
            && one.classifier == listed.classifier
    };
    let of = |extension: &str| {
        let mut all = parts.iter();
        all.find(|(one, _)| same(one) && one.extension == extension)
    };
    of(&listed.kind).or_else(|| of("jar"))
}

/// A module of the build itself; nothing else that no file is known of is a component.
fn module(
    notes: &BTreeMap<String, String>,
    listed: &Listed,
    scope: &String,
) -> Option<InstalledPackage> {
    let name = format!("{}:{}", listed.group, listed.artifact);
    let mut modules = notes.get(MODULES)?.lines();
    let directory = modules.find_map(|module| module.strip_prefix(&name)?.strip_prefix(' '))?;
    let coordinates = Coordinates {
        group: listed.group.clone(),
        artifact: listed.artifact.clone(),
        base: listed.version.clone(),
        version: listed.version.clone(),
        classifier: listed.classifier.clone(),
        extension: "jar".to_owned(),
    };
    let package = component(&coordinates, &Part::default(), None, Some(scope))?;
    Some(InstalledPackage {
        path: directory.to_owned(),
        local: true,
        retained: false,
        ..package
    })
}

/// Every file of the local repository that the run had to do with: what was fetched, what was opened,
/// and what Maven names without having opened it.
pub(super) fn kept(notes: &BTreeMap<String, String>, events: &[Event]) -> Vec<KeptFile> {
    let Some(local) = notes.get(LOCAL) else {
        return Vec::new();
    };
    let root = Path::new(local);
    let mut files: BTreeMap<PathBuf, Option<Digest>> = BTreeMap::new();
    for (coordinates, part) in parts(local, events) {
        files.insert(root.join(coordinates.path()), part.digest);
    }
    // Metadata has no coordinates.
    for (path, digest) in events.iter().filter_map(opened) {
        if path.starts_with(root) {
            let entry = files.entry(path.to_owned()).or_default();
            entry.get_or_insert_with(|| digest.clone());
        }
    }
    for listed in listed(notes).into_keys() {
        for extension in [listed.kind.as_str(), "jar"] {
            let path = root.join(path(&listed, extension));
            if path.is_file() {
                files.entry(path).or_insert(None);
                break;
            }
        }
    }
    let files = files.into_iter();
    files
        .map(|(path, digest)| KeptFile { path, digest })
        .collect()
}

/// Maven's own note beside a file says which repository it came from; of what was installed by hand
/// it names none.
pub(super) fn came_from_repository(path: &Path) -> bool {
    let note = path.with_file_name("_remote.repositories");
    let text = read::file(&note, NOTE).ok().flatten().unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut lines = text.lines();
    lines.any(|line| {
        let entry = line.strip_prefix(name.as_ref());
        let repository = entry.and_then(|rest| rest.strip_prefix('>')?.strip_suffix('='));
        repository.is_some_and(|repository| !repository.is_empty())
    })
}

fn path(listed: &Listed, extension: &str) -> String {
    Coordinates {
        group: listed.group.clone(),
        artifact: listed.artifact.clone(),
        base: listed.version.clone(),
        version: listed.version.clone(),
        classifier: listed.classifier.clone(),
        extension: extension.to_owned(),
    }
    .path()
}

/// See [`crate::manager::Manager::rehearsed`].
pub(super) fn rehearsed(prepared: &Prepared, events: &[Event]) -> Result<String, Finding> {
    let internal = |message: String| Finding::new(Code::Internal, "rehearsal", message);
    let note = |key: &str| prepared.notes.get(key).map(Path::new);
    let (Some(local), Some(private), Some(trust)) =
        (note(LOCAL), note(PRIVATE), &prepared.files.trust)
    else {
        return Err(internal("its notes are gone".to_owned()));
    };
    rehearsal::text(&private.join(rehearsal::LOG), local, trust, events)
        .map_err(|error| internal(format!("its log cannot be read: {error}")))
}

/// The coordinates of an address: the group says where the path of the repository ends.
pub(super) fn fetched(name: &str, address: &str) -> Option<Coordinates> {
    let (group, artifact) = name.split_once(':')?;
    let start = format!("/{}/{artifact}/", group.replace('.', "/"));
    let at = address.rfind(&start)?;
    Coordinates::from_path(address.get(at + 1..)?)
}

fn component(
    coordinates: &Coordinates,
    part: &Part,
    pom: Option<Digest>,
    scope: Option<&String>,
) -> Option<InstalledPackage> {
    let mut details = BTreeMap::new();
    let mut detail = |key: &str, value: Option<String>| {
        details.extend(value.map(|value| (key.to_owned(), value)));
    };
    detail("file", Some(coordinates.file()));
    detail("pom", pom.map(|digest| digest.to_string()));
    detail("handed-out", part.handed.map(str::to_owned));
    detail("scope", scope.cloned());
    Some(InstalledPackage {
        purl: purl(coordinates)?,
        name: coordinates.name(),
        version: coordinates.version.clone(),
        path: coordinates.path(),
        integrity: part.digest.clone().map(Integrity::of),
        resolved: part.address.clone(),
        dev: scope.is_some_and(|scope| scope == "test"),
        optional: false,
        bundled: false,
        retained: !part.fetched,
        local: false,
        scripts: Vec::new(),
        dependencies: Vec::new(),
        details,
    })
}

pub(super) fn purl(coordinates: &Coordinates) -> Option<String> {
    let mut purl = PackageUrl::new("maven", coordinates.artifact.clone()).ok()?;
    purl.with_namespace(coordinates.group.clone()).ok()?;
    purl.with_version(coordinates.version.clone()).ok()?;
    purl.add_qualifier("type", coordinates.extension.clone())
        .ok()?;
    if let Some(classifier) = &coordinates.classifier {
        purl.add_qualifier("classifier", classifier.clone()).ok()?;
    }
    Some(purl.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Algorithm, Anchor, Released, Source};

    fn digest(algorithm: Algorithm, byte: u8) -> Digest {
        let size = if algorithm == Algorithm::Sha512 {
            64
        } else {
            32
        };
        Digest::new(algorithm, vec![byte; size]).unwrap()
    }

    fn released(path: &str, byte: u8) -> Event {
        Event::Released(Released {
            repository: "r".into(),
            name: "org.x:a".into(),
            version: "1.0".into(),
            url: format!("https://r.invalid/maven2/{path}"),
            size: 1,
            sha256: digest(Algorithm::Sha256, byte),
            sha512: Some(digest(Algorithm::Sha512, byte)),
            anchor: Anchor::SideFile,
            source: Source::Network,
        })
    }

    #[test]
    fn what_was_fetched_or_opened_is_a_component_and_a_pom_is_none() {
        let events = [
            released("org/x/a/1.0/a-1.0.pom", 1),
            released("org/x/a/1.0/a-1.0.jar", 2),
            released("org/x/a/1.0/a-1.0-sources.jar", 3),
            Event::Call {
                call: "openat".into(),
                subject: "/r/org/y/b/2.0/b-2.0.jar".into(),
                decision: Decision::Allowed,
                digest: Some(digest(Algorithm::Sha256, 4)),
            },
            Event::HandedOut {
                path: "/r/org/y/b/2.0/b-2.0.jar".into(),
                sha256: digest(Algorithm::Sha256, 4),
                trusted: None,
            },
            Event::Call {
                call: "openat".into(),
                subject: "/elsewhere/org/y/c/2.0/c-2.0.jar".into(),
                decision: Decision::Allowed,
                digest: Some(digest(Algorithm::Sha256, 5)),
            },
        ];
        let private = tempfile::tempdir().unwrap();
        let notes = notes(
            Path::new("/r"),
            private.path(),
            "dependency:resolve",
            &["g:own own".into()],
        );
        let used = super::used(&notes, &events);
        let purls: Vec<_> = used.iter().map(|one| one.purl.as_str()).collect();
        assert_eq!(
            purls,
            [
                "pkg:maven/org.x/a@1.0?type=jar",
                "pkg:maven/org.x/a@1.0?classifier=sources&type=jar",
                "pkg:maven/org.y/b@2.0?type=jar",
            ]
        );
        assert!(used[0].details["pom"].starts_with("sha256-") && !used[0].retained);
        assert!(used[2].retained && used[2].details["handed-out"] == "view");
        // What Maven names are the components, and nothing else.
        let listed = "[org.y:b:bundle:2.0:test, g:own:jar:1:compile, g:gone:jar:1:compile]\n";
        std::fs::write(private.path().join(listener::FILE), listed).unwrap();
        let used = super::used(&notes, &events);
        let told: Vec<_> = used
            .iter()
            .map(|one| (one.purl.as_str(), one.details["scope"].as_str(), one.local))
            .collect();
        assert_eq!(
            told,
            [
                ("pkg:maven/g/own@1?type=jar", "compile", true),
                ("pkg:maven/org.y/b@2.0?type=jar", "test", false),
            ]
        );
        let kept: Vec<_> = kept(&notes, &events)
            .into_iter()
            .filter(|file| file.digest.is_some())
            .map(|file| file.path.display().to_string())
            .collect();
        assert_eq!(kept.len(), 4, "{kept:?}");
    }
}
