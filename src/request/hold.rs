//! Whose request something is that outlives the call which began it: what a response's future and its body carry.

use super::content::Content;
use super::current::{with_handle, with_step};
use super::guard::RequestGuard;
use super::scope::ScopeHandle;
use crate::raw::slot::{self, Step};
use core::mem::ManuallyDrop;

/// A hold on a request: it ends the request, or a layer further out does; or there is none, since it was given on or has
/// ended. It has room for a mark of its holder's.
#[derive(Debug)]
pub(crate) struct Hold(ManuallyDrop<slot::Hold<Content>>);

impl Hold {
    #[inline]
    fn of(hold: slot::Hold<Content>) -> Self {
        Self(ManuallyDrop::new(hold))
    }

    /// No hold.
    #[inline]
    pub(crate) fn none() -> Self {
        Self::of(slot::Hold::none())
    }

    /// One that ends the request.
    #[inline]
    pub(crate) fn own(guard: RequestGuard) -> Self {
        Self::of(slot::Hold::own(guard.into_owner()))
    }

    /// One whose request somebody further out ends.
    pub(crate) fn joined(handle: ScopeHandle) -> Self {
        Self::of(slot::Hold::joined(handle.into_raw()))
    }

    /// Runs `f` with the request as the current one, or with none.
    #[inline]
    pub(crate) fn within<R>(&self, f: impl FnOnce() -> R) -> R {
        with_handle(self.0.handle(), f)
    }

    /// As `within`, for a step.
    #[inline]
    pub(crate) fn step<I, S: Step<I>>(&self, input: I, step: S) -> S::Output {
        with_step(self.0.handle(), input, step)
    }

    /// As `within`. If `f` panics, the request ends as panicked, whoever catches the panic.
    #[inline]
    pub(crate) fn polling<R>(&self, f: impl FnOnce() -> R) -> R {
        let unwinds = Unwinds(self);
        let polled = self.within(f);
        core::mem::forget(unwinds);
        polled
    }

    /// Takes note that the response is given up by its reader.
    #[inline]
    pub(crate) fn give_up(&self) {
        self.0.as_owner(|owner| owner.abort());
    }

    /// Whether there is a request.
    #[inline]
    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// The holder's mark; not set where there is no request.
    #[inline]
    pub(crate) fn is_marked(&self) -> bool {
        self.0.is_marked()
    }

    /// Sets the mark, where there is a request.
    #[inline]
    pub(crate) fn mark(&mut self, is_marked: bool) {
        self.0.mark(is_marked);
    }

    /// Gives the hold on.
    #[inline]
    pub(crate) fn take(&mut self) -> Self {
        Self::of(self.0.take())
    }
}

/// What is taken out here leaves nothing for a drop of its own.
impl Drop for Hold {
    // Worth it: most holds that are dropped were given on.
    #[inline]
    fn drop(&mut self) {
        if self.0.is_some() {
            end(self.0.take());
        }
    }
}

/// In one place for all bodies and futures, with the request's end in it.
#[inline(never)]
fn end(hold: slot::Hold<Content>) {
    drop(hold);
}

/// Dropped only where a poll unwinds: so a poll that does not pays nothing for it.
struct Unwinds<'h>(&'h Hold);

impl Drop for Unwinds<'_> {
    #[cold]
    fn drop(&mut self) {
        self.0.0.as_owner(slot::Owner::poison);
    }
}
