//! Who holds memory: the process's books, by tag and by pool.
//!
//! Everything here reads counters that pools and requests keep anyway; nothing on a request's path calls up to it.
//!
//! | question | answer |
//! |---|---|
//! | who holds how much? | [`Ledger`], as a table [`Dump`], what grew between two of them [`DumpDiff`] |
//! | under whose name? | [`tagged`], [`tagged_future`]; interceptors and background tasks have theirs by themselves |
//! | which request left something out? | [`Ledger::each_imbalance`] |
//! | where was it taken? | [`LeakDetector`] in production, [`LeakScope`] in tests |
//! | is it a leak, a burst, a period? | `Monitor` (feature `observe`) |
//! | what does it look like? | `Console` in a browser (feature `console`), `Profile` in `go tool pprof` (feature `observe`) |
//! | what do others hear of it? | [`Snapshot`], as Prometheus text and through the `metrics` facade (feature `metrics`) |

#[cfg(feature = "console")]
mod console;
mod dump;
mod families;
mod leaks;
mod ledger;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "observe")]
mod monitor;
#[cfg(feature = "observe")]
mod pprof;
mod snapshot;
mod text;
#[cfg(feature = "observe")]
mod told;

pub use crate::pool::Imbalance;
pub use crate::pool::records::LeaseRecord;
pub use crate::pool::tagged::{TaggedFuture, tagged, tagged_future};
#[doc(no_inline)]
pub use crate::pool::{Reclaims, Times};
#[cfg(feature = "console")]
pub use console::Console;
pub use dump::{Dump, DumpDiff, Growth};
pub use leaks::{LeakDetector, LeakEntered, LeakFuture, LeakHandle, LeakScope, leaked_on_purpose};
pub use ledger::{Ledger, PoolEntry, TagEntry};
#[cfg(all(feature = "observe", feature = "tokio"))]
pub use monitor::Sampling;
#[cfg(feature = "observe")]
pub use monitor::{
    BadRule, Burst, Change, Event, Finding, Monitor, MonitorBuilder, MonitorStats, Periodic, Rule, Severity, SlowLeak,
    Source, Subject,
};
#[cfg(feature = "observe")]
pub use pprof::Profile;
pub use snapshot::Snapshot;
