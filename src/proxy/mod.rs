//! The verifying proxy: everything between the package manager and the repositories.
//!
//! Runs in a process of its own, confined before [`serve`] is called. Holds the run's CA key and
//! the credentials of the repositories; the manager never sees either. It has no listener: the
//! session hands over connections that it made itself, and ends the proxy by closing its socket.
//!
//! What must hold: no byte of an artifact reaches the manager before its digest matched; nothing
//! goes out except over verified TLS to an allowed repository or to an address that an anchor of
//! the run names; what no rule knows is refused. One thread serves, another reads what is in artifacts;
//! files are opened only below the store and for the platform's trust store, `/etc/resolv.conf` and
//! `/etc/hosts`.
//!
//! It knows neither managers nor records: expectations come in the plan and in index documents,
//! and what happened goes out as events.

mod ahead;
mod answer;
mod artifact;
mod authority;
mod beside;
mod confirm;
mod events;
mod expect;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod gzip;
mod index;
mod leads;
mod lifecycle;
mod limits;
mod merge;
mod pipeline;
mod probe;
mod reading;
mod repositories;
mod sides;
mod target;
#[cfg(test)]
mod tests;
mod tunnel;
mod upstream;
mod vouching;

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

pub use self::probe::{Answer as ProbeAnswer, Inquiry, Question};
pub use self::reading::Reading;

use self::ahead::Ahead;
use self::authority::{Authority, AuthorityError};
use self::beside::GivenOut;
use self::events::Events;
use self::expect::Expectations;
use self::index::Belonging;
use self::leads::Leads;
use self::lifecycle::Lives;
use self::merge::Merge;
use self::pipeline::Pipeline;
use self::repositories::Repositories;
use self::sides::Kinds;
use self::tunnel::Tunnels;
use self::upstream::{Connector, Forward, ForwardError, Upstream};
use self::vouching::{SigningError, Vouching};
use crate::model::Event;
use crate::model::Network;
use crate::protocol;
use crate::protocol::Inspector;
use crate::store::Blobs;
use crate::store::Directory;
use crate::store::Ledger;
use crate::store::StoreError;
use crate::sys::fd::receive;
use crate::verify::tls::{SelfTestError, Trust, TrustError, self_test};

