//! The bump arena of a request, seen through a cursor.
//!
//! [`Scope::arena`](crate::Scope::arena) claims a bump allocator of the request with one atomic; from then on
//! an allocation is a pointer moved, without atomics or locks. What is allocated lives as long as
//! the scope that the cursor was made from, not as long as the cursor: many results live side by side, the
//! cursor can be handed to async callees as `&mut Arena`, and the future stays `Send`.

use crate::raw::cursor::Cursor;
use crate::raw::grow::{GrowString, GrowVec};
use core::fmt;
use core::ops::{Deref, DerefMut};

/// A cursor into a request's memory. Its drop gives the claim back; what was allocated stays until the
/// request ends. `mem::forget` keeps the claim taken until then; that of a ninth cursor at once loses its memory.
///
/// # Examples
///
/// ```
/// let scopes = ebbtide::Scopes::new();
/// let request = scopes.begin();
/// let scope = request.scope();
/// let mut arena = scope.arena();
/// let name = arena.alloc_str("ada");
/// let numbers = arena.alloc_slice_copy(&[1, 2, 3]);
/// numbers[0] = 7;
/// assert_eq!((&*name, &*numbers), ("ada", &[7, 2, 3][..]));
/// ```
///
/// What is allocated cannot outlive the scope:
///
/// ```compile_fail,E0505
/// let scopes = ebbtide::Scopes::new();
/// let request = scopes.begin();
/// let scope = request.scope();
/// let name = scope.arena().alloc_str("ada");
/// drop(scope);
/// println!("{name}");
/// ```
pub struct Arena<'s>(Cursor<'s>);

impl<'s> Arena<'s> {
    pub(crate) fn new(cursor: Cursor<'s>) -> Self {
        Self(cursor)
    }

    /// Allocates `value`. A type that needs `Drop` does not compile here: see
    /// [`alloc_with_drop`](Self::alloc_with_drop).
    ///
    /// **Cost**: a pointer moved and the value written; a new block when the current one is full.
    #[inline]
    pub fn alloc<T>(&mut self, value: T) -> &'s mut T {
        self.0.alloc(value)
    }

    /// Allocates `value` and drops it when the request ends, last in first out.
    ///
    /// **Cost**: that of `alloc`, and one push under a lock for a type that needs `Drop`.
    pub fn alloc_with_drop<T: Send + 'static>(&mut self, value: T) -> &'s mut T {
        self.0.alloc_with_drop(value)
    }

    /// Copies `text` into the arena.
    #[inline]
    pub fn alloc_str(&mut self, text: &str) -> &'s mut str {
        self.0.alloc_str(text)
    }

    /// Copies `bytes` into the arena as text; what is not UTF-8 becomes U+FFFD, as in
    /// [`String::from_utf8_lossy`].
    pub fn alloc_str_lossy(&mut self, bytes: &[u8]) -> &'s mut str {
        if let Ok(text) = core::str::from_utf8(bytes) {
            return self.alloc_str(text);
        }
        let mut text = self.string(bytes.len());
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            if !chunk.invalid().is_empty() {
                text.push_str("\u{FFFD}");
            }
        }
        text.into_str()
    }

    /// Copies `items` into the arena.
    pub fn alloc_slice_copy<T: Copy>(&mut self, items: &[T]) -> &'s mut [T] {
        self.0.alloc_slice_copy(items)
    }

    /// Allocates `len` values that `fill` makes from their indices.
    #[inline]
    pub fn alloc_slice_fill_with<T>(&mut self, len: usize, fill: impl FnMut(usize) -> T) -> &'s mut [T] {
        self.0.alloc_slice_fill_with(len, fill)
    }

    /// A growing vector with room for `capacity` items. While it grows, the cursor is borrowed; another cursor
    /// of the same scope serves a second one.
    pub fn vec<T>(&mut self, capacity: usize) -> ArenaVec<'_, 's, T> {
        ArenaVec(self.0.vec(capacity))
    }

    /// A growing string with room for `capacity` bytes; see [`vec`](Self::vec).
    pub fn string(&mut self, capacity: usize) -> ArenaString<'_, 's> {
        ArenaString(self.0.string(capacity))
    }
}

impl fmt::Debug for Arena<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").finish_non_exhaustive()
    }
}

/// A vector that grows in the arena. Growth moves it unless it was the last allocation; the old
/// memory is free again when the request ends.
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
/// let squares: &mut [i32] = squares.into_slice();
/// assert_eq!(squares, [1, 4, 9, 16]);
/// ```
pub struct ArenaVec<'a, 's, T>(GrowVec<'a, 's, T>);

impl<'s, T> ArenaVec<'_, 's, T> {
    /// Appends `item`.
    #[inline]
    pub fn push(&mut self, item: T) {
        self.0.push(item);
    }

    /// Takes the last item off.
    pub fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }

    /// Appends copies of `items`.
    pub fn extend_from_slice(&mut self, items: &[T])
    where
        T: Copy,
    {
        self.0.extend_from_slice(items);
    }

    /// Forgets all items but the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// Items that fit before the vector must grow.
    #[must_use]
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
        items.into_iter().for_each(|item| self.push(item));
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

impl<T: fmt::Debug> fmt::Debug for ArenaVec<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// A string that grows in the arena.
///
/// # Examples
///
/// ```
/// use std::fmt::Write;
///
/// let scopes = ebbtide::Scopes::new();
/// let request = scopes.begin();
/// let scope = request.scope();
/// let mut arena = scope.arena();
/// let mut text = arena.string(32);
/// write!(text, "{} of {}", 3, 7)?;
/// assert_eq!(text.into_str(), "3 of 7");
/// # std::fmt::Result::Ok(())
/// ```
pub struct ArenaString<'a, 's>(GrowString<'a, 's>);

impl<'s> ArenaString<'_, 's> {
    /// Appends `text`.
    pub fn push_str(&mut self, text: &str) {
        self.0.push_str(text);
    }

    /// Ends the growing; the text lives as long as the scope.
    #[must_use]
    pub fn into_str(self) -> &'s mut str {
        self.0.into_str()
    }
}

/// Never fails.
impl fmt::Write for ArenaString<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_str(text);
        Ok(())
    }
}

impl Deref for ArenaString<'_, '_> {
    type Target = str;
    #[inline]
    fn deref(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for ArenaString<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
