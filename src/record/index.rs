//! The events of a run by subject: what the outputs and the verdicts are folded from.
//!
//! Built once from the events in order, at the seal and when an earlier record is read. Borrowed
//! and pure; it draws no conclusion except which released bytes an installed package consists of.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use url::Url;

use crate::model::{
    BuildEnd, BuildFile, BuildProgram, BuildStart, Decision, Digest, Event, Exception, Finding,
    InstalledPackage, Integrity, KnownRepository, Probed, Released, TlsPeer, Tool, Vouched,
};

/// What the proxy released for an installed package.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Origin<'a> {
    /// These bytes.
    Released(&'a Released),
    /// Bytes of that name and version, but with another digest than the manager's record names.
    Conflict(&'a Released),
    /// None.
    None,
}

/// A connection whose certificate was verified.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Connection<'a> {
    /// Host and port.
    pub host: &'a str,
    /// Network address.
    pub address: &'a str,
    /// The verified peer.
    pub tls: &'a TlsPeer,
}

/// A judged system call or program start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged<'a> {
    /// Name of the call; `exec` for program starts.
    pub call: &'a str,
    /// What it was about.
    pub subject: &'a str,
    /// Answer.
    pub decision: Decision,
    /// Digest of what was handed out.
    pub digest: Option<&'a Digest>,
}

/// An input that the run is anchored to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Input<'a> {
    /// What it is.
    pub name: &'a str,
    /// Absolute path.
    pub path: &'a str,
    /// SHA-256 of the bytes read.
    pub sha256: &'a Digest,
}

/// A script that was not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Suppressed<'a> {
    /// Package name, or the project's.
    pub name: &'a str,
    /// Package version.
    pub version: &'a str,
    /// Install path; empty for the project itself.
    pub path: &'a str,
    /// Name of the hook.
    pub script: &'a str,
    /// The command line.
    pub command: &'a str,
}

/// The events of one run.
#[derive(Debug, Default)]
pub struct Index<'a> {
    /// Arguments after the manager's name.
    pub arguments: &'a [String],
    /// The manager's name, when the run was announced.
    pub manager: Option<&'a str>,
    /// Programs that take part.
    pub tools: Vec<&'a Tool>,
    /// Landlock ABI, once the layers hold.
    pub enforced: Option<u32>,
    /// Whether the proxy served and its self-test passed.
    pub proxy_ready: bool,
    /// Inputs.
    pub inputs: Vec<Input<'a>>,
    /// What is stated about the repositories of the plan, by their identifiers.
    pub known: BTreeMap<&'a str, &'a KnownRepository>,
    /// What probes saw.
    pub probes: Vec<&'a Probed>,
    /// Gaps that the policy answers for.
    pub exceptions: Vec<&'a Exception>,
    /// Connections to repositories.
    pub connections: Vec<Connection<'a>>,
    /// Released artifacts; equal ones once.
    pub released: Vec<&'a Released>,
    /// What is known of released artifacts beside their digests, by SHA-256, name and version.
    pub vouched: BTreeMap<(&'a Digest, &'a str, &'a str), &'a Vouched>,
    /// Counts of changes that repositories stated with their indexes, by repository.
    pub serials: BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// Repository identifiers by the origin (scheme, host, port) that served for them.
    pub repositories: BTreeMap<String, BTreeSet<&'a str>>,
    /// Program starts and attempts.
    pub executions: Vec<Judged<'a>>,
    /// Programs that the plan starts, where they are more than the manager's own.
    pub planned: Vec<&'a str>,
    /// Other judged calls.
    pub calls: Vec<Judged<'a>>,
    /// Artifacts that the manager got as they are because they are trusted as code: digest, path, why.
    pub trusted: BTreeMap<&'a Digest, (&'a str, &'a str)>,
    /// Artifacts that the manager got a view of without code.
    pub viewed: BTreeSet<&'a Digest>,
    /// Scripts of components that ran because the policy approves it.
    pub builds: Vec<&'a BuildStart>,
    /// How they ended.
    pub build_ends: Vec<&'a BuildEnd>,
    /// Programs that they started.
    pub build_programs: Vec<&'a BuildProgram>,
    /// Files that they left.
    pub build_files: Vec<&'a BuildFile>,
    /// Scripts that were not run, each once.
    pub suppressed: BTreeSet<Suppressed<'a>>,
    /// Findings.
    pub findings: Vec<&'a Finding>,
    /// Install paths that the project depends on; none when the tree was not read back.
    pub direct: Option<&'a [String]>,
    /// Whether what was fetched need not be installed.
    pub chooses: bool,
    /// Packages on disk.
    pub packages: Vec<&'a InstalledPackage>,
    /// The manager's end: exit code and signal.
    pub manager_exit: Option<(Option<i32>, Option<i32>)>,
    /// Whether nothing of the run is left.
    pub contained: bool,
    /// Notifications answered.
    pub notifications: u64,
    /// Refusals that were only counted.
    pub repeated: u64,
    by_name: HashMap<(&'a str, &'a str), Vec<&'a Released>>,
    by_digest: HashMap<&'a Digest, &'a Released>,
}

