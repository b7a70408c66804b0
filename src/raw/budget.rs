//! How many values, and how many bytes, may be kept.
//!
//! What a pool may keep is reserved before it is kept and released when it is freed, so the bound holds
//! exactly under concurrency: there is no check that a push could outrun.

use crate::sync::AtomicUsize;
use crate::sync::Ordering::Relaxed;

/// A number that passes its limit only where somebody brings a limit of their own. It publishes nothing, hence Relaxed throughout.
#[derive(Debug)]
pub struct Budget {
    used: AtomicUsize,
    limit: AtomicUsize,
    /// What is reserved here is reserved there too.
    within: Option<&'static Budget>,
}

impl Budget {
    /// A budget of its own, or within another one.
    pub fn over(limit: usize, within: Option<&'static Self>) -> Self {
        Self { used: AtomicUsize::new(0), limit: AtomicUsize::new(limit), within }
    }

    /// Sets another limit. What is reserved already stays.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Relaxed);
    }

    /// Reserves `amount`, wholly or not at all. It is refused for what others have reserved, or have given back too lately to be
    /// seen here; never for an attempt at this budget that is refused too. But in the budget around it an attempt holds its amount for
    /// the moment until its own budget refuses it, and others may be refused there for that.
    pub fn reserve(&self, amount: usize) -> bool {
        self.reserve_up_to(amount, self.limit.load(Relaxed))
    }

    /// The same up to this limit, for what cannot be refused: it holds up those who reserve.
    pub fn reserve_up_to(&self, amount: usize, limit: usize) -> bool {
        if !self.within.is_none_or(|within| within.reserve(amount)) {
            return false;
        }
        let more = |used: usize| used.checked_add(amount).filter(|&sum| sum <= limit);
        let reserved = self.used.fetch_update(Relaxed, Relaxed, more).is_ok();
        if let (false, Some(within)) = (reserved, self.within) {
            within.release(amount);
        }
        reserved
    }

    /// Gives back what was reserved.
    pub fn release(&self, amount: usize) {
        self.used.fetch_sub(amount, Relaxed);
        if let Some(within) = self.within {
            within.release(amount);
        }
    }

    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Budget;

    #[test]
    fn reserves_wholly_or_not_at_all() {
        let budget = Budget::over(10, None);
        assert!(budget.reserve(6));
        assert!(!budget.reserve(5));
        assert!(!budget.reserve(usize::MAX));
        assert!(budget.reserve(4));
        budget.release(6);
        assert_eq!(budget.used(), 4);
    }

    #[test]
    fn the_limit_holds_under_threads() {
        let budget = Budget::over(100, None);
        let won = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..1000).filter(|_| budget.reserve(1)).count())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        assert_eq!((won, budget.used()), (100, 100));
    }
}
