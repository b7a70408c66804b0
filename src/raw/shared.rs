//! A shared box whose reference count lives in the value: freezing a buffer allocates nothing.
//!
//! The count works as `std::sync::Arc`'s does, without weak references.

use crate::sync::{AtomicUsize, Ordering, fence};
use core::fmt;
use core::ops::Deref;
use core::ptr::NonNull;

/// The room for a count. Only [`Shared`] reads or writes it.
#[derive(Debug)]
pub struct Count(AtomicUsize);

impl Default for Count {
    fn default() -> Self {
        Self(AtomicUsize::new(0))
    }
}

/// A value that has room for a reference count.
///
/// # Safety
///
/// `count` returns the same field of `self` each time.
pub unsafe trait Counted {
    fn count(&self) -> &Count;
}

/// # Invariants
///
/// (a) The pointer came from a box, and the count is the number of `Shared`s with this pointer.
pub struct Shared<N: Counted>(NonNull<N>);

// SAFETY: a `Shared` gives `&N` on any thread, and the last one gives the box: `N: Send + Sync`, as for `Arc`.
unsafe impl<N: Counted + Send + Sync> Send for Shared<N> {}
// SAFETY: as above; `&Shared` can be cloned into a `Shared`.
unsafe impl<N: Counted + Send + Sync> Sync for Shared<N> {}

impl<N: Counted> Shared<N> {
    #[inline]
    pub fn new(value: Box<N>) -> Self {
        // Relaxed: the box is not shared yet.
        value.count().0.store(1, Ordering::Relaxed);
        Self(NonNull::from(Box::leak(value)))
    }

    /// Whether this is the only reference. It stays so as long as it is not cloned.
    #[inline]
    pub fn is_unique(&self) -> bool {
        // Acquire: pairs with the Release of every decrement. Each is followed by read-modify-writes only, so whichever of
        // them left the one, they all are seen.
        self.count().0.load(Ordering::Acquire) == 1
    }

    /// The box, if this is the only reference.
    #[inline]
    pub fn into_unique(self) -> Result<Box<N>, Self> {
        if !self.is_unique() {
            return Err(self);
        }
        // SAFETY: by (a) the pointer came from a box, and nobody else has one to it, nor can get one but through `self`.
        Ok(unsafe { Box::from_raw(self.0.as_ptr()) })
    }

    /// Gives up this reference; the last one gets the box back. A `Shared` that is dropped instead is leaked.
    ///
    /// **Cost**: no locked operation for a reference that never was cloned, or outlived its clones.
    #[inline]
    pub fn into_last(self) -> Option<Box<N>> {
        let this = match self.into_unique() {
            Ok(last) => return Some(last),
            Err(this) => this,
        };
        // Release: this reference's reads come before the box is used again, which the fence below sees.
        if this.count().0.fetch_sub(1, Ordering::Release) != 1 {
            return None;
        }
        // Acquire: pairs with the Release of every other reference's decrement.
        fence(Ordering::Acquire);
        // SAFETY: by (a) the pointer came from a box, and this was the last reference to it.
        Some(unsafe { Box::from_raw(this.0.as_ptr()) })
    }
}

impl<N: Counted> Clone for Shared<N> {
    #[inline]
    fn clone(&self) -> Self {
        // Relaxed: the new reference is made from a live one and publishes nothing.
        let before = self.count().0.fetch_add(1, Ordering::Relaxed);
        if before > isize::MAX as usize {
            // As `Arc`: only forgetting clones in a loop leads here, and a wrapped count would be unsound.
            std::process::abort();
        }
        Self(self.0)
    }
}

impl<N: Counted> Deref for Shared<N> {
    type Target = N;
    #[inline]
    fn deref(&self) -> &N {
        // SAFETY: by (a) the value lives while this reference is counted.
        unsafe { self.0.as_ref() }
    }
}

impl<N: Counted> fmt::Debug for Shared<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shared").field(&self.0).finish()
    }
}
