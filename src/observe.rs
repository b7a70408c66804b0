//! Who holds memory: the process's books, by tag and by pool.
//!
//! Everything here reads counters that pools and requests keep anyway; nothing on a request's path calls up to it.

mod dump;
mod ledger;
mod tagged;

pub use dump::{Dump, DumpDiff, Growth};
pub use ledger::{Ledger, PoolEntry, TagEntry};
pub use tagged::{TaggedFuture, tagged, tagged_future};
