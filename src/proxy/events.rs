//! What the proxy tells the session: one JSON line a message, in order, none lost.
//!
//! A message is written to the socket at once where the socket takes it, so that the session can
//! know of a released artifact before the manager has its first byte; what the socket does not
//! take waits in memory for the writer task. Nothing that serves a request ever waits for the
//! session. Memory stays bounded because equal findings are reported once and distinct ones up to
//! a limit; everything else stands for a request that was served.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::UnixStream;
use tokio::sync::Notify;

use super::limits;
use crate::model::Event;
use crate::model::Finding;
use crate::model::ProxyMessage;

/// A handle; clones speak on the same socket.
#[derive(Clone, Debug)]
pub(super) struct Events(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// None where nobody is told.
    socket: Option<Arc<UnixStream>>,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    backlog: Vec<u8>,
    reported: HashSet<Finding>,
    /// Findings that are not reported one by one.
    repeated: u64,
    /// Connections without the run's token.
    strangers: u64,
    /// The session is gone: there is nobody to tell.
    closed: bool,
}

impl Events {
    /// Over the session's socket.
    pub(super) fn new(socket: Arc<UnixStream>) -> Self {
        Self(Arc::new(Shared {
            socket: Some(socket),
            state: Mutex::default(),
            wake: Notify::new(),
        }))
    }

    /// Of a client that nobody listens to.
    pub(super) fn unheard() -> Self {
        Self(Arc::new(Shared {
            socket: None,
            state: Mutex::new(State {
                closed: true,
                ..State::default()
            }),
            wake: Notify::new(),
        }))
    }

    /// Says that the proxy serves.
    pub(super) fn ready(&self, certificate: String) {
        self.send(&ProxyMessage::Ready { certificate });
    }

    /// Reports something that happened.
    pub(super) fn event(&self, event: Event) {
        self.send(&ProxyMessage::Event(Box::new(event)));
    }

    /// Reports a finding, equal ones once.
    pub(super) fn found(&self, finding: &Finding) {
        {
            let mut state = self.state();
            let full = state.reported.len() >= limits::FINDINGS;
            if full || !state.reported.insert(finding.clone()) {
                state.repeated = state.repeated.saturating_add(1);
                return;
            }
        }
        self.event(Event::Found(finding.clone()));
    }

    /// Counts a connection that did not present the run's token.
    pub(super) fn stranger(&self) {
        let mut state = self.state();
        state.strangers = state.strangers.saturating_add(1);
    }

    /// Reports what was only counted, when the run ends.
    pub(super) fn totals(&self) {
        let repeated = {
            let state = self.state();
            state.repeated.saturating_add(state.strangers)
        };
        if repeated > 0 {
            self.event(Event::Counted {
                notifications: 0,
                opens: 0,
                connections: 0,
                repeated,
            });
        }
    }

    /// The writer task: hands over what the socket did not take at once.
    pub(super) async fn write(&self) {
        loop {
            self.0.wake.notified().await;
            self.flush().await;
        }
    }

    /// Returns when nothing waits any more or the session is gone.
    pub(super) async fn flush(&self) {
        loop {
            {
                let state = self.state();
                if state.closed || state.backlog.is_empty() {
                    return;
                }
            }
            let Some(socket) = &self.0.socket else {
                return;
            };
            let writable = socket.writable().await;
            let mut state = self.state();
            state.closed |= writable.is_err();
            self.write_some(&mut state);
        }
    }

    fn send(&self, message: &ProxyMessage) {
        let Ok(mut line) = serde_json::to_vec(message) else {
            return;
        };
        line.push(b'\n');
        let mut state = self.state();
        if state.closed {
            return;
        }
        let waiting = !state.backlog.is_empty();
        state.backlog.append(&mut line);
        if !waiting {
            self.write_some(&mut state);
        }
        if !state.backlog.is_empty() {
            self.0.wake.notify_one();
        }
    }

    fn write_some(&self, state: &mut State) {
        let Some(socket) = &self.0.socket else {
            return;
        };
        while !state.backlog.is_empty() && !state.closed {
            match socket.try_write(&state.backlog) {
                Ok(count) => {
                    state.backlog.drain(..count.min(state.backlog.len()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_closed) => {
                    state.closed = true;
                    state.backlog.clear();
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncBufReadExt as _;
    use tokio::io::BufReader;

    use super::*;
    use crate::model::Code;

    fn finding(number: usize) -> Finding {
        Finding::new(Code::RequestRefused, number.to_string(), "x".repeat(1000))
    }

    #[tokio::test]
    async fn a_slow_reader_gets_every_message_in_order() {
        let (near, far) = UnixStream::pair().unwrap();
        let events = Events::new(Arc::new(near));
        let writer = tokio::spawn({
            let events = events.clone();
            async move { events.write().await }
        });
        for number in 0..2000 {
            events.found(&finding(number));
            events.found(&finding(number));
        }
        events.totals();
        let mut lines = BufReader::new(far).lines();
        for number in 0..2000 {
            let line = lines.next_line().await.unwrap().unwrap();
            let message: ProxyMessage = serde_json::from_str(&line).unwrap();
            assert_eq!(
                message,
                ProxyMessage::Event(Box::new(Event::Found(finding(number))))
            );
        }
        assert!(
            lines
                .next_line()
                .await
                .unwrap()
                .unwrap()
                .contains(r#""repeated":2000"#)
        );
        writer.abort();
    }

    #[tokio::test]
    async fn a_session_that_is_gone_stops_nothing() {
        let (near, far) = UnixStream::pair().unwrap();
        let events = Events::new(Arc::new(near));
        drop(far);
        for number in 0..100 {
            events.found(&finding(number));
        }
        events.flush().await;
    }
}
