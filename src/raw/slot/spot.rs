//! Which slot a thread works for: a handle or a right that somebody further up the thread's stack has lent.
//!
//! Nothing is counted and nothing moves: [`Spot::with`] notes where the lent one is, and puts back what was noted before when
//! its closure is through, also by a panic. So what is noted never outlives the loan.

use super::{Handle, Owner, Pin, Recycle, Slot, pin};
use crate::sync::Arc;
use core::cell::Cell;
use core::fmt;
use core::ptr::NonNull;
use std::thread::LocalKey;

/// A handle on loan, which counts nothing: its lender keeps the slot.
pub struct View<'a, C> {
    pub(super) slot: &'a Arc<Slot<C>>,
    pub(super) generation: u32,
}

impl<C: Recycle> Owner<C> {
    /// Lends a handle.
    pub fn view(&self) -> View<'_, C> {
        View { slot: &self.slot, generation: self.generation }
    }
}

impl<C> Handle<C> {
    /// Lends the handle.
    pub fn view(&self) -> View<'_, C> {
        View { slot: &self.slot, generation: self.generation }
    }
}

/// One thread's note.
///
/// # Invariants
///
/// (a) What is noted was made from a view that a call of [`with`](Self::with), further up the stack of the thread that the spot
///     belongs to, has borrowed. (No other thread sees it, since a `Cell` is not `Sync`.)
pub struct Spot<C: 'static>(Cell<Option<NonNull<View<'static, C>>>>);

impl<C> Spot<C> {
    /// Nothing is noted.
    #[allow(clippy::new_without_default)] // Const, for a static.
    pub const fn new() -> Self {
        Self(Cell::new(None))
    }

    /// Runs `f` while `view` is noted, or nothing is.
    #[inline]
    pub fn with<R>(at: &'static LocalKey<Self>, view: Option<&View<'_, C>>, f: impl FnOnce() -> R) -> R {
        // The lifetime is lost here; (a) stands in for it.
        let noted = view.map(|view| NonNull::from(view).cast());
        // `f` is called outside of the key's own closure, which the compiler would leave as a call with `f` moved in.
        let _back = Back { at, before: at.with(|spot| spot.0.replace(noted)) };
        f()
    }
}

impl<C> Spot<C> {
    /// Looks at what is noted, if anything is.
    #[inline]
    pub(super) fn look<R>(&self, look: impl FnOnce(&View<'_, C>) -> R) -> Option<R> {
        // SAFETY: by (a) it is still borrowed.
        Some(look(unsafe { self.0.get()?.as_ref() }))
    }
}

impl<C: Recycle> Spot<C> {
    /// Adds a strong pin to what is noted, if its generation still runs and is not closed.
    pub fn enter(&self) -> Option<Pin<C>> {
        self.look(|view| pin(view.slot, view.generation)).flatten()
    }
}

/// Notes again what was noted before, when it is dropped.
struct Back<C: 'static> {
    at: &'static LocalKey<Spot<C>>,
    before: Option<NonNull<View<'static, C>>>,
}

impl<C> Drop for Back<C> {
    #[inline]
    fn drop(&mut self) {
        self.at.with(|spot| spot.0.set(self.before));
    }
}

impl<C> fmt::Debug for View<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl<C> fmt::Debug for Spot<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spot").field("is_noted", &self.0.get().is_some()).finish()
    }
}
