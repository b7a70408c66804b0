//! How many nodes went into a magazine and came out of it.
//!
//! Two numbers that only rise: a take writes the one, a return the other. A single length would pass from each take to
//! the return after it and back, and each would wait for what the other has just stored.

use super::sample::STEP;
use crate::sync::{AtomicU64, MODELLED, Ordering::Relaxed};

/// The numbers of one magazine.
///
/// # Invariants
///
/// (a) Written only by who may touch the magazine's list, and true when it lets go of it. Others read a hint; hence Relaxed
///     throughout, what publishes the list publishes them.
#[derive(Debug)]
pub struct Tally {
    /// Nodes put in since the beginning, or brought in by an exchange.
    puts: AtomicU64,
    /// Nodes taken since the beginning, and the depth on top of it: how far `puts` may rise.
    full_at: AtomicU64,
    /// Nodes that the magazine holds at most.
    depth: u64,
}

impl Tally {
    pub fn new(depth: usize) -> Self {
        // No more nodes fit into any memory, and `full_at` stays clear of the end.
        let depth = (depth as u64).min(u64::MAX / 2);
        Self { puts: AtomicU64::new(0), full_at: AtomicU64::new(depth), depth }
    }

    /// Nodes that the magazine holds at most.
    pub fn depth(&self) -> usize {
        self.depth as usize
    }

    /// Counts a node that was taken.
    #[inline(always)]
    pub fn take(&self) {
        self.full_at.store(self.full_at.load(Relaxed) + 1, Relaxed);
    }

    /// Whether the next take is the first of a `STEP`. In models none ever is.
    #[inline(always)]
    pub fn is_step(&self) -> bool {
        !MODELLED && self.full_at.load(Relaxed) % STEP as u64 == 0
    }

    /// Counts a node that is put in, if there is room.
    #[inline(always)]
    pub fn try_put(&self) -> bool {
        let puts = self.puts.load(Relaxed);
        let has_room = puts < self.full_at.load(Relaxed);
        if has_room {
            self.puts.store(puts + 1, Relaxed);
        }
        has_room
    }

    /// Notes that the list has another length, by an exchange.
    pub fn set_len(&self, len: usize) {
        self.puts.store(self.takes() + len as u64, Relaxed);
    }

    /// Nodes taken since the beginning.
    pub fn takes(&self) -> u64 {
        self.full_at.load(Relaxed) - self.depth
    }

    /// Nodes that wait.
    pub fn len(&self) -> usize {
        // Nodes taken between the two loads may be more than were there.
        self.puts.load(Relaxed).saturating_sub(self.takes()) as usize
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Tally;

    #[test]
    fn counts_what_waits_and_what_was_taken() {
        let tally = Tally::new(2);
        assert!(tally.try_put() && tally.try_put() && !tally.try_put());
        assert_eq!((tally.len(), tally.takes()), (2, 0));
        tally.take();
        assert_eq!((tally.len(), tally.takes()), (1, 1));
        assert!(tally.try_put() && !tally.try_put());
        tally.set_len(0);
        assert_eq!((tally.len(), tally.takes()), (0, 1), "an exchange takes nothing");
        assert!(tally.try_put() && tally.try_put() && !tally.try_put());
        tally.set_len(3);
        assert!(!tally.try_put(), "more than it holds came in at once");
    }
}
