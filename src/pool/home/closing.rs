//! The end of a home: closing, what is left over by a close, and those who wait until everything is back.

use super::Home;
use crate::pool::ended::Outstanding;
use crate::pool::registry;
use crate::pool::stats::{DropReason, PoolStats};
use crate::raw::threads::EndingThread;
use crate::raw::waiters::Ticket;
use crate::sync::Ordering;
use core::task::{Poll, Waker};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Time between two looks at a close that is not finished.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

impl<T: Send + 'static> Home<T> {
    /// Whether the last close found an owner busy all the while: it was put off its processor there, and will leave a
    /// node behind. Whoever waits for the end looks again, since nobody else may.
    fn is_unfinished(&self) -> bool {
        // Relaxed: it only asks for another look.
        self.unfinished.load(Ordering::Relaxed)
    }

    /// Whether the pool has ended; if not, `waker` is woken when it has.
    fn poll_ended(&self, ticket: &mut Option<Ticket>, waker: &Waker) -> bool {
        registry::finish();
        let ended = self.waiters.note(ticket, waker, || self.census.has_ended());
        if !ended && self.is_unfinished() {
            waker.wake_by_ref();
        }
        ended
    }

    /// Blocks until the pool has ended, or until `deadline`.
    pub(crate) fn wait_ended(&self, deadline: Instant) -> Result<(), Outstanding> {
        loop {
            registry::finish();
            let woken = self.waiters.block(deadline, || self.census.has_ended() || self.is_unfinished());
            if self.census.has_ended() {
                return Ok(());
            }
            if !woken || Instant::now() >= deadline {
                break;
            }
            sleep(LOOK_AGAIN);
        }
        let values = self.stats().outstanding();
        Err(Outstanding { pool: self.settings.name, values, is_closed: self.tiers.is_closed() })
    }

    /// Closes for good: what is idle is freed now, what is leased when it comes back.
    pub(crate) fn close(self: &Arc<Self>) {
        if !registry::Idle::close(&**self) {
            // Before it is noted: who finishes it lowers the flag again, for good.
            // Relaxed: who sees it too early looks again.
            self.unfinished.store(true, Ordering::Relaxed);
            registry::finish_later(self);
        }
        // After the gates: who finds that the pool has ended finds them shut.
        if self.census.close() || self.is_unfinished() {
            self.waiters.wake();
        }
    }
}

impl<T: Send + 'static> registry::Idle for Home<T> {
    fn id(&self) -> u32 {
        self.id
    }

    fn label(&self) -> (&'static str, u64) {
        (self.settings.name, self.settings.class_bytes as u64)
    }

    fn own_stats(&self) -> PoolStats {
        self.stats_alone()
    }

    fn thread_ends(&self, thread: &EndingThread) {
        self.tiers.flush(thread, |chain| self.spill(chain));
        self.shed_here(thread);
    }

    fn close(&self) -> bool {
        let emptied = self.tiers.close(|chain| self.discard_all(chain, DropReason::Closed));
        let complete = self.shed_for_good() && emptied;
        if complete {
            // Relaxed: it only ends the looks.
            self.unfinished.store(false, Ordering::Relaxed);
        }
        complete
    }
}

/// A future that waits for the end of a pool. Its drop forgets the waker.
pub(crate) struct Ending<'a, T: Send + 'static> {
    home: &'a Home<T>,
    ticket: Option<Ticket>,
}

impl<'a, T: Send + 'static> Ending<'a, T> {
    pub(crate) fn of(home: &'a Home<T>) -> Self {
        Self { home, ticket: None }
    }

    pub(crate) fn poll(&mut self, waker: &Waker) -> Poll<()> {
        if self.home.poll_ended(&mut self.ticket, waker) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<T: Send + 'static> Drop for Ending<'_, T> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.home.waiters.forget(ticket);
        }
    }
}
