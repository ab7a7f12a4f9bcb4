//! One verified connection to a repository: name, address, TLS, and what is recorded of it.
//!
//! The only way from the proxy to the network. Addresses inside private networks are used only for
//! repositories that the user named; the certificate is always verified by the configuration of
//! [`crate::verify::tls`]. Trust anchors are read when the first connection needs them.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use http::Uri;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Url;

use super::address::is_public;
use super::forward::{Forward, ForwardError};
use super::names::{NameError, Names};
use crate::model::AnchorClass;
use crate::model::Code;
use crate::model::Event;
use crate::model::Finding;
use crate::model::TlsPeer;
use crate::model::redact_url;
use crate::proxy::chain;
use crate::proxy::events::Events;
use crate::proxy::limits;
use crate::proxy::repositories::Repositories;
use crate::verify::tls::{Trust, TrustError, explain};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(in crate::proxy) enum ConnectError {
    #[error("the address is not one of https")]
    Address,
    #[error(transparent)]
    Name(NameError),
    #[error("`{host}` leads to an address that is not public: {addresses}")]
    Private { host: String, addresses: String },
    #[error("`{0}` has no address")]
    NoAddress(String),
    #[error("`{address}` cannot be reached")]
    Unreachable {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Forward(ForwardError),
    #[error("there is nothing to verify certificates with")]
    Trust(#[source] Arc<TrustError>),
    #[error("the TLS handshake with `{host}` failed")]
    Tls {
        host: String,
        #[source]
        source: io::Error,
    },
    #[error("`{0}` was not reached in time")]
    Late(String),
    #[error("the connection could not be set up for HTTP")]
    Http(#[source] hyper::Error),
}

impl ConnectError {
    /// Whether another try may help.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Name(error) => error.passing,
            Self::Unreachable { .. } | Self::Late(_) | Self::Http(_) => true,
            Self::Forward(error) => matches!(error, ForwardError::Answer(_)),
            Self::Tls { source, .. } => tls_error(source).is_none(),
            Self::Address | Self::Private { .. } | Self::NoAddress(_) | Self::Trust(_) => false,
        }
    }

    /// As the manager and the record are told.
    pub(super) fn finding(&self, url: &Url) -> Finding {
        let subject = redact_url(url);
        let mut message = self.to_string();
        match self {
            Self::Private { .. } => Finding::new(Code::AddressRefused, subject, message)
                .with_hint(Code::AddressRefused.remedy()),
            Self::Trust(_) => Finding::new(Code::TlsInvalid, subject, chain(self))
                .with_hint("install the system's CA certificates, or set SSL_CERT_FILE"),
            Self::Tls { source, .. } => match tls_error(source) {
                Some(error) => {
                    let (reason, hint) = explain(error);
                    message.push_str(": ");
                    message.push_str(&reason);
                    let finding = Finding::new(Code::TlsInvalid, subject, message);
                    match hint {
                        Some(hint) => finding.with_hint(hint),
                        None => finding,
                    }
                }
                None => Finding::new(Code::UpstreamFailed, subject, chain(self)),
            },
            Self::Address => Finding::new(Code::PlainHttp, subject, message),
            Self::Name(_)
            | Self::NoAddress(_)
            | Self::Unreachable { .. }
            | Self::Forward(_)
            | Self::Http(_)
            | Self::Late(_) => Finding::new(Code::UpstreamFailed, subject, chain(self)),
        }
    }
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// Makes connections; clones share everything.
#[derive(Clone, Debug)]
pub(in crate::proxy) struct Connector(Arc<Shared>);

/// Anchors and the configuration over them.
type Loaded = (Trust, Arc<ClientConfig>);

#[derive(Debug)]
struct Shared {
    repositories: Repositories,
    forward: Option<Forward>,
    anchors: Vec<String>,
    names: Names,
    trust: OnceLock<Result<Loaded, Arc<TrustError>>>,
    events: Events,
    told: Mutex<HashSet<(String, String, TlsPeer)>>,
}

impl Connector {
    /// For those repositories; `anchors` are trusted beside the platform's.
    pub(in crate::proxy) fn new(
        repositories: Repositories,
        forward: Option<Forward>,
        anchors: Vec<String>,
        events: Events,
    ) -> Self {
        Self(Arc::new(Shared {
            repositories,
            forward,
            anchors,
            names: Names::default(),
            trust: OnceLock::new(),
            events,
            told: Mutex::default(),
        }))
    }

    /// A connection whose certificate was verified.
    pub(super) async fn connect(&self, uri: &Uri) -> Result<TlsStream<TcpStream>, ConnectError> {
        let host = uri.host().ok_or(ConnectError::Address)?;
        if uri.scheme_str() != Some("https") {
            return Err(ConnectError::Address);
        }
        let port = uri.port_u16().unwrap_or(443);
        timeout(limits::REACH, self.0.reach(host, port))
            .await
            .unwrap_or_else(|_elapsed| Err(ConnectError::Late(host.to_owned())))
    }

    /// Whether every certificate so far led to an anchor of the public web, and there was one.
    pub(in crate::proxy) fn is_public(&self) -> bool {
        let told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        let public = |peer: &TlsPeer| peer.anchor_class == Some(AnchorClass::PublicWeb);
        !told.is_empty() && told.iter().all(|(_, _, peer)| public(peer))
    }

    /// A connection without TLS, for a probe that wants it refused.
    pub(super) async fn unprotected(
        &self,
        host: &str,
        port: u16,
        private: bool,
    ) -> Result<TcpStream, ConnectError> {
        if self
            .0
            .forward
            .as_ref()
            .is_some_and(|it| it.serves(host, port))
        {
            return Err(ConnectError::Address);
        }
        timeout(limits::REACH, self.0.direct(host, port, private))
            .await
            .unwrap_or_else(|_elapsed| Err(ConnectError::Late(host.to_owned())))
            .map(|(stream, _address)| stream)
    }
}

impl Shared {
    fn trust(&self) -> Result<(&Trust, Arc<ClientConfig>), ConnectError> {
        let loaded = self.trust.get_or_init(|| {
            let trust = Trust::load(&self.anchors).map_err(Arc::new)?;
            let config = trust.client_config().map_err(Arc::new)?;
            Ok((trust, Arc::new(config)))
        });
        match loaded {
            Ok((trust, config)) => Ok((trust, Arc::clone(config))),
            Err(error) => Err(ConnectError::Trust(Arc::clone(error))),
        }
    }

    async fn reach(&self, host: &str, port: u16) -> Result<TlsStream<TcpStream>, ConnectError> {
        let (tcp, address) = match self.forward.as_ref().filter(|it| it.serves(host, port)) {
            Some(forward) => self.through(forward, host, port).await?,
            None => {
                let private = self.repositories.may_be_private(host, port);
                self.direct(host, port, private).await?
            }
        };
        let (trust, config) = self.trust()?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|_invalid| ConnectError::NoAddress(host.to_owned()))?;
        let tls = TlsConnector::from(config)
            .connect(name, tcp)
            .await
            .map_err(|source| ConnectError::Tls {
                host: host.to_owned(),
                source,
            })?;
        self.tell(trust, format!("{host}:{port}"), address, &tls);
        Ok(tls)
    }

    async fn direct(
        &self,
        host: &str,
        port: u16,
        private: bool,
    ) -> Result<(TcpStream, String), ConnectError> {
        let resolved = self.names.resolve(host).await.map_err(ConnectError::Name)?;
        let allowed: Vec<_> = resolved
            .iter()
            .filter(|address| private || is_public(**address))
            .collect();
        if allowed.is_empty() && !resolved.is_empty() {
            let addresses: Vec<_> = resolved.iter().map(ToString::to_string).collect();
            return Err(ConnectError::Private {
                host: host.to_owned(),
                addresses: addresses.join(", "),
            });
        }
        let mut outcome = Err(ConnectError::NoAddress(host.to_owned()));
        for address in allowed {
            let address = SocketAddr::new(*address, port);
            let connected = timeout(limits::CONNECT, TcpStream::connect(address)).await;
            match connected.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into())) {
                Ok(stream) => {
                    // Without it small requests wait for acknowledgements; harmless if it fails.
                    let _ = stream.set_nodelay(true);
                    return Ok((stream, address.to_string()));
                }
                Err(source) => outcome = Err(ConnectError::Unreachable { address, source }),
            }
        }
        outcome
    }

    /// The forward proxy resolves the name itself; a literal is judged here.
    async fn through(
        &self,
        forward: &Forward,
        host: &str,
        port: u16,
    ) -> Result<(TcpStream, String), ConnectError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let literal = bare.parse().ok();
        let inside = literal.is_some_and(|literal| !is_public(literal)) || host == "localhost";
        if inside && !self.repositories.may_be_private(host, port) {
            return Err(ConnectError::Private {
                host: host.to_owned(),
                addresses: bare.to_owned(),
            });
        }
        let (proxy, proxy_port) = forward.address();
        let (mut stream, address) = self.direct(proxy, proxy_port, true).await?;
        forward
            .tunnel(&mut stream, host, port)
            .await
            .map_err(ConnectError::Forward)?;
        Ok((stream, format!("{address} (HTTP proxy)")))
    }

    fn tell(&self, trust: &Trust, host: String, address: String, tls: &TlsStream<TcpStream>) {
        let Some(peer) = trust.describe(tls.get_ref().1) else {
            return;
        };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert((host.clone(), address.clone(), peer.clone())) {
            self.events.event(Event::Connected {
                host,
                address,
                tls: peer,
            });
        }
    }
}
