//! Ways out that are not the proxy.

use std::io;
use std::net::{SocketAddrV4, SocketAddrV6, TcpStream};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use libc::{EACCES, ENOSYS, EOPNOTSUPP, EPERM};
use v4run::sandbox::canary::Scene;
use v4run::sys::attempt;

use crate::case::Attempt::{Canary, Own};
use crate::case::{Case, KERNEL, case};
use crate::raw;

const NETWORK: &str = "network-refused";
const FAMILY: &[&str] = &["filter:socket:0"];
const FAMILY_AND_KIND: &[&str] = &["filter:socket:0", "filter:socket:1"];
const ALL: &[&str] = &["filter:socket:0", "filter:socket:1", "filter:socket:2"];
const SERVICE: &[&str] = &["filter:socket:0", "call:connect"];
const KIND: &[&str] = &["filter:socket:1"];
const OPTION: &[&str] = &["call:setsockopt"];

/// A family that is not of the internet.
const fn family(
    id: &'static str,
    what: &'static str,
    layers: &'static [&'static str],
    attempt: fn(&Scene) -> io::Result<()>,
) -> Case {
    case(id, what, layers, &[EACCES], NETWORK, Own(attempt))
}

/// A socket option that chooses routes, devices or programs.
const fn option(
    id: &'static str,
    what: &'static str,
    attempt: fn(&Scene) -> io::Result<()>,
) -> Case {
    case(id, what, OPTION, &[EPERM], NETWORK, Own(attempt))
}

