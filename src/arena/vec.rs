//! A vector that grows in the arena.

use crate::raw::grow::GrowVec;
use core::fmt;
use core::iter::FusedIterator;
use core::ops::{Deref, DerefMut};
use std::io;

/// A vector that grows in the arena. Growth moves it unless it was the last allocation; the old
/// memory is free again when the request ends.
///
/// Everything that slices can do it can do too, through `Deref`.
///
/// # Examples
///
/// ```
/// let scopes = ebbtide::Scopes::new();
/// let request = scopes.begin();
/// let scope = request.scope();
/// let mut arena = scope.arena();
/// let mut squares = arena.vec(4);
/// squares.extend((1..=4).map(|n| n * n));
/// squares.retain(|n| *n != 9);
/// let squares: &mut [i32] = squares.into_slice();
/// assert_eq!(squares, [1, 4, 16]);
/// ```
pub struct ArenaVec<'a, 's, T>(pub(super) GrowVec<'a, 's, T>);

impl<'s, T> ArenaVec<'_, 's, T> {
    /// Appends `item`.
    ///
    /// **Cost**: the item written; when there is no room, the vector doubles, and moves unless it stands last.
    #[inline]
    pub fn push(&mut self, item: T) {
        self.0.push(item);
    }

    /// Takes the last item off.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }

    /// Puts `item` at `index`, before what stands there.
    ///
    /// # Panics
    ///
    /// When `index` is beyond the end.
    pub fn insert(&mut self, index: usize, item: T) {
        self.0.insert(index, item);
    }

    /// Takes the item at `index` out; those behind it move up.
    ///
    /// # Panics
    ///
    /// When there is no such item.
    pub fn remove(&mut self, index: usize) -> T {
        self.0.remove(index)
    }

    /// Takes the item at `index` out and puts the last one there.
    ///
    /// # Panics
    ///
    /// When there is no such item.
    pub fn swap_remove(&mut self, index: usize) -> T {
        let last = self.len().saturating_sub(1);
        self.swap(index, last);
        self.0.remove(last)
    }

    /// Keeps the items for which `keep` says so, in their order. When `keep` panics, all that it had not seen yet
    /// stay, and so do those that it had refused.
    pub fn retain(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        let mut kept = 0;
        for at in 0..self.len() {
            if keep(&mut self[at]) {
                self.swap(kept, at);
                kept += 1;
            }
        }
        self.truncate(kept);
    }

    /// Takes off each item that equals the one before it. Of equal items that stand together the first is left.
    ///
    /// # Examples
    ///
    /// ```
    /// let scopes = ebbtide::Scopes::new();
    /// let request = scopes.begin();
    /// let scope = request.scope();
    /// let mut arena = scope.arena();
    /// let mut numbers = arena.vec(8);
    /// numbers.extend([3, 1, 3, 2, 1]);
    /// numbers.sort_unstable();
    /// numbers.dedup();
    /// assert_eq!(numbers, [1, 2, 3]);
    /// ```
    pub fn dedup(&mut self)
    where
        T: PartialEq,
    {
        self.dedup_by(|item, before| item == before);
    }

    /// [`dedup`](Self::dedup) for items whose keys are equal.
    pub fn dedup_by_key<K: PartialEq>(&mut self, mut key: impl FnMut(&mut T) -> K) {
        self.dedup_by(|item, before| key(item) == key(before));
    }

    /// [`dedup`](Self::dedup) for items that `are_same` says are, of an item and the last one that is kept, in this order. When it
    /// panics, all items stay, those that it had refused behind others.
    pub fn dedup_by(&mut self, mut are_same: impl FnMut(&mut T, &mut T) -> bool) {
        // The first one, if there is one.
        let mut kept = 1;
        for at in 1..self.len() {
            let (before, behind) = self.split_at_mut(at);
            if !are_same(&mut behind[0], &mut before[kept - 1]) {
                self.swap(kept, at);
                kept += 1;
            }
        }
        self.truncate(kept);
    }

    /// Appends copies of `items`.
    ///
    /// **Cost**: the items copied; when there is no room, that of [`push`](Self::push).
    #[inline]
    pub fn extend_from_slice(&mut self, items: &[T])
    where
        T: Copy,
    {
        self.0.extend_from_slice(items);
    }

    /// Forgets all items but the first `len`.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// Forgets all items and keeps the room.
    #[inline]
    pub fn clear(&mut self) {
        self.0.truncate(0);
    }

    /// Makes room for `additional` items more.
    #[inline]
    pub fn reserve(&mut self, additional: usize) {
        self.0.reserve(additional);
    }

    /// Items that fit before the vector must grow.
    #[must_use]
    #[inline]
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// Ends the growing; the items live as long as the scope.
    #[must_use]
    pub fn into_slice(self) -> &'s mut [T] {
        self.0.into_slice()
    }
}

impl<T> Extend<T> for ArenaVec<'_, '_, T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        let items = items.into_iter();
        self.reserve(items.size_hint().0);
        items.for_each(|item| self.push(item));
    }
}

impl<'t, T: Copy + 't> Extend<&'t T> for ArenaVec<'_, '_, T> {
    fn extend<I: IntoIterator<Item = &'t T>>(&mut self, items: I) {
        self.extend(items.into_iter().copied());
    }
}

/// Appends what is written. Never fails.
impl io::Write for ArenaVec<'_, '_, u8> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The items of an [`ArenaVec`], one by one. Its cursor is free meanwhile.
pub struct IntoIter<'s, T>(bumpalo::collections::vec::IntoIter<'s, T>);

impl<T> Iterator for IntoIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<T> DoubleEndedIterator for IntoIter<'_, T> {
    fn next_back(&mut self) -> Option<T> {
        self.0.next_back()
    }
}

impl<T> ExactSizeIterator for IntoIter<'_, T> {}
impl<T> FusedIterator for IntoIter<'_, T> {}

impl<T: fmt::Debug> fmt::Debug for IntoIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'s, T> IntoIterator for ArenaVec<'_, 's, T> {
    type Item = T;
    type IntoIter = IntoIter<'s, T>;

    fn into_iter(self) -> IntoIter<'s, T> {
        IntoIter(self.0.into_items())
    }
}

impl<'v, T> IntoIterator for &'v ArenaVec<'_, '_, T> {
    type Item = &'v T;
    type IntoIter = core::slice::Iter<'v, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'v, T> IntoIterator for &'v mut ArenaVec<'_, '_, T> {
    type Item = &'v mut T;
    type IntoIter = core::slice::IterMut<'v, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl<T> Deref for ArenaVec<'_, '_, T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        self.0.as_slice()
    }
}

impl<T> DerefMut for ArenaVec<'_, '_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_mut_slice()
    }
}

impl<T> AsRef<[T]> for ArenaVec<'_, '_, T> {
    fn as_ref(&self) -> &[T] {
        self
    }
}

/// Equal to whatever gives the same slice: slices, arrays, vectors of either kind.
impl<T: PartialEq, S: AsRef<[T]> + ?Sized> PartialEq<S> for ArenaVec<'_, '_, T> {
    fn eq(&self, other: &S) -> bool {
        **self == *other.as_ref()
    }
}

impl<T: fmt::Debug> fmt::Debug for ArenaVec<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
