//! What one request's slot holds, and its bulk reclaim.

use super::ending::{Ending, Outcome};
use super::local::Locals;
use super::scopes::Shared;
use super::usage::Notes;
use crate::pool::{Judged, Pooled, Reset, Verdict, begin_audit as begin, end_audit, give_back, request_took};
use crate::raw::audit::Ticket;
use crate::raw::lanes::Keep;
use crate::raw::slot::{Free, Owner, Pin, Recycle, bytes};
use crate::raw::store::{Disposal, Store};
use crate::sync::Arc;
use crate::sync::Ordering::Relaxed;
use crate::sync::count::AtomicU64;
use core::fmt;
use parking_lot::Mutex;
use std::time::Instant;

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
    #[inline]
    pub(super) fn open(mut seat: Pooled<Self>, shared: &Arc<Shared>) -> Owner<Content> {
        let Some(free) = seat.slot.take() else { return Self::open_new(seat, shared) };
        let mut seat = Some(seat);
        // The content has no seat while no request is open, so nothing is forgotten; it spares a look whether to drop one.
        let opened = free.open(|content| core::mem::forget(core::mem::replace(&mut content.seat, seat.take())));
        opened.unwrap_or_else(|retired| Self::replace(retired, seat, shared))
    }

    /// The first request of a seat.
    #[cold]
    #[inline(never)]
    fn open_new(seat: Pooled<Self>, shared: &Arc<Shared>) -> Owner<Content> {
        Owner::new(Content { seat: Some(seat), ..Content::bare(shared) })
    }

    /// A slot in place of one that has used all its generations.
    #[cold]
    #[inline(never)]
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

/// For a seat that comes back empty, and one that is new. One with a slot was reset by the slot's recycling.
impl Reset for Seat {
    fn reset(&mut self) -> Verdict {
        if self.slot.is_some() { Verdict::Keep } else { Verdict::Discard }
    }

    fn retained_bytes(&self) -> usize {
        self.slot.as_ref().map_or(0, |free| free.retained)
    }
}

const ABORTED: u64 = 1;
/// There were pins when the guard closed the slot.
const OUTLIVED: u64 = 2;
/// Something was taken under a tag.
const AUDITED: u64 = 4;

/// The content of a slot, used by one request after the other.
pub(crate) struct Content {
    pub(super) store: Store<Ending>,
    pub(super) locals: Locals,
    /// What is out of the ordinary: `ABORTED`, `OUTLIVED`, `AUDITED`. Written by the guard before it closes the slot, or by
    /// who has a pin; which publishes it.
    marks: AtomicU64,
    /// When the request should be answered; of one request.
    pub(super) deadline: Mutex<Option<Instant>>,
    notes: Notes,
    /// Bytes of the slot, and of what arena, lists and locals kept when the last request ended.
    retained: usize,
    /// What the pool makes of that.
    worth: Judged,
    /// While a request is open.
    seat: Option<Pooled<Seat>>,
    pub(super) shared: Arc<Shared>,
}

impl Content {
    fn bare(shared: &Arc<Shared>) -> Self {
        let mut store = Store::new(shared.quota());
        store.begin_with(shared.usage().keep().block);
        Self {
            store,
            locals: Locals::default(),
            marks: AtomicU64::new(0),
            deadline: Mutex::new(None),
            notes: Notes::default(),
            retained: bytes::<Content>(),
            worth: Judged::keep::<Seat>(bytes::<Content>()),
            seat: None,
            shared: Arc::clone(shared),
        }
    }

    pub(super) fn abort(&self) {
        self.marks.fetch_or(ABORTED, Relaxed);
    }

    /// Whether the request left no mark, so that nobody is to be told, and no locals.
    #[inline]
    fn is_plain(&mut self) -> bool {
        *self.marks.get_mut() == 0 && self.locals.is_empty()
    }

    /// Takes back what the request took, if that was nothing but a part of the block that was kept for it: then nothing is to be freed,
    /// and what the slot keeps is what it kept. Else `false`, and nothing is done.
    #[inline]
    fn rewind(&mut self) -> bool {
        let usage = self.shared.usage();
        let taken = if self.notes.is_timed { None } else { self.store.rewind(usage.most()) };
        taken.inspect(|taken| self.notes.note(taken.used, taken.reserved, usage)).is_some()
    }

    #[inline]
    fn took_nothing(&mut self) -> bool {
        self.locals.is_empty() && self.store.is_untouched(self.shared.usage().most())
    }

