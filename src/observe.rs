//! Who holds memory: the process's books, by tag and by pool.
//!
//! Everything here reads counters that pools and requests keep anyway; nothing on a request's path calls up to it.

mod ledger;
#[cfg(feature = "observe")]
mod monitor;

#[doc(no_inline)]
pub use crate::pool::{Reclaims, Times};
pub use ledger::{Ledger, PoolEntry, TagEntry};
#[cfg(feature = "observe")]
pub use monitor::*;
