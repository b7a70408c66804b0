//! Waiting until a closed pool has everything back.

use crate::raw::unwind::caught;
use core::fmt;
use core::task::Waker;
use parking_lot::{Condvar, Mutex};
use std::time::Instant;

/// Who waits for the end of a pool. The lock is held for a push or a look; wakers, which are a user's code, are cloned,
/// woken and dropped outside of it.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    wakers: Mutex<Wakers>,
    threads: Condvar,
}

/// The wakers of the futures that wait, each under its future's ticket.
#[derive(Debug, Default)]
struct Wakers {
    tickets: u64,
    waiting: Vec<(Ticket, Waker)>,
}

/// One future that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

impl Waiters {
    /// Wakes everybody: the pool has ended. A waker that panics is alone in that.
    pub(super) fn wake(&self) {
        let waiting = core::mem::take(&mut self.wakers.lock().waiting);
        self.threads.notify_all();
        for (_, waker) in waiting {
            caught(|| waker.wake());
        }
    }

    /// Notes the waker of the future with this ticket, unless the pool has ended. That is asked under the lock, so that
    /// whoever ends the pool later finds the waker.
    pub(super) fn note(&self, ticket: &mut Option<Ticket>, waker: &Waker, ended: impl Fn() -> bool) -> bool {
        let waker = waker.clone();
        let mut wakers = self.wakers.lock();
        if ended() {
            return true;
        }
        let before = wakers.note(ticket, waker);
        drop(wakers);
        drop(before);
        false
    }

    /// Forgets a future that waits no more.
    pub(super) fn forget(&self, ticket: Ticket) {
        let waker = self.wakers.lock().take(ticket);
        caught(|| drop(waker));
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

impl Wakers {
    /// Notes a waker and returns the one that it replaces.
    fn note(&mut self, ticket: &mut Option<Ticket>, waker: Waker) -> Option<Waker> {
        let noted = self.waiting.iter_mut().find(|(of, _)| Some(*of) == *ticket);
        if let Some((_, noted)) = noted {
            return Some(core::mem::replace(noted, waker));
        }
        self.tickets += 1;
        self.waiting.push((*ticket.insert(Ticket(self.tickets)), waker));
        None
    }

    fn take(&mut self, ticket: Ticket) -> Option<Waker> {
        let at = self.waiting.iter().position(|(of, _)| *of == ticket)?;
        Some(self.waiting.swap_remove(at).1)
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
            let (noun, verb) = if *values == 1 { ("value", "is") } else { ("values", "are") };
            write!(f, "{values} {noun} of the pool {pool} {verb} out")
        } else {
            write!(f, "the pool {pool} is open")
        }
    }
}

impl core::error::Error for Outstanding {}
