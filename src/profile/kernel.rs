//! The system-call table.
