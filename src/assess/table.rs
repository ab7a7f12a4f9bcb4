//! The table of statuses: for every control each status that it can reach, by a recorded run that does.
//!
//! Every row is written as a journal and read back, as `v4run assess` does it. Beside it the runs that
//! must never give a met level: nothing installed, a monitor that was not healthy, statements and probes
//! whose time is over.

use std::collections::{BTreeMap, BTreeSet};

use super::report::report;
use super::vouched::fixture::{check, run as vouched};
use super::{CLIENT, client_score};
use crate::model::{
    Algorithm, Anchor, AnchorClass, Built, Check, Code, ControlId, Decision, Event, Exception,
    Fact, Finding, Grade, InstalledPackage, LevelStatus, Outcome, Probed, Proof, Standing, Status,
};
use crate::record::fixture::{
    connected, digest, ended, fact, healthy, known, package, probed, released, started,
};
use crate::record::{Recorder, fixture};

/// Controls of the operator alone.
const OPERATOR: [u8; 8] = [3, 4, 6, 7, 8, 9, 12, 17];

/// What `v4run assess` says of a run.
fn recorded(events: Vec<Event>) -> super::Assessment {
    let place = tempfile::tempdir().unwrap();
    let recorder = Recorder::start(place.path(), Box::new(|_event| {})).unwrap();
    events.into_iter().for_each(|event| recorder.send(event));
    let recorded = recorder.finish().unwrap();
    let assessment = super::assess(recorded.events());
    recorded
        .seal(&fixture::outcome(assessment.clone()))
        .unwrap();
    let read = report(place.path()).unwrap().assessment;
    assert_eq!(read, assessment);
    read
}

fn status(assessment: &super::Assessment, number: u8) -> Status {
    assessment.control(ControlId::new(number)).unwrap().status
}

fn with(mut events: Vec<Event>, more: impl IntoIterator<Item = Event>) -> Vec<Event> {
    events.extend(more);
    events
}

fn found(code: Code) -> Event {
    Event::Found(Finding::new(code, "s", "m"))
}

fn exception(number: u8) -> Event {
    Event::Excepted(Exception {
        control: ControlId::new(number),
        owner: "o".into(),
        reason: "r".into(),
        expires: "2026-12-31".into(),
        stated_in: "v4run.toml:1".into(),
        at: "2026-11-22T12:00:00Z".into(),
    })
}

fn stated(number: u8, holds: bool) -> Event {
    Event::RepositoryKnown(known(vec![fact(ControlId::new(number), holds)]))
}

fn seen(number: u8, outcome: Outcome) -> [Event; 2] {
    let probe = probed(ControlId::new(number), outcome);
    [Event::RepositoryKnown(known(vec![])), Event::Probed(probe)]
}

fn unhealthy() -> Vec<Event> {
    with(healthy(), [found(Code::HelperLost)])
}

/// A run in which only these packages are there afterwards.
fn installed(packages: Vec<InstalledPackage>) -> Vec<Event> {
    let fetched = Event::Released(released("x", "1.0.0", 1));
    with(with(started(), [fetched]), ended(packages))
}

