//! What is counted of requests.

use super::usage::Snapshot;
use crate::pool::PoolStats;
use crate::sync::Ordering::Relaxed;
use crate::sync::count::AtomicU64;

/// A snapshot of the numbers of [`Scopes`](crate::Scopes), exact at rest where nothing else is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScopeStats {
    /// Requests begun.
    pub begun: u64,
    /// Requests whose memory has been reclaimed.
    pub ended: u64,
    /// Of these, requests that a scope outlived: reclaimed by the drop of the scope, not of the guard.
    pub late: u64,
    /// Requests whose guard is gone, and that a scope holds open now. A scope that was leaked holds its request, and the
    /// slot, for ever: what stays in this number while nothing runs is leaked.
    pub late_open: u64,
    /// Requests that ended in a panic: what they held was freed, not reused.
    pub poisoned: u64,
    /// Cleanups, drops and resets that panicked when a request ended.
    pub hook_panics: u64,
    /// Times that values were copied out by [`Scope::detach`](crate::Scope::detach).
    pub detached: u64,
    /// Slots that wait for a request.
    pub idle: u64,
    /// Bytes that slots keep between requests, with the slots themselves: of idle ones, and of those in use what they kept
    /// when they were last idle. Part of [`pool::process_bytes`](crate::pool::process_bytes).
    pub retained_bytes: u64,
    /// Bytes that requests have taken from their arenas since the beginning. This number and those below come in batches,
    /// of at most 16 requests of a slot: the last ones are missing. Poisoned requests are not in.
    pub used_bytes: u64,
    /// Bytes of the arenas' blocks that requests had and did not use, since the beginning.
    pub wasted_bytes: u64,
    /// Half of the recent requests took at most so many bytes from their arenas. This and the other percentiles are at most
    /// a quarter above the true number, or 448 bytes.
    pub request_bytes_p50: u64,
    /// Nine of ten recent requests took at most so many bytes.
    pub request_bytes_p90: u64,
    /// 99 of 100 recent requests took at most so many bytes.
    pub request_bytes_p99: u64,
    /// The most that one request took since the beginning, in bytes.
    pub request_bytes_largest: u64,
}

impl ScopeStats {
    /// Requests that are open now, or held open by a scope.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.begun.saturating_sub(self.ended)
    }
}

/// What no pool counts. An ordinary request touches none of them. They publish nothing, hence Relaxed throughout.
#[derive(Debug, Default)]
pub(super) struct Counts {
    late: AtomicU64,
    pub(super) late_open: AtomicU64,
    poisoned: AtomicU64,
    hook_panics: AtomicU64,
    detached: AtomicU64,
}

impl Counts {
    /// Counts what is out of the ordinary in a request that ended.
    #[cold]
    pub(super) fn note(&self, was_outlived: bool, was_late: bool, is_poisoned: bool, panics: usize) {
        self.late_open.fetch_sub(u64::from(was_outlived), Relaxed);
        self.late.fetch_add(u64::from(was_late), Relaxed);
        self.poisoned.fetch_add(u64::from(is_poisoned), Relaxed);
        self.hook_panics.fetch_add(panics as u64, Relaxed);
    }

    pub(super) fn note_panics(&self, panics: usize) {
        self.hook_panics.fetch_add(panics as u64, Relaxed);
    }

    pub(super) fn note_detached(&self) {
        self.detached.fetch_add(1, Relaxed);
    }

    pub(super) fn snapshot(&self, seats: PoolStats, usage: Snapshot) -> ScopeStats {
        // Each request takes one seat and gives it back.
        let begun = seats.gets();
        let [request_bytes_p50, request_bytes_p90, request_bytes_p99] = usage.percentiles.map(|bytes| bytes as u64);
        ScopeStats {
            begun,
            ended: begun.saturating_sub(seats.outstanding()),
            late: self.late.load(Relaxed),
            late_open: self.late_open.load(Relaxed),
            poisoned: self.poisoned.load(Relaxed),
            hook_panics: self.hook_panics.load(Relaxed),
            detached: self.detached.load(Relaxed),
            idle: seats.idle,
            retained_bytes: seats.charged_bytes,
            used_bytes: usage.used,
            wasted_bytes: usage.wasted,
            request_bytes_p50,
            request_bytes_p90,
            request_bytes_p99,
            request_bytes_largest: usage.largest as u64,
        }
    }
}
