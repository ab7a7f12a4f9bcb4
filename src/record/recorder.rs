//! The recorder: one thread that owns the journal while the run goes on.
//!
//! Started first and finished last by the session; every working thread gets a [`Sender`]. What
//! must always hold: a sender never waits for anything but this thread, which always drains its
//! queue, also after the disk is full; what could not be kept makes the record fail
//! (`record-failed`), never a silent gap. Equal refusals are written three times and then counted,
//! so that a package that retries forever cannot fill the disk.
//! It does not judge events and does not print; an [`Observer`] may.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::{self, JoinHandle};

use super::{Journal, RecordError, Recorded};
use crate::model::Event;

/// Events that may wait. A full queue makes senders wait, which slows the manager only.
const QUEUE: usize = 4096;

/// Sees every event that is recorded, in order, on the recording thread: live messages.
pub type Observer = Box<dyn FnMut(&Event) + Send>;

enum Message {
    Event(Box<Event>),
    Finish,
}

/// A handle to send events with. Cheap to clone.
#[derive(Clone)]
pub struct Sender {
    queue: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

impl Sender {
    /// Records an event. After the recorder's end the event is lost, which fails the seal.
    pub fn send(&self, event: Event) {
        if self.queue.send(Message::Event(Box::new(event))).is_err() {
            self.lost.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A running recorder.
#[derive(Debug)]
pub struct Recorder {
    sender: Sender,
    healthy: Arc<AtomicBool>,
    thread: JoinHandle<Recorded>,
}

impl Recorder {
    /// Makes the record directory and starts the thread.
    pub fn start(directory: &Path, observer: Observer) -> Result<Self, RecordError> {
        let journal = Journal::create(directory)?;
        let path = journal.directory().to_owned();
        let (queue, messages) = sync_channel(QUEUE);
        let healthy = Arc::new(AtomicBool::new(true));
        let lost = Arc::new(AtomicU64::new(0));
        let state = Recorded::new(journal, observer, Arc::clone(&healthy), Arc::clone(&lost));
        let thread = thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || run(state, &messages))
            .map_err(|source| RecordError::Io { path, source })?;
        Ok(Self {
            sender: Sender { queue, lost },
            healthy,
            thread,
        })
    }

    /// A handle for a working thread.
    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// Records an event.
    pub fn send(&self, event: Event) {
        self.sender.send(event);
    }

    /// False as soon as something could not be kept: the run should be stopped.
    pub fn healthy(&self) -> bool {
        self.healthy.load(Ordering::SeqCst)
    }

    /// Stops the thread once everything sent before is recorded, even while other senders exist.
    pub fn finish(self) -> Result<Recorded, RecordError> {
        let Self {
            sender: Sender { queue, lost },
            thread,
            ..
        } = self;
        // An error means that the thread is gone, which joining tells better.
        let _ = queue.send(Message::Finish);
        match thread.join() {
            Ok(recorded) => Ok(recorded),
            Err(_panic) => Err(RecordError::Lost(lost.load(Ordering::SeqCst).max(1))),
        }
    }
}

fn run(mut state: Recorded, messages: &Receiver<Message>) -> Recorded {
    loop {
        let message = match messages.try_recv() {
            Ok(message) => message,
            Err(TryRecvError::Empty) => {
                state.flush();
                match messages.recv() {
                    Ok(message) => message,
                    Err(_disconnected) => break,
                }
            }
            Err(TryRecvError::Disconnected) => break,
        };
        match message {
            Message::Event(event) => state.record(*event),
            Message::Finish => {
                // Events that crossed the end are still taken.
                while let Ok(Message::Event(event)) = messages.try_recv() {
                    state.record(*event);
                }
                break;
            }
        }
    }
    state.close();
    state
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::super::read;
    use super::*;
    use crate::model::{Code, Decision};

    fn refused(subject: &str) -> Event {
        Event::Call {
            call: "connect".into(),
            subject: subject.into(),
            decision: Decision::Refused(13),
            digest: None,
        }
    }

    fn silent() -> Observer {
        Box::new(|_event| {})
    }

    #[test]
    fn events_of_many_threads_arrive_and_are_observed() {
        let place = tempfile::tempdir().unwrap();
        let seen = Arc::new(Mutex::new(0));
        let counter = Arc::clone(&seen);
        let observer: Observer = Box::new(move |_event| *counter.lock().unwrap() += 1);
        let recorder = Recorder::start(place.path(), observer).unwrap();
        thread::scope(|scope| {
            for thread in 0..4 {
                let sender = recorder.sender();
                scope.spawn(move || {
                    for index in 0..100 {
                        sender.send(refused(&format!("{thread}/{index}")));
                    }
                });
            }
        });
        let recorded = recorder.finish().unwrap();
        assert_eq!(recorded.events().len(), 400);
        assert_eq!(*seen.lock().unwrap(), 400);
        assert_eq!(read(place.path()).unwrap().events().len(), 400);
    }

    #[test]
    fn equal_refusals_are_counted_after_the_third() {
        let place = tempfile::tempdir().unwrap();
        let recorder = Recorder::start(place.path(), silent()).unwrap();
        for _ in 0..10 {
            recorder.send(refused("a"));
        }
        recorder.send(refused("b"));
        let counted = Event::Counted {
            notifications: 5,
            opens: 1,
            connections: 2,
            repeated: 1,
        };
        recorder.send(counted.clone());
        recorder.send(counted);
        let recorded = recorder.finish().unwrap();
        assert_eq!(recorded.events().len(), 5);
        let last = Event::Counted {
            notifications: 10,
            opens: 2,
            connections: 4,
            repeated: 9,
        };
        assert_eq!(recorded.events().last(), Some(&last));
    }

    #[test]
    fn a_full_disk_is_noticed_and_blocks_nobody() {
        let place = tempfile::tempdir().unwrap();
        let recorder = Recorder::start(place.path(), silent()).unwrap();
        let mut recorded = recorder.finish().unwrap();
        recorded.journal.fail_for_test();
        let healthy = Arc::clone(&recorded.healthy);
        let lost = Arc::clone(&recorded.lost);
        let (queue, messages) = sync_channel(QUEUE);
        let thread = thread::spawn(move || run(recorded, &messages));
        let recorder = Recorder {
            sender: Sender { queue, lost },
            healthy: Arc::clone(&healthy),
            thread,
        };
        for index in 0..2 * QUEUE {
            recorder.send(refused(&index.to_string()));
        }
        while healthy.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
        let recorded = recorder.finish().unwrap();
        assert!(!recorded.healthy());
        assert_eq!(recorded.findings().last().unwrap().code, Code::RecordFailed);
        assert_eq!(recorded.events().len(), 2 * QUEUE + 1);
    }

    #[test]
    fn finishing_does_not_wait_for_idle_senders_and_late_events_fail_the_record() {
        let place = tempfile::tempdir().unwrap();
        let recorder = Recorder::start(place.path(), silent()).unwrap();
        let sender = recorder.sender();
        let mut recorded = recorder.finish().unwrap();
        assert!(recorded.healthy());
        sender.send(refused("late"));
        assert!(!recorded.healthy());
        recorded.push(refused("x"));
        assert_eq!(recorded.findings().last().unwrap().code, Code::RecordFailed);
    }

    #[test]
    fn events_are_on_disk_while_the_run_goes_on() {
        let place = tempfile::tempdir().unwrap();
        let recorder = Recorder::start(place.path(), silent()).unwrap();
        recorder.send(refused("a"));
        for _ in 0..1000 {
            if read(place.path()).unwrap().entries.len() == 1 {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
        panic!("the event was not flushed");
    }
}