pub(crate) const CASES: &[Case] = &[
    case(
        "N01",
        "a connection to another service of this machine",
        &["call:connect", "landlock"],
        &[EACCES],
        NETWORK,
        Canary("connect"),
    ),
    case(
        "N02",
        "the same service as a mapped address of version 6",
        &["call:connect", "landlock"],
        &[EACCES],
        NETWORK,
        Own(mapped),
    ),
    case(
        "N02+any",
        "the same service as the address that means any",
        &["call:connect", "landlock"],
        &[EACCES],
        NETWORK,
        Own(any),
    ),
    case(
        "N03",
        "data with the connection request",
        &["call:sendto"],
        &[EOPNOTSUPP],
        NETWORK,
        Canary("fast-open"),
    ),
    case(
        "N04",
        "the same as a message",
        &["call:sendmsg"],
        &[EOPNOTSUPP],
        NETWORK,
        Canary("fast-open-message"),
    ),
    case(
        "N04+many",
        "the same as many messages",
        &["call:sendmmsg"],
        &[EOPNOTSUPP],
        NETWORK,
        Own(many_messages),
    ),
    case(
        "N05",
        "the same as an option",
        OPTION,
        &[EPERM],
        NETWORK,
        Canary("fast-open-option"),
    ),
    case(
        "N06",
        "a connection over several paths",
        &["filter:socket:2"],
        &[EACCES],
        NETWORK,
        Canary("multipath"),
    ),
    case(
        "N07",
        "SCTP",
        &["filter:socket:2"],
        &[EACCES],
        NETWORK,
        Own(|_| socket(2, 1, 132)),
    ),
    case(
        "N07+dccp",
        "DCCP",
        KIND,
        &[EACCES],
        NETWORK,
        Own(|_| socket(2, 6, 33)),
    ),
    case(
        "N07+lite",
        "UDP-Lite",
        &["filter:socket:1", "filter:socket:2"],
        &[EACCES],
        NETWORK,
        Canary("other-transport"),
    ),
    family("N07+smc", "SMC", FAMILY, |_| socket(43, 1, 0)),
    case(
        "N08",
        "a datagram",
        KIND,
        &[EACCES],
        NETWORK,
        Canary("datagram"),
    ),
    case(
        "N08+six",
        "a datagram of version 6",
        KIND,
        &[EACCES],
        NETWORK,
        Own(|_| socket(10, 2, 0)),
    ),
    case(
        "N11",
        "an echo request",
        &["filter:socket:1", "filter:socket:2"],
        &[EACCES],
        NETWORK,
        Own(|_| socket(2, 2, 1)),
    ),
    case(
        "N11+raw",
        "a raw packet",
        &["filter:socket:1", "filter:socket:2"],
        &[EACCES],
        NETWORK,
        Own(|_| socket(2, 3, 255)),
    ),
    family("N12", "packets of a device", FAMILY_AND_KIND, |_| {
        socket(17, 3, 0)
    }),
    family("N12+xdp", "express data path", FAMILY_AND_KIND, |_| {
        socket(44, 3, 0)
    }),
    case(
        "N12+netlink",
        "network set-up",
        FAMILY_AND_KIND,
        &[EACCES],
        NETWORK,
        Canary("netlink"),
    ),
    family("N12+uevent", "device events", ALL, |_| socket(16, 3, 15)),
    family("N12+audit", "the audit channel", ALL, |_| socket(16, 3, 9)),
    family("N12+diag", "sockets of others", ALL, |_| socket(16, 3, 4)),
    family("N12+vsock", "the host of this machine", FAMILY, |_| {
        socket(40, 1, 0)
    }),
    family(
        "N12+alg",
        "the kernel's cryptography",
        FAMILY_AND_KIND,
        |_| socket(38, 5, 0),
    ),
    family("N12+key", "the key exchange", ALL, |_| socket(15, 3, 2)),
    family("N12+can", "a field bus", ALL, |_| socket(29, 3, 1)),
    family("N12+tipc", "a cluster", FAMILY_AND_KIND, |_| {
        socket(30, 5, 0)
    }),
    family("N12+rds", "reliable datagrams", FAMILY_AND_KIND, |_| {
        socket(21, 5, 0)
    }),
    family("N12+kcm", "the multiplexer", FAMILY_AND_KIND, |_| {
        socket(41, 2, 0)
    }),
    family("N12+qrtr", "a modem", FAMILY_AND_KIND, |_| socket(42, 2, 0)),
    family("N12+blue", "a radio", ALL, |_| socket(31, 3, 1)),
    case(
        "N13",
        "a Unix socket behind high words",
        &["call:socket"],
        &[EACCES],
        NETWORK,
        Canary("high-words"),
    ),
    case(
        "N13+kind",
        "a datagram behind high words and flags",
        KIND,
        &[EACCES],
        NETWORK,
        Own(|_| attempt::socket(1 << 32 | 2, 1 << 32 | 0x8_0802, 1 << 33).map(drop)),
    ),
    case(
        "N14",
        "a socket by the entry of 32-bit programs",
        &["architecture"],
        &[0],
        "",
        Own(|_| raw::by_old_entry(359, 1)),
    )
    .silent("the kernel kills before anybody is asked"),
    case(
        "N15",
        "a ring of operations",
        &["call:io_uring_setup"],
        &[ENOSYS],
        KERNEL,
        Canary("ring"),
    ),
    case(
        "N15+enter",
        "a ring that is used",
        &["call:io_uring_setup", "call:io_uring_enter"],
        &[ENOSYS],
        KERNEL,
        Own(ring_socket),
    ),
    case(
        "N16",
        "a service of its own",
        &["call:bind", "call:listen", "landlock"],
        &[EACCES],
        NETWORK,
        Canary("listen"),
    ),
    case(
        "N16+port",
        "a port that the kernel chooses",
        &["call:listen"],
        &[EACCES],
        NETWORK,
        Own(listen_unbound),
    ),
    case(
        "N18",
        "a socket that somebody hands over",
        SERVICE,
        &[EACCES],
        NETWORK,
        Canary("unix-socket"),
    ),
    case(
        "N24",
        "a second try on the same socket",
        &["call:connect", "landlock"],
        &[EACCES],
        NETWORK,
        Own(twice),
    ),
    option("N25", "another device", |_| set(1, 25, b"lo\0")),
    option("N25+repair", "a connection that is made up", |_| {
        set(6, 19, &1_i32.to_ne_bytes())
    }),
    option("N25+route", "a route of its own", |_| {
        set(0, 4, &[0x83, 7, 4, 127, 0, 0, 1, 0])
    }),
    option("N25+transparent", "an address of others", |_| {
        set(0, 19, &1_i32.to_ne_bytes())
    }),
    option("N25+free", "an address that is nobody's", |_| {
        set(0, 15, &1_i32.to_ne_bytes())
    }),
    option("N25+mark", "a mark for routing", |_| {
        set(1, 36, &7_i32.to_ne_bytes())
    }),
    option("N25+filter", "a program on a socket", |_| filter(26)),
    option("N25+group", "a program for many sockets", |_| {
        reuse_filter()
    }),
    option("N25+port", "a port that others share", |_| {
        set(1, 15, &1_i32.to_ne_bytes())
    }),
    option("N25+busy", "a processor that only waits", |_| {
        set(1, 46, &50_i32.to_ne_bytes())
    }),
    option("N25+control", "another congestion control", |_| {
        set(6, 13, b"reno")
    }),
    option("N25+upper", "a protocol above TCP", |_| {
        set(6, 31, b"espintcp")
    }),
    option("N25+defer", "data before a connection", |_| {
        set(6, 9, &1_i32.to_ne_bytes())
    }),
    option("N25+class", "another class of service", |_| {
        set(0, 1, &16_i32.to_ne_bytes())
    }),
    option("N25+lifetime", "a lifetime of its own", |_| {
        set(0, 2, &3_i32.to_ne_bytes())
    }),
    option("N25+pass", "credentials with messages", |_| {
        set(1, 16, &1_i32.to_ne_bytes())
    }),
    option("N25+time", "time stamps in the error queue", |_| {
        set(1, 37, &2_i32.to_ne_bytes())
    }),
    case(
        "N28+pair",
        "a pair that can send to any path",
        &["filter:socketpair:1"],
        &[EACCES],
        NETWORK,
        Canary("datagram-pair"),
    ),
    case(
        "N28+packets",
        "a pair of packet sockets",
        &["filter:socketpair:1"],
        &[EACCES],
        NETWORK,
        Own(|_| pair(1, 5)),
    ),
    case(
        "N29+list",
        "a list of network devices",
        &["call:ioctl"],
        &[EPERM],
        KERNEL,
        Own(devices),
    ),
    case(
        "I01",
        "the socket of a container engine",
        SERVICE,
        &[EACCES],
        NETWORK,
        Own(path_socket),
    ),
    case(
        "I03",
        "an abstract socket",
        &["filter:socket:0", "call:connect", "landlock"],
        &[EACCES],
        NETWORK,
        Own(|_| abstract_socket()),
    ),
    case(
        "I03+datagram",
        "a datagram to a path",
        &["call:socket"],
        &[EACCES],
        NETWORK,
        Own(|_| socket(1, 2, 0)),
    ),
];

