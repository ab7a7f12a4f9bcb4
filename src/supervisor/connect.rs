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

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, SockaddrLike, connect, getsockname,
    socket,
};

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

impl Gate {
    /// `listener` is on IPv4 loopback; `proxy` is the socket that carries descriptors.
    pub fn new(listener: TcpListener, proxy: OwnedFd) -> io::Result<Self> {
        let port = listener.local_addr()?.port();
        Ok(Self {
            listener: Mutex::new(listener),
            proxy,
            port,
        })
    }

    /// A connected socket whose other end the proxy has.
    fn dial(&self, six: bool) -> io::Result<OwnedFd> {
        let broken = || io::Error::other("another worker failed while it connected");
        let listener = self.listener.lock().map_err(|_poisoned| broken())?;
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.port);
        let family = if six {
            AddressFamily::Inet6
        } else {
            AddressFamily::Inet
        };
        let near = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        let mine = if six {
            let mapped = SocketAddrV6::new(address.ip().to_ipv6_mapped(), self.port, 0, 0);
            connect(near.as_raw_fd(), &SockaddrIn6::from(mapped))?;
            local::<SockaddrIn6>(&near, |name| SocketAddrV6::from(*name).into())?
        } else {
            connect(near.as_raw_fd(), &SockaddrIn::from(address))?;
            local::<SockaddrIn>(&near, |name| SocketAddrV4::from(*name).into())?
        };
        // Anybody on this machine may connect to the listener; only our own connection counts.
        loop {
            let (far, peer) = listener.accept()?;
            if peer.port() == mine.port() && peer.ip().to_canonical() == mine.ip().to_canonical() {
                fd::send(self.proxy.as_fd(), far.as_fd())?;
                return Ok(near);
            }
        }
    }
}

fn local<A: SockaddrLike>(
    socket: &OwnedFd,
    convert: impl Fn(&A) -> SocketAddr,
) -> io::Result<SocketAddr> {
    Ok(convert(&getsockname::<A>(socket.as_raw_fd())?))
}

/// An address argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Address {
    /// `AF_UNSPEC`: dissolves an association.
    Unspecified,
    Internet(SocketAddr),
    Other(u16),
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
                let own =
                    to.ip().to_canonical() == Ipv4Addr::LOCALHOST && to.port() == self.gate.port;
                if own {
                    return self.swap(notification, descriptor(socket), to.is_ipv6());
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
    fn swap(&self, notification: &Notification, number: i32, six: bool) -> Answer {
        let swapped = (|| -> io::Result<()> {
            let flags = descriptor_flags(notification.thread, number)?;
            let near = self.gate.dial(six)?;
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
        let (session, proxy) = nix::sys::socket::socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )
        .unwrap();
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
