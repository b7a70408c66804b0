//! A value inside a pinned slot, held together with the pin that keeps it there.

use super::slot::{Pin, Recycle};
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

/// Exclusive use of a value that lives in a slot's content, without a lifetime.
///
/// # Invariants
///
/// (a) `value` was lent by the content behind `pin`, exclusively and for as long as the content is borrowed; the
///     pin keeps the content in place, and out of reach of `&mut`, for as long as this exists.
pub struct Held<C: Recycle, T> {
    value: NonNull<T>,
    /// `&mut T` is invariant in `T`, and so is this: else a value could be written that does not live long enough.
    _invariant: PhantomData<fn(T) -> T>,
    _pin: Pin<C>,
}

// SAFETY: it gives `&mut T` on one thread at a time, so `T: Send`; the pin moves with it.
unsafe impl<C: Recycle, T: Send> Send for Held<C, T> where Pin<C>: Send {}
// SAFETY: `&Held` gives `&T` only.
unsafe impl<C: Recycle, T: Sync> Sync for Held<C, T> where Pin<C>: Sync {}

impl<C: Recycle, T: 'static> Held<C, T> {
    /// Holds what `lend` lends. As `lend` must do for every lifetime, what it returns comes from the content.
    pub fn new(pin: Pin<C>, lend: impl for<'c> FnOnce(&'c C) -> &'c mut T) -> Self {
        Self { value: NonNull::from(lend(&pin)), _invariant: PhantomData, _pin: pin }
    }
}

impl<C: Recycle, T> Deref for Held<C, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: by (a).
        unsafe { self.value.as_ref() }
    }
}

impl<C: Recycle, T> DerefMut for Held<C, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: by (a).
        unsafe { self.value.as_mut() }
    }
}

impl<C: Recycle, T: fmt::Debug> fmt::Debug for Held<C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
