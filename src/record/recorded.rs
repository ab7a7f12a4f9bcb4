//! Everything recorded so far: events in memory for the verdicts, journal on disk.
//!
//! Owned by the recorder's thread while the run goes on, then by the session until the seal. What
//! must always hold: an event in the journal is in memory and the other way round, unless the
//! record has failed; a failure becomes a finding, once.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::gate::{self, Gate};
use super::{Journal, Observer, RecordError, SigningKey};
use crate::model::{Event, Finding};

/// Events of a record. An install of 20 000 packages has a quarter of it.
const EVENTS: usize = 250_000;

/// Everything recorded: the events in order, and the journal until it is sealed.
pub struct Recorded {
    pub(super) journal: Journal,
    pub(super) events: Vec<Event>,
    pub(super) failure: Option<RecordError>,
    observer: Observer,
    pub(super) healthy: Arc<AtomicBool>,
    pub(super) lost: Arc<AtomicU64>,
    gate: Gate,
    counted: Option<Counts>,
    repeated: u64,
    reported: bool,
    pub(super) key: Option<SigningKey>,
}

#[derive(Default)]
struct Counts {
    notifications: u64,
    opens: u64,
    connections: u64,
    repeated: u64,
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded")
            .field("directory", &self.journal.directory())
            .field("events", &self.events.len())
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

impl Recorded {
    pub(super) fn new(
        journal: Journal,
        observer: Observer,
        healthy: Arc<AtomicBool>,
        lost: Arc<AtomicU64>,
    ) -> Self {
        Self {
            journal,
            events: Vec::new(),
            failure: None,
            observer,
            healthy,
            lost,
            gate: Gate::default(),
            counted: None,
            repeated: 0,
            reported: false,
            key: None,
        }
    }

    /// Lets the seal sign the record.
    #[must_use]
    pub fn signed_with(mut self, key: Option<SigningKey>) -> Self {
        self.key = key;
        self
    }

    /// The record directory, absolute.
    pub fn directory(&self) -> &Path {
        self.journal.directory()
    }

    /// The recorded events, in order.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The recorded findings, in order; a failure of the record itself is one of them.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.events.iter().filter_map(gate::finding)
    }

    /// Adds an event after the end of the recorder: comparisons and verdicts.
    pub fn push(&mut self, event: Event) {
        self.record(event);
        self.flush();
        self.report_failure();
    }

    /// Whether everything could be kept so far.
    pub fn healthy(&self) -> bool {
        self.failure.is_none() && self.lost.load(Ordering::SeqCst) == 0
    }

    pub(super) fn record(&mut self, event: Event) {
        if let Event::Counted {
            notifications,
            opens,
            connections,
            repeated,
        } = event
        {
            let counts = self.counted.get_or_insert_default();
            counts.notifications += notifications;
            counts.opens += opens;
            counts.connections += connections;
            counts.repeated += repeated;
        } else if self.gate.admits(&event) {
            self.keep(event);
        } else {
            self.repeated += 1;
        }
    }

    fn keep(&mut self, event: Event) {
        if self.events.len() >= EVENTS && !matches!(event, Event::Found(_)) {
            self.lost.fetch_add(1, Ordering::SeqCst);
            self.healthy.store(false, Ordering::SeqCst);
            return;
        }
        (self.observer)(&event);
        if self.failure.is_none() {
            let result = self.journal.append(&event);
            self.note(result);
        }
        self.events.push(event);
    }

    pub(super) fn flush(&mut self) {
        if self.failure.is_none() {
            let result = self.journal.flush();
            self.note(result);
        }
    }

    fn note(&mut self, result: Result<(), RecordError>) {
        if let Err(error) = result {
            self.healthy.store(false, Ordering::SeqCst);
            self.failure.get_or_insert(error);
        }
    }

    /// Writes the counts and everything that waits; a failure becomes a finding.
    pub(super) fn close(&mut self) {
        let counts = self.counted.take();
        if counts.is_some() || self.repeated > 0 {
            let Counts {
                notifications,
                opens,
                connections,
                repeated,
            } = counts.unwrap_or_default();
            let repeated = repeated + std::mem::take(&mut self.repeated);
            self.keep(Event::Counted {
                notifications,
                opens,
                connections,
                repeated,
            });
        }
        self.flush();
        self.report_failure();
    }

    fn report_failure(&mut self) {
        let lost = self.lost.load(Ordering::SeqCst);
        if lost > 0 {
            self.failure.get_or_insert(RecordError::Lost(lost));
        }
        if let Some(error) = self.failure.as_ref().filter(|_| !self.reported) {
            self.reported = true;
            let event = Event::Found(error.finding());
            (self.observer)(&event);
            self.events.push(event);
        }
    }
}
