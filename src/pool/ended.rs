//! Waiting until a closed pool has everything back.

use core::fmt;
use core::task::Waker;
use parking_lot::{Condvar, Mutex};
use std::time::Instant;

/// Who waits for the end of a pool. The lock is held for a push or a look, never around user code but wakers.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    wakers: Mutex<Vec<Waker>>,
    threads: Condvar,
}

impl Waiters {
    /// Wakes everybody: the pool has ended.
    pub(super) fn wake(&self) {
        let wakers = core::mem::take(&mut *self.wakers.lock());
        self.threads.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Notes a waker, unless the pool has ended. Asked under the lock, after which `wake` finds it.
    pub(super) fn note(&self, waker: &Waker, ended: impl Fn() -> bool) -> bool {
        let mut wakers = self.wakers.lock();
        if ended() {
            return true;
        }
        if !wakers.iter().any(|noted| noted.will_wake(waker)) {
            wakers.push(waker.clone());
        }
        false
    }

    /// Blocks until the pool has ended, or until `deadline`. Says whether it has.
    pub(super) fn block(&self, deadline: Instant, ended: impl Fn() -> bool) -> bool {
        let mut wakers = self.wakers.lock();
        while !ended() {
            if self.threads.wait_until(&mut wakers, deadline).timed_out() {
                return ended();
            }
        }
        true
    }
}

/// Values of a pool are still leased, or the pool is not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outstanding {
    /// The pool: its name, or the type of its values.
    pub pool: &'static str,
    /// Values that are leased.
    pub values: u64,
    /// Whether the pool is closed.
    pub is_closed: bool,
}

impl fmt::Display for Outstanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pool, values, is_closed } = self;
        if *is_closed {
            write!(f, "{values} values of the pool {pool} are out")
        } else {
            write!(f, "the pool {pool} is open")
        }
    }
}

impl core::error::Error for Outstanding {}
