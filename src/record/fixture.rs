//! Constructed runs for the tests of record and assess. Names are loopback or `.invalid`.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::{Outcome, Recorder, Sealed, SigningKey};
use crate::diag::ManagerStatus;
use crate::manager::Project;
use crate::model::{
    Algorithm, Anchor, AnchorClass, Assessment, ControlId, ControlVerdict, Decision, Digest, Event,
    Fact, InstalledPackage, Integrity, KnownRepository, Level, LevelStatus, LevelVerdict,
    Outcome as ProbeOutcome, Probed, Released, Script, Source, Status, Subject, TlsPeer, Tool,
    Vouched, Voucher,
};

/// A digest of one repeated byte.
pub(crate) fn digest(algorithm: Algorithm, byte: u8) -> Digest {
    Digest::new(algorithm, vec![byte; algorithm.size()]).unwrap()
}

/// An artifact whose bytes are told apart by `byte`.
pub(crate) fn released(name: &str, version: &str, byte: u8) -> Released {
    Released {
        repository: "default".into(),
        name: name.into(),
        version: version.into(),
        url: format!("https://registry.invalid:8443/{name}/-/{name}-{version}.tgz"),
        size: 1234,
        sha256: digest(Algorithm::Sha256, byte),
        sha512: Some(digest(Algorithm::Sha512, byte)),
        anchor: Anchor::Lockfile,
        source: Source::Network,
    }
}

/// An artifact of which nothing is known beside its digest.
pub(crate) fn vouched(released: &Released) -> Vouched {
    Vouched {
        repository: released.repository.clone(),
        name: released.name.clone(),
        version: released.version.clone(),
        sha256: released.sha256.clone(),
        checks: Vec::new(),
        built: None,
        grade: None,
        published: None,
        claimed: None,
        seen_before: false,
        recalled: None,
        unasked: None,
    }
}

/// The package that [`released`] with the same arguments installs.
pub(crate) fn package(name: &str, version: &str, byte: u8) -> InstalledPackage {
    InstalledPackage {
        purl: format!("pkg:npm/{name}@{version}"),
        name: name.into(),
        version: version.into(),
        path: format!("node_modules/{name}"),
        integrity: Some(Integrity::of(digest(Algorithm::Sha512, byte))),
        resolved: Some(format!(
            "https://registry.invalid:8443/{name}/-/{name}-{version}.tgz"
        )),
        dev: false,
        optional: false,
        bundled: false,
        retained: false,
        local: false,
        scripts: Vec::new(),
        dependencies: Vec::new(),
        details: BTreeMap::new(),
    }
}

/// A verified connection.
pub(crate) fn connected(class: AnchorClass) -> Event {
    Event::Connected {
        host: "registry.invalid:8443".into(),
        address: "127.0.0.1:8443".into(),
        tls: TlsPeer {
            version: "TLSv1.3".into(),
            cipher: "TLS13_AES_128_GCM_SHA256".into(),
            leaf: digest(Algorithm::Sha256, 10),
            leaf_key: digest(Algorithm::Sha256, 11),
            anchor: Some(digest(Algorithm::Sha256, 12)),
            anchor_subject: Some("CN=test root".into()),
            anchor_class: Some(class),
            not_after: "2031-01-01T00:00:00Z".into(),
        },
    }
}

/// A statement that counts at the time of [`known`].
pub(crate) fn fact(control: ControlId, holds: bool) -> Fact {
    Fact {
        control,
        holds,
        statement: "what is stated".into(),
        source: "who says so".into(),
        checked: "2026-11-01".into(),
        expires: "2027-01-31".into(),
        compensated_by: Some("x".into()),
        voucher: Voucher::Policy,
        stated_in: "v4run.toml:3".into(),
    }
}

/// The repository of [`released`] with what is stated about it.
pub(crate) fn known(facts: Vec<Fact>) -> KnownRepository {
    KnownRepository {
        repository: "default".into(),
        base: "https://registry.invalid:8443/".into(),
        standard: true,
        at: "2026-11-22T12:00:00Z".into(),
        facts,
    }
}

/// A probe of that repository.
pub(crate) fn probed(control: ControlId, outcome: ProbeOutcome) -> Probed {
    Probed {
        base: "https://registry.invalid:8443/".into(),
        control,
        outcome,
        asked: "GET /.well-known/security.txt".into(),
        status: Some(200),
        detail: "what was seen".into(),
        body: Some(digest(Algorithm::Sha256, 30)),
        at: "2026-11-22T10:00:00Z".into(),
        expires: "2026-11-23T10:00:00Z".into(),
    }
}

