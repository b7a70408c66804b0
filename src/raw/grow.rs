//! Growing vectors and strings inside a borrow of a cursor, `Send` where bumpalo's own are not.

use super::lanes::Claim;
use bumpalo::collections::{String as BumpString, Vec as BumpVec};
use core::fmt;
use core::marker::PhantomData;
use core::mem::needs_drop;

/// The exclusive borrow of a claim, held until it is dropped. A bare `PhantomData<&mut Claim>` would not do: it
/// has no drop, so the borrow may end before the vector beside it gives its block back to the bump.
struct Borrowed<'a, 's>(PhantomData<&'a mut Claim<'s>>);

impl Drop for Borrowed<'_, '_> {
    fn drop(&mut self) {}
}

/// A vector in the arena. While it grows, nothing else is allocated by its cursor.
///
/// # Invariants
///
/// (a) The `&Bump` inside `items` is used, also by its drop, only while `_claim`'s exclusive borrow lasts, so by
///     nobody else.
pub struct GrowVec<'a, 's, T> {
    items: BumpVec<'s, T>,
    _claim: Borrowed<'a, 's>,
}

// SAFETY: by (a) the bump moves with the vector, as it would with `&mut Claim`; the items are `Send`.
unsafe impl<T: Send> Send for GrowVec<'_, '_, T> {}
// SAFETY: `&self` gives `&[T]` only and never touches the bump.
unsafe impl<T: Sync> Sync for GrowVec<'_, '_, T> {}

impl<'a, 's, T> GrowVec<'a, 's, T> {
    pub fn new(claim: &'a mut Claim<'s>, capacity: usize) -> Self {
        const { assert!(!needs_drop::<T>(), "the arena would never drop these values") };
        Self { items: BumpVec::with_capacity_in(capacity, claim.bump()), _claim: Borrowed(PhantomData) }
    }

    #[inline]
    pub fn push(&mut self, item: T) {
        self.items.push(item);
    }

    pub fn extend_from_slice(&mut self, items: &[T])
    where
        T: Copy,
    {
        self.items.extend_from_slice_copy(items);
    }

    pub fn pop(&mut self) -> Option<T> {
        self.items.pop()
    }

    pub fn truncate(&mut self, len: usize) {
        self.items.truncate(len);
    }

    pub fn capacity(&self) -> usize {
        self.items.capacity()
    }

    #[inline]
    pub fn as_slice(&self) -> &[T] {
        &self.items
    }

    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.items
    }

    pub fn into_slice(self) -> &'s mut [T] {
        self.items.into_bump_slice_mut()
    }
}

impl<T: fmt::Debug> fmt::Debug for GrowVec<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

/// A string in the arena. While it grows, nothing else is allocated by its cursor.
///
/// # Invariants
///
/// (a) As for [`GrowVec`].
pub struct GrowString<'a, 's> {
    text: BumpString<'s>,
    _claim: Borrowed<'a, 's>,
}

// SAFETY: by (a) the bump moves with the string, as it would with `&mut Claim`.
unsafe impl Send for GrowString<'_, '_> {}
// SAFETY: `&self` gives `&str` only and never touches the bump.
unsafe impl Sync for GrowString<'_, '_> {}

impl<'a, 's> GrowString<'a, 's> {
    pub fn new(claim: &'a mut Claim<'s>, capacity: usize) -> Self {
        Self { text: BumpString::with_capacity_in(capacity, claim.bump()), _claim: Borrowed(PhantomData) }
    }

    pub fn push_str(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn into_str(self) -> &'s mut str {
        let text = self.text.into_bytes().into_bump_slice_mut();
        // SAFETY: these are the bytes of a string.
        unsafe { core::str::from_utf8_unchecked_mut(text) }
    }
}

impl fmt::Debug for GrowString<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}
