//! A cursor: the exclusive right to allocate in one lane, with results that outlive it.

use super::grow::{GrowString, GrowVec};
use super::lanes::Claim;
use super::parcels::Parcels;
use super::place::{copied, filled, text};
use super::quota::{ArenaFull, no_memory};
use core::fmt;
use core::mem::needs_drop;
use core::ptr::NonNull;

/// Allocates for one request. Each result lives for `'s`, not for the borrow of the cursor. The forms without
/// `try_` pass the quota, and panic only where the allocator has no memory.
pub struct Cursor<'s> {
    pub(super) claim: Claim<'s>,
    drops: &'s Parcels<()>,
}

/// Refuses, when the caller is compiled, a type that the arena would never drop.
pub(super) const fn refuse_drop<T>() {
    assert!(!needs_drop::<T>(), "the arena would never drop this: use `alloc_with_drop`");
}

impl<'s> Cursor<'s> {
    /// # Safety
    ///
    /// `drops` is run before the lanes that `claim` belongs to are reset or dropped.
    #[inline]
    pub unsafe fn new(claim: Claim<'s>, drops: &'s Parcels<()>) -> Self {
        Self { claim, drops }
    }

    #[inline]
    pub fn alloc<T>(&mut self, value: T) -> &'s mut T {
        const { refuse_drop::<T>() };
        self.claim.place().write(value)
    }

    /// What cannot be placed is given back.
    #[inline]
    pub fn try_alloc<T>(&mut self, value: T) -> Result<&'s mut T, (T, ArenaFull)> {
        const { refuse_drop::<T>() };
        match self.claim.try_place() {
            Ok(place) => Ok(place.write(value)),
            Err(full) => Err((value, full)),
        }
    }

    /// `make` runs when there is a place for what it makes.
    #[inline]
    pub fn alloc_with<T>(&mut self, make: impl FnOnce() -> T) -> &'s mut T {
        const { refuse_drop::<T>() };
        self.claim.place().write(make())
    }

    #[inline]
    pub fn try_alloc_with<T, F: FnOnce() -> T>(&mut self, make: F) -> Result<&'s mut T, (F, ArenaFull)> {
        const { refuse_drop::<T>() };
        match self.claim.try_place() {
            Ok(place) => Ok(place.write(make())),
            Err(full) => Err((make, full)),
        }
    }

    pub fn alloc_with_drop<T: Send + 'static>(&mut self, value: T) -> &'s mut T {
        match self.dropped_later(self.claim.place().write(value)) {
            Ok(value) => value,
            Err(value) => {
                drop(value);
                no_memory()
            }
        }
    }

    pub fn try_alloc_with_drop<T: Send + 'static>(&mut self, value: T) -> Result<&'s mut T, (T, ArenaFull)> {
        match self.claim.try_place() {
            Ok(place) => self.dropped_later(place.write(value)).map_err(|value| (value, ArenaFull::Memory)),
            Err(full) => Err((value, full)),
        }
    }

    /// Notes that a value of the arena is to be dropped at the end; takes it out again where there is no memory for the note.
    fn dropped_later<T: Send + 'static>(&self, value: &'s mut T) -> Result<&'s mut T, T> {
        let value = NonNull::from(value);
        // SAFETY: the arena never drops it; it stays until the lanes are reset, which by the promise in `new` is after the
        // list has run; the one reference is made below and has `'s`.
        if needs_drop::<T>() && !unsafe { self.drops.drop_in_place(value) } {
            // SAFETY: the value is there, and the list has not taken it: nobody else does.
            return Err(unsafe { value.read() });
        }
        // SAFETY: referred to by nobody else until the list runs, after `'s`.
        Ok(unsafe { &mut *value.as_ptr() })
    }

    #[inline]
    pub fn alloc_str(&mut self, source: &str) -> &'s mut str {
        let bytes = self.alloc_slice_copy(source.as_bytes());
        // SAFETY: the bytes of a text.
        unsafe { text(bytes) }
    }

    #[inline]
    pub fn try_alloc_str(&mut self, source: &str) -> Result<&'s mut str, ArenaFull> {
        let bytes = self.try_alloc_slice_copy(source.as_bytes())?;
        // SAFETY: the bytes of a text.
        Ok(unsafe { text(bytes) })
    }

    #[inline]
    pub fn alloc_slice_copy<T: Copy>(&mut self, items: &[T]) -> &'s mut [T] {
        copied(self.claim.places(items.len()), items)
    }

    #[inline]
    pub fn try_alloc_slice_copy<T: Copy>(&mut self, items: &[T]) -> Result<&'s mut [T], ArenaFull> {
        Ok(copied(self.claim.try_places(items.len())?, items))
    }

    #[inline]
    pub fn alloc_slice_fill_with<T>(&mut self, len: usize, fill: impl FnMut(usize) -> T) -> &'s mut [T] {
        const { refuse_drop::<T>() };
        filled(self.claim.places(len), fill)
    }

    #[inline]
    pub fn try_alloc_slice_fill_with<T>(
        &mut self,
        len: usize,
        fill: impl FnMut(usize) -> T,
    ) -> Result<&'s mut [T], ArenaFull> {
        const { refuse_drop::<T>() };
        Ok(filled(self.claim.try_places(len)?, fill))
    }

    pub fn vec<T>(&mut self) -> GrowVec<'_, 's, T> {
        GrowVec::new(&mut self.claim)
    }

    pub fn string(&mut self) -> GrowString<'_, 's> {
        GrowString::new(&mut self.claim)
    }
}

impl fmt::Debug for Cursor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").field("claim", &self.claim).finish_non_exhaustive()
    }
}
