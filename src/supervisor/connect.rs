//! `connect`: the supervisor opens its own connection to the proxy and swaps it in.
//!
//! The manager never chooses an address for the kernel: what it names is only compared with the
//! address it was told. The other end of each connection goes to the proxy as a descriptor, so the
//! proxy listens nowhere and nobody else can reach it.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, TcpListener};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::SendTimeout;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, connect, getsockname, setsockopt,
    socket,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

use super::path::descriptor;
use super::{Answer, Supervisor};
use crate::model::{Code, Finding};
use crate::sys::fd;
use crate::sys::notify::Notification;

/// The way to the proxy: a listener that only the session connects to.
#[derive(Debug)]
pub struct Gate {
    listener: Mutex<TcpListener>,
    proxy: OwnedFd,
    port: u16,
}

/// Longest wait for a connection over loopback, and for the proxy to take it.
const PATIENCE: Duration = Duration::from_secs(5);

impl Gate {
    /// `listener` is on IPv4 loopback; `proxy` is the socket that carries descriptors.
    pub fn new(listener: TcpListener, proxy: OwnedFd) -> io::Result<Self> {
        let port = listener.local_addr()?.port();
        listener.set_nonblocking(true)?;
        setsockopt(&proxy, SendTimeout, &TimeVal::seconds(5))?;
        Ok(Self {
            listener: Mutex::new(listener),
            proxy,
            port,
        })
    }

    /// A connected socket whose other end the proxy has.
    ///
    /// Anybody on this machine may connect to the listener; only our own connection counts. Nothing
    /// here waits for strangers: they are dropped, and the time is bounded.
    fn dial(&self, six: bool) -> io::Result<OwnedFd> {
        let broken = || io::Error::other("another worker failed while it connected");
        let listener = self.listener.lock().map_err(|_poisoned| broken())?;
        while listener.accept().is_ok() {}
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.port);
        let family = if six {
            AddressFamily::Inet6
        } else {
            AddressFamily::Inet
        };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let near = socket(family, SockType::Stream, flags, None)?;
        let mine = if six {
            let mapped = SocketAddrV6::new(address.ip().to_ipv6_mapped(), self.port, 0, 0);
            under_way(connect(near.as_raw_fd(), &SockaddrIn6::from(mapped)))?;
            SocketAddr::from(SocketAddrV6::from(getsockname::<SockaddrIn6>(
                near.as_raw_fd(),
            )?))
        } else {
            under_way(connect(near.as_raw_fd(), &SockaddrIn::from(address)))?;
            SocketAddr::from(SocketAddrV4::from(getsockname::<SockaddrIn>(
                near.as_raw_fd(),
            )?))
        };
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            match listener.accept() {
                Ok((far, peer)) => {
                    let same = peer.port() == mine.port()
                        && peer.ip().to_canonical() == mine.ip().to_canonical();
                    if same {
                        far.set_nonblocking(true)?;
                        fd::send(self.proxy.as_fd(), far.as_fd())?;
                        fcntl(&near, FcntlArg::F_SETFL(OFlag::empty()))?;
                        return Ok(near);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut ready = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
                    poll(&mut ready, PollTimeout::from(100_u16))?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::from(io::ErrorKind::TimedOut))
    }
}

/// A connection that is not finished at once is no failure.
fn under_way(result: nix::Result<()>) -> nix::Result<()> {
    match result {
        Err(nix::errno::Errno::EINPROGRESS) => Ok(()),
        other => other,
    }
}

/// An address argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Address {
    /// `AF_UNSPEC`: dissolves an association.
    Unspecified,
    Internet(SocketAddr),
    Other(u16),
}

/// Reads any bytes as an address; for the fuzz target.
#[cfg(any(test, feature = "fuzz"))]
pub(super) fn fuzz(bytes: &[u8]) {
    let _ = parse(bytes);
}

fn parse(bytes: &[u8]) -> Option<Address> {
    let family = u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?);
    match i32::from(family) {
        libc::AF_UNSPEC => Some(Address::Unspecified),
        libc::AF_INET => {
            let port = u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?);
            let ip: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some(Address::Internet((Ipv4Addr::from(ip), port).into()))
        }
        libc::AF_INET6 => {
            let port = u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?);
            let ip: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            Some(Address::Internet((Ipv6Addr::from(ip), port).into()))
        }
        _ => Some(Address::Other(family)),
    }
}

