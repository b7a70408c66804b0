//! What a pool counts, and why it dropped a value.

use crate::sync::Ordering::{Relaxed, SeqCst};
use crate::sync::count::AtomicU64;

/// Why a value was dropped instead of kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// It alone is larger than the pool keeps.
    Oversize,
    /// The pool keeps as many values as it may.
    Full,
    /// The pool keeps as many bytes as it may.
    Budget,
    /// Its reset said [`Discard`](crate::Verdict::Discard).
    Verdict,
    /// Its reset panicked, or its lease ended in a panic.
    Panicked,
    /// The pool was closed or cleared.
    Closed,
    /// It was far larger than its uses, several times in a row.
    Underused,
    /// It waited through two steps of ageing.
    Aged,
    /// The pool keeps nothing, by the switch [`no_pool`](crate::PoolDebug::no_pool).
    NotPooled,
    /// It was changed while it waited: only seen with the switch [`verify`](crate::PoolDebug::verify).
    Damaged,
}

const REASONS: usize = 10;

/// A snapshot of a pool's numbers. The fields are read one after the other while the pool works, so sums may
/// be off by what happened meanwhile; at rest they are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Values that exist: idle ones and leased ones.
    pub live: u64,
    /// Values that wait for a `get`.
    pub idle: u64,
    /// The most values that existed at once.
    pub peak_live: u64,
    /// Bytes charged to the pool's bound: of idle values, and of leased ones as they were when they were
    /// last idle.
    pub charged_bytes: u64,
    /// Values that `get` and `try_get` found waiting.
    pub hits: u64,
    /// Values that the factory made since the pool began: the misses of `get`.
    pub made: u64,
    drops: [u64; REASONS],
}

impl PoolStats {
    /// Values that are leased now.
    #[must_use]
    pub fn outstanding(&self) -> u64 {
        self.live.saturating_sub(self.idle)
    }

    /// Values lent since the pool began.
    #[must_use]
    pub fn gets(&self) -> u64 {
        self.hits + self.made
    }

    /// Values dropped for `reason` since the pool began.
    #[must_use]
    pub fn drops(&self, reason: DropReason) -> u64 {
        self.drops[reason as usize]
    }
}

impl core::ops::AddAssign for PoolStats {
    fn add_assign(&mut self, other: Self) {
        self.live += other.live;
        self.idle += other.idle;
        self.peak_live += other.peak_live;
        self.charged_bytes += other.charged_bytes;
        self.hits += other.hits;
        self.made += other.made;
        for (mine, theirs) in self.drops.iter_mut().zip(other.drops) {
            *mine += theirs;
        }
    }
}

/// Counters off the hot path: a hit touches none of them.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    live: AtomicU64,
    peak_live: AtomicU64,
    made: AtomicU64,
    drops: [AtomicU64; REASONS],
}

// All but `live` publish nothing, hence Relaxed.
impl Counts {
    pub(crate) fn made(&self) {
        self.made.fetch_add(1, Relaxed);
        self.came();
    }

    pub(crate) fn came(&self) {
        let live = self.live.fetch_add(1, Relaxed) + 1;
        self.peak_live.fetch_max(live, Relaxed);
    }

    pub(crate) fn dropped(&self, reason: DropReason) {
        self.drops[reason as usize].fetch_add(1, Relaxed);
    }

    /// Counts one that is gone for good, and says whether it was the last.
    pub(crate) fn gone(&self) -> bool {
        // SeqCst: one of two who each look whether the other has done its part, with `ended` of `home`.
        self.live.fetch_sub(1, SeqCst) == 1
    }

    pub(crate) fn live(&self) -> u64 {
        // SeqCst: as in `gone`.
        self.live.load(SeqCst)
    }

    pub(crate) fn snapshot(&self, idle: usize, hits: u64, charged_bytes: usize) -> PoolStats {
        PoolStats {
            live: self.live.load(Relaxed),
            idle: idle as u64,
            peak_live: self.peak_live.load(Relaxed),
            charged_bytes: charged_bytes as u64,
            // A damaged value was found waiting, and not lent.
            hits: hits.saturating_sub(self.drops[DropReason::Damaged as usize].load(Relaxed)),
            made: self.made.load(Relaxed),
            drops: core::array::from_fn(|reason| self.drops[reason].load(Relaxed)),
        }
    }
}
