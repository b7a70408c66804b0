//! Who holds memory: the process's books, by tag and by pool.
//!
//! Everything here reads counters that pools and requests keep anyway; nothing on a request's path calls up to it.
//!
//! | to | take |
//! |---|---|
//! | give what is taken a name | [`tagged`], [`tagged_future`]; interceptors and background tasks have one already |
//! | read the books, or print them | [`Ledger`], [`Dump`], [`DumpDiff`] |
//! | hear which request left something out | [`Ledger::each_imbalance`] |
//! | find what does not come back | [`LeakDetector`] in production, [`LeakScope`] in tests |
//! | hear of leaks, bursts and periods | `Monitor` (feature `observe`) |
//! | look at all of it in a browser | `Console` (feature `console`) |
//! | hand it to Prometheus, or to the `metrics` facade | [`Snapshot`], whose `record` wants the feature `metrics` |
//! | hand it to `go tool pprof` | `Profile` (feature `observe`) |

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
