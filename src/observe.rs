//! Who holds memory: the process's books, by tag and by pool.
//!
//! Everything here reads counters that pools and requests keep anyway; nothing on a request's path calls up to it.

mod dump;
mod leaks;
mod ledger;

pub use crate::pool::Imbalance;
pub use crate::pool::records::LeaseRecord;
pub use crate::pool::tagged::{TaggedFuture, tagged, tagged_future};
pub use dump::{Dump, DumpDiff, Growth};
pub use leaks::{LeakDetector, LeakEntered, LeakFuture, LeakHandle, LeakScope, leaked_on_purpose};
pub use ledger::{Ledger, PoolEntry, TagEntry};