/// Rows: control, status, events.
fn rows() -> Vec<(u8, Status, Vec<Event>)> {
    use Status::{
        Declared, Enforced, NotApplicable, Observed, Unknown, Verified, Violated, Waived,
    };
    let base = || package("x", "1.0.0", 1);
    let bundled = InstalledPackage {
        bundled: true,
        ..package("y", "1.0.0", 2)
    };
    let retained = InstalledPackage {
        retained: true,
        ..package("y", "1.0.0", 2)
    };
    let file = InstalledPackage {
        resolved: Some("file:y.tgz".into()),
        ..package("y", "1.0.0", 2)
    };
    let weak = Event::Released(crate::model::Released {
        anchor: Anchor::WeakSideFile,
        ..released("w", "1.0.0", 7)
    });
    let opened = Event::Call {
        call: "openat".into(),
        subject: "/project/x.tgz".into(),
        decision: Decision::Allowed,
        digest: Some(digest(Algorithm::Sha512, 1)),
    };
    let mut rows = vec![
        (1, Unknown, installed(vec![])),
        (1, Enforced, installed(vec![base()])),
        (1, Observed, installed(vec![base(), bundled])),
        (1, Violated, installed(vec![base(), file])),
        (
            1,
            Waived,
            with(installed(vec![retained.clone()]), [exception(1)]),
        ),
        (11, Violated, with(healthy(), [found(Code::DigestChanged)])),
        (13, Unknown, started()),
        (13, Unknown, unhealthy()),
        (13, Enforced, healthy()),
        (13, Observed, with(healthy(), [weak])),
        (
            13,
            Violated,
            with(healthy(), [found(Code::IntegrityMismatch)]),
        ),
        (14, Unknown, unhealthy()),
        (14, NotApplicable, healthy()),
        (14, Enforced, with(healthy(), [opened])),
        (14, Violated, with(healthy(), [found(Code::FileMismatch)])),
        (15, Unknown, unhealthy()),
        (15, NotApplicable, started_and_ended()),
        (15, Observed, healthy()),
        (
            15,
            Violated,
            with(healthy(), seen(15, Outcome::Contradicts)),
        ),
        (15, Violated, with(healthy(), [found(Code::PlainHttp)])),
        (
            15,
            Waived,
            with(
                with(healthy(), seen(15, Outcome::Contradicts)),
                [exception(15)],
            ),
        ),
        (16, Unknown, unhealthy()),
        (16, NotApplicable, started_and_ended()),
        (16, Enforced, healthy()),
        (
            16,
            Verified,
            with(healthy(), [connected(AnchorClass::SystemOnly)]),
        ),
        (16, Violated, with(healthy(), [found(Code::TlsInvalid)])),
        (18, Unknown, unhealthy()),
        (18, Enforced, healthy()),
        (18, Violated, with(healthy(), [found(Code::ExecRefused)])),
        (19, Unknown, unhealthy()),
        (19, Enforced, healthy()),
        (19, Observed, installed(vec![base(), retained])),
        (19, Violated, installed(vec![])),
    ];
    for number in OPERATOR {
        rows.extend([
            (number, Unknown, healthy()),
            (
                number,
                Unknown,
                with(healthy(), seen(number, Outcome::CannotTell)),
            ),
            (number, Declared, with(healthy(), [stated(number, true)])),
            (
                number,
                Observed,
                with(healthy(), seen(number, Outcome::Supports)),
            ),
            (number, Violated, with(healthy(), [stated(number, false)])),
            (
                number,
                Violated,
                with(healthy(), seen(number, Outcome::Contradicts)),
            ),
            (
                number,
                Waived,
                with(healthy(), [stated(number, false), exception(number)]),
            ),
        ]);
    }
    rows
}

/// Rows of the controls that rest on what is known of each component.
fn component_rows() -> Vec<(u8, Status, Vec<Event>)> {
    use Standing::{Invalid, Observed as ByItself, Verified as Outside};
    use Status::{Declared, Observed, Unknown, Verified, Violated, Waived};
    let checked = |proof, standing| vouched(move |one| one.checks.push(check(proof, standing)));
    let built = |standing| {
        vouched(move |one| {
            one.checks.push(check(Proof::Provenance, standing));
            one.built = Some(Built {
                repository: "https://code.invalid/o/a".into(),
                commit: "c".into(),
                reference: None,
                builder: None,
                pinned: false,
            });
        })
    };
    let timed = || vouched(|one| one.published = Some("2024-01-01T00:00:00Z".into()));
    let logged = vouched(|one| {
        one.checks.push(Check {
            time: Some("2024-01-01T00:00:00Z".into()),
            ..check(Proof::PublishAttestation, Outside)
        });
    });
    let grade = |grade| vouched(move |one| one.grade = Some(grade));
    let mut rows = vec![
        (2, Declared, with(vouched(|_| ()), [stated(2, true)])),
        (2, Observed, checked(Proof::RegistrySignature, ByItself)),
        (2, Verified, checked(Proof::RegistrySignature, Outside)),
        (2, Verified, checked(Proof::PublisherSignature, Outside)),
        (2, Verified, checked(Proof::Origin, Outside)),
        (2, Violated, checked(Proof::Origin, Invalid)),
        (2, Violated, with(timed(), [found(Code::OriginDiffers)])),
        (5, Unknown, grade(Grade::Workload)),
        (5, Observed, grade(Grade::Approved)),
        (10, Unknown, checked(Proof::Provenance, Outside)),
        (10, Verified, built(Outside)),
        (10, Violated, built(Invalid)),
        (11, Observed, timed()),
        (11, Verified, logged),
    ];
    for number in [2, 5, 10, 11] {
        rows.push((number, Unknown, started()));
        rows.push((number, Unknown, vouched(|_| ())));
        rows.push((number, Waived, with(started(), [exception(number)])));
    }
    rows
}

