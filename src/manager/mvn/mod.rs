//! What the Maven driver reads and judges: jars, locks, POMs.
//!
//! Pure modules without the driver itself. Nothing here starts a program or opens a connection.

#![allow(dead_code, reason = "the driver calls these")]

mod lock;
mod view;
