//! Who holds memory: the process's books, by tag and by pool.
//!
//! Everything here reads counters that pools and requests keep anyway; nothing on a request's path calls up to it.

mod dump;
mod ledger;

pub use crate::pool::Imbalance;
pub use crate::pool::tagged::{TaggedFuture, tagged, tagged_future};
pub use dump::{Dump, DumpDiff, Growth};
pub use ledger::{Ledger, PoolEntry, TagEntry};
