//! What goes with a response: the owner's right or a weak handle, and a value beside it.

#![allow(dead_code)] // Only a porch holds.

use super::{Handle, Owner, Pin, Recycle, Slot, copied, pin};
use crate::sync::Arc;
use core::fmt;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::pin::Pin as Pinned;

/// One generation of one slot, or of none, with marks. It counts nothing by itself.
pub struct Term<C> {
    pub(super) slot: Option<ManuallyDrop<Arc<Slot<C>>>>,
    pub(super) generation: u32,
    marks: u32,
}

/// A hold's slot is held by the owner's right.
const OWNER: u32 = 1;
/// The holder has marked it.
const MARKED: u32 = 2;
/// The value beside a hold is there.
const THERE: u32 = 4;

impl<C> Term<C> {
    /// Of no slot.
    #[inline]
    pub fn none() -> Self {
        Self { slot: None, generation: 0, marks: 0 }
    }
}

/// The term of a handle, for as long as the handle is borrowed: by itself a term knows nothing of who keeps its slot.
pub struct Lent<'h, C>(Term<C>, PhantomData<&'h Handle<C>>);

impl<'h, C> Lent<'h, C> {
    /// That of a handle, or none.
    pub fn of(handle: Option<&'h Handle<C>>) -> Self {
        let term =
            |handle: &Handle<C>| Term { slot: Some(copied(&handle.slot)), generation: handle.generation, marks: 0 };
        Self(handle.map_or_else(Term::none, term), PhantomData)
    }

    /// What a [`Spot`](super::Spot) may note.
    pub fn term(&self) -> &Term<C> {
        &self.0
    }
}

impl<C: Recycle> Term<C> {
    /// Adds a strong pin, if the generation still runs and is not closed.
    #[inline]
    pub(super) fn enter(&self) -> Option<Pin<C>> {
        pin(self.slot.as_ref()?, self.generation)
    }
}

/// The owner's right, or a weak handle, or nothing; with a mark for whoever has it. Two words, since it moves with each
/// response.
///
/// # Invariants
///
/// (a) Where there is a slot, its count is this hold's: with `OWNER` that of an [`Owner`] that is no more and that the hold
///     stands for, else one of its own.
pub struct Hold<C: Recycle>(Term<C>);

impl<C: Recycle> Hold<C> {
    /// Nothing.
    #[inline]
    pub fn none() -> Self {
        Self(Term::none())
    }

    /// The owner's right.
    #[inline]
    pub fn own(owner: Owner<C>) -> Self {
        let owner = ManuallyDrop::new(owner);
        Self(Term { slot: Some(copied(&owner.slot)), generation: owner.generation, marks: OWNER })
    }

    /// A weak handle.
    pub fn joined(Handle { slot, generation }: Handle<C>) -> Self {
        Self(Term { slot: Some(ManuallyDrop::new(slot)), generation, marks: 0 })
    }

    /// Whether there is something.
    #[inline]
    pub fn is_some(&self) -> bool {
        self.0.slot.is_some()
    }

    /// What a [`Spot`](super::Spot) may note.
    #[inline]
    pub fn term(&self) -> &Term<C> {
        &self.0
    }

    /// Whether its holder has marked it.
    #[inline]
    pub fn is_marked(&self) -> bool {
        self.0.marks & MARKED != 0
    }

    /// Marks it, or takes its mark away.
    #[inline]
    pub fn mark(&mut self, is_marked: bool) {
        self.0.marks = self.0.marks & !MARKED | if is_marked { MARKED } else { 0 };
    }

    /// Runs `f` with the owner's right, if this is it.
    #[inline]
    pub fn as_owner(&self, f: impl FnOnce(&Owner<C>)) {
        if let Some(owner) = self.owner() {
            f(&owner);
        }
    }

    /// The owner that this hold stands for: not to be dropped but by the hold's end.
    #[inline]
    fn owner(&self) -> Option<ManuallyDrop<Owner<C>>> {
        let slot = self.0.slot.as_ref().filter(|_| self.0.marks & OWNER != 0)?;
        Some(ManuallyDrop::new(Owner { slot: copied(slot), generation: self.0.generation }))
    }

