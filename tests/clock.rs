//! A clock that jumps, laid into a program by the loader: the time of day is another one from some
//! reading on, or a different one at every reading.
//!
//! `TEST_CLOCK=AFTER:SECONDS` in the environment adds the seconds to every reading of the real-time clock
//! after so many; with a `*` behind them only to every second one. Nothing else changes. See ld.so(8),
//! `LD_PRELOAD`, and clock_gettime(2).
#![allow(unsafe_code, reason = "a function that takes the place of libc's")]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

static READINGS: AtomicU64 = AtomicU64::new(0);
static PLAN: OnceLock<Option<(u64, i64, bool)>> = OnceLock::new();

fn plan() -> Option<(u64, i64, bool)> {
    let text = std::env::var("TEST_CLOCK").ok()?;
    let (after, seconds) = text.split_once(':')?;
    let every_second = seconds.ends_with('*');
    let seconds = seconds.trim_end_matches('*').parse().ok()?;
    Some((after.parse().ok()?, seconds, every_second))
}

/// In the place of libc's.
///
/// # Safety
///
/// `time` is what clock_gettime(2) takes.
// SAFETY: it keeps the name's contract but for the value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> i32 {
    // SAFETY: the caller's pointer is handed on as it is.
    let result = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) };
    if result != 0 {
        return -1;
    }
    if clock == libc::CLOCK_REALTIME
        && let Some((after, seconds, every_second)) = *PLAN.get_or_init(plan)
    {
        let reading = READINGS.fetch_add(1, Ordering::Relaxed);
        if reading >= after && (!every_second || reading.is_multiple_of(2)) {
            // SAFETY: the kernel has just written there.
            unsafe { (*time).tv_sec += seconds };
        }
    }
    0
}
