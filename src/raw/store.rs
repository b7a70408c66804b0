//! What one request holds: its lanes, and the parcels that it owes an ending.

use super::cursor::Cursor;
use super::lanes::{Keep, Lanes, Taken};
use super::parcels::{Finish, Later, Parcels};
use super::unwind::caught;

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
    /// Bytes that the lanes and the lists keep for the next request.
    pub retained: usize,
}

/// # Invariants
///
/// (a) The lanes are reset in `end` only, by `&mut`, after all three lists have run dry.
pub struct Store<E: ?Sized> {
    cleanups: Parcels<E>,
    drops: Parcels<()>,
    leases: Parcels<Disposal>,
    /// Bytes that the lists keep.
    lists: usize,
    lanes: Lanes,
}

impl<E: ?Sized> Store<E> {
    /// A store whose lanes may take `quota` bytes.
    pub fn new(quota: usize) -> Self {
        Self {
            cleanups: Parcels::default(),
            drops: Parcels::default(),
            leases: Parcels::default(),
            lists: 0,
            lanes: Lanes::new(quota),
        }
    }

    /// Whether the arena took more than its quota.
    pub fn is_over_quota(&self) -> bool {
        self.lanes.is_over_quota()
    }

    /// Claims a lane.
    #[inline]
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
        let place = self.lanes.claim().place();
        // SAFETY: by (a) the place stays until the cleanups have run, and nobody else has its address.
        unsafe { self.cleanups.call_later(place, f) }
    }

    /// Moves `value` into the lanes, where it stays until the end. It is dropped by whom it is lent to, or never.
    #[allow(clippy::mut_from_ref)] // Each call lends another place.
    pub fn place<T: Send>(&self, value: T) -> &mut T {
        self.lanes.claim().place().write(value)
    }

    /// Sets what the first lane begins with, if it has nothing: see [`Lanes::begin_with`].
    pub fn begin_with(&mut self, block: usize) {
        self.lanes.begin_with(block);
    }

    /// Whether the request took nothing, so that there is nothing to end, and what is kept is within `most` bytes.
    #[inline]
    pub fn is_untouched(&mut self, most: usize) -> bool {
        !self.is_waiting() && self.lanes.are_untouched(most)
    }

    /// Ends a request that owes nobody an ending and took nothing but what [`Lanes::rewind`] takes back; `None`, and nothing
    /// done, if that is not all.
    #[inline]
    pub fn rewind(&mut self, most: usize) -> Option<Taken> {
        if self.has_parcels() { None } else { self.lanes.rewind(most) }
    }

    /// Whether the lists have something to end, or to give up: cleanups that were called off leave room in their list.
    #[inline]
    fn has_parcels(&mut self) -> bool {
        self.is_waiting() || self.bytes_of_lists() != self.lists
    }

    #[inline]
    fn is_waiting(&mut self) -> bool {
        // One branch for all three.
        self.cleanups.len() | self.drops.len() | self.leases.len() != 0
    }

    /// Ends the request: cleanups, then drops, then leases, each last in first out and each once, also when one of them
    /// panics; then the lanes, which keep what `keep` makes of what was taken from them. What the lists keep is bounded
    /// by itself, and comes on top.
    #[inline]
    pub fn end(&mut self, ending: &E, disposal: Disposal, keep: impl FnOnce(Taken) -> Keep) -> Ended {
        let panics = if self.has_parcels() { self.end_parcels(ending, disposal) } else { 0 };
        let kept = self.lanes.end(keep);
        Ended { panics, retained: kept + self.lists }
    }

    #[inline(never)]
    fn end_parcels(&mut self, ending: &E, disposal: Disposal) -> usize {
        let panics =
            drain(&mut self.cleanups, ending) + drain(&mut self.drops, &()) + drain(&mut self.leases, &disposal);
        self.lists = self.bytes_of_lists();
        panics
    }

    #[inline]
    fn bytes_of_lists(&mut self) -> usize {
        self.cleanups.retained() + self.drops.retained() + self.leases.retained()
    }
}

/// Runs a list dry and counts the panics.
fn drain<E: ?Sized>(list: &mut Parcels<E>, with: &E) -> usize {
    let mut panics = 0;
    while !list.is_empty() {
        panics += usize::from(caught(|| while list.finish_last(with) {}).is_none());
    }
    list.shrink();
    panics
}

impl<E: ?Sized> core::fmt::Debug for Store<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Store").field("lanes", &self.lanes).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_room_of_cleanups_that_were_called_off_is_bounded_and_told() {
        let mut store = Store::<()>::new(usize::MAX);
        let cleanups: Vec<_> = (0..1000).map(|_| store.on_end(|()| ())).collect();
        cleanups.into_iter().for_each(Later::cancel);
        let ended = store.end(&(), Disposal::Reuse, |_| Keep { block: 0, most: 0 });
        let kept = store.cleanups.retained();
        assert!(ended.retained == kept && kept < 5000, "{} told of {kept}", ended.retained);
    }

    /// What a request takes.
    type Takes<'t> = &'t dyn Fn(&Store<()>);

    #[test]
    fn a_rewind_takes_back_what_fitted_into_the_kept_block_and_else_does_nothing() {
        let kept = |takes: Takes<'_>| {
            let mut store = Store::new(usize::MAX);
            store.cursor().alloc(1_u64);
            assert_eq!(store.rewind(usize::MAX), None, "no block was kept for it");
            let ended = store.end(&(), Disposal::Reuse, |_| Keep { block: 448, most: 448 });
            assert_eq!(ended.retained, 448);
            takes(&store);
            store
        };
        let mut store = kept(&|store| {
            store.cursor().alloc([0_u8; 100]);
            core::mem::forget(store.cursor());
        });
        assert_eq!(store.rewind(447), None, "more than is to be kept");
        assert_eq!(store.rewind(448), Some(Taken { used: 100, reserved: 448 }));
        assert!(store.is_untouched(448) && store.rewind(448).is_none(), "nothing is taken any more");
        store.cursor().alloc([0_u8; 448]);
        assert_eq!(store.rewind(448), Some(Taken { used: 448, reserved: 448 }), "all of the block is there again");

        let takes: [Takes<'_>; 5] = [
            &|store| drop((store.cursor(), store.cursor())),
            &|store| _ = (store.cursor().alloc([0_u8; 400]), store.cursor().alloc([0_u8; 400])),
            &|store| _ = store.cursor().alloc_with_drop(String::new()),
            &|store| _ = store.on_end(|()| ()),
            &|store| store.on_end(|()| ()).cancel(),
        ];
        for take in takes {
            let mut store = kept(take);
            assert_eq!(store.rewind(usize::MAX), None);
            store.end(&(), Disposal::Reuse, |_| Keep { block: 448, most: 448 });
        }
    }
}
