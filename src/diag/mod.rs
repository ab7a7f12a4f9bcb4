//! How findings read: text for people, exit statuses for scripts.
//!
//! Used by whoever talks to a person; everything foreign passes [`sanitize()`] on its way to a
//! terminal. Pure functions from [`crate::model`] values to text and numbers: it prints nothing
//! and decides nothing but the exit status.

mod ci;
mod exit;
mod explain;
mod render;
mod sanitize;

pub use ci::Ci;
pub use exit::{
    CONFUSED, Cause, ERROR, Exit, LEVEL_NOT_REACHED, MANAGER_NOT_FOUND, ManagerStatus, REFUSED,
    REFUSED_BEFORE_START, STATUSES, decide, is_reserved,
};
pub use explain::{ControlText, explain, topics};
pub use render::{finding, severity};
pub use sanitize::sanitize;
