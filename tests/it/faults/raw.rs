//! A loopback registry that is written byte by byte: answers that no honest HTTP library can send.
//!
//! TLS with the test's authority, HTTP/1.1, one answer a connection. What is answered is a script of
//! steps by path and by how often that path was asked for; every step that is a fault is counted, so
//! that a test can require that its fault really happened.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A part of an answer.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// These bytes.
    Send(Vec<u8>),
    /// The same bytes until the other side has enough, but so many times at most.
    Repeat(Vec<u8>, usize),
    /// Nothing for that long.
    Wait(Duration),
    /// A TCP reset.
    Reset,
    /// The end of TCP without the end of TLS.
    Cut,
}

/// An answer, and whether it is a fault.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) steps: Vec<Step>,
    pub(crate) is_fault: bool,
}

impl Script {
    /// A fault made of these steps.
    pub(crate) fn fault(steps: impl Into<Vec<Step>>) -> Self {
        Self {
            steps: steps.into(),
            is_fault: true,
        }
    }

    /// Those bytes as an honest answer.
    pub(crate) fn honest(body: &[u8]) -> Self {
        let mut answer = head(&format!("content-length: {}\r\n", body.len()));
        answer.extend_from_slice(body);
        Self {
            steps: vec![Step::Send(answer)],
            is_fault: false,
        }
    }
}

/// The head of a good answer with these lines in it.
pub(crate) fn head(lines: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\nconnection: close\r\n{lines}\r\n")
        .into_bytes()
}

type Answer = dyn Fn(&str, usize) -> Script + Send + Sync;

struct Shared {
    answer: Box<Answer>,
    asked: Mutex<BTreeMap<String, usize>>,
    injected: AtomicUsize,
    connections: AtomicUsize,
    identities: Vec<Arc<ServerConfig>>,
}

/// The running server; its threads end with the process.
pub(crate) struct Raw {
    port: u16,
    shared: Arc<Shared>,
}

impl Raw {
    /// Starts it. Connections get the identities in turn, those after the last one the last.
    pub(crate) fn start(
        identities: Vec<Arc<ServerConfig>>,
        answer: impl Fn(&str, usize) -> Script + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            asked: Mutex::default(),
            injected: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            identities,
        });
        let kept = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&kept);
                thread::spawn(move || serve(&stream, &shared));
            }
        });
        Self { port, shared }
    }

    /// `localhost:PORT`.
    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// Faults that were sent.
    pub(crate) fn injected(&self) -> usize {
        self.shared.injected.load(Ordering::SeqCst)
    }

    /// Connections that were accepted.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

/// One connection: any end of it is fine.
fn serve(stream: &TcpStream, shared: &Shared) -> Option<()> {
    let number = shared.connections.fetch_add(1, Ordering::SeqCst);
    let identity = shared.identities.get(number).or(shared.identities.last())?;
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .ok()?;
    let connection = ServerConnection::new(Arc::clone(identity)).ok()?;
    let mut tls = StreamOwned::new(connection, stream.try_clone().ok()?);
    let mut request = Vec::new();
    let mut byte = [0_u8; 1];
    while !request.ends_with(b"\r\n\r\n") {
        tls.read_exact(&mut byte).ok()?;
        request.push(byte[0]);
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1)?.to_owned();
    let before = {
        let mut asked = shared.asked.lock().unwrap();
        let count = asked.entry(path.clone()).or_default();
        *count += 1;
        *count - 1
    };
    let script = (shared.answer)(&path, before);
    if script.is_fault {
        shared.injected.fetch_add(1, Ordering::SeqCst);
    }
    for step in script.steps {
        match step {
            Step::Send(bytes) => tls.write_all(&bytes).ok()?,
            Step::Repeat(bytes, times) => {
                for _ in 0..times {
                    tls.write_all(&bytes).ok()?;
                }
            }
            Step::Wait(time) => {
                tls.flush().ok()?;
                thread::sleep(time);
            }
            Step::Reset => {
                tls.flush().ok()?;
                let now = libc::linger {
                    l_onoff: 1,
                    l_linger: 0,
                };
                setsockopt(&stream.as_fd(), sockopt::Linger, &now).ok()?;
                return None;
            }
            Step::Cut => {
                tls.flush().ok()?;
                stream.shutdown(Shutdown::Both).ok()?;
                return None;
            }
        }
    }
    tls.conn.send_close_notify();
    tls.flush().ok()?;
    // What was sent must arrive before the socket goes.
    stream.shutdown(Shutdown::Write).ok()?;
    let _ = tls.read(&mut byte);
    Some(())
}
