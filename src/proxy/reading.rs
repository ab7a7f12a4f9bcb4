//! One thread beside the proxy's own, for reading what is in artifacts.
//!
//! Unpacking a large archive takes as long as answering many small ones; meanwhile the proxy's own
//! thread goes on serving. It is made before the last filter of the process, which lets no thread be
//! made and holds for this one too. What waits for a reading that is lost gets an error, so that
//! nothing is given out unread. It knows nothing of what is read.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;

use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// The thread, by the way to it; it ends with the last of these.
#[derive(Clone, Debug)]
pub struct Reading(mpsc::Sender<Job>);

impl Reading {
    /// Makes the thread. An error when the system gives none.
    pub fn start() -> io::Result<Self> {
        let (jobs, taken) = mpsc::channel::<Job>();
        thread::Builder::new()
            .name("reading".to_owned())
            .spawn(move || {
                for job in taken {
                    // Its answer is dropped with it, which whoever waits sees.
                    let _ = catch_unwind(AssertUnwindSafe(job));
                }
            })?;
        Ok(Self(jobs))
    }

    /// Does it there, one after the other. `None` when it was lost.
    pub(super) async fn of<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move || {
            // Nobody waits any more when the manager hung up.
            let _ = answer.send(work());
        });
        self.0.send(job).ok()?;
        answered.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_read_comes_back_and_what_fails_is_lost_alone() {
        let reading = Reading::start().unwrap();
        let here = thread::current().id();
        let there = reading.of(|| thread::current().id()).await;
        assert!(there.is_some_and(|there| there != here));
        assert_eq!(reading.of(|| -> u8 { panic!("on purpose") }).await, None);
        assert_eq!(reading.of(|| 7).await, Some(7));
    }
}
