//! The same work for many files, on every processor.
//!
//! For the end of a run, which waits for files that are read once more while nothing else runs.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Threads at most.
const READERS: usize = 8;

/// What `work` makes of each of them, in their order.
pub fn each<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, |count| count.get().min(READERS));
    let next = AtomicUsize::new(0);
    let read = || {
        let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        let mine = numbers.map_while(|number| Some((number, work(all.get(number)?))));
        mine.collect::<Vec<_>>()
    };
    let mut made = thread::scope(|scope| {
        let readers: Vec<_> = (0..threads).map(|_| scope.spawn(read)).collect();
        let joined = readers.into_iter().map(|reader| reader.join());
        let made = joined.map(|made| made.unwrap_or_else(|panic| resume_unwind(panic)));
        made.flatten().collect::<Vec<_>>()
    });
    made.sort_by_key(|(number, _)| *number);
    made.into_iter().map(|(_, made)| made).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_out_and_the_order_stays() {
        let numbers: Vec<usize> = (0..500).collect();
        assert_eq!(
            each(&numbers, |number| number * 2),
            (0..1000).step_by(2).collect::<Vec<_>>()
        );
        assert!(each(&[0_usize; 0], |number| *number).is_empty());
    }
}
