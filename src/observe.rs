//! Who holds memory: the process's books, by tag and by pool.
//!
//! Everything here reads counters that pools and requests keep anyway; nothing on a request's path calls up to it.

mod families;
mod ledger;
mod snapshot;
mod text;

pub use ledger::{Ledger, PoolEntry, TagEntry};
pub use snapshot::Snapshot;
