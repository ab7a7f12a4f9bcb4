//! Signatures and origin: asked beside the artifacts, refused where they contradict.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};

use super::client::get;
use super::registry::{Registry, Reply, Seen};
use super::run::{Run, locked, packument, sri};
use crate::model::{Code, Event, Grade, Network, OriginKeys, Proof, SigningKey, Standing, Vouched};

const CONTENT: &[u8] = b"the tarball";

fn stated(pair: &KeyPair) -> SigningKey {
    SigningKey {
        id: "SHA256:test".into(),
        key: STANDARD.encode(pair.subject_public_key_info()),
        usage: None,
        start: None,
        end: None,
        stated_in: "v4run.toml:3".into(),
    }
}

fn trust(network: &mut Network, key: SigningKey) {
    network.signing.origins.push(OriginKeys {
        origin: network.repositories[0].origin.clone(),
        keys: vec![key],
    });
}

/// `dist.signatures` over a message.
fn signatures(pair: &KeyPair, message: &str) -> String {
    let signature = STANDARD.encode(pair.sign(message.as_bytes()).unwrap());
    format!(r#""signatures":[{{"keyid":"SHA256:test","sig":"{signature}"}}]"#)
}

fn document(more: &str, dist: &str) -> String {
    let integrity = sri(CONTENT);
    format!(
        r#"{{"name":"left","version":"1.0.0","dist":{{"integrity":"{integrity}",{dist}}}{more}}}"#
    )
}

fn good(pair: &KeyPair) -> String {
    signatures(pair, &format!("left@1.0.0:{}", sri(CONTENT)))
}

/// A registry with that document of the version; other paths as told, else nothing.
fn registry(
    version: String,
    other: impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static,
) -> Registry {
    Registry::new(move |seen, _before| match seen.path.as_str() {
        "/npm/left/-/left-1.0.0.tgz" => Reply::ok(CONTENT),
        "/npm/left/1.0.0" => Reply::ok(version.clone()),
        _ => other(seen).unwrap_or_else(|| Reply::status(404)),
    })
}

fn planned(registry: &Registry, key: Option<SigningKey>) -> Run {
    Run::planned(registry, |network| {
        network.expected = vec![locked("left", "1.0.0", CONTENT)];
        if let Some(key) = key {
            trust(network, key);
        }
    })
}

async fn tarball(run: &Run, registry: &Registry) -> u16 {
    let url = format!("{}left/-/left-1.0.0.tgz", registry.base());
    get(run, &url).await.status.as_u16()
}

fn vouched(run: &Run) -> Vouched {
    run.wait_event(|event| match event {
        Event::Vouched(vouched) => Some(vouched.clone()),
        _ => None,
    })
}

fn findings(events: &[Event]) -> Vec<Code> {
    let found = events.iter().filter_map(|event| match event {
        Event::Found(finding) => Some(finding.code),
        _ => None,
    });
    found.collect()
}

#[tokio::test]
async fn a_signature_by_a_key_of_the_plan_is_verified_and_one_by_the_registry_s_own_observed() {
    let pair = KeyPair::generate().unwrap();
    for (pinned, expected) in [(true, Standing::Verified), (false, Standing::Observed)] {
        let own = STANDARD.encode(pair.subject_public_key_info());
        let keys =
            format!(r#"{{"keys":[{{"keyid":"SHA256:test","key":"{own}","expires":null}}]}}"#);
        let registry = registry(document("", &good(&pair)), move |seen| {
            (seen.path == "/npm/-/npm/v1/keys").then(|| Reply::ok(keys.clone()))
        });
        let run = planned(&registry, pinned.then(|| stated(&pair)));
        assert_eq!(tarball(&run, &registry).await, 200);
        let vouched = vouched(&run);
        assert_eq!(vouched.standing(Proof::RegistrySignature), Some(expected));
        assert_eq!(vouched.grade, Some(Grade::Unmarked));
        // Where the plan names keys, the registry is not asked for its own.
        assert_eq!(registry.count("/npm/-/npm/v1/keys"), usize::from(!pinned));
        assert_eq!(findings(&run.end()), []);
    }
}

#[tokio::test]
async fn an_invalid_signature_is_a_refusal() {
    let pair = KeyPair::generate().unwrap();
    let other = KeyPair::generate().unwrap();
    let expired = SigningKey {
        end: Some("2020-01-01T00:00:00Z".into()),
        ..stated(&pair)
    };
    let time = |text: &str| format!(r#"{{"name":"left","time":{{"1.0.0":"{text}"}}}}"#);
    for (dist, key) in [
        (
            signatures(&pair, &format!("left@1.0.1:{}", sri(CONTENT))),
            stated(&pair),
        ),
        (
            signatures(&pair, &format!("left@1.0.0:{}", sri(b"x"))),
            stated(&pair),
        ),
        (good(&other), stated(&pair)),
        (good(&pair), stated(&other)),
    ] {
        let registry = registry(document("", &dist), |_seen| None);
        let run = planned(&registry, Some(key));
        assert_eq!(tarball(&run, &registry).await, 200);
        let finding = run.finding(Code::SignatureInvalid);
        assert_eq!(finding.control.unwrap().to_string(), "4.2");
        assert_eq!(finding.subject, "left@1.0.0");
        assert_eq!(tarball(&run, &registry).await, 403);
    }
    // Without a time nobody can tell whether the key had ended.
    let registry = registry(document("", &good(&pair)), move |_seen| {
        Some(Reply::ok(time("2026-01-01T00:00:00.000Z")))
    });
    let run = planned(&registry, Some(expired));
    assert_eq!(tarball(&run, &registry).await, 200);
    let vouched = vouched(&run);
    assert_eq!(
        vouched.standing(Proof::RegistrySignature),
        Some(Standing::Unknown)
    );
    assert_eq!(findings(&run.end()), []);
}

#[tokio::test]
async fn what_the_index_says_already_is_refused_before_a_byte_is_given_out() {
    let pair = KeyPair::generate().unwrap();
    let early = SigningKey {
        start: Some("2025-01-01T00:00:00Z".into()),
        end: Some("2026-01-01T00:00:00Z".into()),
        ..stated(&pair)
    };
    let unborn = SigningKey {
        start: Some("2999-01-01T00:00:00Z".into()),
        ..stated(&pair)
    };
    let wrong = signatures(&pair, "left@1.0.0:sha512-x");
    let plain = stated(&pair);
    for (dist, time, key, status) in [
        (good(&pair), "2025-06-01T00:00:00.000Z", &early, 200),
        (good(&pair), "2026-06-01T00:00:00.000Z", &early, 403),
        (good(&pair), "2024-06-01T00:00:00.000Z", &early, 200),
        (good(&pair), "2024-06-01T00:00:00.000Z", &unborn, 403),
        (good(&pair), "2024-06-01T00:00:00.000Z", &plain, 200),
        (wrong, "2025-06-01T00:00:00.000Z", &plain, 403),
    ] {
        let registry = Registry::new(move |seen, _before| match seen.path.as_str() {
            "/npm/left" => {
                let base = format!("https://{}/npm/", seen.host);
                let index = packument(&base, "left", "1.0.0", CONTENT);
                let index = index.replace("\"tarball\"", &format!("{dist},\"tarball\""));
                let times = format!(r#","time":{{"1.0.0":"{time}"}}}}"#);
                Reply::ok(format!("{}{times}", index.strip_suffix('}').unwrap()))
            }
            "/npm/left/-/left-1.0.0.tgz" => Reply::ok(CONTENT),
            _ => Reply::status(404),
        });
        let run = Run::planned(&registry, |network| trust(network, key.clone()));
        assert_eq!(
            get(&run, &format!("{}left", registry.base())).await.status,
            200
        );
        assert_eq!(tarball(&run, &registry).await, status, "{time}");
        let events = run.end();
        let released = events
            .iter()
            .any(|event| matches!(event, Event::Released(_)));
        assert_eq!(released, status == 200);
        assert_eq!(
            findings(&events).contains(&Code::SignatureInvalid),
            status == 403
        );
    }
}

#[tokio::test]
async fn a_registry_that_signs_nothing_is_asked_little_and_is_an_ordinary_result() {
    let registry = Registry::new(|seen, _before| match seen.path.ends_with(".tgz") {
        true => Reply::ok(CONTENT),
        false => Reply::status(404),
    });
    let names: Vec<String> = (0..30).map(|number| format!("p{number}")).collect();
    let expected: Vec<_> = names
        .iter()
        .map(|name| locked(name, "1.0.0", CONTENT))
        .collect();
    for key in [None, Some(stated(&KeyPair::generate().unwrap()))] {
        let pinned = key.is_some();
        let before = registry.seen().len();
        let run = Run::planned(&registry, |network| {
            network.expected = expected.clone();
            key.into_iter().for_each(|key| trust(network, key));
        });
        for name in &names {
            let url = format!("{}{name}/-/{name}-1.0.0.tgz", registry.base());
            assert_eq!(get(&run, &url).await.status, 200);
        }
        let events = run.end();
        assert_eq!(findings(&events), []);
        let all = events
            .iter()
            .filter(|event| matches!(event, Event::Vouched(_)));
        assert_eq!(all.count(), names.len());
        let seen = registry.seen();
        let beside = seen
            .iter()
            .skip(before)
            .filter(|seen| !seen.path.ends_with(".tgz"));
        // Its list of keys, the times of two packages; with keys of the plan a few versions instead.
        let most = if pinned { 3 + 12 + 2 } else { 1 + 2 };
        let count = beside.count();
        assert!(count <= most, "{count}");
    }
}

#[tokio::test]
async fn a_slow_endpoint_slows_nothing() {
    let pair = KeyPair::generate().unwrap();
    let registry = Registry::new(|seen, _before| match seen.path.ends_with(".tgz") {
        true => Reply::ok(CONTENT),
        false => Reply {
            delay: Duration::from_secs(30),
            ..Reply::ok("{}")
        },
    });
    let run = planned(&registry, Some(stated(&pair)));
    let start = Instant::now();
    assert_eq!(tarball(&run, &registry).await, 200);
    let events = run.end();
    assert!(
        start.elapsed() < Duration::from_secs(15),
        "{:?}",
        start.elapsed()
    );
    let vouched = events.iter().find_map(|event| match event {
        Event::Vouched(vouched) => Some(vouched),
        _ => None,
    });
    assert!(
        vouched
            .unwrap()
            .unasked
            .as_ref()
            .unwrap()
            .contains("before the run ended")
    );
    assert_eq!(findings(&events), []);
}

#[tokio::test]
async fn a_document_of_20_megabytes_is_not_read() {
    let pair = KeyPair::generate().unwrap();
    let dist = format!(
        r#"{},"attestations":{{"url":"https://elsewhere.invalid/npm/-/npm/v1/attestations/left@1.0.0"}}"#,
        good(&pair)
    );
    let registry = registry(document("", &dist), |seen| {
        let path = "/npm/-/npm/v1/attestations/left@1.0.0";
        (seen.path == path).then(|| Reply::ok(vec![b' '; 20 << 20]))
    });
    let run = planned(&registry, Some(stated(&pair)));
    assert_eq!(tarball(&run, &registry).await, 200);
    let vouched = vouched(&run);
    assert_eq!(
        vouched.standing(Proof::RegistrySignature),
        Some(Standing::Verified)
    );
    let check = vouched
        .checks
        .iter()
        .find(|check| check.proof == Proof::Provenance)
        .unwrap();
    assert_eq!(check.standing, Standing::Unknown);
    assert!(
        check.reason.as_ref().unwrap().contains("bound"),
        "{check:?}"
    );
    assert_eq!(findings(&run.end()), []);
}

#[tokio::test]
async fn a_mirror_is_compared_with_its_origin() {
    for (theirs, same) in [(CONTENT, true), (&b"other bytes"[..], false)] {
        let origin = document("", r#""x":1"#).replace(&sri(CONTENT), &sri(theirs));
        let registry = Registry::new(move |seen, _before| match seen.path.as_str() {
            "/npm/left/-/left-1.0.0.tgz" => Reply::ok(CONTENT),
            "/origin/left/1.0.0" => Reply::ok(origin.clone()),
            _ => Reply::status(404),
        });
        let run = Run::planned(&registry, |network| {
            network.expected = vec![locked("left", "1.0.0", CONTENT)];
            let origin = format!("https://localhost:{}/origin/", registry.port);
            network.repositories[0].origin = origin.parse().unwrap();
        });
        assert_eq!(tarball(&run, &registry).await, 200);
        let vouched = vouched(&run);
        let expected = if same {
            Standing::Verified
        } else {
            Standing::Invalid
        };
        assert_eq!(vouched.standing(Proof::Origin), Some(expected));
        let events = run.end();
        assert_eq!(findings(&events).contains(&Code::OriginDiffers), !same);
    }
}

#[tokio::test]
async fn a_version_published_with_less_than_an_earlier_one_is_an_alarm() {
    let pair = KeyPair::generate().unwrap();
    let approved = document(r#","_npmUser":{"approver":{"name":"b"}}"#, &good(&pair));
    let registry = registry(approved, |seen| match seen.path.as_str() {
        "/npm/left/1.0.1" => Some(Reply::ok(
            r#"{"name":"left","version":"1.0.1","_npmUser":{"name":"a"}}"#,
        )),
        "/npm/left/-/left-1.0.1.tgz" => Some(Reply::ok(CONTENT)),
        _ => None,
    });
    let run = Run::planned(&registry, |network| {
        network.expected = ["1.0.0", "1.0.1"]
            .map(|one| locked("left", one, CONTENT))
            .into();
        trust(network, stated(&pair));
    });
    assert_eq!(tarball(&run, &registry).await, 200);
    assert_eq!(vouched(&run).grade, Some(Grade::Approved));
    let later = format!("{}left/-/left-1.0.1.tgz", registry.base());
    assert_eq!(get(&run, &later).await.status, 200);
    let finding = run.finding(Code::TrustDowngraded);
    assert_eq!(finding.subject, "left@1.0.1");
    assert!(finding.message.contains("1.0.0"), "{}", finding.message);
}

#[test]
fn a_key_that_is_none_ends_the_run_before_it_begins() {
    let registry = Registry::new(|_seen, _before| Reply::status(404));
    let store = tempfile::tempdir().unwrap();
    let mut network = super::run::network(&registry, store.path());
    let mut key = stated(&KeyPair::generate().unwrap());
    key.key = "AAAA".into();
    trust(&mut network, key);
    let mut line = serde_json::to_vec(&network).unwrap();
    line.push(b'\n');
    let text = crate::proxy::chain(&Run::failure(&line));
    assert!(text.contains("v4run.toml:3"), "{text}");
}
