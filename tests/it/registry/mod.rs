//! A loopback npm registry: HTTPS on a port of its own, packages in memory, faults on demand.
//!
//! Every test starts its own; nothing is shared, so tests run side by side. It keeps every request
//! with its headers, because several tests are about what a registry gets to see.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::oneshot;

mod answer;
pub(crate) mod authority;
mod body;
mod maven;
pub(crate) mod package;
mod python;
mod selftest;
mod server;

use authority::{Authority, Identity};
use package::{Package, Published};

/// How a registry is set up; change what a test is about.
pub(crate) struct Setup {
    /// Certificate.
    pub(crate) identity: Identity,
    /// Offer HTTP/2 in ALPN.
    pub(crate) http2: bool,
    /// Speak plain HTTP.
    pub(crate) plain: bool,
    /// Offer TLS 1.2 only.
    pub(crate) old_tls: bool,
    /// Answer 401 without this bearer token.
    pub(crate) token: Option<String>,
    /// Answer 401 without this name and password.
    pub(crate) login: Option<(&'static str, &'static str)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            identity: Identity::Good,
            http2: true,
            plain: false,
            old_tls: false,
            token: None,
            login: None,
        }
    }
}

/// What a fault applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum On {
    /// The index document of a package.
    Packument(&'static str),
    /// The archives of a package.
    Tarball(&'static str),
    /// Every path with that ending.
    Path(&'static str),
    /// Everything.
    All,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// This status with a short JSON body.
    Status(u16),
    /// Status 200 with these bytes.
    Bytes(Vec<u8>),
    /// Half of the true body, then the end of the connection.
    Truncated,
    /// TCP reset instead of an answer; with HTTP/2 the reset of the one stream.
    Reset,
    /// The end of the whole connection, with all that is under way on it.
    Hangup,
    /// The true body in so many pieces with a pause before each.
    Slow(usize, Duration),
    /// 302 to that address followed by the request's own path.
    Redirect(String),
    /// A valid index document, padded by so many bytes.
    Padded(u64),
    /// Status 200 with that type and text.
    Page(&'static str, String),
    /// The same with so many bytes of padding behind the text.
    LongPage(&'static str, String, u64),
}

struct Fault {
    on: On,
    what: What,
    skip: u32,
    left: u32,
}

/// What an index document states as the digest of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Statement {
    /// `integrity` with SHA-512 and `shasum`, as registries do.
    Sha512,
    /// `shasum` alone, as very old packages have.
    ShasumOnly,
    /// Neither.
    Nothing,
    /// This text as `integrity`.
    Text(String),
}

struct Held {
    published: Published,
    statement: Statement,
    tarball_url: Option<String>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Method.
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// Lower-case names and values.
    pub(crate) headers: Vec<(String, String)>,
    /// Body.
    pub(crate) body: Vec<u8>,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub(crate) version: String,
}

impl Seen {
    /// Value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

#[derive(Default)]
struct Log {
    seen: Vec<Seen>,
    connections: usize,
    failed_handshakes: usize,
}

struct Shared {
    setup: Setup,
    held: Mutex<BTreeMap<String, BTreeMap<String, Held>>>,
    faults: Mutex<VecDeque<Fault>>,
    advisories: Mutex<Value>,
    python: Mutex<python::Files>,
    maven: Mutex<maven::Files>,
    log: Mutex<Log>,
    changed: Condvar,
}

/// A running registry; stops when dropped.
pub(crate) struct Registry {
    shared: Arc<Shared>,
    address: SocketAddr,
    authority: Arc<Authority>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Registry {
    /// A healthy registry.
    pub(crate) fn start() -> Self {
        Self::with(Setup::default())
    }

    /// A registry set up as told, with a CA of its own.
    pub(crate) fn with(setup: Setup) -> Self {
        Self::issued_by(Arc::new(Authority::new()), setup)
    }

    /// A registry whose certificate comes from an authority that others may share.
    pub(crate) fn issued_by(authority: Arc<Authority>, setup: Setup) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let tls =
            (!setup.plain).then(|| authority.server(setup.identity, setup.http2, setup.old_tls));
        let shared = Arc::new(Shared {
            setup,
            held: Mutex::default(),
            faults: Mutex::default(),
            advisories: Mutex::new(json!({})),
            python: Mutex::default(),
            maven: Mutex::default(),
            log: Mutex::default(),
            changed: Condvar::new(),
        });
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || server::run(listener, tls, shared, stopped)
        });
        Self {
            shared,
            address,
            authority,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Port on the loopback address.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The CA that this registry's certificate comes from, PEM.
    pub(crate) fn authority(&self) -> &Arc<Authority> {
        &self.authority
    }

    /// `localhost:PORT`.
    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.port())
    }

    /// Base address with a final `/`.
    pub(crate) fn base(&self) -> String {
        let scheme = if self.shared.setup.plain {
            "http"
        } else {
            "https"
        };
        format!("{scheme}://{}/", self.host())
    }

    /// Address of an archive.
    pub(crate) fn tarball_url(&self, package: &Published) -> String {
        format!("{}{}", self.base(), package.path())
    }

    /// Publishes a package.
    pub(crate) fn publish(&self, package: &Package) -> Published {
        self.publish_as(package, Statement::Sha512)
    }

    /// Publishes a package with another statement of its digest.
    pub(crate) fn publish_as(&self, package: &Package, statement: Statement) -> Published {
        let published = package.build();
        self.hold(published.clone(), statement, None);
        published
    }

    /// Publishes a package whose index names another address for its archive.
    pub(crate) fn publish_at(&self, package: &Package, tarball_url: String) -> Published {
        let published = package.build();
        self.hold(published.clone(), Statement::Sha512, Some(tarball_url));
        published
    }

    /// Publishes an archive as it was made elsewhere; the index says nothing but name and version.
    pub(crate) fn publish_archive(&self, name: &str, version: &str, tarball: &[u8]) -> Published {
        let published = Published::of(name, version, tarball);
        self.hold(published.clone(), Statement::Sha512, None);
        published
    }

    fn hold(&self, published: Published, statement: Statement, tarball_url: Option<String>) {
        let held = Held {
            published,
            statement,
            tarball_url,
        };
        let mut all = self.shared.held.lock().unwrap();
        all.entry(held.published.name.clone())
            .or_default()
            .insert(held.published.version.clone(), held);
    }

    /// What is published, by name and version.
    pub(crate) fn published(&self) -> Vec<Published> {
        let all = self.shared.held.lock().unwrap();
        all.values()
            .flat_map(|versions| versions.values().map(|h| h.published.clone()))
            .collect()
    }

    /// Sets the answer of the bulk advisory query.
    pub(crate) fn advise(&self, advisories: &Value) {
        *self.shared.advisories.lock().unwrap() = advisories.clone();
    }

    /// From now on every matching request meets this fault.
    pub(crate) fn fault(&self, on: On, what: What) {
        self.fault_times(on, what, 0, u32::MAX);
    }

    /// The matching requests after `skip` meet this fault, `times` of them.
    pub(crate) fn fault_times(&self, on: On, what: What, skip: u32, times: u32) {
        self.shared.faults.lock().unwrap().push_back(Fault {
            on,
            what,
            skip,
            left: times,
        });
    }

    /// Faults that are still to happen.
    pub(crate) fn faults_left(&self) -> u64 {
        let faults = self.shared.faults.lock().unwrap();
        faults.iter().map(|fault| u64::from(fault.left)).sum()
    }

    /// No fault is left.
    pub(crate) fn heal(&self) {
        self.shared.faults.lock().unwrap().clear();
    }

    /// Requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.log.lock().unwrap().seen.clone()
    }

    /// Paths of the archive requests so far.
    pub(crate) fn tarballs(&self) -> Vec<String> {
        let seen = self.shared.log.lock().unwrap();
        seen.seen
            .iter()
            .filter(|s| s.path.ends_with(".tgz"))
            .map(|s| s.path.clone())
            .collect()
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.log.lock().unwrap().connections
    }

    /// Connections that did not get through a TLS handshake.
    pub(crate) fn failed_handshakes(&self) -> usize {
        self.shared.log.lock().unwrap().failed_handshakes
    }

    /// Waits until a request for a path with that ending was seen.
    pub(crate) fn wait_for(&self, ending: &str, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut log = self.shared.log.lock().unwrap();
        loop {
            if log.seen.iter().any(|seen| seen.path.ends_with(ending)) {
                return true;
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return false;
            };
            log = self.shared.changed.wait_timeout(log, left).unwrap().0;
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
