//! What a pool counts, and why it dropped a value.

use crate::raw::census::Census;
use crate::raw::tiers::Tiers;
use crate::sync::Ordering::Relaxed;
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

impl DropReason {
    /// Each reason.
    pub const ALL: [Self; REASONS] = [
        Self::Oversize,
        Self::Full,
        Self::Budget,
        Self::Verdict,
        Self::Panicked,
        Self::Closed,
        Self::Underused,
        Self::Aged,
        Self::NotPooled,
        Self::Damaged,
    ];

    /// What it is called in metrics, such as `not_pooled`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Oversize => "oversize",
            Self::Full => "full",
            Self::Budget => "budget",
            Self::Verdict => "verdict",
            Self::Panicked => "panicked",
            Self::Closed => "closed",
            Self::Underused => "underused",
            Self::Aged => "aged",
            Self::NotPooled => "not_pooled",
            Self::Damaged => "damaged",
        }
    }
}

/// A snapshot of a pool's numbers. The fields are read one after the other while the pool works, so sums may
/// be off by what happened meanwhile; at rest they are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Values that exist: idle ones and leased ones.
    pub live: u64,
    /// Values that wait for a `get`.
    pub idle: u64,
    /// The most values that existed at once; with some too many, 64 a thread at most, where other threads than those that make
    /// values [detach](crate::Pooled::detach) them. In the numbers of a buffer pool, the sum over its
    /// size classes, each at its own time.
    pub peak_live: u64,
    /// Bytes charged to the pool's bound: of idle values, and of leased ones as they were when they were
    /// last idle.
    pub charged_bytes: u64,
    /// Values that `get` and `try_get` found waiting.
    pub hits: u64,
    /// Chains of values that threads fetched from the tier that all share: what a hit costs there, one shared operation for
    /// as many values as the chain has.
    pub fetches: u64,
    /// Values that the factory made since the pool began: the misses of `get`.
    pub made: u64,
    /// Bytes of these, as they were when they were made, and what values grew by since: seen when they come back, and of values that
    /// stand in the bounds only. It wraps, which only values that claim to keep far more than there is bring about.
    pub made_bytes: u64,
    /// Values that were brought in since the pool began, by [`put`](crate::Pool::put) and [`prefill`](crate::Pool::prefill).
    pub adopted: u64,
    drops: [u64; REASONS],
}

/// Bytes of some values, where `all` have so many.
pub(crate) fn part_of(bytes: u64, values: u64, all: u64) -> u64 {
    let part = u128::from(bytes) * u128::from(values.min(all)) / u128::from(all.max(1));
    // At most all of them.
    part as u64
}

impl PoolStats {
    /// Values that are leased now.
    #[must_use]
    pub fn outstanding(&self) -> u64 {
        self.live.saturating_sub(self.idle)
    }

    /// Bytes of what waits: its part of the charged bytes, by the mean of all values that exist. Nobody counts them one by one, which a
    /// `get` would pay for.
    #[must_use]
    pub fn idle_bytes(&self) -> u64 {
        part_of(self.charged_bytes, self.idle, self.live)
    }

    /// Bytes of what is leased, counted as [`idle_bytes`](Self::idle_bytes) are: as it was when it was last idle.
    #[must_use]
    pub fn outstanding_bytes(&self) -> u64 {
        part_of(self.charged_bytes, self.outstanding(), self.live)
    }

    /// Values lent since the pool began.
    #[must_use]
    pub fn gets(&self) -> u64 {
        self.hits + self.made
    }

    /// Values taken out for good since the pool began, by [`detach`](crate::Pooled::detach): those that were made or brought in, and are
    /// neither there nor dropped.
    #[must_use]
    pub fn escaped(&self) -> u64 {
        (self.made + self.adopted).saturating_sub(self.live).saturating_sub(self.drops.iter().sum())
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
        self.charged_bytes = self.charged_bytes.saturating_add(other.charged_bytes);
        self.hits += other.hits;
        self.fetches += other.fetches;
        self.made += other.made;
        // A counter, which wraps by itself already: the sum wraps too, so that what is between two readings is right.
        self.made_bytes = self.made_bytes.wrapping_add(other.made_bytes);
        self.adopted += other.adopted;
        for (mine, theirs) in self.drops.iter_mut().zip(other.drops) {
            *mine += theirs;
        }
    }
}

/// Counters off the hot path: a hit touches none of them. They publish nothing, hence Relaxed.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    made: AtomicU64,
    made_bytes: AtomicU64,
    adopted: AtomicU64,
    drops: [AtomicU64; REASONS],
}

impl Counts {
    pub(super) fn made(&self, bytes: usize) {
        self.made.fetch_add(1, Relaxed);
        self.grew(bytes);
    }

    pub(super) fn adopted(&self) {
        self.adopted.fetch_add(1, Relaxed);
    }

    pub(super) fn grew(&self, bytes: usize) {
        self.made_bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn dropped(&self, reason: DropReason) {
        self.drops[reason as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn snapshot<P>(&self, census: &Census, tiers: &Tiers<P>, charged_bytes: usize) -> PoolStats {
        PoolStats {
            live: census.values(),
            idle: tiers.idle() as u64,
            peak_live: census.peak(),
            charged_bytes: charged_bytes as u64,
            // A damaged value was found waiting, and not lent.
            hits: tiers.takes().saturating_sub(self.drops[DropReason::Damaged as usize].load(Relaxed)),
            fetches: tiers.fetches(),
            made: self.made.load(Relaxed),
            made_bytes: self.made_bytes.load(Relaxed),
            adopted: self.adopted.load(Relaxed),
            drops: core::array::from_fn(|reason| self.drops[reason].load(Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::DropReason;

    #[test]
    fn each_reason_stands_at_its_number_under_a_name_of_its_own() {
        for (at, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at);
            assert_eq!(format!("{reason:?}").to_lowercase(), reason.name().replace('_', ""));
        }
    }
}
