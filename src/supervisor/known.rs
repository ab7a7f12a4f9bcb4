//! The SHA-256 digests of what this run's proxy released: what an artifact file on disk may be.
//!
//! The proxy announces a release before it answers, but over another way than the bytes take, so a
//! look-up waits a moment for the announcement.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::model::Digest;

/// Longest wait for an announcement that is under way.
const PATIENCE: Duration = Duration::from_millis(500);

/// A shared, growing set of digests.
#[derive(Clone, Debug, Default)]
pub struct KnownDigests(Arc<(Mutex<HashSet<Digest>>, Condvar)>);

impl KnownDigests {
    /// Adds that of one artifact.
    pub fn add(&self, sha256: &Digest) {
        let (set, changed) = &*self.0;
        set.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(sha256.clone());
        changed.notify_all();
    }

    /// Whether that of a file is among them, now or within a moment.
    pub(super) fn has(&self, sha256: &Digest) -> bool {
        let (set, changed) = &*self.0;
        let end = Instant::now() + PATIENCE;
        let mut known = set.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if known.contains(sha256) {
                return true;
            }
            let Some(left) = end.checked_duration_since(Instant::now()) else {
                return false;
            };
            known = changed
                .wait_timeout(known, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Algorithm;

    #[test]
    fn a_late_announcement_counts_and_a_missing_one_does_not() {
        let known = KnownDigests::default();
        let digest = |byte| Digest::new(Algorithm::Sha256, vec![byte; 32]).unwrap();
        let later = known.clone();
        let announced = digest(1);
        let thread = std::thread::spawn(move || later.add(&announced));
        assert!(known.has(&digest(1)));
        assert!(!known.has(&digest(2)));
        thread.join().unwrap();
    }
}
