//! The way out: an HTTP proxy of the environment or the user, old TLS, redirects within a host.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;

use crate::project::Project;
use crate::registry::package::Package;
use crate::registry::{On, Registry, Setup, What};

/// A forward proxy that keeps the heads of the requests it got. It ends with the test process.
struct Forward {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Forward {
    fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&heads);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                thread::spawn(move || relay(stream, &kept));
            }
        });
        Self { port, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// Serves one `CONNECT`; anything else is kept and dropped.
fn relay(mut near: TcpStream, kept: &Mutex<Vec<String>>) -> Option<()> {
    let mut head = Vec::new();
    let mut byte = [0_u8; 1];
    while !head.ends_with(b"\r\n\r\n") {
        near.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    kept.lock().unwrap().push(head.clone());
    let target = head.strip_prefix("CONNECT ")?.split(' ').next()?;
    let mut far = TcpStream::connect(target).ok()?;
    near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    let (mut from_near, mut to_far) = (near.try_clone().ok()?, far.try_clone().ok()?);
    let there = thread::spawn(move || {
        let _ = std::io::copy(&mut from_near, &mut to_far);
        let _ = to_far.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut far, &mut near);
    let _ = near.shutdown(Shutdown::Write);
    there.join().ok()
}

fn one(registry: &Registry) -> Project {
    registry.publish(&Package::new("thing", "1.0.0"));
    Project::locked(registry, json!({ "thing": "1.0.0" }))
}

#[test]
fn the_proxy_of_the_environment_is_used_with_its_credentials() {
    let registry = Registry::start();
    let mut project = one(&registry);
    project.secret("pa55-nonce");
    for variable in ["HTTPS_PROXY", "https_proxy"] {
        let forward = Forward::new();
        let address = format!("http://user:pa55-nonce@127.0.0.1:{}", forward.port);
        let _ = std::fs::remove_dir_all(project.home().join(".cache"));
        project
            .v4run(&["npm", "ci"])
            .env(variable, &address)
            .run()
            .succeeds();
        let heads = forward.heads();
        assert!(!heads.is_empty(), "{variable}: the proxy was passed by");
        for head in &heads {
            assert!(
                head.starts_with(&format!("CONNECT {} ", registry.host())),
                "{head}"
            );
            let head = head.to_lowercase();
            assert!(
                head.contains("proxy-authorization: basic dxnlcjpwytu1lw5vbmnl"),
                "{head}"
            );
        }
    }
}

#[test]
fn no_proxy_is_honoured() {
    let registry = Registry::start();
    let project = one(&registry);
    let forward = Forward::new();
    let run = project
        .v4run(&["npm", "ci"])
        .env("HTTPS_PROXY", format!("http://127.0.0.1:{}", forward.port))
        .env("NO_PROXY", "elsewhere.invalid,localhost")
        .run();
    run.succeeds();
    assert!(forward.heads().is_empty());
}

#[test]
fn the_proxy_of_the_user_s_configuration_is_used() {
    let registry = Registry::start();
    let project = one(&registry);
    let forward = Forward::new();
    project.add_user_config(&format!("https-proxy=http://127.0.0.1:{}", forward.port));
    project.v4run(&["npm", "ci"]).run().succeeds();
    assert!(!forward.heads().is_empty());
}

#[test]
fn a_proxy_that_is_down_is_named() {
    let registry = Registry::start();
    let project = one(&registry);
    let run = project
        .v4run(&["npm", "ci"])
        .env("HTTPS_PROXY", "http://127.0.0.1:1")
        .run();
    assert!(run.code() != 0 && run.code() < 120, "{}", run.told());
    run.says("upstream-failed").says("127.0.0.1:1");
}

#[test]
fn a_registry_with_tls_1_2_is_used_and_recorded_as_such() {
    let registry = Registry::with(Setup {
        old_tls: true,
        ..Setup::default()
    });
    let project = one(&registry);
    let run = project.v4run(&["npm", "ci"]).run();
    run.succeeds();
    run.record()
        .event("connected", |event| event["tls"]["version"] == "TLSv1.2");
}

#[test]
fn a_redirect_within_the_registry_is_followed_or_refused_by_name() {
    let registry = Registry::start();
    let project = one(&registry);
    registry.fault_times(On::Tarball("thing"), What::Redirect(registry.base()), 0, 1);
    let run = project.v4run(&["npm", "ci"]).run();
    if run.code() == 0 {
        assert!(project.path("node_modules/thing/index.js").exists());
    } else {
        run.refuses(120, "redirect-refused", "4.1");
    }
}

#[test]
fn a_redirect_that_never_ends() {
    let registry = Registry::start();
    let project = one(&registry);
    registry.fault(On::Tarball("thing"), What::Redirect(registry.base()));
    let run = project.v4run(&["npm", "ci"]).run();
    assert_ne!(run.code(), 0);
    assert!(
        registry.tarballs().len() < 40,
        "{}",
        registry.tarballs().len()
    );
}