impl<'a> Index<'a> {
    /// Indexes events.
    pub fn new(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut index = Self::default();
        for event in events {
            index.add(event);
        }
        index
    }

    fn add(&mut self, event: &'a Event) {
        match event {
            Event::RunStarted {
                manager, arguments, ..
            } => {
                self.manager = Some(manager);
                self.arguments = arguments;
            }
            Event::ToolIdentified(tool) => self.tools.push(tool),
            Event::Enforced { landlock_abi, .. } => self.enforced = Some(*landlock_abi),
            Event::ProxyReady { .. } => self.proxy_ready = true,
            Event::InputRead { name, path, sha256 } => {
                self.inputs.push(Input { name, path, sha256 });
            }
            Event::RepositoryKnown(known) => {
                self.known.insert(&known.repository, known);
            }
            Event::Probed(probed) => self.probes.push(probed),
            Event::Excepted(exception) => self.exceptions.push(exception),
            Event::Connected { host, address, tls } => {
                self.connections.push(Connection { host, address, tls });
            }
            Event::MetadataServed {
                repository,
                url,
                serial,
                ..
            } => {
                if let Some(serial) = serial {
                    self.serials.entry(repository).or_default().insert(serial);
                }
                self.serves(repository, url);
            }
            Event::Vouched(vouched) => {
                let key = (&vouched.sha256, &*vouched.name, &*vouched.version);
                self.vouched.insert(key, vouched);
            }
            Event::Released(released) => self.release(released),
            Event::Planned { programs } => {
                self.planned = programs.iter().map(String::as_str).collect();
            }
            Event::Exec { path, decision } => self.executions.push(Judged {
                call: "exec",
                subject: path,
                decision: *decision,
                digest: None,
            }),
            Event::Call {
                call,
                subject,
                decision,
                digest,
            } => self.calls.push(Judged {
                call,
                subject,
                decision: *decision,
                digest: digest.as_ref(),
            }),
            Event::ScriptSuppressed {
                name,
                version,
                path,
                script,
                command,
            } => {
                self.suppressed.insert(Suppressed {
                    name,
                    version,
                    path,
                    script,
                    command,
                });
            }
            Event::BuildStarted(start) => self.builds.push(start),
            Event::BuildEnded(end) => self.build_ends.push(end),
            Event::BuildProgram(program) => self.build_programs.push(program),
            Event::BuildFile(file) => self.build_files.push(file),
            Event::Found(finding) => self.findings.push(finding),
            Event::ManagerExited { code, signal } => self.manager_exit = Some((*code, *signal)),
            Event::Inspected { direct, chooses } => {
                self.direct = Some(direct);
                self.chooses = *chooses;
            }
            Event::Installed(package) => self.install(package),
            Event::Contained { .. } => self.contained = true,
            Event::Counted {
                notifications,
                repeated,
                ..
            } => {
                self.notifications += notifications;
                self.repeated += repeated;
            }
            Event::HandedOut {
                path,
                sha256,
                trusted,
            } => self.hand_out(path, sha256, trusted.as_deref()),
            Event::Examined(_)
            | Event::ArtifactsKept { .. }
            | Event::Compared { .. }
            | Event::KeptCompared { .. }
            | Event::DeliveredWhole { .. }
            | Event::LookedInto { .. }
            | Event::Assessed { .. }
            | Event::Sealed { .. } => {}
        }
    }

