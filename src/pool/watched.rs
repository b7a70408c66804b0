//! Hooks that watch the values of a pool whose switches are on: around the hooks that do the work.

use super::debug::PoolDebug;
use super::hooks::{Hooks, Judged};
use super::stats::DropReason;
use crate::raw::unwind::caught;
use crate::sync::Ordering::Relaxed;
use crate::sync::count::AtomicU64;
use std::io::Write;

/// `hooks`, watched as `debug` says; bare when it says nothing.
pub(super) fn watched<T, H: Hooks<T> + 'static>(hooks: H, debug: PoolDebug, pool: &'static str) -> Box<dyn Hooks<T>> {
    if debug == PoolDebug::none() {
        return Box::new(hooks);
    }
    Box::new(Watched { hooks, debug, pool, damaged: AtomicU64::new(0) })
}

struct Watched<H> {
    hooks: H,
    debug: PoolDebug,
    /// What the pool is called.
    pool: &'static str,
    /// Values found damaged so far.
    damaged: AtomicU64,
}

impl<H> Watched<H> {
    /// Names a damaged value on stderr: the first, the second, the fourth and so on, for there may be many.
    fn report(&self) {
        // Relaxed: it publishes nothing.
        let damaged = self.damaged.fetch_add(1, Relaxed) + 1;
        if damaged.is_power_of_two() {
            let pool = self.pool;
            // A process whose stderr is gone runs on.
            let _ =
                writeln!(std::io::stderr(), "ebbtide: {pool}: a value was changed while it waited ({damaged} so far)");
        }
    }
}

impl<T, H: Hooks<T>> Hooks<T> for Watched<H> {
    fn judge(&self, value: &mut T, strikes: &mut u8) -> Judged {
        let judged = self.hooks.judge(value, strikes);
        if judged.bytes().is_err() {
            return judged;
        }
        if self.debug.has_poison() {
            self.hooks.poison(value);
        }
        if self.debug.has_no_pool() { Judged::drop(DropReason::NotPooled) } else { judged }
    }

    fn retained_bytes(&self, value: &T) -> usize {
        self.hooks.retained_bytes(value)
    }

    fn give_up(&self, value: &mut T) {
        self.hooks.give_up(value);
    }

    fn is_clean(&self, value: &T) -> bool {
        // A look that panics has found something.
        let clean = caught(|| self.hooks.is_clean(value)) == Some(true);
        if !clean {
            self.report();
        }
        clean
    }
}
