//! A weak handle to a generation, and what may be that or the owner's right: a hold.

use super::{Owner, Pin, Recycle, Slot, copied, pin};
use crate::sync::Arc;
use core::fmt;
use core::mem::ManuallyDrop;

/// A weak handle to one generation of a slot.
pub struct Handle<C> {
    pub(super) slot: Arc<Slot<C>>,
    pub(super) generation: u32,
    /// Only a [`Hold`] has a use for it; it stands here since there is room. (Not `bool`s: their spare values would be what
    /// an empty hold is known by, in place of the null pointer.)
    marks: u32,
}

/// It stands for the owner's right.
const OWNER: u32 = 1;
/// Its holder has marked it.
const MARKED: u32 = 2;

impl<C> Handle<C> {
    #[inline]
    pub(super) fn new(slot: Arc<Slot<C>>, generation: u32) -> Self {
        Self { slot, generation, marks: 0 }
    }
}

impl<C: Recycle> Handle<C> {
    /// Adds a strong pin, if the generation still runs and is not closed.
    pub fn enter(&self) -> Option<Pin<C>> {
        pin(&self.slot, self.generation)
    }
}

impl<C> Clone for Handle<C> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.slot), self.generation)
    }
}

/// The owner's right, or a weak handle, or nothing; with a mark for whoever has it. Two words: it moves with each response.
///
/// # Invariants
///
/// (a) Where `OWNER` is set, the handle's count is the copy of an [`Owner`] that is no more, and the hold stands for it.
///     Else it is a count of its own.
pub struct Hold<C: Recycle>(Option<ManuallyDrop<Handle<C>>>);

impl<C: Recycle> Hold<C> {
    /// Nothing.
    #[inline]
    pub fn none() -> Self {
        Self(None)
    }

    /// The owner's right.
    #[inline]
    pub fn own(owner: Owner<C>) -> Self {
        let owner = ManuallyDrop::new(owner);
        let slot = ManuallyDrop::into_inner(copied(&owner.slot));
        Self(Some(ManuallyDrop::new(Handle { slot, generation: owner.generation, marks: OWNER })))
    }

    /// A weak handle.
    pub fn joined(handle: Handle<C>) -> Self {
        Self(Some(ManuallyDrop::new(Handle { marks: 0, ..handle })))
    }

    /// Whether there is something.
    #[inline]
    pub fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Lends the handle, or one in place of the owner's right.
    #[inline]
    pub fn handle(&self) -> Option<&Handle<C>> {
        self.0.as_deref()
    }

    /// The mark; not set where there is nothing.
    #[inline]
    pub fn is_marked(&self) -> bool {
        self.0.as_ref().is_some_and(|handle| handle.marks & MARKED != 0)
    }

    /// Sets the mark, where there is something.
    #[inline]
    pub fn mark(&mut self, is_marked: bool) {
        if let Some(handle) = &mut self.0 {
            handle.marks = handle.marks & !MARKED | if is_marked { MARKED } else { 0 };
        }
    }

    /// Runs `f` with the owner's right, if this is it.
    #[inline]
    pub fn as_owner(&self, f: impl FnOnce(&Owner<C>)) {
        if let Some(handle) = self.0.as_ref().filter(|handle| handle.marks & OWNER != 0) {
            // On loan: not dropped.
            f(&ManuallyDrop::new(Owner { slot: copied(&handle.slot), generation: handle.generation }));
        }
    }

    /// Takes it away.
    #[inline]
    pub fn take(&mut self) -> Self {
        Self(self.0.take())
    }
}

impl<C: Recycle> Drop for Hold<C> {
    // Worth it: a response's future and its body each drop one, most of which are empty or the owner's.
    #[inline]
    fn drop(&mut self) {
        let Some(handle) = self.0.take() else { return };
        if handle.marks & OWNER != 0 {
            drop(Owner { slot: copied(&handle.slot), generation: handle.generation });
        } else {
            drop(ManuallyDrop::into_inner(handle));
        }
    }
}

impl<C: Recycle> Default for Hold<C> {
    fn default() -> Self {
        Self::none()
    }
}

impl<C> fmt::Debug for Handle<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl<C: Recycle> fmt::Debug for Hold<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hold").field(&self.handle()).finish()
    }
}