impl Supervisor {
    pub(super) fn connect(&self, notification: &Notification) -> Answer {
        let [socket, address, length, ..] = notification.arguments;
        let length = usize::try_from(descriptor(length)).unwrap_or_default();
        let mut buffer = [0_u8; 128];
        let Some(window) = buffer.get_mut(..length.min(128)).filter(|w| w.len() >= 2) else {
            return Answer::Fail(libc::EINVAL);
        };
        let read = self.memory.read(notification.thread, address, window);
        if !matches!(read, Ok(count) if count == window.len()) {
            return Answer::Fail(libc::EFAULT);
        }
        if !self.listener.is_valid(notification.id) {
            return Answer::Fail(libc::EACCES);
        }
        let subject = match parse(window) {
            None | Some(Address::Unspecified) => return Answer::Fail(libc::EINVAL),
            Some(Address::Internet(to)) => {
                let local = to.ip().to_canonical() == Ipv4Addr::LOCALHOST;
                let gate = self.gate.as_ref();
                if let Some(gate) = gate.filter(|gate| local && to.port() == gate.port) {
                    return self.swap(gate, notification, descriptor(socket), to.is_ipv6());
                }
                to.to_string()
            }
            Some(Address::Other(family)) => format!("address family {family}"),
        };
        let message =
            format!("connection to {subject} refused: packages come through the proxy only");
        Answer::Refuse(
            libc::EACCES,
            Box::new(Finding::new(Code::NetworkRefused, subject, message)),
        )
    }

    /// Replaces the manager's socket by one that is connected to the proxy.
    fn swap(&self, gate: &Gate, notification: &Notification, number: i32, six: bool) -> Answer {
        let swapped = (|| -> io::Result<()> {
            let flags = descriptor_flags(notification.thread, number)?;
            let near = gate.dial(six)?;
            if flags & libc::O_NONBLOCK != 0 {
                fcntl(&near, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
            }
            let number = u32::try_from(number)
                .map_err(|_negative| io::Error::from_raw_os_error(libc::EBADF))?;
            let cloexec = flags & libc::O_CLOEXEC != 0;
            self.listener
                .replace(notification.id, near.as_fd(), number, cloexec)
        })();
        match swapped {
            Ok(()) => {
                self.counts.connections.fetch_add(1, Ordering::Relaxed);
                Answer::Value(0)
            }
            Err(error) => Answer::Fail(match error.raw_os_error() {
                Some(errno @ (libc::EBADF | libc::EMFILE | libc::ENOTSOCK)) => errno,
                _ => libc::ECONNREFUSED,
            }),
        }
    }
}

/// Status flags of a socket of the manager; `ENOTSOCK` for anything else.
fn descriptor_flags(thread: i32, number: i32) -> io::Result<i32> {
    let errno = io::Error::from_raw_os_error;
    let link = std::fs::read_link(format!("/proc/{thread}/fd/{number}"))
        .map_err(|_source| errno(libc::EBADF))?;
    if !link.to_string_lossy().starts_with("socket:") {
        return Err(errno(libc::ENOTSOCK));
    }
    let info = std::fs::read_to_string(format!("/proc/{thread}/fdinfo/{number}"))?;
    info.lines()
        .find_map(|line| line.strip_prefix("flags:"))
        .and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok())
        .ok_or_else(|| errno(libc::EBADF))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_bytes() {
        let mut four = vec![2, 0, 0x1f, 0x90, 127, 0, 0, 1];
        four.resize(16, 0);
        assert_eq!(
            parse(&four),
            Some(Address::Internet("127.0.0.1:8080".parse().unwrap()))
        );
        let mut six = vec![10, 0, 0x1f, 0x90, 0, 0, 0, 0];
        six.extend(Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets());
        let Some(Address::Internet(address)) = parse(&six) else {
            panic!("not read")
        };
        assert_eq!(address.ip().to_canonical(), Ipv4Addr::LOCALHOST);
        assert_eq!(parse(&[0, 0]), Some(Address::Unspecified));
        assert_eq!(parse(&[1, 0, b'/']), Some(Address::Other(1)));
        assert_eq!(parse(&[2, 0, 1]), None);
        assert_eq!(parse(&[10]), None);
    }

    #[test]
    fn a_foreign_connection_is_not_handed_on() {
        use std::io::{Read as _, Write as _};
        use std::net::TcpStream;

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (session, proxy) = fd::pair().unwrap();
        let gate = Gate::new(listener, session).unwrap();
        let mut stranger = TcpStream::connect(address).unwrap();
        for six in [false, true] {
            let mut near = TcpStream::from(gate.dial(six).unwrap());
            let mut far = TcpStream::from(fd::receive(proxy.as_fd()).unwrap().unwrap());
            near.write_all(b"hello").unwrap();
            let mut text = [0; 5];
            far.read_exact(&mut text).unwrap();
            assert_eq!(&text, b"hello");
        }
        // The stranger was accepted and closed, not handed to the proxy.
        assert_eq!(stranger.read(&mut [0; 1]).unwrap_or(0), 0);
    }
}
