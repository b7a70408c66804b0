//! What one request's slot holds, and its bulk reclaim.

use super::ending::{Ending, Outcome};
use super::local::Locals;
use super::scopes::Shared;
use super::usage::Notes;
use crate::pool::{Pooled, Reset, Verdict};
use crate::raw::lanes::Keep;
use crate::raw::slot::{Free, Owner, Recycle, bytes};
use crate::raw::store::{Disposal, Store};
use crate::sync::Arc;
use crate::sync::Ordering::Relaxed;
use crate::sync::count::AtomicBool;
use core::fmt;

/// A slot's place in the pool of slots: the pool lends the seat, and the seat brings the slot.
///
/// | request | the seat | the slot |
/// |---|---|---|
/// | none | in the pool | in the seat, as a `Free` token |
/// | open | in the slot's content | of its owner and pins |
/// | ended, the last right dropped | goes back to the pool | in the seat again |
/// | ended, poisoned or out of generations | goes back empty, and is dropped | dropped |
/// | lost by a pin that was forgotten | in the content, for ever | lost |
#[derive(Debug, Default)]
pub(super) struct Seat {
    pub(super) slot: Option<Free<Content>>,
}

impl Seat {
    /// Begins the next request: in the slot that the seat brings, or in a new one.
    pub(super) fn open(mut seat: Pooled<Self>, shared: &Arc<Shared>) -> Owner<Content> {
        let Some(free) = seat.slot.take() else { return Owner::new(Content::new(seat, shared)) };
        let mut seat = Some(seat);
        let opened = free.open(|content| content.seat = seat.take());
        opened.unwrap_or_else(|retired| Self::replace(retired, seat, shared))
    }

    /// A slot in place of one that has used all its generations.
    #[cold]
    fn replace(mut retired: Free<Content>, seat: Option<Pooled<Self>>, shared: &Arc<Shared>) -> Owner<Content> {
        retired.strip();
        Owner::new(Content { seat, ..Content::bare(shared) })
    }
}

/// Frees what the slot keeps: the slot itself stays as long as somebody has a handle to it.
impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(mut free) = self.slot.take() {
            free.strip();
        }
    }
}

/// The slot was reset by its recycling already.
impl Reset for Seat {
    fn reset(&mut self) -> Verdict {
        if self.slot.is_some() { Verdict::Keep } else { Verdict::Discard }
    }

    fn retained_bytes(&self) -> usize {
        self.slot.as_ref().map_or(0, |free| bytes::<Content>() + free.retained)
    }
}

/// The content of a slot, used by one request after the other.
pub(crate) struct Content {
    pub(super) store: Store<Ending>,
    pub(super) locals: Locals,
    /// Written by the guard only, before it closes the slot, which publishes it.
    aborted: AtomicBool,
    /// Written as `aborted` is.
    outlived: AtomicBool,
    notes: Notes,
    /// Bytes that arena, lists and locals kept when the last request ended.
    retained: usize,
    /// While a request is open.
    seat: Option<Pooled<Seat>>,
    pub(super) shared: Arc<Shared>,
}

impl Content {
    #[cold]
    fn new(seat: Pooled<Seat>, shared: &Arc<Shared>) -> Self {
        Self { seat: Some(seat), ..Self::bare(shared) }
    }

    fn bare(shared: &Arc<Shared>) -> Self {
        let mut store = Store::default();
        store.begin_with(shared.keep().block);
        Self {
            store,
            locals: Locals::default(),
            aborted: AtomicBool::new(false),
            outlived: AtomicBool::new(false),
            notes: Notes::default(),
            retained: 0,
            seat: None,
            shared: Arc::clone(shared),
        }
    }

    pub(super) fn abort(&self) {
        self.aborted.store(true, Relaxed);
    }

    /// Gives everything back that the request took, and keeps what the next one needs. Returns hooks and drops that
    /// panicked.
    fn reclaim(&mut self) -> usize {
        let aborted = core::mem::take(self.aborted.get_mut());
        let outcome = if aborted { Outcome::Aborted } else { Outcome::Finished };
        let Self { store, locals, notes, shared, .. } = self;
        let ended = store.end(&Ending::new(outcome), Disposal::Reuse, |taken| {
            notes.note(taken.used, taken.reserved, shared.usage());
            shared.keep()
        });
        // Cleanups may look at the locals; so these go after them, and get what the arena leaves.
        let (kept, panics) = locals.reset(shared.retain_bytes().saturating_sub(ended.retained));
        self.retained = ended.retained + kept;
        ended.panics + panics
    }

    /// Ends a request that panicked: what it held is dropped. Returns what panicked meanwhile.
    fn discard(&mut self) -> usize {
        let ended = self.store.end(&Ending::new(Outcome::Panicked), Disposal::Discard, |_| Keep { block: 0, most: 0 });
        ended.panics + self.locals.clear()
    }

    /// Frees what a slot keeps for requests that it will not have.
    fn strip(&mut self) {
        self.discard();
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Recycle for Content {
    fn outlived(&self) {
        self.outlived.store(true, Relaxed);
        self.shared.counts.late_open.fetch_add(1, Relaxed);
    }

    fn recycle(mut free: Free<Self>) {
        let is_poisoned = free.is_poisoned();
        let panics = if is_poisoned { free.discard() } else { free.reclaim() };
        let was_late = free.was_late();
        if core::mem::take(free.outlived.get_mut()) {
            free.shared.counts.late_open.fetch_sub(1, Relaxed);
        }
        if was_late || is_poisoned || panics > 0 {
            free.shared.counts.note(was_late, is_poisoned, panics);
        }
        let seat = free.seat.take();
        // A poisoned slot is dropped here; a whole one goes back with its seat.
        if let (Some(mut seat), false) = (seat, is_poisoned) {
            seat.slot = Some(free);
        }
    }
}
