//! What one request holds: its lanes, and the parcels that it owes an ending.

use super::cursor::Cursor;
use super::lanes::Lanes;
use super::parcels::{Finish, Later, Parcels};
use super::unwind::caught;
use core::mem::MaybeUninit;

/// What is to become of things that go back to a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposal {
    /// Reset and kept.
    Reuse,
    /// Dropped: the request panicked, and what it held may be half done.
    Discard,
}

/// What an ending did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ended {
    /// Hooks and drops that panicked.
    pub panics: usize,
    /// Bytes that the lanes keep for the next request.
    pub retained: usize,
}

/// # Invariants
///
/// (a) The lanes are reset in `end` only, by `&mut`, after all three lists have run dry.
pub struct Store<E: ?Sized> {
    cleanups: Parcels<E>,
    drops: Parcels<()>,
    leases: Parcels<Disposal>,
    lanes: Lanes,
}

impl<E: ?Sized> Default for Store<E> {
    fn default() -> Self {
        Self {
            cleanups: Parcels::default(),
            drops: Parcels::default(),
            leases: Parcels::default(),
            lanes: Lanes::default(),
        }
    }
}

impl<E: ?Sized> Store<E> {
    /// Claims a lane.
    pub fn cursor(&self) -> Cursor<'_> {
        // SAFETY: by (a) `drops` runs before the lanes are reset; nothing runs when the store is dropped
        // without `end`, and then the values are leaked, not dropped late.
        unsafe { Cursor::new(self.lanes.claim(), &self.drops) }
    }

    /// Keeps a node until the end and lends it.
    #[allow(clippy::mut_from_ref)] // Each call lends another box.
    pub fn lease<B: Finish<Disposal> + Send + 'static>(&self, node: Box<B>) -> &mut B {
        self.leases.hold(node)
    }

    /// Keeps a node until the end, as a cleanup of its own, and lends it.
    #[allow(clippy::mut_from_ref)] // As in `lease`.
    pub fn attend<B: Finish<E> + Send + 'static>(&self, node: Box<B>) -> &mut B {
        self.cleanups.hold(node)
    }

    /// Calls `f` at the end. The closure lives in the arena: no heap allocation in steady state.
    pub fn on_end<F: FnOnce(&E) + Send + 'static>(&self, f: F) -> Later<'_, E> {
        let place = self.lanes.claim().bump().alloc(MaybeUninit::uninit());
        // SAFETY: by (a) the place stays until the cleanups have run, and nobody else has its address.
        unsafe { self.cleanups.call_later(place, f) }
    }

    /// Moves `value` into the lanes, where it stays until the end. It is dropped by whom it is lent to, or never.
    #[allow(clippy::mut_from_ref)] // Each call lends another place.
    pub fn place<T: Send>(&self, value: T) -> &mut T {
        self.lanes.claim().bump().alloc(value)
    }

    /// Ends the request: cleanups, then drops, then leases, each last in first out and each once, also
    /// when one of them panics; then the lanes, which keep at most `keep` bytes.
    pub fn end(&mut self, ending: &E, disposal: Disposal, keep: usize) -> Ended {
        let panics =
            drain(&mut self.cleanups, ending) + drain(&mut self.drops, &()) + drain(&mut self.leases, &disposal);
        Ended { panics, retained: self.lanes.reset(keep) }
    }
}

/// Runs a list dry and counts the panics.
fn drain<E: ?Sized>(list: &mut Parcels<E>, with: &E) -> usize {
    let mut panics = 0;
    loop {
        match caught(|| list.finish_last(with)) {
            Some(true) => {}
            Some(false) => return panics,
            None => panics += 1,
        }
    }
}

impl<E: ?Sized> core::fmt::Debug for Store<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Store").field("lanes", &self.lanes).finish_non_exhaustive()
    }
}
