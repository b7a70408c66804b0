//! Whose request something is that outlives the call which began it: what a response's future and its body carry.

use super::content::Content;
use super::current::{with_step, within};
use super::guard::RequestGuard;
use super::scope::ScopeHandle;
use crate::raw::slot::{self, Owner, Step};

/// A hold on a request: it ends the request, or a layer further out does; or there is none, since it was given on or has
/// ended. It has room for a mark of its holder's.
pub(crate) type Hold = slot::Hold<Content>;

/// A value that has a hold beside it.
pub(crate) type Carried<B> = slot::Carried<B, Content>;

impl Hold {
    /// One that ends the request.
    #[inline]
    pub(crate) fn of(guard: RequestGuard) -> Self {
        Self::own(guard.into_owner())
    }

    /// One whose request somebody further out ends.
    pub(crate) fn of_other(handle: ScopeHandle) -> Self {
        Self::joined(handle.into_raw())
    }

    /// Runs `f` with the request as the current one, or with none.
    #[inline]
    pub(crate) fn within<R>(&self, f: impl FnOnce() -> R) -> R {
        within(self.term(), f)
    }

    /// As `within`, for a step.
    #[inline]
    pub(crate) fn step<I, S: Step<I>>(&self, input: I, step: S) -> S::Output {
        with_step(self.term(), input, step)
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
        self.as_owner(|owner| owner.abort());
    }
}

/// Dropped only where a poll unwinds: so a poll that does not pays nothing for it.
struct Unwinds<'h>(&'h Hold);

impl Drop for Unwinds<'_> {
    #[cold]
    fn drop(&mut self) {
        self.0.as_owner(Owner::poison);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Scopes;
    use crate::raw::unwind::caught;

    #[test]
    fn a_poll_that_unwinds_poisons_at_once_and_for_good() {
        let scopes = Scopes::new();
        let hold = Hold::of(scopes.begin());
        assert_eq!(caught(|| hold.polling(|| panic!("in a poll"))), None::<()>);
        hold.polling(|| ());
        drop(hold);
        assert_eq!((scopes.stats().poisoned, scopes.stats().open()), (1, 0));
    }
}
