//! The registry itself: what the other tests rely on, seen with a strict TLS client.

use std::time::Duration;

use super::authority::Identity;
use super::package::{Package, sri_sha512, tampered};
use super::server::fetch;
use super::{On, Registry, Setup, Statement, What};

fn ask(registry: &Registry, http2: bool, path: &str) -> Result<(u16, Vec<u8>), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let answer = fetch(registry.port(), registry.authority().pem(), http2, path);
    runtime
        .block_on(answer)
        .map(|(status, body)| (status, body.to_vec()))
}

#[test]
fn it_serves_both_protocol_versions_and_keeps_a_log() {
    let registry = Registry::start();
    let package = registry.publish(&Package::new("@scope/thing", "1.2.3"));
    for http2 in [false, true] {
        let (status, body) = ask(&registry, http2, "/@scope%2fthing").unwrap();
        let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(status, 200);
        let dist = &document["versions"]["1.2.3"]["dist"];
        assert_eq!(dist["integrity"], package.sha512.as_str());
        assert_eq!(dist["tarball"], registry.tarball_url(&package).as_str());
        let (status, body) = ask(&registry, http2, &format!("/{}", package.path())).unwrap();
        assert_eq!((status, sri_sha512(&body)), (200, package.sha512.clone()));
    }
    let versions: Vec<String> = registry
        .seen()
        .into_iter()
        .map(|seen| seen.version)
        .collect();
    assert_eq!(versions, ["HTTP/1.1", "HTTP/1.1", "HTTP/2.0", "HTTP/2.0"]);
    assert_eq!((registry.connections(), registry.tarballs().len()), (4, 2));
    assert_eq!(ask(&registry, true, "/absent").unwrap().0, 404);
}

#[test]
fn every_wrong_certificate_is_wrong() {
    for identity in [
        Identity::Expired,
        Identity::NotYetValid,
        Identity::SelfSigned,
        Identity::WrongName,
        Identity::UnknownIssuer,
    ] {
        let registry = Registry::with(Setup {
            identity,
            ..Setup::default()
        });
        assert!(ask(&registry, true, "/x").is_err(), "{identity:?}");
        assert!(registry.seen().is_empty());
    }
}

#[test]
fn faults_happen_as_often_as_asked() {
    let registry = Registry::start();
    let package = Package::new("thing", "1.0.0");
    let published = registry.publish(&package);
    let path = format!("/{}", published.path());
    registry.fault_times(On::Tarball("thing"), What::Status(503), 1, 1);
    registry.fault_times(On::Tarball("thing"), What::Bytes(tampered(&package)), 1, 1);
    let statuses: Vec<u16> = (0..3)
        .map(|_| ask(&registry, true, &path).unwrap())
        .map(|(status, _)| status)
        .collect();
    assert_eq!(statuses, [200, 503, 200]);
    let digests: Vec<bool> = (0..2)
        .map(|_| sri_sha512(&ask(&registry, true, &path).unwrap().1) == published.sha512)
        .collect();
    assert_eq!(
        digests,
        [true, true],
        "the tampered one was the third answer"
    );
    for what in [What::Truncated, What::Reset] {
        for http2 in [false, true] {
            registry.fault_times(On::Tarball("thing"), what.clone(), 0, 1);
            assert!(ask(&registry, http2, &path).is_err(), "{what:?} {http2}");
        }
    }
    registry.fault_times(On::All, What::Slow(4, Duration::from_millis(5)), 0, 1);
    assert_eq!(
        sri_sha512(&ask(&registry, true, &path).unwrap().1),
        published.sha512
    );
}

#[test]
fn weak_and_missing_digests_can_be_stated() {
    let registry = Registry::start();
    registry.publish_as(&Package::new("weak", "1.0.0"), Statement::ShasumOnly);
    registry.publish_as(&Package::new("none", "1.0.0"), Statement::Nothing);
    let dist = |name: &str| -> serde_json::Value {
        let (_, body) = ask(&registry, true, &format!("/{name}")).unwrap();
        let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
        document["versions"]["1.0.0"]["dist"].clone()
    };
    assert!(dist("weak")["integrity"].is_null() && dist("weak")["shasum"].is_string());
    assert!(dist("none")["integrity"].is_null() && dist("none")["shasum"].is_null());
}

#[test]
fn a_padded_document_stays_valid() {
    let registry = Registry::start();
    registry.publish(&Package::new("huge", "1.0.0"));
    registry.fault(On::Packument("huge"), What::Padded(3 << 20));
    let (status, body) = ask(&registry, true, "/huge").unwrap();
    assert_eq!(status, 200);
    assert!(body.len() > 3 << 20);
    assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
}
