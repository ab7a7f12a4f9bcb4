//! One run of the proxy: `serve` in a thread, the session's ends of its sockets here.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha512};
use tempfile::TempDir;
use url::Url;

use super::registry::Registry;
use crate::model::Algorithm;
use crate::model::Anchor;
use crate::model::Code;
use crate::model::Digest;
use crate::model::Event;
use crate::model::Expected;
use crate::model::Finding;
use crate::model::Integrity;
use crate::model::Layout;
use crate::model::Network;
use crate::model::ProxyMessage;
use crate::model::Released;
use crate::model::Repository;
use crate::model::Secret;
use crate::model::Signing;
use crate::proxy::{ProxyError, Reading, serve};
use crate::sys::fd::{pair, send};

pub(super) const TOKEN: &str = "token-of-the-run";

/// SRI of a content.
pub(super) fn sri(content: &[u8]) -> String {
    let digest = Sha512::digest(content).to_vec();
    Digest::new(Algorithm::Sha512, digest).unwrap().to_string()
}

/// A packument with one version whose tarball lies where npm expects it.
pub(super) fn packument(base: &str, name: &str, version: &str, content: &[u8]) -> String {
    let tarball = format!("{base}{name}/-/{name}-{version}.tgz");
    let integrity = sri(content);
    format!(
        r#"{{"name":"{name}","versions":{{"{version}":{{"name":"{name}","version":"{version}",
           "dist":{{"tarball":"{tarball}","integrity":"{integrity}"}}}}}}}}"#
    )
}

/// What a lockfile says.
pub(super) fn locked(name: &str, version: &str, content: &[u8]) -> Expected {
    Expected {
        name: name.into(),
        version: version.into(),
        file: None,
        url: None,
        integrity: Some(Integrity::parse(&sri(content)).unwrap()),
        anchor: Anchor::Lockfile,
        stated_in: format!("package-lock.json: node_modules/{name}"),
    }
}

pub(super) fn repository(id: &str, base: &str) -> Repository {
    let base = Url::parse(base).unwrap();
    Repository {
        id: id.into(),
        origin: base.clone(),
        base,
        configured_in: "test".into(),
        may_be_private: true,
        credential: None,
    }
}

/// The plan for one registry.
pub(super) fn network(registry: &Registry, store: &Path) -> Network {
    Network {
        refused: Vec::new(),
        protocol: "npm".into(),
        token: Secret::new(TOKEN.into()),
        repositories: vec![repository("default", &registry.base())],
        extra_anchors: vec![registry.authority.clone()],
        expected: Vec::new(),
        pins: Vec::new(),
        release_age: None,
        layout: Layout::default(),
        closed: false,
        sources: false,
        built: Vec::new(),
        signing: Signing::default(),
        audit: false,
        upstream_proxy: None,
        no_proxy: String::new(),
        store: store.as_os_str().to_owned(),
        run: "run-1".into(),
    }
}

pub(super) struct Run {
    pub(super) store: Option<TempDir>,
    pub(super) authority: String,
    control: UnixStream,
    connections: OwnedFd,
    messages: Arc<Mutex<Vec<ProxyMessage>>>,
    reader: JoinHandle<()>,
    proxy: JoinHandle<Result<(), ProxyError>>,
    listener: TcpListener,
}

impl Run {
    /// A run against that registry with a store of its own.
    pub(super) fn against(registry: &Registry) -> Self {
        Self::planned(registry, |_network| {})
    }

    pub(super) fn planned(registry: &Registry, change: impl FnOnce(&mut Network)) -> Self {
        let store = tempfile::tempdir().unwrap();
        let mut network = network(registry, store.path());
        change(&mut network);
        let mut run = Self::start(&network);
        run.store = Some(store);
        run
    }

    pub(super) fn start(network: &Network) -> Self {
        let (mut control, theirs) = UnixStream::pair().unwrap();
        let (connections, their_connections) = pair().unwrap();
        let proxy = thread::spawn(move || {
            serve(theirs.into(), their_connections, Reading::start().unwrap())
        });
        let mut line = serde_json::to_vec(network).unwrap();
        line.push(b'\n');
        control.write_all(&line).unwrap();
        let messages = Arc::new(Mutex::new(Vec::new()));
        let (kept, from) = (Arc::clone(&messages), control.try_clone().unwrap());
        let reader = thread::spawn(move || {
            for line in BufReader::new(from).lines() {
                let message = serde_json::from_str(&line.unwrap()).unwrap();
                kept.lock().unwrap().push(message);
            }
        });
        let mut run = Self {
            store: None,
            authority: String::new(),
            control,
            connections,
            messages,
            reader,
            proxy,
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
        };
        run.authority = run.wait(|message| match message {
            ProxyMessage::Ready { certificate } => Some(certificate.clone()),
            ProxyMessage::Event(_) => None,
        });
        run
    }

    /// A connection to the proxy, made as the supervisor makes it.
    pub(super) fn connect(&self) -> TcpStream {
        let near = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        let (far, _) = self.listener.accept().unwrap();
        send(self.connections.as_fd(), far.as_fd()).unwrap();
        near
    }

    fn wait<T>(&self, mut find: impl FnMut(&ProxyMessage) -> Option<T>) -> T {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            if let Some(found) = self.messages.lock().unwrap().iter().find_map(&mut find) {
                return found;
            }
            thread::sleep(Duration::from_millis(2));
        }
        panic!("nothing came: {:?}", self.messages.lock().unwrap());
    }

    pub(super) fn wait_event<T>(&self, find: impl Fn(&Event) -> Option<T>) -> T {
        self.wait(|message| match message {
            ProxyMessage::Event(event) => find(event),
            ProxyMessage::Ready { .. } => None,
        })
    }

    /// The finding with that code.
    pub(super) fn finding(&self, code: Code) -> Finding {
        self.wait_event(|event| match event {
            Event::Found(finding) if finding.code == code => Some(finding.clone()),
            _ => None,
        })
    }

    /// The first release of that package.
    pub(super) fn released(&self, name: &str) -> Released {
        self.wait_event(|event| match event {
            Event::Released(released) if released.name == name => Some(released.clone()),
            _ => None,
        })
    }

    /// Ends the run as the session does; every event of it.
    pub(super) fn end(self) -> Vec<Event> {
        self.control.shutdown(std::net::Shutdown::Write).unwrap();
        self.proxy.join().unwrap().unwrap();
        self.reader.join().unwrap();
        let messages = std::mem::take(&mut *self.messages.lock().unwrap());
        messages
            .into_iter()
            .filter_map(|message| match message {
                ProxyMessage::Event(event) => Some(*event),
                ProxyMessage::Ready { .. } => None,
            })
            .collect()
    }

    /// What the proxy said instead of serving.
    pub(super) fn failure(network: &[u8]) -> ProxyError {
        let (mut control, theirs) = UnixStream::pair().unwrap();
        let (_connections, their_connections) = pair().unwrap();
        control.write_all(network).unwrap();
        control.shutdown(std::net::Shutdown::Write).unwrap();
        serve(theirs.into(), their_connections, Reading::start().unwrap()).unwrap_err()
    }
}
