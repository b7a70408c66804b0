//! Growing vectors and strings inside a borrow of a cursor, `Send` where bumpalo's own are not.

use super::cursor::refuse_drop;
use super::lanes::{Claim, Noted};
use super::place::text;
use super::quota::{ArenaFull, no_memory};
use bumpalo::collections::{Vec as BumpVec, vec::IntoIter};
use core::fmt;

/// The exclusive borrow of a claim, held until it is dropped. A bare `&mut Claim` would not do: it has no drop, so
/// the borrow may end before the vector beside it gives its block back to the bump.
struct Borrowed<'a, 's>(&'a mut Claim<'s>);

impl Drop for Borrowed<'_, '_> {
    fn drop(&mut self) {}
}

/// A vector in the arena. While it grows, nothing else is allocated by its cursor. The forms without `try_` pass the
/// quota, and panic only where the allocator has no memory.
///
/// # Invariants
///
/// (a) The `&Bump` inside `items` and `noted` is used, also by their drops, only while `claim`'s exclusive borrow lasts, so by
///     nobody else.
pub struct GrowVec<'a, 's, T> {
    /// Dropped first: with the items their block goes back.
    noted: Noted<'s>,
    items: BumpVec<'s, T>,
    claim: Borrowed<'a, 's>,
}

// SAFETY: by (a) the bump moves with the vector, as it would with `&mut Claim`; the items are `Send`.
unsafe impl<T: Send> Send for GrowVec<'_, '_, T> {}
// SAFETY: `&self` gives `&[T]` only and never touches the bump.
unsafe impl<T: Sync> Sync for GrowVec<'_, '_, T> {}

impl<'a, 's, T> GrowVec<'a, 's, T> {
    pub fn new(claim: &'a mut Claim<'s>) -> Self {
        const { refuse_drop::<T>() };
        Self { noted: claim.noted(), items: BumpVec::new_in(claim.bump()), claim: Borrowed(claim) }
    }

    #[inline]
    pub fn push(&mut self, item: T) {
        self.reserve(1);
        // SAFETY: `reserve` made the room, or panicked.
        unsafe { self.put(item) };
    }

    #[inline]
    pub fn try_push(&mut self, item: T) -> Result<(), (T, ArenaFull)> {
        if let Err(full) = self.try_reserve(1) {
            return Err((item, full));
        }
        // SAFETY: `try_reserve` made the room.
        unsafe { self.put(item) };
        Ok(())
    }

    /// Appends without a second look at the room, which bumpalo's own form takes.
    ///
    /// # Safety
    ///
    /// There is room for one item.
    #[inline]
    unsafe fn put(&mut self, item: T) {
        let len = self.items.len();
        // SAFETY: the room begins there, by the promise inside of the block.
        let room = unsafe { self.items.as_mut_ptr().add(len) };
        // SAFETY: by the promise there is room, exclusively ours.
        unsafe { room.write(item) };
        // SAFETY: just written.
        unsafe { self.items.set_len(len + 1) };
    }

    #[inline]
    pub fn extend_from_slice(&mut self, items: &[T])
    where
        T: Copy,
    {
        self.reserve(items.len());
        // SAFETY: `reserve` made the room, or panicked.
        unsafe { self.append(items) };
    }

    #[inline]
    pub fn try_extend_from_slice(&mut self, items: &[T]) -> Result<(), ArenaFull>
    where
        T: Copy,
    {
        self.try_reserve(items.len())?;
        // SAFETY: `try_reserve` made the room.
        unsafe { self.append(items) };
        Ok(())
    }

    /// [`put`](Self::put) of many.
    ///
    /// # Safety
    ///
    /// There is room for all of `items`.
    #[inline]
    unsafe fn append(&mut self, items: &[T])
    where
        T: Copy,
    {
        let len = self.items.len();
        // SAFETY: the room begins there, by the promise inside of the block or at its end.
        let room = unsafe { self.items.as_mut_ptr().add(len) };
        // SAFETY: by the promise there is room; it is exclusively ours, so `items` lies elsewhere.
        unsafe { core::ptr::copy_nonoverlapping(items.as_ptr(), room, items.len()) };
        // SAFETY: just written.
        unsafe { self.items.set_len(len + items.len()) };
    }

