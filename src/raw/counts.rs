//! What one thread counts of the values under one tag, and how the counts of all threads are added up.
//!
//! # Invariants
//!
//! (a) What came back was counted as taken before, and what is gone as back, by a chain of happens-before; so who reads what
//!     is gone first, then what came back, and sees each by an Acquire, sees what was before it too: no sum is negative.

use crate::sync::{AtomicU64, Ordering};

/// What one thread has counted under one tag, since the beginning.
#[derive(Debug, Default)]
pub struct Counters {
    pub taken: Count,
    pub back: Count,
    pub escaped: Count,
    /// What was back, and is idle no more.
    pub gone: Count,
    /// Bytes by which idle values grew.
    grown: AtomicU64,
}

/// Values, and their bytes.
#[derive(Debug, Default)]
pub struct Count {
    values: AtomicU64,
    bytes: AtomicU64,
}

/// Adds to a counter. `own` says that nobody else writes it.
#[inline]
fn add(counter: &AtomicU64, more: u64, own: bool) {
    // Release: who sees a value that came back sees that it was taken, by (a).
    if own {
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(more), Ordering::Release);
    } else {
        counter.fetch_add(more, Ordering::Release);
    }
}

impl Count {
    /// Adds one value.
    #[inline]
    pub fn add(&self, bytes: usize, own: bool) {
        add(&self.values, 1, own);
        add(&self.bytes, bytes as u64, own);
    }

    /// Adds this to a sum.
    fn sum(&self, sum: &mut Sum) {
        // Acquire: sees what was counted before, by (a).
        sum.values = sum.values.wrapping_add(self.values.load(Ordering::Acquire));
        sum.bytes = sum.bytes.wrapping_add(self.bytes.load(Ordering::Acquire));
    }
}

impl Counters {
    /// Counts that a value which is idle has other bytes than before.
    pub fn recount(&self, before: usize, after: usize, own: bool) {
        if after >= before {
            add(&self.grown, (after - before) as u64, own);
        } else {
            add(&self.gone.bytes, (before - after) as u64, own);
        }
    }
}

/// Values and bytes, added up over all threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub values: u64,
    pub bytes: u64,
}

impl Sum {
    fn without(self, other: Self) -> Self {
        Self { values: self.values.saturating_sub(other.values), bytes: self.bytes.saturating_sub(other.bytes) }
    }
}

/// The counters of all threads, added up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    pub taken: Sum,
    pub back: Sum,
    pub escaped: Sum,
    pub gone: Sum,
    /// Bytes by which idle values grew.
    pub grown: u64,
}

impl Sums {
    /// Adds up the counters that `each` hands out, the same ones each time, or more.
    pub fn of(each: impl Fn(&mut dyn FnMut(&Counters))) -> Self {
        let mut sums = Self::default();
        // In this order, by (a).
        each(&mut |counters| counters.gone.sum(&mut sums.gone));
        each(&mut |counters| {
            counters.back.sum(&mut sums.back);
            counters.escaped.sum(&mut sums.escaped);
            sums.grown = sums.grown.wrapping_add(counters.grown.load(Ordering::Acquire));
        });
        each(&mut |counters| counters.taken.sum(&mut sums.taken));
        sums
    }

    pub fn outstanding(&self) -> Sum {
        self.taken.without(self.back).without(self.escaped)
    }

    pub fn idle(&self) -> Sum {
        Sum { bytes: self.back.bytes.wrapping_add(self.grown), ..self.back }.without(self.gone)
    }
}