    /// Gives everything back that the request took, and keeps what the next one needs. Returns hooks and drops that
    /// panicked.
    fn reclaim(&mut self) -> usize {
        // Who took nothing and is here for a mark says nothing of how long a reclaim takes.
        let began = (self.notes.is_timed && !self.took_nothing()).then(Instant::now);
        let panics = self.reclaim_touched();
        if let Some(began) = began {
            self.notes.is_timed = false;
            request_took(began);
        }
        panics
    }

    fn reclaim_touched(&mut self) -> usize {
        let outcome = if *self.marks.get_mut() & ABORTED == 0 { Outcome::Finished } else { Outcome::Aborted };
        let Self { store, locals, notes, shared, .. } = self;
        let ended = store.end(&Ending::new(outcome), Disposal::Reuse, |taken| {
            notes.note(taken.used, taken.reserved, shared.usage());
            shared.usage().keep()
        });
        // Cleanups may look at the locals; so these go after them, and get what the arena leaves.
        let (kept, panics) = locals.reset(shared.retain_bytes().saturating_sub(ended.retained));
        self.retained = bytes::<Content>() + ended.retained + kept;
        self.worth = Judged::keep::<Seat>(self.retained);
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

/// Begins the audit of a request, or finds its ticket, where another thread was first.
pub(super) fn begin_audit(pin: &Pin<Content>) -> Option<Ticket> {
    let ticket = begin()?;
    pin.marks.fetch_or(AUDITED, Relaxed);
    match pin.leave_note(ticket.word()) {
        0 => Some(ticket),
        first => {
            end_audit(ticket);
            Ticket::from_word(first)
        }
    }
}

/// Ends the audit of a request, whose ticket is the note that its slot has, if there is any.
#[inline(never)]
fn audited(free: &mut Free<Content>) {
    if let Some(ticket) = Ticket::from_word(free.take_note()) {
        end_audit(ticket);
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Recycle for Content {
    fn outlived(&self) {
        self.marks.fetch_or(OUTLIVED, Relaxed);
        self.shared.counts.late_open.fetch_add(1, Relaxed);
    }

    /// The way of a request that took nothing is short and calls nobody: the others are called last, with the token as theirs,
    /// so that nothing is kept across a call.
    // In one place for all bodies and futures, with the recycling in it.
    #[inline(never)]
    fn end(owner: Owner<Self>) {
        owner.end();
    }

    #[inline(always)]
    fn recycle(mut free: Free<Self>) {
        let is_as_usual = free.is_as_usual();
        let content = &mut *free;
        *content.deadline.get_mut() = None;
        if !is_as_usual || !content.is_plain() {
            return recycle_touched(free);
        }
        if !content.store.is_untouched(content.shared.usage().most()) {
            return recycle_little(free);
        }
        if !content.notes.count_nothing() {
            return recycle_noted(free);
        }
        go_home(free);
    }
}

/// Nothing was taken, and notes are to be handed in.
#[cold]
#[inline(never)]
fn recycle_noted(mut free: Free<Content>) {
    let content = &mut *free;
    content.notes.note_nothing(content.shared.usage());
    go_home(free);
}

#[inline(never)]
fn recycle_little(mut free: Free<Content>) {
    if free.rewind() { go_home(free) } else { recycle_touched(free) }
}

#[inline(never)]
fn recycle_touched(mut free: Free<Content>) {
    let (is_poisoned, was_late) = (free.is_poisoned(), free.was_late());
    let content = &mut *free;
    let panics = if is_poisoned { content.discard() } else { content.reclaim() };
    let marks = core::mem::take(content.marks.get_mut());
    if is_poisoned || panics > 0 || marks & (OUTLIVED | AUDITED) != 0 {
        if is_poisoned || panics > 0 || marks & OUTLIVED != 0 {
            content.shared.counts.note(marks & OUTLIVED != 0, was_late, is_poisoned, panics);
        }
        audited(&mut free);
    }
    // A poisoned slot is dropped here, and its seat goes back empty; a whole one goes back with its seat.
    if is_poisoned {
        drop(free.seat.take());
    } else {
        go_home(free);
    }
}

/// A slot without a seat, of which there is none while its request is open. By itself, since a count that ends wants a place in
/// its caller's frame.
#[cold]
#[inline(never)]
fn lost(free: Free<Content>) {
    drop(free);
}

/// A whole slot goes back with its seat.
#[inline(always)]
fn go_home(mut free: Free<Content>) {
    let Some(seat) = free.seat.take() else { return lost(free) };
    let worth = free.worth;
    let mut node = Pooled::into_node(seat);
    // As in `open`: the seat of an open request has no slot.
    core::mem::forget(node.payload.value_mut().slot.replace(free));
    give_back(node, worth);
}
