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

    /// Whether the next node that is put in is the last of a `STEP`.
    pub fn is_step(&self) -> bool {
        is_end_of_step(self.puts.load(Relaxed) + 1)
    }

    /// Counts a node that is put in, if there is room.
    #[inline(always)]
    pub fn try_put(&self) -> bool {
        self.try_put_unless(|_| false)
    }

    /// As `try_put`, but not the last of a `STEP`.
    #[inline(always)]
    pub fn try_put_short(&self) -> bool {
        self.try_put_unless(is_end_of_step)
    }

    /// One `if` after the other: of both as one condition the compiler makes bits that it joins, which takes longer.
    #[inline(always)]
    fn try_put_unless(&self, is_refused: impl Fn(u64) -> bool) -> bool {
        let puts = self.puts.load(Relaxed);
        if puts >= self.full_at.load(Relaxed) {
            return false;
        }
        let puts = puts + 1;
        if is_refused(puts) {
            return false;
        }
        self.puts.store(puts, Relaxed);
        true
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

/// Whether so many end a step; in models none ever do. Asked of the number after a put: its last bits are compared with 0.
#[inline(always)]
fn is_end_of_step(puts: u64) -> bool {
    !MODELLED && puts % STEP == 0
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{STEP, Tally};

    #[test]
    fn the_last_of_a_step_is_put_in_the_long_way() {
        let tally = Tally::new(1000);
        let short = (0..STEP).take_while(|_| tally.try_put_short()).count() as u64;
        assert!(short == STEP - 1 && tally.is_step() && !tally.try_put_short());
        assert!(tally.try_put() && !tally.is_step() && tally.try_put_short());
        assert_eq!(tally.len() as u64, STEP + 1);
    }

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
