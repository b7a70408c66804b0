//! A string that grows in the arena.

use crate::raw::grow::GrowString;
use core::fmt;
use core::ops::{Deref, DerefMut};

/// A string that grows in the arena.
///
/// Everything that `str` can do it can do too, through `Deref`.
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
/// text.push('!');
/// assert_eq!(text.into_str(), "3 of 7!");
/// # std::fmt::Result::Ok(())
/// ```
pub struct ArenaString<'a, 's>(pub(super) GrowString<'a, 's>);

impl<'s> ArenaString<'_, 's> {
    /// Appends `text`.
    ///
    /// **Cost**: the bytes copied; when there is no room, the string doubles, and moves unless it stands last.
    #[inline]
    pub fn push_str(&mut self, text: &str) {
        self.0.push_str(text);
    }

    /// Appends `character`.
    ///
    /// **Cost**: that of [`push_str`](Self::push_str).
    #[inline]
    pub fn push(&mut self, character: char) {
        self.0.push(character);
    }

    /// Takes the last character off.
    pub fn pop(&mut self) -> Option<char> {
        let (at, last) = self.char_indices().next_back()?;
        self.truncate(at);
        Some(last)
    }

    /// Forgets all but the first `len` bytes.
    ///
    /// # Panics
    ///
    /// When `len` is inside of a character.
    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// Forgets the text and keeps the room.
    #[inline]
    pub fn clear(&mut self) {
        self.0.truncate(0);
    }

    /// Makes room for `additional` bytes more.
    #[inline]
    pub fn reserve(&mut self, additional: usize) {
        self.0.reserve(additional);
    }

    /// Bytes that fit before the string must grow.
    #[must_use]
    #[inline]
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// Ends the growing; the text lives as long as the scope.
    #[must_use]
    pub fn into_str(self) -> &'s mut str {
        self.0.into_str()
    }
}

/// Never fails.
impl fmt::Write for ArenaString<'_, '_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_str(text);
        Ok(())
    }

    #[inline]
    fn write_char(&mut self, character: char) -> fmt::Result {
        self.push(character);
        Ok(())
    }
}

impl Extend<char> for ArenaString<'_, '_> {
    fn extend<I: IntoIterator<Item = char>>(&mut self, characters: I) {
        let characters = characters.into_iter();
        self.reserve(characters.size_hint().0);
        characters.for_each(|character| self.push(character));
    }
}

impl<'t> Extend<&'t str> for ArenaString<'_, '_> {
    fn extend<I: IntoIterator<Item = &'t str>>(&mut self, texts: I) {
        texts.into_iter().for_each(|text| self.push_str(text));
    }
}

impl Deref for ArenaString<'_, '_> {
    type Target = str;
    #[inline]
    fn deref(&self) -> &str {
        self.0.as_str()
    }
}

impl DerefMut for ArenaString<'_, '_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut str {
        self.0.as_mut_str()
    }
}

impl AsRef<str> for ArenaString<'_, '_> {
    fn as_ref(&self) -> &str {
        self
    }
}

/// Equal to whatever gives the same text.
impl<S: AsRef<str> + ?Sized> PartialEq<S> for ArenaString<'_, '_> {
    fn eq(&self, other: &S) -> bool {
        **self == *other.as_ref()
    }
}

impl fmt::Display for ArenaString<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl fmt::Debug for ArenaString<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
