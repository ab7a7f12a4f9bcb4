//! v4run: a sandboxed install interceptor for build time.
//!
//! `v4run npm ci` runs the package manager inside Landlock and seccomp, lets no component code
//! execute, forces every byte through verified TLS and a digest check before the manager sees it,
//! and leaves a record that answers the 19 controls of OWASP SCVS chapter V4.
//!
//! # Processes
//!
//! ```text
//! session    plans, supervises, records; ancestor and subreaper of everything; plain threads
//!  ├ proxy   the same binary, re-executed and confined; holds CA key and credentials; async
//!  ├ look    the same binary, re-executed and confined to reading the store; looks into artifacts
//!  └ manager the same binary, re-executed as a launcher that confines itself and then execs the
//!            manager's real ELF exactly once
//! ```
//!
//! # Trust
//!
//! Trusted: the kernel, v4run, the manager's runtime as found before the start, the user's command
//! line and user or system configuration. Untrusted: the network, every cache, the project's files.
//! The committed lockfile is the anchor for digests, not a source of permission.
//!
//! # Layers
//!
//! A lower layer never imports a higher one; modules of one row never import each other.
//!
//! | layer | modules |
//! |---|---|
//! | 0 | [`model`], [`sys`] |
//! | 1 | [`diag`] |
//! | 2 | [`verify`], [`profile`] |
//! | 3 | [`store`], [`protocol`], [`manager`] |
//! | 4 | [`sandbox`], [`supervisor`], [`proxy`], [`record`], [`examine`] |
//! | 5 | [`assess`] |
//! | 6 | [`session`] |
//! | 7 | [`cli`] |

pub mod assess;
pub mod cli;
pub mod diag;
pub mod examine;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
pub mod manager;
pub mod model;
pub mod profile;
pub mod protocol;
pub mod proxy;
pub mod record;
pub mod sandbox;
pub mod session;
pub mod store;
pub mod supervisor;
pub mod sys;
pub mod verify;