    /// Takes it away, without its mark.
    #[inline]
    pub fn take(&mut self) -> Self {
        let marks = self.0.marks & OWNER;
        Self(Term { slot: self.0.slot.take(), generation: self.0.generation, marks })
    }
}

impl<C: Recycle> Drop for Hold<C> {
    // Worth it: most holds that are dropped were given on.
    #[inline]
    fn drop(&mut self) {
        let owner = self.owner();
        let Some(slot) = self.0.slot.take() else { return };
        match owner {
            Some(owner) => C::end(ManuallyDrop::into_inner(owner)),
            None => give_back(ManuallyDrop::into_inner(slot)),
        }
    }
}

/// Ends a weak handle's count. By itself: it wants a place in its caller's frame.
#[inline(never)]
fn give_back<C>(slot: Arc<Slot<C>>) {
    drop(slot);
}

/// A hold and a value beside it, which may go before. No niche: an outer enum has its tag where it would have it without a
/// hold, so that a response is moved in the same pieces.
///
/// # Invariants
///
/// (b) With `THERE` in the marks, `value` is there. It is pinned where this is, and does not move once it is. Nobody outside
///     gets the hold by `&mut`: another one in its place would have other marks.
pub struct Carried<B, C: Recycle> {
    value: MaybeUninit<B>,
    hold: Hold<C>,
}

impl<B, C: Recycle> Carried<B, C> {
    /// A value, and a hold beside it.
    #[inline]
    pub fn new(value: B, mut hold: Hold<C>) -> Self {
        hold.0.marks |= THERE;
        Self { value: MaybeUninit::new(value), hold }
    }

    /// Nothing.
    pub fn none() -> Self {
        Self { value: MaybeUninit::uninit(), hold: Hold::none() }
    }

    #[inline]
    pub fn hold(&self) -> &Hold<C> {
        &self.hold
    }

    #[inline]
    fn is_there(&self) -> bool {
        self.hold.0.marks & THERE != 0
    }

    #[inline]
    pub fn value(&self) -> Option<&B> {
        // SAFETY: by (b).
        self.is_there().then(|| unsafe { self.value.assume_init_ref() })
    }

    /// The hold, and the value if it is there.
    #[inline]
    pub fn parts(self: Pinned<&mut Self>) -> (&Hold<C>, Option<Pinned<&mut B>>) {
        // SAFETY: nothing is moved out of it: the hold is lent, and the value is handed out pinned.
        let this = unsafe { self.get_unchecked_mut() };
        if !this.is_there() {
            return (&this.hold, None);
        }
        // SAFETY: by (b).
        let value = unsafe { this.value.assume_init_mut() };
        // SAFETY: by (b) it is pinned.
        (&this.hold, Some(unsafe { Pinned::new_unchecked(value) }))
    }

    /// Marks the hold, or takes its mark away.
    #[inline]
    pub fn mark(self: Pinned<&mut Self>, is_marked: bool) {
        self.hold_mut().mark(is_marked);
    }

    /// Takes the hold away, without its mark.
    #[inline]
    pub fn take_hold(self: Pinned<&mut Self>) -> Hold<C> {
        self.hold_mut().take()
    }

    #[inline]
    fn hold_mut(self: Pinned<&mut Self>) -> &mut Hold<C> {
        // SAFETY: the hold is not pinned, and the value stays where it is.
        &mut unsafe { self.get_unchecked_mut() }.hold
    }

    /// Gives the value up, if it is there: it is dropped where `around` drops what it is handed, or after `around`.
    #[inline]
    pub fn give_up(self: Pinned<&mut Self>, around: impl FnOnce(&Hold<C>, GivenUp<'_, '_, B>)) {
        // SAFETY: nothing is moved out of it.
        unsafe { self.get_unchecked_mut() }.given_up(around);
    }

    #[inline]
    fn given_up(&mut self, around: impl FnOnce(&Hold<C>, GivenUp<'_, '_, B>)) {
        if !self.is_there() {
            return;
        }
        // Before the drop, which may panic.
        self.hold.0.marks &= !THERE;
        let mut last = Last(Some(&mut self.value));
        around(&self.hold, GivenUp(&mut last));
    }
}

impl<B, C: Recycle> Drop for Carried<B, C> {
    #[inline]
    fn drop(&mut self) {
        self.given_up(|_, value| drop(value));
    }
}

