//! The first-seen ledger.
/// What was seen first.
#[derive(Debug)]
pub struct LedgerEntry;
/// Answer of the ledger.
#[derive(Debug)]
pub enum FirstSeen {
    /// New.
    New,
}
