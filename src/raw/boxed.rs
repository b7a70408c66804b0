//! A value in a request's arena that its box owns, and that may be pinned there.
//!
//! What is pinned must stay where it is until it was dropped, also when its box is forgotten. A box in a plain arena
//! cannot promise that: the arena is reset. This box owns a pin of the slot, and without that the arena is not reset.

use super::slot::{Pin as SlotPin, Recycle};
use super::unwind::caught;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::ptr::NonNull;

/// Owns a value in the content of a slot, in place, and a pin of the slot.
///
/// # Invariants
///
/// (a) `value` is initialised, `Send` if it was when it was made, reached through this box only, and dropped by it only,
///     in place.
/// (b) `value` lies in memory of the content behind `pin`, which is given back through `&mut` of the content only, and so
///     never while `pin` is counted: not before the drop of this box, and never if the box is forgotten.
pub struct Boxed<C: Recycle, T: ?Sized> {
    value: NonNull<T>,
    pin: SlotPin<C>,
}

// SAFETY: by (a) the box is the value's only owner, so the value moves with it; the pin moves as it may.
unsafe impl<C: Recycle, T: ?Sized + Send> Send for Boxed<C, T> where SlotPin<C>: Send {}
// SAFETY: `&Boxed` gives `&T` only.
unsafe impl<C: Recycle, T: ?Sized + Sync> Sync for Boxed<C, T> where SlotPin<C>: Sync {}

impl<C: Recycle, T: Send + 'static> Boxed<C, T> {
    /// Boxes `value` in what `place` lends. As `place` must do for every lifetime, the memory comes from the content.
    pub fn new(pin: SlotPin<C>, value: T, place: impl for<'c> FnOnce(&'c C, T) -> &'c mut T) -> Self {
        Self { value: NonNull::from(place(&pin, value)), pin }
    }
}

impl<C: Recycle, F: Future + Send + 'static> Boxed<C, F> {
    /// The same box, which has forgotten the future's type.
    pub fn erased(self) -> Boxed<C, dyn Future<Output = F::Output> + Send> {
        let this = core::mem::ManuallyDrop::new(self);
        // SAFETY: `this` is never dropped, so the pin is moved out of it once.
        let pin = unsafe { core::ptr::read(&this.pin) };
        Boxed { value: this.value, pin }
    }
}

impl<C: Recycle, T: ?Sized> Boxed<C, T> {
    /// The value, pinned.
    pub fn as_mut(&mut self) -> Pin<&mut T> {
        // SAFETY: by (a) this is the only way to it, and `&mut self` the only use.
        let value = unsafe { self.value.as_mut() };
        // SAFETY: by (a) it is never moved, and by (b) its memory is not used again before its drop.
        unsafe { Pin::new_unchecked(value) }
    }
}

/// Pinning the box does not pin the value: it is reached by a pointer.
impl<C: Recycle, T: ?Sized> Unpin for Boxed<C, T> {}

impl<C: Recycle, T: ?Sized> Drop for Boxed<C, T> {
    fn drop(&mut self) {
        let value = self.value;
        // SAFETY: by (a) it is initialised and dropped here only, once; the pin goes after it.
        if caught(|| unsafe { value.drop_in_place() }).is_none() {
            self.pin.poison();
        }
    }
}

impl<C: Recycle, T: ?Sized> fmt::Debug for Boxed<C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Boxed").field("at", &self.value).finish_non_exhaustive()
    }
}
