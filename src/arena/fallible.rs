//! The forms that may fail: within the quota, and without a panic where there is no memory.

use super::{Arena, ArenaFull, ArenaString, ArenaVec, parts};
use core::fmt::{self, Write};

/// A call that failed for want of memory, with what it was given.
///
/// `?` turns it into the plain [`ArenaFull`] where that is what a function returns.
///
/// # Examples
///
/// ```
/// let scopes = ebbtide::Scopes::builder().quota(0).build();
/// let request = scopes.begin();
/// let scope = request.scope();
/// let refused = scope.arena().try_alloc(7).unwrap_err();
/// assert_eq!((refused.reason(), refused.into_value()), (ebbtide::arena::ArenaFull::Quota, 7));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Refused<T> {
    value: T,
    reason: ArenaFull,
}

impl<T> Refused<T> {
    fn new((value, reason): (T, ArenaFull)) -> Self {
        Self { value, reason }
    }

    /// What could not be placed.
    pub fn into_value(self) -> T {
        self.value
    }

    /// Why.
    pub fn reason(&self) -> ArenaFull {
        self.reason
    }
}

impl<T> fmt::Debug for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl<T> core::error::Error for Refused<T> {}

impl<T> From<Refused<T>> for ArenaFull {
    fn from(refused: Refused<T>) -> Self {
        refused.reason
    }
}

/// Within the quota, or an error; the cost is that of the form without `try_`.
///
/// # Errors
///
/// [`ArenaFull::Quota`] when the request would take more than its quota, [`ArenaFull::Memory`] when the
/// allocator has no memory. Nothing is changed then, and what was given by value is given back in a [`Refused`].
impl<'s> Arena<'s> {
    /// [`alloc`](Self::alloc) that may fail.
    ///
    /// # Errors
    ///
    /// [`Refused`], with the value.
    #[inline]
    pub fn try_alloc<T>(&mut self, value: T) -> Result<&'s mut T, Refused<T>> {
        self.0.try_alloc(value).map_err(Refused::new)
    }

    /// [`alloc_with`](Self::alloc_with) that may fail.
    ///
    /// # Errors
    ///
    /// [`Refused`], with the closure, which was not called.
    #[inline]
    pub fn try_alloc_with<T, F: FnOnce() -> T>(&mut self, make: F) -> Result<&'s mut T, Refused<F>> {
        self.0.try_alloc_with(make).map_err(Refused::new)
    }

    /// [`alloc_with_drop`](Self::alloc_with_drop) that may fail.
    ///
    /// # Errors
    ///
    /// [`Refused`], with the value, which was not dropped.
    pub fn try_alloc_with_drop<T: Send + 'static>(&mut self, value: T) -> Result<&'s mut T, Refused<T>> {
        self.0.try_alloc_with_drop(value).map_err(Refused::new)
    }

    /// [`alloc_str`](Self::alloc_str) that may fail.
    ///
    /// # Errors
    ///
    /// [`ArenaFull`].
    #[inline]
    pub fn try_alloc_str(&mut self, text: &str) -> Result<&'s mut str, ArenaFull> {
        self.0.try_alloc_str(text)
    }

    /// [`alloc_str_lossy`](Self::alloc_str_lossy) that may fail.
    ///
    /// # Errors
    ///
    /// [`ArenaFull`].
    pub fn try_alloc_str_lossy(&mut self, bytes: &[u8]) -> Result<&'s mut str, ArenaFull> {
        if let Ok(text) = core::str::from_utf8(bytes) {
            return self.try_alloc_str(text);
        }
        let mut text = self.try_string(bytes.len())?;
        for part in parts(bytes) {
            text.try_push_str(part)?;
        }
        Ok(text.into_str())
    }

    /// [`alloc_fmt`](Self::alloc_fmt) that may fail.
    ///
    /// # Errors
    ///
    /// [`ArenaFull`].
    pub fn try_alloc_fmt(&mut self, arguments: fmt::Arguments<'_>) -> Result<&'s mut str, ArenaFull> {
        let mut text = Bounded { text: self.try_string(0)?, full: None };
        // An argument whose own formatting fails ends the text, as in `alloc_fmt`.
        let _ = text.write_fmt(arguments);
        text.full.map_or_else(|| Ok(text.text.into_str()), Err)
    }

    /// [`alloc_slice_copy`](Self::alloc_slice_copy) that may fail.
    ///
    /// # Errors
    ///
    /// [`ArenaFull`].
    pub fn try_alloc_slice_copy<T: Copy>(&mut self, items: &[T]) -> Result<&'s mut [T], ArenaFull> {
        self.0.try_alloc_slice_copy(items)
    }

    /// [`alloc_slice_clone`](Self::alloc_slice_clone) that may fail.
    ///
    /// # Errors
    ///
    /// [`ArenaFull`].
    pub fn try_alloc_slice_clone<T: Clone>(&mut self, items: &[T]) -> Result<&'s mut [T], ArenaFull> {
        self.try_alloc_slice_fill_with(items.len(), |at| items[at].clone())
    }

    /// [`alloc_slice_fill_with`](Self::alloc_slice_fill_with) that may fail.
    ///
    /// # Errors
    ///
    /// [`ArenaFull`]; `fill` was not called then.
    #[inline]
    pub fn try_alloc_slice_fill_with<T>(
        &mut self,
        len: usize,
        fill: impl FnMut(usize) -> T,
    ) -> Result<&'s mut [T], ArenaFull> {
        self.0.try_alloc_slice_fill_with(len, fill)
    }

    /// [`alloc_iter`](Self::alloc_iter) that may fail.
    ///
    /// # Errors
    ///
    /// [`ArenaFull`]; what was taken from the iterator until then is lost.
    pub fn try_alloc_iter<I: IntoIterator>(&mut self, items: I) -> Result<&'s mut [I::Item], ArenaFull> {
        let mut list = self.try_vec(0)?;
        list.try_extend(items)?;
        Ok(list.into_slice())
    }

    /// [`vec`](Self::vec) that may fail.
    ///
    /// # Errors
    ///
    /// [`ArenaFull`].
    pub fn try_vec<T>(&mut self, capacity: usize) -> Result<ArenaVec<'_, 's, T>, ArenaFull> {
        let mut list = ArenaVec(self.0.vec());
        list.try_reserve(capacity)?;
        Ok(list)
    }

    /// [`string`](Self::string) that may fail.
    ///
    /// # Errors
    ///
    /// [`ArenaFull`].
    pub fn try_string(&mut self, capacity: usize) -> Result<ArenaString<'_, 's>, ArenaFull> {
        let mut text = ArenaString(self.0.string());
        text.try_reserve(capacity)?;
        Ok(text)
    }
}

