//! How many values, and how many bytes, may be kept.
//!
//! What a pool may keep is reserved before it is kept and released when it is freed, so the bound holds
//! exactly under concurrency: there is no check that a push could outrun.

use crate::sync::Ordering::Relaxed;
use crate::sync::count::AtomicUsize;

/// A number that never passes its limit. It publishes nothing, hence Relaxed throughout.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    limit: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self { used: AtomicUsize::new(0), limit }
    }

    /// Reserves `amount`, wholly or not at all.
    pub(crate) fn reserve(&self, amount: usize) -> bool {
        self.used
            .fetch_update(Relaxed, Relaxed, |used| used.checked_add(amount).filter(|&sum| sum <= self.limit))
            .is_ok()
    }

    /// Gives back what was reserved.
    pub(crate) fn release(&self, amount: usize) {
        self.used.fetch_sub(amount, Relaxed);
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;

    #[test]
    fn reserves_wholly_or_not_at_all() {
        let budget = Budget::new(10);
        assert!(budget.reserve(6));
        assert!(!budget.reserve(5));
        assert!(!budget.reserve(usize::MAX));
        assert!(budget.reserve(4));
        budget.release(6);
        assert_eq!(budget.used(), 4);
    }

    #[test]
    fn the_limit_holds_under_threads() {
        let budget = Budget::new(100);
        let won = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..1000).filter(|_| budget.reserve(1)).count())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        assert_eq!((won, budget.used()), (100, 100));
    }
}