/// Why the proxy does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// Runtime or sockets.
    #[error("the proxy could not be set up")]
    Io(#[source] io::Error),
    /// The session closed before it sent a plan, or sent too much.
    #[error("the proxy got no plan")]
    NoPlan,
    /// The plan cannot be read.
    #[error("the proxy cannot read its plan")]
    Plan(#[source] serde_json::Error),
    /// A repository in the plan that cannot be used.
    #[error("the repository `{id}` cannot be used: {reason}")]
    Repository {
        /// Its short name.
        id: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// No such protocol.
    #[error("the proxy does not know the protocol `{0}`")]
    Protocol(String),
    /// The store cannot be used.
    #[error(transparent)]
    Store(StoreError),
    /// A configured trust anchor cannot be read.
    #[error(transparent)]
    Trust(TrustError),
    /// Certificate checks do not work.
    #[error(transparent)]
    SelfTest(SelfTestError),
    /// The run's certificates cannot be made.
    #[error(transparent)]
    Authority(AuthorityError),
    /// Keys or roots cannot be used.
    #[error(transparent)]
    Signing(SigningError),
    /// The caller's HTTP proxy cannot be used.
    #[error(transparent)]
    Forward(ForwardError),
}

/// Serves until the session closes `control`.
///
/// `control` is a connected stream socket: one line with the plan comes in, one line a message
/// goes out. `connections` is a socket over which accepted TCP connections come. Whoever calls has
/// confined the process already, the thread of `reading` included.
pub fn serve(control: OwnedFd, connections: OwnedFd, reading: Reading) -> Result<(), ProxyError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(ProxyError::Io)?;
    let store = runtime.block_on(run(control, connections, reading))?;
    // Fetches under way end here; their staged files go with them.
    drop(runtime);
    // Trimming is housekeeping: a run does not fail because of it.
    let _ = store.trim(limits::STORE, limits::STORE_AGE);
    Ok(())
}

async fn run(
    control: OwnedFd,
    connections: OwnedFd,
    reading: Reading,
) -> Result<Directory, ProxyError> {
    let control = StdUnixStream::from(control);
    control.set_nonblocking(true).map_err(ProxyError::Io)?;
    let control = Arc::new(UnixStream::from_std(control).map_err(ProxyError::Io)?);
    let network = timeout(limits::PLAN_TIME, plan(&control))
        .await
        .map_err(|_elapsed| ProxyError::NoPlan)??;
    let events = Events::new(Arc::clone(&control));
    let writer = tokio::spawn({
        let events = events.clone();
        async move { events.write().await }
    });

    let store = Directory::open(Path::new(&network.store)).map_err(ProxyError::Store)?;
    let warms = !network.expected.is_empty();
    let began = Instant::now();
    let (tunnels, pipeline) = set_up(network, &store, &events, reading)?;
    let vouching = tokio::spawn(vouching::work(Arc::clone(&pipeline)));
    // Until the manager asks there is time to read the trust anchors and to connect. A run that
    // expects nothing may well ask for nothing, and then nobody is connected to.
    let warming = tokio::spawn({
        let (tunnels, pipeline) = (Arc::clone(&tunnels), Arc::clone(&pipeline));
        async move {
            if warms {
                tunnels.warm().await;
                pipeline.begin_ahead();
            }
        }
    });
    let accepting = tokio::spawn(accept(connections, tunnels)?);

    closed(&control).await;
    warming.abort();
    accepting.abort();
    pipeline.conclude(began.elapsed()).await;
    vouching.abort();
    writer.abort();
    events.totals();
    let _ = timeout(limits::FLUSH, events.flush()).await;
    Ok(store)
}

/// Makes everything that serves, proves the certificate checks, and says that it is ready.
fn set_up(
    network: Network,
    store: &Directory,
    events: &Events,
    reading: Reading,
) -> Result<(Arc<Tunnels>, Arc<Pipeline>), ProxyError> {
    let protocol = protocol::by_name(&network.protocol)
        .ok_or_else(|| ProxyError::Protocol(network.protocol.clone()))?;
    for repository in &network.repositories {
        let unusable = |reason| ProxyError::Repository {
            id: repository.id.clone(),
            reason,
        };
        if repository.base.scheme() != "https" || !repository.base.path().ends_with('/') {
            return Err(unusable(
                "its base is not an https address that ends in a slash",
            ));
        }
        if !repository.base.username().is_empty() || repository.base.password().is_some() {
            return Err(unusable("its base carries credentials"));
        }
    }
    self_test().map_err(ProxyError::SelfTest)?;
    Trust::configured(&network.extra_anchors).map_err(ProxyError::Trust)?;
    let authority = Authority::new().map_err(ProxyError::Authority)?;
    let forward = forward(&network)?;

    let vouching = Vouching::new(protocol, network.signing, &network.repositories);
    let vouching = vouching.map_err(ProxyError::Signing)?;
    let repositories = Repositories::new(network.repositories);
    let expectations = Expectations::new(protocol);
    let ahead = Ahead::new(&network.expected, &network.layout);
    expectations.add(network.expected, None);
    let connector = Connector::new(
        repositories.clone(),
        forward,
        network.extra_anchors,
        events.clone(),
    );
    events.ready(authority.pem().to_owned());
    events.event(Event::ProxyReady {
        authority: authority.digest(),
    });
    let pipeline = Pipeline {
        protocol,
        expectations,
        upstream: Upstream::new(connector, repositories.clone()),
        repositories,
        blobs: Blobs::new(store),
        ledger: Ledger::new(store, &network.run),
        events: events.clone(),
        audit: network.audit,
        closed: network.closed,
        sources: network.sources,
        built: network.built,
        given_out: GivenOut::default(),
        kinds: Kinds::default(),
        under_way: Merge::default(),
        ahead,
        leads: Leads::default(),
        belonging: Belonging::new(network.pins),
        lives: Lives::new(network.release_age),
        inspector: Arc::new(Inspector::new(protocol, network.layout, network.refused)),
        reading,
        vouching,
    };
    let pipeline = Arc::new(pipeline);
    let tunnels = Tunnels::new(Arc::clone(&pipeline), authority, &network.token);
    Ok((Arc::new(tunnels), pipeline))
}

/// The value of a mutex, also after a panic of whoever held it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The proxy that stands between this one and the repositories, if there is one.
fn forward(network: &Network) -> Result<Option<Forward>, ProxyError> {
    let proxy = network.upstream_proxy.as_ref();
    let forward = proxy.map(|proxy| Forward::new(proxy, &network.no_proxy));
    forward.transpose().map_err(ProxyError::Forward)
}

/// The first line of the control socket.
async fn plan(control: &UnixStream) -> Result<Network, ProxyError> {
    let mut line = Vec::new();
    let mut block = vec![0_u8; 64 * 1024];
    loop {
        control.readable().await.map_err(ProxyError::Io)?;
        match control.try_read(&mut block) {
            Ok(0) => return Err(ProxyError::NoPlan),
            Ok(count) => {
                let read = block.get(..count).unwrap_or_default();
                line.extend_from_slice(read);
                if read.last() == Some(&b'\n') {
                    return serde_json::from_slice(&line).map_err(ProxyError::Plan);
                }
                if line.len() > limits::PLAN {
                    return Err(ProxyError::NoPlan);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(ProxyError::Io(error)),
        }
    }
}

/// Returns when the session closed its end. Nothing but the plan is ever read.
async fn closed(control: &UnixStream) {
    let mut block = [0_u8; 256];
    loop {
        if control.ready(Interest::READABLE).await.is_err() {
            return;
        }
        match control.try_read(&mut block) {
            Ok(0) => return,
            Ok(_unexpected) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_broken) => return,
        }
    }
}

/// Takes over connections until the session closes that socket.
fn accept(
    connections: OwnedFd,
    tunnels: Arc<Tunnels>,
) -> Result<impl Future<Output = ()>, ProxyError> {
    // A sequenced-packet socket; of the stream type only readiness is used.
    let socket = StdUnixStream::from(connections);
    socket.set_nonblocking(true).map_err(ProxyError::Io)?;
    let socket = UnixStream::from_std(socket).map_err(ProxyError::Io)?;
    let places = Arc::new(Semaphore::new(limits::CONNECTIONS));
    Ok(async move {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            if socket.readable().await.is_err() {
                return;
            }
            match socket.try_io(Interest::READABLE, || receive(socket.as_fd())) {
                Ok(Some(descriptor)) => {
                    let Ok(stream) = adopt(descriptor) else {
                        continue;
                    };
                    let tunnels = Arc::clone(&tunnels);
                    tokio::spawn(async move {
                        tunnels.serve(stream).await;
                        drop(place);
                    });
                }
                Ok(None) => return,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // One broken message does not end the others.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
                // A full descriptor table empties again as connections end.
                Err(_broken) => sleep(limits::BACKOFF).await,
            }
        }
    })
}

fn adopt(descriptor: OwnedFd) -> io::Result<TcpStream> {
    let stream = std::net::TcpStream::from(descriptor);
    stream.set_nonblocking(true)?;
    TcpStream::from_std(stream)
}

/// An error with its causes, as one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        text.push_str(": ");
        text.push_str(&current.to_string());
        cause = current.source();
    }
    text
}