    fn release(&mut self, released: &'a Released) {
        self.serves(&released.repository, &released.url);
        let same = self
            .by_name
            .entry((&released.name, &released.version))
            .or_default();
        if same
            .iter()
            .any(|other| other.sha256 == released.sha256 && other.url == released.url)
        {
            return;
        }
        same.push(released);
        for digest in released.digests() {
            self.by_digest.entry(digest).or_insert(released);
        }
        self.released.push(released);
    }

    fn hand_out(&mut self, path: &'a str, sha256: &'a Digest, trusted: Option<&'a str>) {
        match trusted {
            Some(why) => {
                self.trusted.entry(sha256).or_insert((path, why));
            }
            None => {
                self.viewed.insert(sha256);
            }
        }
    }

    fn install(&mut self, package: &'a InstalledPackage) {
        for script in &package.scripts {
            self.suppressed.insert(Suppressed {
                name: &package.name,
                version: &package.version,
                path: &package.path,
                script: &script.name,
                command: &script.command,
            });
        }
        self.packages.push(package);
    }

    fn serves(&mut self, repository: &'a str, url: &str) {
        if let Some(origin) = origin(url) {
            self.repositories
                .entry(origin)
                .or_default()
                .insert(repository);
        }
    }

    /// What the proxy released for a package. The digest of the manager's own record decides; name
    /// and version only where that record names none that v4run computes.
    pub fn origin_of(&self, package: &InstalledPackage) -> Origin<'a> {
        let named = self
            .by_name
            .get(&(package.name.as_str(), package.version.as_str()))
            .map_or(&[][..], Vec::as_slice);
        let Some(integrity) = package
            .integrity
            .as_ref()
            .filter(|known| is_comparable(known))
        else {
            return named
                .first()
                .map_or(Origin::None, |released| Origin::Released(released));
        };
        let matches = |released: &&&'a Released| {
            let mut digests = released.digests();
            digests.any(|digest| integrity.accepts(digest))
        };
        // An alias is installed under a name that the repository does not know: same bytes.
        let found = named.iter().find(matches).copied().or_else(|| {
            integrity
                .deciding()
                .find_map(|digest| self.by_digest.get(digest).copied())
        });
        let found = found.or_else(|| self.source_of(integrity));
        match (found, named.first()) {
            (Some(released), _) => Origin::Released(released),
            (None, Some(released)) => Origin::Conflict(released),
            (None, None) => Origin::None,
        }
    }

    /// The released source that something was built from in this run, by the digest of what came of it.
    fn source_of(&self, made: &Integrity) -> Option<&'a Released> {
        let accepts = |file: &&&BuildFile| file.sha256.iter().any(|digest| made.accepts(digest));
        let file = self.build_files.iter().find(accepts)?;
        let build = self.builds.iter().find(|start| start.purl == file.purl)?;
        self.by_digest.get(build.digest.as_ref()?).copied()
    }

    /// The released bytes that a package consists of, when there is no doubt.
    pub fn release_of(&self, package: &InstalledPackage) -> Option<&'a Released> {
        match self.origin_of(package) {
            Origin::Released(released) => Some(released),
            Origin::Conflict(_) | Origin::None => None,
        }
    }

    /// What is known beside their digest of the released bytes that a package consists of.
    pub fn vouched_of(&self, package: &InstalledPackage) -> Option<&'a Vouched> {
        let released = self.release_of(package)?;
        let key = (&released.sha256, &*released.name, &*released.version);
        self.vouched.get(&key).copied()
    }

    /// Distinct package URLs on disk.
    pub fn purls(&self) -> BTreeSet<&'a str> {
        self.packages
            .iter()
            .map(|package| package.purl.as_str())
            .collect()
    }

    /// Whether the run only built what an earlier one installed, so that no manager ran.
    pub fn only_builds(&self) -> bool {
        !self.builds.is_empty() && !self.proxy_ready && self.manager_exit.is_none()
    }

    /// Whether the manager ended with success.
    pub fn manager_succeeded(&self) -> bool {
        self.manager_exit == Some((Some(0), None))
    }
}