fn socket(domain: u64, kind: u64, protocol: u64) -> io::Result<()> {
    attempt::socket(domain, kind, protocol).map(drop)
}

fn tcp() -> io::Result<OwnedFd> {
    attempt::socket(2, 1, 0)
}

fn number(socket: &OwnedFd) -> u64 {
    raw::int(socket.as_raw_fd())
}

fn set(level: i32, name: i32, value: &[u8]) -> io::Result<()> {
    let socket = tcp()?;
    let words = [
        number(&socket),
        raw::int(level),
        raw::int(name),
        raw::at(value),
        value.len() as u64,
    ];
    raw::done(libc::SYS_setsockopt, &words)
}

/// One instruction that takes everything, as the kernel wants it: length, padding, address.
fn program(instruction: &[u8; 8]) -> [u64; 2] {
    [1, raw::at(instruction)]
}

const TAKE_ALL: [u8; 8] = [6, 0, 0, 0, 0xff, 0xff, 0, 0];

fn filter(name: i32) -> io::Result<()> {
    let socket = tcp()?;
    let program = program(&TAKE_ALL);
    let words = [number(&socket), 1, raw::int(name), raw::at(&program), 16];
    raw::done(libc::SYS_setsockopt, &words)
}

fn reuse_filter() -> io::Result<()> {
    let socket = tcp()?;
    let on = 1_i32.to_ne_bytes();
    raw::done(
        libc::SYS_setsockopt,
        &[number(&socket), 1, 15, raw::at(&on), 4],
    )?;
    let program = program(&TAKE_ALL);
    raw::done(
        libc::SYS_setsockopt,
        &[number(&socket), 1, 51, raw::at(&program), 16],
    )
}

