//! A cursor: the exclusive right to allocate in one lane, with results that outlive it.

use super::grow::{GrowString, GrowVec};
use super::lanes::Claim;
use super::parcels::Parcels;
use core::fmt;
use core::mem::needs_drop;
use core::ptr::NonNull;

/// Allocates for one request. Each result lives for `'s`, not for the borrow of the cursor.
pub struct Cursor<'s> {
    claim: Claim<'s>,
    drops: &'s Parcels<()>,
}

impl<'s> Cursor<'s> {
    /// # Safety
    ///
    /// `drops` is run before the lanes that `claim` belongs to are reset or dropped.
    pub unsafe fn new(claim: Claim<'s>, drops: &'s Parcels<()>) -> Self {
        Self { claim, drops }
    }

    #[inline]
    pub fn alloc<T>(&mut self, value: T) -> &'s mut T {
        const { assert!(!needs_drop::<T>(), "the arena would never drop this value: use `alloc_with_drop`") };
        self.claim.bump().alloc(value)
    }

    pub fn alloc_with_drop<T: Send + 'static>(&mut self, value: T) -> &'s mut T {
        let value = NonNull::from(self.claim.bump().alloc(value));
        if needs_drop::<T>() {
            // SAFETY: the arena never drops it; it stays until the lanes are reset, which by the promise in
            // `new` is after the list has run; the one reference is made below and has `'s`.
            unsafe { self.drops.drop_in_place(value) };
        }
        // SAFETY: just allocated, and referred to by nobody else until the list runs, after `'s`.
        unsafe { &mut *value.as_ptr() }
    }

    #[inline]
    pub fn alloc_str(&mut self, text: &str) -> &'s mut str {
        self.claim.bump().alloc_str(text)
    }

    pub fn alloc_slice_copy<T: Copy>(&mut self, items: &[T]) -> &'s mut [T] {
        self.claim.bump().alloc_slice_copy(items)
    }

    #[inline]
    pub fn alloc_slice_fill_with<T>(&mut self, len: usize, fill: impl FnMut(usize) -> T) -> &'s mut [T] {
        const { assert!(!needs_drop::<T>(), "the arena would never drop these values") };
        self.claim.bump().alloc_slice_fill_with(len, fill)
    }

    pub fn vec<T>(&mut self, capacity: usize) -> GrowVec<'_, 's, T> {
        GrowVec::new(&mut self.claim, capacity)
    }

    pub fn string(&mut self, capacity: usize) -> GrowString<'_, 's> {
        GrowString::new(&mut self.claim, capacity)
    }
}

impl fmt::Debug for Cursor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").field("claim", &self.claim).finish_non_exhaustive()
    }
}
