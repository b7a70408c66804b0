//! The guard that owns a request.

use super::content::Content;
use super::scope::{Scope, ScopeHandle};
use crate::raw::slot::Owner;
use core::fmt;
use std::time::Instant;

/// Owns one request. Its drop ends it: no scope can be entered any more, and everything that the request took
/// goes back, by this drop or, if a [`Scope`] is still alive, by the drop of the last one.
///
/// Then, in this order: cleanups, values of the arena that need `Drop`, leases, locals, the arena; each kind
/// last in first out. A panic in one of them is counted and stops none of the others. If the guard or a scope
/// is dropped by a panic, what the request held is freed instead of reused. `mem::forget` loses the slot.
pub struct RequestGuard {
    owner: Owner<Content>,
}

impl RequestGuard {
    pub(super) fn new(owner: Owner<Content>) -> Self {
        Self { owner }
    }

    /// Gives the right on, for who carries it with a response.
    #[inline]
    #[allow(dead_code)] // Only a porch does.
    pub(super) fn into_owner(self) -> Owner<Content> {
        self.owner
    }

    /// A strong pin to the request's memory.
    ///
    /// # Panics
    ///
    /// When half a billion scopes of one request are alive or forgotten.
    #[must_use]
    #[inline]
    pub fn scope(&self) -> Scope {
        Scope::from_pin(self.owner.pin())
    }

    /// A weak handle, for everybody who may outlive the request.
    #[must_use]
    pub fn handle(&self) -> ScopeHandle {
        ScopeHandle::new(self.owner.handle())
    }

    /// Says when the request should be answered. Nothing happens then by itself: it is carried to those who ask the
    /// [scope](Scope::deadline), and spawned tasks stop at it.
    pub fn set_deadline(&self, deadline: Instant) {
        *self.owner.deadline.lock() = Some(deadline);
    }

    /// The same guard with a deadline.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// let deadline = Instant::now() + Duration::from_secs(3);
    /// let request = ebbtide::Scopes::new().begin().with_deadline(deadline);
    /// assert_eq!(request.handle().deadline(), Some(deadline));
    /// ```
    #[must_use = "the request ends when its guard is dropped"]
    pub fn with_deadline(self, deadline: Instant) -> Self {
        self.set_deadline(deadline);
        self
    }

    /// Lets the request end as [`Outcome::Aborted`](crate::Outcome::Aborted).
    pub fn abort(&self) {
        self.owner.abort();
    }

    /// Lets the request end as [`Outcome::Panicked`](crate::Outcome::Panicked), for those who caught the panic
    /// themselves: what it held is freed, not reused.
    pub fn poison(&self) {
        self.owner.poison();
    }
}

impl fmt::Debug for RequestGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestGuard").field("owner", &self.owner).finish()
    }
}