fn is_comparable(integrity: &Integrity) -> bool {
    use crate::model::Algorithm::{Sha256, Sha512};
    matches!(integrity.algorithm(), Sha256 | Sha512)
}

/// Scheme, host and port of an address.
pub(super) fn origin(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str()?;
    let port = url.port_or_known_default()?;
    Some(format!("{}://{host}:{port}", url.scheme()))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{digest, package, released};
    use super::*;
    use crate::model::Algorithm;

    fn indexed(events: &[Event]) -> Index<'_> {
        Index::new(events)
    }

    #[test]
    fn the_digest_decides_and_the_name_only_without_one() {
        let events = [
            Event::Released(released("a", "1.0.0", 1)),
            Event::Released(released("b", "1.0.0", 2)),
        ];
        let index = indexed(&events);
        let mut alias = package("renamed", "9.9.9", 1);
        assert!(matches!(index.origin_of(&alias), Origin::Released(found) if found.name == "a"));
        alias.integrity = None;
        assert_eq!(index.origin_of(&alias), Origin::None);
        let mut plain = package("b", "1.0.0", 2);
        plain.integrity = None;
        assert!(matches!(index.origin_of(&plain), Origin::Released(found) if found.name == "b"));
        assert!(matches!(
            index.origin_of(&package("b", "1.0.0", 3)),
            Origin::Conflict(_)
        ));
        plain.integrity = Some(Integrity::of(digest(Algorithm::Sha1, 7)));
        assert!(matches!(index.origin_of(&plain), Origin::Released(_)));
    }

    #[test]
    fn what_was_built_came_from_its_source() {
        let mut installed = package("a", "1.0.0", 1);
        let made = digest(Algorithm::Sha256, 7);
        installed.integrity = Some(Integrity::of(made.clone()));
        let source = released("a", "1.0.0", 1);
        let start = BuildStart {
            purl: "pkg:pypi/a@1.0.0".into(),
            path: "a-1.0.0".into(),
            digest: Some(source.sha256.clone()),
            script: "build_wheel".into(),
            command: String::new(),
            owner: String::new(),
            reason: String::new(),
            expires: String::new(),
            stated_in: String::new(),
        };
        let file = BuildFile {
            purl: start.purl.clone(),
            path: "dist/a.whl".into(),
            sha256: Some(made),
            size: 1,
            change: "new".into(),
        };
        let other = BuildFile {
            purl: "pkg:pypi/b@1.0.0".into(),
            ..file.clone()
        };
        for (file, known) in [(file, true), (other, false)] {
            let events = [
                Event::Released(source.clone()),
                Event::BuildStarted(start.clone()),
                Event::BuildFile(file),
            ];
            let index = indexed(&events);
            let origin = index.origin_of(&installed);
            assert_eq!(matches!(origin, Origin::Released(_)), known, "{origin:?}");
        }
    }

    #[test]
    fn equal_releases_count_once() {
        let events = [
            Event::Released(released("a", "1.0.0", 1)),
            Event::Released(released("a", "1.0.0", 1)),
        ];
        assert_eq!(indexed(&events).released.len(), 1);
    }

    #[test]
    fn addresses_become_origins() {
        assert_eq!(
            origin("https://registry.invalid/a/b"),
            Some("https://registry.invalid:443".into())
        );
        assert_eq!(
            origin("https://[::1]:8443/"),
            Some("https://[::1]:8443".into())
        );
        assert_eq!(origin("nonsense"), None);
    }
}
