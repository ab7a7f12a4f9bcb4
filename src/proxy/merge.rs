//! Equal requests under way at the same time are one fetch.
//!
//! The first does the work, the others wait for its outcome; when the first is dropped because its
//! client went away, one of the others takes over. Nothing is remembered after the outcome.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

type Cells<V> = HashMap<String, Arc<OnceCell<V>>>;

/// Work under way, by key.
#[derive(Debug)]
pub(super) struct Merge<V>(Mutex<Cells<V>>);

impl<V> Default for Merge<V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<V: Clone> Merge<V> {
    /// Does `work`, or waits for the same work done by somebody else.
    pub(super) async fn run<F: Future<Output = V>>(
        &self,
        key: String,
        work: impl FnOnce() -> F,
    ) -> V {
        let cell = Arc::clone(self.cells().entry(key.clone()).or_default());
        let waiting = Waiting {
            merge: self,
            key,
            cell,
        };
        waiting.cell.get_or_init(work).await.clone()
    }

    fn cells(&self) -> MutexGuard<'_, Cells<V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the key when the outcome is there or nobody waits any more.
struct Waiting<'a, V: Clone> {
    merge: &'a Merge<V>,
    key: String,
    cell: Arc<OnceCell<V>>,
}

impl<V: Clone> Drop for Waiting<'_, V> {
    fn drop(&mut self) {
        let mut cells = self.merge.cells();
        let current = cells
            .get(&self.key)
            .is_some_and(|cell| Arc::ptr_eq(cell, &self.cell));
        // The map and this one hold it: nobody else.
        if current && (self.cell.initialized() || Arc::strong_count(&self.cell) <= 2) {
            cells.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::*;

    #[tokio::test]
    async fn equal_work_is_done_once_and_then_forgotten() {
        let (merge, done) = (Merge::default(), AtomicU32::new(0));
        let work = || async {
            sleep(Duration::from_millis(10)).await;
            done.fetch_add(1, Ordering::Relaxed)
        };
        let both = tokio::join!(merge.run("a".into(), work), merge.run("a".into(), work));
        assert_eq!(both, (0, 0));
        assert!(merge.cells().is_empty());
        assert_eq!(merge.run("a".into(), work).await, 1);
    }

    #[tokio::test]
    async fn when_the_first_goes_away_another_takes_over() {
        let merge = Merge::default();
        let short = Duration::from_millis(5);
        let first = timeout(short, merge.run("a".into(), std::future::pending::<u32>));
        let second = merge.run("a".into(), || async { 2 });
        let (first, second) = tokio::join!(first, second);
        assert!(first.is_err());
        assert_eq!(second, 2);
        assert!(merge.cells().is_empty());
    }
}
