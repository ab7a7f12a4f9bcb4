//! The only folder with unsafe code: thin typed wrappers, one file a kernel facility.
//!
//! Rules of this folder: no policy, no allocation that the caller does not see, one unsafe
//! operation a block, each with the reason why it is sound. Everything else in the crate calls
//! these functions or the safe ones of `nix`.

#![allow(unsafe_code, reason = "the one home of unsafe code")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "kernel constants change type between headers and structures; values are small"
)]

pub mod attempt;
pub mod fd;
pub mod memory;
pub mod notify;
pub mod probe;
pub mod process;
pub mod start;
