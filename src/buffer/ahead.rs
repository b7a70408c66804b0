//! How far a pool believes claims of bytes that have not arrived.
//!
//! A buffer for a whole claimed body costs one copy, but a client can claim and send nothing. So what is reserved ahead
//! of what has arrived is bounded for each pool, over all bodies together: whoever finds the bound used up grows by
//! segments instead.

#[cfg(feature = "http")]
mod owned;

#[cfg(feature = "http")]
pub(crate) use owned::OwnedAhead;

use crate::pool::Budget;
use core::fmt;

/// Bytes that arrive before they are given back: a shared operation for each small frame would cost more than the frame.
const BATCH: usize = 16 << 10;

/// The bound of one pool.
#[derive(Debug)]
pub(super) struct Bound(Budget);

impl Bound {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Budget::over(bytes, None))
    }

    /// Reserves `bytes`, wholly or not at all.
    pub(super) fn reserve(&self, bytes: usize) -> Option<Ahead<'_>> {
        // Lazily made: a reservation that is dropped gives back.
        self.0.reserve(bytes).then(|| Ahead { bound: self, left: Left { bytes, arrived: 0 } })
    }

    pub(super) fn used(&self) -> usize {
        self.0.used()
    }
}

/// Bytes reserved ahead of their arrival: see [`BufferPool::ahead`](crate::BufferPool::ahead). They go back as they
/// arrive, 16 KiB at a time, and the rest when this is dropped; `mem::forget` would leave them reserved.
pub struct Ahead<'a> {
    bound: &'a Bound,
    left: Left,
}

impl Ahead<'_> {
    /// Says that `bytes` more have arrived.
    pub fn arrived(&mut self, bytes: usize) {
        self.left.arrived(bytes, self.bound);
    }
}

impl Drop for Ahead<'_> {
    fn drop(&mut self) {
        self.left.give_back(usize::MAX, self.bound);
    }
}

/// What is still reserved, and what has arrived of it and was not given back yet.
struct Left {
    bytes: usize,
    arrived: usize,
}

impl Left {
    fn arrived(&mut self, bytes: usize, bound: &Bound) {
        self.arrived = self.arrived.saturating_add(bytes);
        if self.arrived >= BATCH.min(self.bytes) {
            self.give_back(self.arrived, bound);
            self.arrived = 0;
        }
    }

    fn give_back(&mut self, bytes: usize, bound: &Bound) {
        let bytes = bytes.min(self.bytes);
        if bytes > 0 {
            self.bytes -= bytes;
            bound.0.release(bytes);
        }
    }
}

impl fmt::Debug for Ahead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Left { bytes, arrived } = &self.left;
        f.debug_struct("Ahead").field("bytes", bytes).field("arrived", arrived).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrives_is_given_back_in_batches_and_the_rest_on_drop() {
        let bound = Bound::new(100_000);
        let mut ahead = bound.reserve(90_000).unwrap();
        assert!(bound.reserve(10_001).is_none());
        ahead.arrived(BATCH - 1);
        assert_eq!(bound.used(), 90_000);
        ahead.arrived(1);
        assert_eq!(bound.used(), 90_000 - BATCH);
        ahead.arrived(1);
        assert_eq!(bound.used(), 90_000 - BATCH, "a new batch begins");
        drop(ahead);
        assert_eq!(bound.used(), 0);
    }

    #[test]
    fn the_last_bytes_are_given_back_at_once_and_no_more_than_were_reserved() {
        let bound = Bound::new(1000);
        let other = bound.reserve(300).unwrap();
        let mut ahead = bound.reserve(500).unwrap();
        ahead.arrived(499);
        assert_eq!(bound.used(), 800);
        ahead.arrived(1);
        assert_eq!(bound.used(), 300);
        ahead.arrived(usize::MAX);
        assert_eq!(bound.used(), 300);
        drop((ahead, other));
        assert_eq!(bound.used(), 0);
    }
}