    /// Panics where `index` is beyond the end.
    pub fn insert(&mut self, index: usize, item: T) {
        self.reserve(1);
        self.items.insert(index, item);
    }

    /// Panics where there is no such item.
    pub fn remove(&mut self, index: usize) -> T {
        self.items.remove(index)
    }

    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        self.items.pop()
    }

    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.items.truncate(len);
    }

    #[inline]
    pub fn capacity(&self) -> usize {
        self.items.capacity()
    }

    /// Makes room for so many more items.
    #[inline]
    pub fn reserve(&mut self, additional: usize) {
        if self.items.capacity() - self.items.len() < additional {
            self.grow(additional);
        }
    }

    #[inline]
    pub fn try_reserve(&mut self, additional: usize) -> Result<(), ArenaFull> {
        if self.items.capacity() - self.items.len() < additional { self.try_grow(additional) } else { Ok(()) }
    }

    #[cold]
    fn grow(&mut self, additional: usize) {
        if self.try_grow(additional).is_ok() {
            return;
        }
        let Self { items, claim, .. } = self;
        if claim.0.beyond_quota(|_| items.try_reserve(additional)).is_err() {
            no_memory();
        }
    }

    /// First where the vector is or in the rest of its block, then in a new block.
    #[cold]
    fn try_grow(&mut self, additional: usize) -> Result<(), ArenaFull> {
        let Self { items, claim, .. } = self;
        if items.try_reserve(additional).is_ok() {
            return Ok(());
        }
        let size = items.len().saturating_add(additional).saturating_mul(size_of::<T>());
        // With room to spare, and if that is too much, without.
        claim.0.within_quota(size, |_| items.try_reserve(additional).or_else(|_| items.try_reserve_exact(additional)))
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
        // Nothing is given back.
        core::mem::forget(self.noted);
        self.items.into_bump_slice_mut()
    }

    /// The items one by one. It has no use for the bump any more.
    pub fn into_items(self) -> IntoIter<'s, T> {
        self.items.into_iter()
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
/// (a) The bytes are UTF-8.
pub struct GrowString<'a, 's> {
    bytes: GrowVec<'a, 's, u8>,
}

impl<'a, 's> GrowString<'a, 's> {
    pub fn new(claim: &'a mut Claim<'s>) -> Self {
        Self { bytes: GrowVec::new(claim) }
    }

    #[inline]
    pub fn push_str(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    #[inline]
    pub fn push(&mut self, character: char) {
        match u8::try_from(character) {
            Ok(byte) if byte.is_ascii() => self.bytes.push(byte),
            _ => self.push_str(character.encode_utf8(&mut [0; 4])),
        }
    }

    #[inline]
    pub fn try_push_str(&mut self, text: &str) -> Result<(), ArenaFull> {
        self.bytes.try_extend_from_slice(text.as_bytes())
    }

    #[inline]
    pub fn reserve(&mut self, additional: usize) {
        self.bytes.reserve(additional);
    }

    #[inline]
    pub fn try_reserve(&mut self, additional: usize) -> Result<(), ArenaFull> {
        self.bytes.try_reserve(additional)
    }

    #[inline]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Panics where `len` is inside of a character.
    pub fn truncate(&mut self, len: usize) {
        if len <= self.bytes.as_slice().len() {
            assert!(self.as_str().is_char_boundary(len), "a text ends between two characters");
            self.bytes.truncate(len);
        }
    }

    #[inline]
    pub fn as_str(&self) -> &str {
        // SAFETY: by (a).
        unsafe { core::str::from_utf8_unchecked(self.bytes.as_slice()) }
    }

    #[inline]
    pub fn as_mut_str(&mut self) -> &mut str {
        // SAFETY: by (a).
        unsafe { text(self.bytes.as_mut_slice()) }
    }

    pub fn into_str(self) -> &'s mut str {
        // SAFETY: by (a).
        unsafe { text(self.bytes.into_slice()) }
    }
}

impl fmt::Debug for GrowString<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}
