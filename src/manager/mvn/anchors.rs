//! What a run is anchored to: the project's lock, and the approvals of the policy.
//!
//! Read before the start. The lock names digests of artifacts, whatever they are; an approval lets
//! bytes run. Neither makes the other: a locked plugin does not run because it is locked.
//! An approval whose last day is over counts as none and is told.

use std::ffi::OsString;
use std::path::Path;
use std::time::SystemTime;

use super::lock;
use super::pom::Reference;
use super::stated;
use crate::manager::Refusal;
use crate::model::maven;
use crate::model::{Approval, Code, Event, Expected, Finding, Integrity, Repository, Severity};
use crate::profile::Policy;

/// Everything that is known of artifacts before the start.
#[derive(Debug, Default)]
pub(super) struct Anchors {
    /// For the proxy.
    pub(super) expected: Vec<Expected>,
    /// Whether nothing else may be used.
    pub(super) closed: bool,
    /// The same for files of the local repository, by path.
    pub(super) pinned: Vec<(OsString, Integrity)>,
    /// What may run.
    pub(super) approved: Vec<Approval>,
    /// What was read, and what is worth a line.
    pub(super) events: Vec<Event>,
}

impl Anchors {
    /// Those of the build in `root`, whose local repository is `local`.
    pub(super) fn read(policy: &Policy, root: &Path, local: &Path) -> Result<Self, Refusal> {
        let locks = lock::find(root);
        let mut events = locks.events;
        let (wrong, notes): (Vec<_>, Vec<_>) = locks
            .findings
            .into_iter()
            .partition(|finding| finding.code.severity() != Severity::Note);
        if !wrong.is_empty() {
            let findings = wrong;
            return Err(Refusal { findings, events });
        }
        events.extend(notes.into_iter().map(Event::Found));
        let now = SystemTime::now();
        let mut approved = Vec::new();
        for approval in &policy.approvals {
            if approval.is_expired(now) {
                let day = approval.expires.as_deref().unwrap_or_default();
                let message = format!(
                    "its approval ended on {day}, so it may not run ({})",
                    approval.stated_in
                );
                let code = Code::ConfigIgnored;
                events.push(Event::Found(Finding::new(code, &approval.purl, message)));
                continue;
            }
            approved.push(Approval {
                digest: approval.digest.clone(),
                why: format!("{} {}", approval.purl, approval.why()),
            });
        }
        let place = |path: String| local.join(path).into_os_string();
        Ok(Self {
            expected: locks.expected,
            closed: locks.complete,
            pinned: locks
                .paths
                .into_iter()
                .map(|(path, integrity)| (place(path), integrity))
                .collect(),
            approved,
            events,
        })
    }
}

impl Anchors {
    /// Adds what the policy states of artifacts. A rehearsal is there to find out other digests.
    pub(super) fn state(
        &mut self,
        policy: &Policy,
        repositories: &[Repository],
        local: &Path,
        rehearsal: bool,
    ) {
        for (path, expected) in stated::named(policy, repositories) {
            let place = local.join(path).into_os_string();
            // Where a lock names it too, both must hold, which is for the proxy to compare.
            let known = self.pinned.iter().any(|(pinned, _)| *pinned == place);
            let integrity = expected.integrity.clone().filter(|_| !known);
            self.pinned.extend(integrity.map(|one| (place, one)));
            self.expected.push(expected);
        }
        if !self.closed && !rehearsal {
            self.expected.extend(stated::approved(policy));
        }
    }
}

/// Whether an approval that is not over names a plugin, in any version.
pub(super) fn approves(policy: &Policy, group: Option<&str>, artifact: &str) -> bool {
    stated::approvals(policy).any(|(_, purl)| {
        purl.name() == artifact && group.is_none_or(|group| purl.namespace() == Some(group))
    })
}

/// What approvals name that are not over: group, artifact and version.
pub(super) fn approved(policy: &Policy) -> Vec<String> {
    let names = stated::approvals(policy).filter_map(|(_, purl)| {
        let group = purl.namespace()?;
        Some(format!("{group}:{}:{}", purl.name(), purl.version()?))
    });
    names.collect()
}

/// Whether somebody answers for code of that name: an approval that is not over, or the operating
/// system, which has a file of that name in its own repository. It is no ground to run anything.
pub(super) fn answered(policy: &Policy, installed: &Path, what: &Reference) -> bool {
    let approved = stated::approvals(policy).any(|(_, purl)| {
        let version = what.version.as_deref();
        purl.namespace() == Some(what.group.as_str())
            && purl.name() == what.artifact
            && version.is_none_or(|version| purl.version() == Some(version))
    });
    approved || is_installed(installed, what)
}

