//! The request that is being polled on this thread.
//!
//! A thread-local says where its handle is, around each poll, and says afterwards what it said before, also by a panic. Whoever
//! polls has the handle or the guard and lends it, so that no reference count is touched. Nested polls stack up; another
//! thread, a spawned task or a blocking one has a spot of its own.

use super::content::{self, Content};
use super::scope::{Scope, ScopeHandle};
use crate::raw::audit::Ticket;
use crate::raw::slot::{Spot, Step, Term};

thread_local! {
    static CURRENT: Spot<Content> = const { Spot::new() };
}

/// The scope of the current request, if it still runs.
#[inline]
pub(super) fn scope() -> Option<Scope> {
    CURRENT.with(Spot::enter).map(Scope::entered)
}

/// The ticket under which the current request is audited, if it still runs. For the pools, which know of no request.
pub(super) fn ticket() -> Option<Ticket> {
    Ticket::from_word(CURRENT.with(Spot::note)).or_else(begin_audit)
}

/// The first take under a tag begins the audit.
#[cold]
fn begin_audit() -> Option<Ticket> {
    let pin = CURRENT.with(Spot::enter)?;
    let ticket = content::begin_audit(&pin);
    // What a destructor takes while something unwinds says nothing of the request.
    pin.leave();
    ticket
}

/// Runs `f` with `handle` as the request that [`Scope::current`] finds on this thread: for those who write their own
/// integration and poll a request's future themselves. With `None` it finds none.
///
/// The handle is lent to the thread meanwhile.
///
/// **Cost**: two exchanges with a thread-local; no reference count is touched.
///
/// # Examples
///
/// ```
/// use ebbtide::{Scope, Scopes, request::with_current};
///
/// let request = Scopes::new().begin();
/// let mut handle = Some(request.handle());
/// with_current(&mut handle, || assert!(Scope::current().is_some()));
/// assert!(Scope::current().is_none());
/// ```
#[inline]
pub fn with_current<R>(handle: &mut Option<ScopeHandle>, f: impl FnOnce() -> R) -> R {
    within(ScopeHandle::lent(handle.as_ref()).term(), f)
}

/// As [`with_current`], for those who have a hold.
#[inline]
pub(super) fn within<R>(term: &Term<Content>, f: impl FnOnce() -> R) -> R {
    Spot::with(&CURRENT, term, f)
}

/// As `within`, for a step.
#[inline]
#[allow(dead_code)] // Only a porch has steps.
pub(super) fn with_step<I, S: Step<I>>(term: &Term<Content>, input: I, step: S) -> S::Output {
    Spot::with_step(&CURRENT, term, input, step)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Scopes;

    #[test]
    fn nests_and_comes_back_after_a_panic() {
        let scopes = Scopes::new();
        let (outer, inner) = (scopes.begin(), scopes.begin());
        let (mut outer_handle, mut inner_handle) = (Some(outer.handle()), Some(inner.handle()));
        assert!(Scope::current().is_none());
        with_current(&mut outer_handle, || {
            let caught = crate::raw::unwind::caught(|| {
                with_current(&mut inner_handle, || {
                    drop(inner);
                    assert!(Scope::current().is_none(), "the inner request has ended");
                    panic!("in the inner poll");
                })
            });
            assert!(caught.is_none());
            assert!(Scope::current().is_some(), "the outer request is current again");
        });
        assert!(Scope::current().is_none());
        assert!(outer_handle.is_some() && inner_handle.is_some());
        drop(outer);
    }

    #[test]
    fn another_thread_has_none() {
        let scopes = Scopes::new();
        let request = scopes.begin();
        with_current(&mut Some(request.handle()), || {
            std::thread::scope(|threads| threads.spawn(|| assert!(Scope::current().is_none())).join().unwrap());
        });
    }
}