/// A value that is dropped with this, in its place.
///
/// # Invariants
///
/// (c) What it has is there, and nobody else will drop it.
struct Last<'v, B>(Option<&'v mut MaybeUninit<B>>);

impl<B> Last<'_, B> {
    #[inline]
    fn end(&mut self) {
        // Taken before the drop, which may panic.
        if let Some(value) = self.0.take() {
            // SAFETY: by (c).
            unsafe { value.assume_init_drop() };
        }
    }
}

impl<B> Drop for Last<'_, B> {
    #[inline]
    fn drop(&mut self) {
        self.end();
    }
}

/// A value that is dropped with this; if this is forgotten, it is dropped later: it is pinned, so it must be.
pub struct GivenUp<'l, 'v, B>(&'l mut Last<'v, B>);

impl<B> Drop for GivenUp<'_, '_, B> {
    #[inline]
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<B> fmt::Debug for GivenUp<'_, '_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GivenUp").finish_non_exhaustive()
    }
}

impl<C: Recycle> fmt::Debug for Hold<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hold").field(&self.is_some().then_some(self.0.generation)).finish()
    }
}

impl<C> fmt::Debug for Lent<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<C> fmt::Debug for Term<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Term").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl<B, C: Recycle> fmt::Debug for Carried<B, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carried").field("hold", &self.hold).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::raw::slot::tests::Content;
    use std::cell::Cell;

    #[test]
    fn a_hold_ends_what_it_stands_for_once_and_nothing_when_it_was_given_on() {
        let home = Content::default();
        let owner = Owner::new(home.clone());
        let joined = Hold::joined(owner.handle());
        let mut hold = Hold::own(owner);
        hold.mark(true);
        let given = hold.take();
        assert!(hold.is_marked() && !hold.is_some() && given.is_some() && !given.is_marked());
        drop((hold, joined));
        assert!(home.0.lock().unwrap().is_none());
        drop(given);
        assert!(home.0.lock().unwrap().take().is_some());
    }

    #[test]
    fn a_carried_value_is_dropped_once_in_its_place_and_has_no_tag() {
        struct Noted<'c>(&'c Cell<u32>);
        impl Drop for Noted<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
            }
        }
        type Body = Carried<[usize; 4], Content>;
        assert_eq!((size_of::<Body>(), size_of::<Option<Body>>()), (48, 56));
        let drops = Cell::new(0);
        let mut carried = std::pin::pin!(Carried::<_, Content>::new(Noted(&drops), Hold::none()));
        assert!(carried.value().is_some() && carried.as_mut().parts().1.is_some());
        carried.as_mut().give_up(|_, value| {
            drop(value);
            assert_eq!(drops.get(), 1);
        });
        assert!(drops.get() == 1 && carried.value().is_none());
        carried.as_mut().give_up(|_, _| unreachable!("it is gone"));
        drop(Carried::<_, Content>::new(Noted(&drops), Hold::none()));
        drop(Carried::<Noted<'_>, Content>::none());
        assert_eq!(drops.get(), 2);
        let mut carried = std::pin::pin!(Carried::<_, Content>::new(Noted(&drops), Hold::none()));
        carried.as_mut().give_up(|_, value| core::mem::forget(value));
        assert_eq!(drops.get(), 3, "what is pinned is dropped, whoever forgets");
    }

    #[test]
    fn a_hold_that_is_taken_from_beside_a_value_leaves_the_value() {
        let home = Content::default();
        let mut carried = std::pin::pin!(Carried::new(Box::new(7), Hold::own(Owner::new(home.clone()))));
        carried.as_mut().mark(true);
        let hold = carried.as_mut().take_hold();
        assert!(hold.is_some() && !hold.is_marked() && !carried.hold().is_some() && carried.hold().is_marked());
        // Another value beside the same hold: its marks are its own.
        let mut other = std::pin::pin!(Carried::<Box<u8>, Content>::none());
        assert!(other.as_mut().parts().1.is_none() && other.as_mut().take_hold().0.marks == 0);
        drop(Carried::new(Box::new(8), hold));
        assert!(home.0.lock().unwrap().take().is_some());
        assert_eq!(carried.value().map(|value| **value), Some(7));
    }
}