/// Whether the operating system has a file of that name in its own repository.
pub(super) fn is_installed(installed: &Path, what: &Reference) -> bool {
    let group = what.group.replace('.', "/");
    let Some(version) = &what.version else {
        let names = group.split('/').chain([what.artifact.as_str()]);
        let inside = names.into_iter().all(maven::is_name);
        let some = installed.join(&group).join(&what.artifact);
        return inside && some.is_dir();
    };
    let path = format!("{group}/{0}/{version}/{0}-{version}.jar", what.artifact);
    let inside = maven::Coordinates::from_path(&path).is_some();
    inside && installed.join(path).is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Policy {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("v4run.toml"), text).unwrap();
        let missing = directory.path().join("missing.toml");
        Policy::load(None, directory.path(), &missing).unwrap()
    }

    #[test]
    fn lock_and_approvals_are_apart() {
        let project = tempfile::tempdir().unwrap();
        let root = project.path().canonicalize().unwrap();
        let place = root.join(lock::DIRECTORY);
        std::fs::create_dir_all(&place).unwrap();
        let (short, long) = ("ab".repeat(32), "cd".repeat(64));
        std::fs::write(
            place.join("checksums.sha256"),
            format!("# v4run: complete\n{short}  g/x/1/x-1.jar\n"),
        )
        .unwrap();
        std::fs::write(
            place.join("checksums.sha512"),
            format!("{long}  g/x/1/x-1.jar\n"),
        )
        .unwrap();
        let table = |days: &str| {
            format!(
                "[[approvals]]\npurl = \"pkg:maven/g/p@1\"\nsha256 = \"{short}\"\n\
                 owner = \"o\"\nreason = \"r\"\n{days}\n"
            )
        };
        let text = format!("{}{}", table(""), table("expires = \"2001-01-01\""));
        let read = Anchors::read(&policy(&text), &root, Path::new("/repository")).unwrap();
        assert!(read.closed);
        assert_eq!(read.expected.len(), 2);
        let [(path, integrity)] = read.pinned.as_slice() else {
            panic!("{:?}", read.pinned)
        };
        assert_eq!(path, "/repository/g/x/1/x-1.jar");
        assert_eq!(integrity.algorithm(), crate::model::Algorithm::Sha512);
        let [approval] = read.approved.as_slice() else {
            panic!("{:?}", read.approved)
        };
        assert!(
            approval
                .why
                .starts_with("pkg:maven/g/p@1 approved by o: r (")
        );
        let told: Vec<_> = read
            .events
            .iter()
            .filter(|event| matches!(event, Event::Found(_)))
            .collect();
        assert_eq!(told.len(), 1, "{told:?}");
    }

    #[test]
    fn a_name_is_answered_for_by_an_approval_or_the_system() {
        let installed = tempfile::tempdir().unwrap();
        let place = installed.path().join("s/t/x/2");
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("x-2.jar"), "").unwrap();
        let digest = "ab".repeat(32);
        let policy = policy(&format!(
            "[[approvals]]\npurl = \"pkg:maven/g.h/p@1\"\nsha256 = \"{digest}\"\n\
             owner = \"o\"\nreason = \"r\"\n"
        ));
        let named = |group: &str, artifact: &str, version: Option<&str>| {
            let what = Reference {
                group: group.into(),
                artifact: artifact.into(),
                version: version.map(str::to_owned),
                line: 1,
            };
            answered(&policy, installed.path(), &what)
        };
        assert!(named("g.h", "p", Some("1")) && named("g.h", "p", None));
        assert!(named("s.t", "x", Some("2")) && named("s.t", "x", None));
        for (group, artifact, version) in [
            ("g.h", "p", Some("2")),
            ("g", "p", Some("1")),
            ("s.t", "x", Some("3")),
            ("s.t", "y", None),
            ("s.t", "../x", Some("2")),
        ] {
            assert!(!named(group, artifact, version), "{group}:{artifact}");
        }
    }

    #[test]
    fn a_broken_lock_ends_the_run() {
        let project = tempfile::tempdir().unwrap();
        let root = project.path().canonicalize().unwrap();
        let place = root.join(lock::DIRECTORY);
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("checksums.sha256"), "x").unwrap();
        let refusal = Anchors::read(&Policy::default(), &root, Path::new("/r")).unwrap_err();
        assert_eq!(refusal.findings[0].code, Code::LockInvalid);
    }
}
