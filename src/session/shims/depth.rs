//! Ends a shim that calls itself.
//!
//! Second of three layers: the bare manager is told by identity (`manager::bare`), and the kernel
//! takes no second listener. This one is for wrappers in between, which v4run cannot look behind: a
//! start in the very process that was handed on is a loop at once, and so are very many, one in the
//! other. Scripts that call scripts are ordinary. The variable can end a run and never changes
//! what a run is: who removes it only loses the message.

use crate::model::{Code, Finding};
use crate::sys;

/// Variable that a handed-on manager gets: process, its start, how many.
pub(super) const VARIABLE: &str = "V4RUN_PASSED";

/// Starts of bare managers, one in the other.
const MOST: u32 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Passed {
    process: u32,
    start: u64,
    count: u32,
}

impl Passed {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let passed = Self {
            process: parts.next()?.parse().ok()?,
            start: parts.next()?.parse().ok()?,
            count: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(passed)
    }

    fn inherited() -> Option<Self> {
        Self::parse(std::env::var(VARIABLE).ok()?.as_str())
    }
}

/// Refuses a loop.
pub(super) fn guard(name: &str) -> Result<(), Finding> {
    let own = (std::process::id(), sys::start::process_start());
    match Passed::inherited() {
        Some(passed) => judge(passed, own, name),
        None => Ok(()),
    }
}

fn judge(passed: Passed, own: (u32, Option<u64>), name: &str) -> Result<(), Finding> {
    let again = (passed.process, Some(passed.start)) == own;
    if !again && passed.count < MOST {
        return Ok(());
    }
    let message = match again {
        true => format!(
            "v4run called itself: what it took for the real `{name}` is a wrapper that calls the shim"
        ),
        false => format!(
            "v4run called itself {} times, one in the other",
            passed.count
        ),
    };
    let hint = format!(
        "put the directory of the real `{name}` before the wrapper's in PATH, or pin it with \
         `[managers.…] path` in the policy"
    );
    Err(Finding::new(Code::Usage, name, message).with_hint(hint))
}

/// The value for a manager that is handed on from this process.
pub(super) fn next() -> String {
    let count = Passed::inherited().map_or(0, |passed| passed.count);
    let start = sys::start::process_start().unwrap_or_default();
    format!("{}.{start}.{}", std::process::id(), count.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_is_told_from_scripts_that_call_scripts() {
        let passed = |text: &str| Passed::parse(text).unwrap();
        let own = (7, Some(70));
        assert!(judge(passed("7.70.1"), own, "npm").is_err());
        // The number of a process that is no more.
        assert!(judge(passed("7.69.1"), own, "npm").is_ok());
        assert!(judge(passed("6.70.5"), own, "npm").is_ok());
        let finding = judge(passed("6.60.16"), own, "npm").unwrap_err();
        assert!(finding.message.contains("16 times"), "{}", finding.message);
        for text in ["", "1", "1.2", "1.2.3.4", "x.1.1", "1.2.-1"] {
            assert_eq!(Passed::parse(text), None, "{text}");
        }
        assert_eq!(passed(&next()).count, 1);
    }
}