fn mapped(scene: &Scene) -> io::Result<()> {
    let ip = scene.listener.ip().to_ipv6_mapped();
    TcpStream::connect(SocketAddrV6::new(ip, scene.listener.port(), 0, 0)).map(drop)
}

fn any(scene: &Scene) -> io::Result<()> {
    TcpStream::connect(SocketAddrV4::new(
        [0, 0, 0, 0].into(),
        scene.listener.port(),
    ))
    .map(drop)
}

fn address(scene: &Scene) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[0] = 2;
    bytes[2..4].copy_from_slice(&scene.listener.port().to_be_bytes());
    bytes[4..8].copy_from_slice(&scene.listener.ip().octets());
    bytes
}

fn many_messages(scene: &Scene) -> io::Result<()> {
    let socket = tcp()?;
    let to = address(scene);
    let data = [raw::at(b"canary"), 6];
    // Two headers of which the first is used: name, vector, control, flags, length sent.
    let headers = [raw::at(&to), 16, raw::at(&data), 1, 0, 0, 0, 0];
    let words = [
        number(&socket),
        raw::at(&headers),
        1,
        raw::int(libc::MSG_FASTOPEN),
    ];
    raw::done(libc::SYS_sendmmsg, &words)
}

fn listen_unbound(_: &Scene) -> io::Result<()> {
    raw::done(libc::SYS_listen, &[number(&tcp()?), 1])
}

/// A connection, a dissolved one, and another: each is judged.
fn twice(scene: &Scene) -> io::Result<()> {
    let socket = tcp()?;
    let to = address(scene);
    let first = raw::done(libc::SYS_connect, &[number(&socket), raw::at(&to), 16]);
    let _ = raw::done(
        libc::SYS_connect,
        &[number(&socket), raw::at(&[0_u8; 16]), 16],
    );
    let second = raw::done(libc::SYS_connect, &[number(&socket), raw::at(&to), 16]);
    first.and(second)
}

fn ring_socket(_: &Scene) -> io::Result<()> {
    let mut parameters = [0_u8; 120];
    let ring = raw::made(libc::SYS_io_uring_setup, &[4, raw::room(&mut parameters)])?;
    raw::done(libc::SYS_io_uring_enter, &[number(&ring), 0, 0, 0, 0, 0])
}

fn pair(family: u64, kind: u64) -> io::Result<()> {
    let mut both = [0_i32; 2];
    raw::done(
        libc::SYS_socketpair,
        &[family, kind, 0, raw::room(&mut both)],
    )
}

fn devices(_: &Scene) -> io::Result<()> {
    let mut request = [0_u64; 2];
    raw::done(
        libc::SYS_ioctl,
        &[number(&tcp()?), 0x8912, raw::room(&mut request)],
    )
}

fn path_socket(scene: &Scene) -> io::Result<()> {
    UnixStream::connect(scene.outside.join("socket")).map(drop)
}

/// Bare there is nobody at that name: a refusal to connect shows that the way is open.
fn abstract_socket() -> io::Result<()> {
    let socket = attempt::socket(1, 1, 0)?;
    let mut address = [0_u8; 16];
    address[0] = 1;
    address[3..9].copy_from_slice(b"canary");
    match raw::done(libc::SYS_connect, &[number(&socket), raw::at(&address), 9]) {
        Err(error) if error.raw_os_error() == Some(libc::ECONNREFUSED) => Ok(()),
        other => other,
    }
}
