//! Which slot a thread works for: a handle or a right that somebody further up the thread's stack has lent.
//!
//! Nothing is counted and nothing moves: [`Spot::with`] notes where the lent one is, and puts back what was noted before when
//! its closure is through, also by a panic. So what is noted never outlives the loan.

use super::{Pin, Recycle, Term};
use core::cell::Cell;
use core::fmt;
use core::ptr::NonNull;
use std::thread::LocalKey;

/// One thread's note.
///
/// # Invariants
///
/// (a) What is noted is a term that a call of [`with`](Self::with), further up the stack of the thread that the spot
///     belongs to, has borrowed. (No other thread sees it, since a `Cell` is not `Sync`.)
pub struct Spot<C: 'static>(Cell<Option<NonNull<Term<C>>>>);

impl<C> Spot<C> {
    /// Nothing is noted.
    #[allow(clippy::new_without_default)] // Const, for a static.
    pub const fn new() -> Self {
        Self(Cell::new(None))
    }

    /// Runs `f` while `term` is noted.
    #[inline]
    pub fn with<R>(at: &'static LocalKey<Self>, term: &Term<C>, f: impl FnOnce() -> R) -> R {
        // The lifetime is lost here; (a) stands in for it.
        let noted = Some(NonNull::from(term));
        // `f` is called outside of the key's own closure, which the compiler would leave as a call with `f` moved in.
        let _back = Back { at, before: at.with(|spot| spot.0.replace(noted)) };
        f()
    }
}

/// What is done with an input. A closure would be handed a tuple, into which a large input is copied.
pub trait Step<I> {
    type Output;

    fn run(self, input: I) -> Self::Output;
}

impl<C> Spot<C> {
    /// As [`with`](Self::with), for a step.
    #[inline]
    pub fn with_step<I, S: Step<I>>(at: &'static LocalKey<Self>, term: &Term<C>, input: I, step: S) -> S::Output {
        let noted = Some(NonNull::from(term));
        let _back = Back { at, before: at.with(|spot| spot.0.replace(noted)) };
        step.run(input)
    }
}

impl<C> Spot<C> {
    /// Looks at what is noted, if anything is.
    #[inline]
    pub(super) fn look<R>(&self, look: impl FnOnce(&Term<C>) -> R) -> Option<R> {
        // SAFETY: by (a) it is still borrowed.
        Some(look(unsafe { self.0.get()?.as_ref() }))
    }
}

impl<C: Recycle> Spot<C> {
    /// Adds a strong pin to what is noted, if its generation still runs and is not closed.
    #[inline]
    pub fn enter(&self) -> Option<Pin<C>> {
        self.look(Term::enter).flatten()
    }
}

/// Notes again what was noted before, when it is dropped.
struct Back<C: 'static> {
    at: &'static LocalKey<Spot<C>>,
    before: Option<NonNull<Term<C>>>,
}

impl<C> Drop for Back<C> {
    #[inline]
    fn drop(&mut self) {
        self.at.with(|spot| spot.0.set(self.before));
    }
}

impl<C> fmt::Debug for Spot<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spot").field("is_noted", &self.0.get().is_some()).finish()
    }
}
