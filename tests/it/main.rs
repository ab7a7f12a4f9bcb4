//! Table of contents of the black-box suite: every test runs the real binary.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot set itself up must fail"
)]
