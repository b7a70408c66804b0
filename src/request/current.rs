//! The request that is being polled on this thread.
//!
//! A handle in a thread-local, swapped in around each poll and out again afterwards, also by a panic. Whoever
//! polls owns the handle and exchanges it, so that no reference count is touched. Nested polls stack up in the
//! owners' hands; another thread, a spawned task or a blocking one has a cell of its own.

use super::scope::{Scope, ScopeHandle};
use crate::pool::Account;
use core::cell::Cell;
use core::mem::ManuallyDrop;

thread_local! {
    /// Empty whenever nothing is polled, so that there is nothing to drop when the thread ends; that spares the
    /// bookkeeping of a destructor at each look.
    static CURRENT: Cell<ManuallyDrop<Option<ScopeHandle>>> = const { Cell::new(ManuallyDrop::new(None)) };
}

/// The scope of the current request, if it still runs.
pub(super) fn scope() -> Option<Scope> {
    CURRENT.with(|cell| {
        let handle = cell.take();
        let scope = handle.as_ref().and_then(|handle| handle.enter().ok());
        cell.set(handle);
        scope
    })
}

/// Hands the account of the current request on, if it still runs. For the pools, which know of no request.
pub(super) fn account(look: &mut dyn FnMut(&Account)) {
    if let Some(scope) = scope() {
        look(scope.account());
    }
}

/// Runs `f` with `handle` as the request that [`Scope::current`] finds on this thread: for those who write their own
/// integration and poll a request's future themselves.
///
/// The handle is lent to the thread meanwhile, and is back in its place afterwards, also when `f` panics.
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
    exchange(handle);
    let _back = Exchanged(handle);
    f()
}

#[inline]
fn exchange(handle: &mut Option<ScopeHandle>) {
    CURRENT.with(|cell| *handle = ManuallyDrop::into_inner(cell.replace(ManuallyDrop::new(handle.take()))));
}

/// Exchanges back when dropped.
struct Exchanged<'a>(&'a mut Option<ScopeHandle>);

impl Drop for Exchanged<'_> {
    #[inline]
    fn drop(&mut self) {
        exchange(self.0);
    }
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
