//! Who waits until a closed pool has everything back: futures, and threads.
//!
//! # Invariants
//!
//! (a) Whether the pool has ended is asked under the lock, before a waiter is noted or sleeps; who ends it does so first, and takes
//!     the lock then. So each waiter finds the end, or is found.

use super::unwind::caught;
use crate::sync::{Condvar, Mutex};
use core::task::Waker;
use std::time::Instant;

/// Who waits for the end of a pool. The lock is held for a push or a look; wakers, which are a user's code, are cloned,
/// woken and dropped outside of it.
#[derive(Debug, Default)]
pub struct Waiters {
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
pub struct Ticket(u64);

impl Waiters {
    /// Wakes everybody: the pool has ended. A waker that panics is alone in that.
    pub fn wake(&self) {
        // The lock comes before both: by (a).
        let waiting = core::mem::take(&mut self.wakers.lock().waiting);
        self.threads.notify_all();
        for (_, waker) in waiting {
            caught(|| waker.wake());
        }
    }

    /// Notes the waker of the future with this ticket, unless the pool has ended. Says whether it has.
    pub fn note(&self, ticket: &mut Option<Ticket>, waker: &Waker, ended: impl Fn() -> bool) -> bool {
        let waker = waker.clone();
        // By (a).
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
    pub fn forget(&self, ticket: Ticket) {
        let waker = self.wakers.lock().take(ticket);
        caught(|| drop(waker));
    }

    /// Blocks until the pool has ended, or until `deadline`. Says whether it has.
    pub fn block(&self, deadline: Instant, ended: impl Fn() -> bool) -> bool {
        let mut wakers = self.wakers.lock();
        while !ended() {
            let (again, timed_out) = self.threads.wait_until(wakers, deadline);
            if timed_out {
                return ended();
            }
            wakers = again;
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