/// A watched run without any connection.
fn started_and_ended() -> Vec<Event> {
    with(started(), ended(vec![]))
}

#[test]
fn every_reachable_status_is_reached_by_a_recorded_run() {
    let mut reached: BTreeMap<u8, BTreeSet<Status>> = BTreeMap::new();
    for (number, expected, events) in rows().into_iter().chain(component_rows()) {
        let assessment = recorded(events);
        let verdict = assessment.control(ControlId::new(number)).unwrap();
        assert_eq!(verdict.status, expected, "4.{number}: {}", verdict.detail);
        assert!(
            !verdict.detail.is_empty() && !verdict.detail.ends_with('.'),
            "{verdict:?}"
        );
        reached.entry(number).or_default().insert(expected);
    }
    assert_eq!(reached.len(), 19);
    for number in OPERATOR {
        assert_eq!(reached[&number].len(), 5, "4.{number}");
    }
    for control in CLIENT {
        assert!(reached[&control.number()].len() >= 3, "{control}");
    }
    // Approval is the registry's unsigned word, so it is never more than observed and its lack proves
    // nothing; a commit is proven or it is not.
    for (number, statuses) in [(2, 6), (5, 3), (10, 4), (11, 5)] {
        assert_eq!(reached[&number].len(), statuses, "4.{number}");
    }
}

/// Everything that can be stated, stated.
fn best() -> Vec<Event> {
    let all = ControlId::all()
        .map(|control| fact(control, true))
        .collect();
    with(healthy(), [Event::RepositoryKnown(known(all))])
}

#[test]
fn statements_do_reach_what_they_are_about() {
    let assessment = recorded(best());
    for number in OPERATOR {
        assert_eq!(status(&assessment, number), Status::Declared, "4.{number}");
    }
    assert_eq!(client_score(&assessment), (7, 7));
}

#[test]
fn what_is_not_seen_never_gives_a_met_level() {
    let without = |drop: fn(&Event) -> bool| {
        let mut events = best();
        events.retain(|event| !drop(event));
        events
    };
    let aged = |facts: Vec<Fact>, probes: Vec<Probed>| {
        let mut events = healthy();
        events.push(Event::RepositoryKnown(known(facts)));
        events.extend(probes.into_iter().map(Event::Probed));
        events
    };
    let over = |control| Fact {
        expires: "2026-11-21".into(),
        ..fact(control, true)
    };
    let stale = |control| Probed {
        expires: "2026-11-22T10:00:00Z".into(),
        ..probed(control, Outcome::Supports)
    };
    let runs: [(&str, Vec<Event>); 7] = [
        (
            "no component",
            without(|event| matches!(event, Event::Installed(_))),
        ),
        ("nothing recorded", Vec::new()),
        (
            "no sandbox",
            without(|event| matches!(event, Event::Enforced { .. })),
        ),
        (
            "no proxy",
            without(|event| matches!(event, Event::ProxyReady { .. })),
        ),
        (
            "not contained",
            without(|event| matches!(event, Event::Contained { .. })),
        ),
        ("helper lost", with(best(), [found(Code::HelperLost)])),
        (
            "time is over",
            aged(
                ControlId::all().map(over).collect(),
                ControlId::all().map(stale).collect(),
            ),
        ),
    ];
    for (name, events) in runs {
        let assessment = recorded(events);
        assert_eq!(assessment.headline(), None, "{name}");
        assert!(
            assessment
                .levels
                .iter()
                .all(|level| !level.verdict.is_reached()),
            "{name}"
        );
    }
    let nothing = recorded(without(|event| matches!(event, Event::Installed(_))));
    assert!(
        nothing
            .levels
            .iter()
            .all(|l| l.verdict == LevelStatus::NothingAssessed)
    );
    let late = recorded(aged(ControlId::all().map(over).collect(), Vec::new()));
    for number in OPERATOR {
        assert_eq!(status(&late, number), Status::Unknown, "4.{number}");
        let verdict = late.control(ControlId::new(number)).unwrap();
        assert_eq!(verdict.modifiers, ["stale"]);
        assert!(
            verdict.detail.contains("ended on 2026-11-21"),
            "{}",
            verdict.detail
        );
    }
}
