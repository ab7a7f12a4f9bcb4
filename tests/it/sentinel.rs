//! Outside witnesses: sockets that a confined process must never reach.
//!
//! They are queues of the kernel and need no thread: whatever connects or sends before the run
//! ends is waiting there when the test looks.

use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::time::Duration;

/// A listening socket on the loopback address.
pub(crate) struct Tcp(TcpListener);

impl Tcp {
    /// Listens on a free port.
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    /// Its port.
    pub(crate) fn port(&self) -> String {
        self.0.local_addr().unwrap().port().to_string()
    }

    /// What every connection since the last call said.
    pub(crate) fn heard(&self) -> Vec<String> {
        let mut all = Vec::new();
        while let Ok((mut stream, _)) = self.0.accept() {
            stream.set_nonblocking(false).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_millis(500)))
                .unwrap();
            let mut said = Vec::new();
            let _ = stream.read_to_end(&mut said);
            all.push(String::from_utf8_lossy(&said).into_owned());
        }
        all
    }
}

/// A datagram socket on the loopback address.
pub(crate) struct Udp(UdpSocket);

impl Udp {
    /// Binds a free port.
    pub(crate) fn new() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self(socket)
    }

    /// Its port.
    pub(crate) fn port(&self) -> String {
        self.0.local_addr().unwrap().port().to_string()
    }

    /// Number of datagrams since the last call.
    pub(crate) fn heard(&self) -> usize {
        let mut buffer = [0_u8; 2048];
        std::iter::from_fn(|| self.0.recv_from(&mut buffer).ok()).count()
    }
}

/// A listening unix socket.
pub(crate) struct Unix(UnixListener);

impl Unix {
    /// Listens at a path, as a container engine or a bus does.
    pub(crate) fn at(path: &Path) -> Self {
        Self::of(UnixListener::bind(path).unwrap())
    }

    /// Listens at an abstract name, filled with zeros to the full length as libuv sends it.
    pub(crate) fn abstract_name(name: &str) -> Self {
        let mut bytes = name.as_bytes().to_vec();
        bytes.resize(107, 0);
        let address = SocketAddr::from_abstract_name(bytes).unwrap();
        Self::of(UnixListener::bind_addr(&address).unwrap())
    }

    fn of(listener: UnixListener) -> Self {
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    /// Number of connections since the last call.
    pub(crate) fn heard(&self) -> usize {
        std::iter::from_fn(|| self.0.accept().ok()).count()
    }
}

/// Asks a proxy for a tunnel, from outside and with all that the inside was told. Gives its first
/// words; empty when it does not listen or says nothing.
pub(crate) fn ask_proxy(address: &url::Url, target: &str) -> String {
    use base64::Engine as _;
    use std::io::Write as _;
    let (host, port) = (address.host_str().unwrap(), address.port().unwrap());
    let Ok(mut stream) = std::net::TcpStream::connect((host, port)) else {
        return String::new();
    };
    stream
        .set_read_timeout(Some(Duration::from_millis(700)))
        .unwrap();
    let pair = format!(
        "{}:{}",
        address.username(),
        address.password().unwrap_or_default()
    );
    let credentials = base64::engine::general_purpose::STANDARD.encode(pair);
    let _ = write!(
        stream,
        "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Basic \
         {credentials}\r\n\r\n"
    );
    let mut answer = [0_u8; 64];
    let count = stream.read(&mut answer).unwrap_or(0);
    String::from_utf8_lossy(&answer[..count]).into_owned()
}
