//! Pure verification: bytes in, evidence out.
//!
//! Used by the proxy for everything that comes from the network and by whoever reads artifacts
//! from disk. What must hold: content becomes [`Verified`] only by comparing digests that were
//! computed over exactly that content, and a client TLS configuration is made in one place, where
//! no check can be switched off. Nothing here decides what digest is to be expected.

pub mod hash;
pub mod many;
pub mod signatures;
pub mod tls;

pub use hash::{Digests, Hashed, Hashing, Mismatch, Sink, Verified};