impl<T> ArenaVec<'_, '_, T> {
    /// [`push`](Self::push) that may fail.
    ///
    /// # Errors
    ///
    /// [`Refused`], with the item.
    #[inline]
    pub fn try_push(&mut self, item: T) -> Result<(), Refused<T>> {
        self.0.try_push(item).map_err(Refused::new)
    }

    /// [`extend_from_slice`](Self::extend_from_slice) that may fail.
    ///
    /// # Errors
    ///
    /// [`ArenaFull`]; then none of the items were appended.
    #[inline]
    pub fn try_extend_from_slice(&mut self, items: &[T]) -> Result<(), ArenaFull>
    where
        T: Copy,
    {
        self.0.try_extend_from_slice(items)
    }

    /// Appends what an iterator gives.
    ///
    /// # Errors
    ///
    /// [`ArenaFull`]; what was appended until then stays.
    pub fn try_extend(&mut self, items: impl IntoIterator<Item = T>) -> Result<(), ArenaFull> {
        let items = items.into_iter();
        self.try_reserve(items.size_hint().0)?;
        for item in items {
            self.try_push(item)?;
        }
        Ok(())
    }

    /// [`reserve`](Self::reserve) that may fail.
    ///
    /// # Errors
    ///
    /// [`ArenaFull`].
    pub fn try_reserve(&mut self, additional: usize) -> Result<(), ArenaFull> {
        self.0.try_reserve(additional)
    }
}

impl ArenaString<'_, '_> {
    /// [`push_str`](Self::push_str) that may fail.
    ///
    /// # Errors
    ///
    /// [`ArenaFull`]; then nothing of the text was appended.
    #[inline]
    pub fn try_push_str(&mut self, text: &str) -> Result<(), ArenaFull> {
        self.0.try_push_str(text)
    }

    /// [`push`](Self::push) that may fail.
    ///
    /// # Errors
    ///
    /// [`ArenaFull`].
    #[inline]
    pub fn try_push(&mut self, character: char) -> Result<(), ArenaFull> {
        self.try_push_str(character.encode_utf8(&mut [0; 4]))
    }

    /// [`reserve`](Self::reserve) that may fail.
    ///
    /// # Errors
    ///
    /// [`ArenaFull`].
    pub fn try_reserve(&mut self, additional: usize) -> Result<(), ArenaFull> {
        self.0.try_reserve(additional)
    }
}

/// A string whose writing fails when the arena is full, and that says why.
struct Bounded<'a, 's> {
    text: ArenaString<'a, 's>,
    full: Option<ArenaFull>,
}

impl Write for Bounded<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // An argument may go on after an error; the text does not.
        if self.full.is_none() {
            self.full = self.text.try_push_str(text).err();
        }
        self.full.map_or(Ok(()), |_| Err(fmt::Error))
    }
}
