//! The store in a directory.
/// A store directory.
#[derive(Debug)]
pub struct Directory;
/// Content on its way into the store.
#[derive(Debug)]
pub struct Staged;
