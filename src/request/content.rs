//! What one request's slot holds, and its bulk reclaim.

use super::ending::{Ending, Outcome};
use super::local::Locals;
use super::scopes::Shared;
use crate::raw::slot::{Free, Recycle};
use crate::raw::store::{Disposal, Store};
use crate::sync::Arc;
use crate::sync::Ordering::Relaxed;
use crate::sync::count::AtomicBool;
use core::fmt;
use parking_lot::Mutex;
use std::time::Instant;

/// The content of a slot, used by one request after the other.
pub(crate) struct Content {
    pub(super) store: Store<Ending>,
    pub(super) locals: Locals,
    /// Written by the guard only, before it closes the slot, which publishes it.
    aborted: AtomicBool,
    /// When the request should be answered; of one request.
    pub(super) deadline: Mutex<Option<Instant>>,
    pub(super) shared: Arc<Shared>,
}

impl Content {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            store: Store::default(),
            locals: Locals::default(),
            aborted: AtomicBool::new(false),
            deadline: Mutex::new(None),
            shared: Arc::clone(shared),
        }
    }

    pub(super) fn abort(&self) {
        self.aborted.store(true, Relaxed);
    }

    /// Gives everything back that the request took. Returns hooks and drops that panicked.
    fn reclaim(&mut self, poisoned: bool) -> usize {
        let aborted = core::mem::take(self.aborted.get_mut());
        *self.deadline.get_mut() = None;
        if poisoned {
            let ended = self.store.end(&Ending::new(Outcome::Panicked), Disposal::Discard, 0);
            return ended.panics + self.locals.clear();
        }
        let outcome = if aborted { Outcome::Aborted } else { Outcome::Finished };
        let keep = self.shared.retain_bytes();
        // Cleanups may look at the locals; so these go after them, and get what the arena leaves.
        let ended = self.store.end(&Ending::new(outcome), Disposal::Reuse, keep);
        let (_, panics) = self.locals.reset(keep - ended.retained);
        ended.panics + panics
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Recycle for Content {
    fn recycle(mut free: Free<Self>) {
        // The slot may be freed by another thread as soon as it is pushed, and what it shares with it.
        let shared = Arc::clone(&free.shared);
        let poisoned = free.is_poisoned();
        let panics = free.reclaim(poisoned);
        shared.take_back(free, panics);
    }
}
