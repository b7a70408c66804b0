//! A cleanup that can still be called off.

use super::ending::{Ending, Outcome};
use super::scopes::Shared;
use crate::raw::parcels::Later;
use crate::raw::unwind::caught;
use core::fmt;

/// A cleanup that [`Scope::on_end`](crate::Scope::on_end) has noted. Its drop changes nothing: the cleanup is called when the
/// request ends.
///
/// It borrows the scope, and no request ends before its scopes do. So whoever has it decides alone: the ending is
/// never at the same cleanup.
///
/// # Examples
///
/// ```
/// use ebbtide::{Outcome, Scopes};
/// use std::sync::{Arc, Mutex};
///
/// let told = Arc::new(Mutex::new(Vec::new()));
/// let tell = |name| {
///     let told = Arc::clone(&told);
///     move |ending: &ebbtide::Ending| told.lock().unwrap().push((name, ending.outcome()))
/// };
/// let request = Scopes::new().begin();
/// let scope = request.scope();
/// scope.on_end(tell("at the end"));
/// let early = scope.on_end(tell("early"));
/// scope.on_end(tell("never")).cancel();
/// early.run_now();
/// drop((scope, request));
/// assert_eq!(*told.lock().unwrap(), [("early", Outcome::Running), ("at the end", Outcome::Finished)]);
/// ```
pub struct Cleanup<'s> {
    later: Later<'s, Ending>,
    shared: &'s Shared,
}

impl<'s> Cleanup<'s> {
    pub(super) fn new(later: Later<'s, Ending>, shared: &'s Shared) -> Self {
        Self { later, shared }
    }

    /// Drops the cleanup without calling it. If its own drop panics, that is counted, and goes no further.
    ///
    /// **Cost**: a short lock. The closure's memory comes back when the request ends.
    pub fn cancel(self) {
        self.shared.counts.note_panics(usize::from(caught(|| self.later.cancel()).is_none()));
    }

    /// Calls the cleanup now, and not when the request ends; it is told [`Outcome::Running`]. If it panics, that is
    /// counted, and goes no further.
    ///
    /// **Cost**: a short lock, and the cleanup.
    pub fn run_now(self) {
        let ending = Ending::new(Outcome::Running);
        self.shared.counts.note_panics(usize::from(caught(|| self.later.run_now(&ending)).is_none()));
    }
}

impl fmt::Debug for Cleanup<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cleanup").field(&self.later).finish()
    }
}
