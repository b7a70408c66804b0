//! The lease of a pooled value.

use super::home::{Node, take_out};
use crate::raw::lease::Lease;
use core::fmt;
use core::ops::{Deref, DerefMut};

/// A value on lease from a [`Pool`](crate::Pool). One word; `Send` and `Sync` as `T` is.
///
/// Its drop resets the value and gives it back, on any thread, also after the pool is gone (the value is
/// freed then) and inside a thread-local's destructor. A lease dropped by a panic, or whose reset panics,
/// frees its value instead. `mem::forget` only loses the value.
///
/// **Cost** of the drop: the reset and some thirty instructions, no locked one, on the thread that took the value; a shared
/// operation for each magazine that runs full.
pub struct Pooled<T: Send + 'static>(Lease<Node<T>>);

impl<T: Send + 'static> Pooled<T> {
    pub(crate) fn new(lease: Lease<Node<T>>) -> Self {
        Self(lease)
    }

    pub(crate) fn into_node(pooled: Self) -> Box<Node<T>> {
        pooled.0.into_box()
    }

    /// Leaves a word with the lease, for the [leak detector](crate::observe::LeakDetector): what was last done with it. The last
    /// four are kept, with leases that it looks at.
    ///
    /// **Cost**: one comparison for a lease that it does not look at.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = ebbtide::Pool::new(String::new);
    /// let text = pool.get();
    /// ebbtide::Pooled::touch(&text, "parsed");
    /// ```
    #[inline]
    pub fn touch(pooled: &Self, crumb: &'static str) {
        pooled.0.payload.touch(crumb);
    }

    /// Takes the value out of the pool for good. It is not reset.
    ///
    /// Its box and its place stay with the thread, for the next value that it makes: at most 64 for a pool, of 8 KiB each. They keep
    /// no value out, and go with [`Pool::trim`](crate::Pool::trim), [`Pool::clear`](crate::Pool::clear) and the thread.
    ///
    /// **Cost**: some fifty instructions, no locked one, where the box stays; else the box is freed, and four
    /// shared counters are written.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = ebbtide::Pool::new(String::new);
    /// let mut text = pool.get();
    /// text.push_str("mine");
    /// let text: String = ebbtide::Pooled::detach(text);
    /// assert_eq!(text, "mine");
    /// assert_eq!(pool.stats().outstanding(), 0);
    /// ```
    pub fn detach(pooled: Self) -> T {
        take_out(Self::into_node(pooled))
    }
}

impl<T: Send + 'static> Deref for Pooled<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0.payload.value()
    }
}

impl<T: Send + 'static> DerefMut for Pooled<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.payload.value_mut()
    }
}

impl<T: Send + fmt::Debug + 'static> fmt::Debug for Pooled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
