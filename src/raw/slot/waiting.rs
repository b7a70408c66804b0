//! Waiting for the close of one generation of a slot.
//!
//! Nothing is paid for it while nobody waits: a bit of the state word, which the owner's drop has in hand anyway, says
//! whether to look at the list at all.
//!
//! | | waiter | owner's drop |
//! |---|---|---|
//! | 1 | takes the lock | sets closed, and sees whether `WAITED` was set |
//! | 2 | sets `WAITED`, and sees whether it was closed | if it was: takes the lock |
//! | 3 | if it was not: notes its waker | takes the wakers of its generation out |
//! | 4 | gives the lock back | gives the lock back, and wakes them |
//!
//! No waker is lost: the word has one order. A waiter that comes after the close sees it; one that comes before it
//! is seen by it, and the lock makes the owner wait until the waker is noted. A slot may be at its next
//! generation when the owner comes to step 3, so the list knows generations apart.
//!
//! Wakers are code of a user: they are cloned, woken and dropped outside of the lock.

use super::{Handle, Recycle, Slot, WAITED, Word};
use crate::raw::unwind::caught;
use crate::sync::Ordering;
use core::fmt;
use core::task::Waker;
use std::collections::BTreeMap;

/// Who waits, by generation and ticket.
#[derive(Default)]
pub(super) struct Waiters {
    wakers: BTreeMap<(u32, u64), Waker>,
    /// The ticket given last.
    ticket: u64,
}

/// Wakes those who wait for a generation that was closed.
#[cold]
pub(super) fn closed<C>(slot: &Slot<C>, generation: u32) {
    let woken = {
        let mut waiters = slot.waiters.lock();
        // Those of an earlier generation, whose own close comes late, may go with them.
        let later = waiters.wakers.split_off(&(generation, u64::MAX));
        core::mem::replace(&mut waiters.wakers, later)
    };
    for waker in woken.into_values() {
        caught(|| waker.wake());
    }
}

impl<C: Recycle> Handle<C> {
    /// Whether the generation was closed.
    pub fn is_closed(&self) -> bool {
        // Acquire: sees what the owner did, from the Release in its drop, or in `open` of a later generation.
        self.is_closed_in(Word(self.slot.word.load(Ordering::Acquire)))
    }

    fn is_closed_in(&self, word: Word) -> bool {
        word.generation() != self.generation || word.is_closed()
    }

    /// A place in the list of those who wait for the close.
    pub fn wait(&self) -> Wait<C> {
        Wait { handle: self.clone(), ticket: None }
    }
}

/// Waits for the close of one generation. Its drop forgets its waker at once.
pub struct Wait<C: Recycle> {
    handle: Handle<C>,
    /// The key of the waker that was noted last.
    ticket: Option<u64>,
}

impl<C: Recycle> Wait<C> {
    /// Whether the generation was closed; if not, `waker` is woken when it is.
    pub fn poll(&mut self, waker: &Waker) -> bool {
        if !self.handle.is_closed() && (self.is_noted(waker) || self.note(waker.clone())) {
            return false;
        }
        self.forget();
        true
    }

    /// Whether this very waker is in the list: then the close has yet to look.
    fn is_noted(&self, waker: &Waker) -> bool {
        let Some(ticket) = self.ticket else { return false };
        let waiters = self.handle.slot.waiters.lock();
        waiters.wakers.get(&(self.handle.generation, ticket)).is_some_and(|noted| noted.will_wake(waker))
    }

    /// Puts `waker` in place of the one before; `false` if the generation was closed.
    fn note(&mut self, waker: Waker) -> bool {
        let Handle { slot, generation } = &self.handle;
        let mut waiters = slot.waiters.lock();
        // Relaxed would do for the bit: closer and waiter meet in the word's own order, and at the lock.
        // Acquire: when it was closed, sees what the owner did, as in `is_closed`. In a later generation the bit
        // is one look too many for its owner.
        let is_closed = self.handle.is_closed_in(Word(slot.word.fetch_or(WAITED, Ordering::Acquire)));
        let unused = if is_closed {
            Some(waker)
        } else {
            let ticket = *self.ticket.get_or_insert(waiters.ticket + 1);
            waiters.ticket = waiters.ticket.max(ticket);
            waiters.wakers.insert((*generation, ticket), waker)
        };
        drop(waiters);
        caught(|| drop(unused));
        !is_closed
    }

    fn forget(&mut self) {
        let Some(ticket) = self.ticket.take() else { return };
        let noted = self.handle.slot.waiters.lock().wakers.remove(&(self.handle.generation, ticket));
        caught(|| drop(noted));
    }
}

impl<C: Recycle> Drop for Wait<C> {
    fn drop(&mut self) {
        self.forget();
    }
}

impl<C: Recycle> fmt::Debug for Wait<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("handle", &self.handle).finish_non_exhaustive()
    }
}
