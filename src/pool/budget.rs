//! How many values, and how many bytes, may be kept.
//!
//! What a pool may keep is reserved before it is kept and released when it is freed, so the bound holds
//! exactly under concurrency: there is no check that a push could outrun.

use crate::sync::Ordering::Relaxed;
use crate::sync::count::AtomicUsize;

/// Bytes that all pools of the process may keep together, unless somebody sets another limit.
const PROCESS_BYTES: usize = 1 << 30;

/// The budget of all pools together.
static PROCESS: Budget = Budget::over(PROCESS_BYTES, None);

/// Sets how many bytes all pools of the process may keep together. Default: 1 GiB. What is kept already stays: it is
/// given up by trimming, or when it comes back from a lease larger than before.
pub fn set_process_limit(bytes: usize) {
    PROCESS.limit.store(bytes, Relaxed);
}

/// Bytes that all pools of the process keep, or keep places for: those of leased values, and those that
/// [detached](crate::Pooled::detach) ones leave to the next.
#[must_use]
pub fn process_bytes() -> usize {
    PROCESS.used()
}

/// A number that passes its limit only where somebody brings a limit of their own. It publishes nothing, hence Relaxed throughout.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    limit: AtomicUsize,
    /// What is reserved here is reserved there too.
    within: Option<&'static Budget>,
}

impl Budget {
    /// A budget of its own, or within another one.
    pub(crate) const fn over(limit: usize, within: Option<&'static Self>) -> Self {
        Self { used: AtomicUsize::new(0), limit: AtomicUsize::new(limit), within }
    }

    /// A budget within that of the process, for bytes.
    pub(crate) const fn of_process(limit: usize) -> Self {
        Self::over(limit, Some(&PROCESS))
    }

    /// Reserves `amount`, wholly or not at all.
    pub(crate) fn reserve(&self, amount: usize) -> bool {
        self.reserve_up_to(amount, self.limit.load(Relaxed))
    }

    /// The same up to this limit, for what cannot be refused: it holds up those who reserve.
    pub(crate) fn reserve_up_to(&self, amount: usize, limit: usize) -> bool {
        if !self.within.is_none_or(|process| process.reserve(amount)) {
            return false;
        }
        let more = |used: usize| used.checked_add(amount).filter(|&sum| sum <= limit);
        let reserved = self.used.fetch_update(Relaxed, Relaxed, more).is_ok();
        if let (false, Some(process)) = (reserved, self.within) {
            process.release(amount);
        }
        reserved
    }

    /// Gives back what was reserved.
    pub(crate) fn release(&self, amount: usize) {
        self.used.fetch_sub(amount, Relaxed);
        if let Some(process) = self.within {
            process.release(amount);
        }
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