/// The events before the manager's work: everything is up.
pub(crate) fn started() -> Vec<Event> {
    vec![
        Event::RunStarted {
            v4run: "0.1.0".into(),
            manager: "npm".into(),
            arguments: vec!["ci".into()],
            directory: "/project".into(),
            uid: 1000,
            user: "as started".into(),
        },
        Event::ToolIdentified(Tool {
            name: "npm".into(),
            version: Some("11.0.0".into()),
            path: "/opt/node/lib/npm-cli.js".into(),
            sha256: Some(digest(Algorithm::Sha256, 20)),
        }),
        Event::ToolIdentified(Tool {
            name: "node".into(),
            version: None,
            path: "/opt/node/bin/node".into(),
            sha256: Some(digest(Algorithm::Sha256, 21)),
        }),
        Event::InputRead {
            name: "package-lock.json".into(),
            path: "/project/package-lock.json".into(),
            sha256: digest(Algorithm::Sha256, 22),
        },
        Event::Enforced {
            landlock_abi: 7,
            landlock_errata: 0,
            seccomp_filters: 2,
            memory: "process_vm_readv".into(),
            single_layer: Vec::new(),
        },
        Event::ProxyReady {
            authority: digest(Algorithm::Sha256, 23),
        },
        Event::Exec {
            path: "/opt/node/bin/node".into(),
            decision: Decision::Allowed,
        },
    ]
}

/// The events after the manager's end.
pub(crate) fn ended(packages: Vec<InstalledPackage>) -> Vec<Event> {
    let mut events = vec![Event::ManagerExited {
        code: Some(0),
        signal: None,
    }];
    events.push(Event::Inspected {
        chooses: false,
        direct: packages
            .first()
            .map(|package| package.path.clone())
            .into_iter()
            .collect(),
    });
    events.extend(packages.into_iter().map(Event::Installed));
    events.push(Event::Contained { killed: 0 });
    events
}

/// A whole, well-behaved run: three packages, one with a script, one twice on disk.
pub(crate) fn healthy() -> Vec<Event> {
    let mut first = package("a", "1.0.0", 1);
    first.dependencies = vec!["node_modules/b".into(), "node_modules/c".into()];
    let mut second = package("b", "2.0.0", 2);
    second.scripts = vec![Script {
        name: "postinstall".into(),
        command: "node x.js".into(),
    }];
    let third = package("c", "3.0.0", 3);
    let mut again = package("c", "3.0.0", 3);
    again.path = "node_modules/b/node_modules/c".into();
    second.dependencies = vec![again.path.clone()];
    let mut events = started();
    events.push(connected(AnchorClass::PublicWeb));
    for (name, version, byte) in [("a", "1.0.0", 1), ("b", "2.0.0", 2), ("c", "3.0.0", 3)] {
        events.push(Event::Released(released(name, version, byte)));
    }
    events.extend(ended(vec![first, second, again, third]));
    events
}

/// The outcome of a run that ended with 0.
pub(crate) fn outcome(assessment: Assessment) -> Outcome {
    let started = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_123);
    Outcome {
        run: Uuid::from_u128(0x6ba7_b810_9dad_41d1_80b4_00c0_4fd4_30c8),
        started,
        ended: started + Duration::from_secs(5),
        manager: "npm".into(),
        project: Project {
            root: "/project".into(),
            name: Some("demo".into()),
            version: Some("1.2.3".into()),
        },
        status: Some(ManagerStatus::Exited(0)),
        before_start: false,
        assessment,
    }
}

/// A verdict of one status on every control, as far as an output cares.
pub(crate) fn assessment(status: Status) -> Assessment {
    let verdict = |control: ControlId| ControlVerdict {
        control,
        title: format!("title of {control}"),
        subject: Subject::Client,
        level: Level::L1,
        status,
        detail: "three of three".into(),
        modifiers: Vec::new(),
        conforming: Some((3, 3)),
        counts: BTreeMap::new(),
        evidence: serde_json::json!({ "control": control }),
    };
    let reached = match status.result() {
        "met" => LevelStatus::Supported,
        _ => LevelStatus::NotMet,
    };
    let level = |level| LevelVerdict {
        level,
        verdict: reached,
        blocking: Vec::new(),
    };
    Assessment {
        interpretation: "v4run-1".into(),
        controls: ControlId::all().map(verdict).collect(),
        levels: Level::ALL.into_iter().map(level).collect(),
        components: 3,
    }
}

/// A sealed record of those events.
pub(crate) fn sealed(
    place: &std::path::Path,
    events: Vec<Event>,
    status: Status,
    key: Option<SigningKey>,
) -> Sealed {
    let recorder = Recorder::start(place, Box::new(|_event| {})).unwrap();
    for event in events {
        recorder.send(event);
    }
    let recorded = recorder.finish().unwrap().signed_with(key);
    recorded.seal(&outcome(assessment(status))).unwrap()
}
