//! A lease: the one owner of a boxed node, which goes home when the lease is dropped.

use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use std::thread::panicking;

/// A node that knows where it belongs.
pub trait GoHome {
    /// Takes the node back, whose lease ended in a panic or not. Runs in a `Drop`, so it must not panic.
    fn go_home(self: Box<Self>, in_panic: bool);
}

/// One word; forgotten, it only loses the node.
///
/// # Invariants
///
/// (a) The box is there until `into_box` or `drop` takes it, each of which ends the lease.
pub struct Lease<N: GoHome>(ManuallyDrop<Box<N>>);

impl<N: GoHome> Lease<N> {
    pub fn new(node: Box<N>) -> Self {
        Self(ManuallyDrop::new(node))
    }

    /// Ends the lease; the node does not go home.
    pub fn into_box(self) -> Box<N> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: by (a) the box is there, and `this` is never dropped.
        unsafe { ManuallyDrop::take(&mut this.0) }
    }
}

impl<N: GoHome> Deref for Lease<N> {
    type Target = N;
    #[inline]
    fn deref(&self) -> &N {
        &self.0
    }
}

impl<N: GoHome> DerefMut for Lease<N> {
    #[inline]
    fn deref_mut(&mut self) -> &mut N {
        &mut self.0
    }
}

impl<N: GoHome> Drop for Lease<N> {
    fn drop(&mut self) {
        // Asked before the box is taken: else the compiler would free it should the question panic.
        let in_panic = panicking();
        // SAFETY: by (a) the box is there, and nothing uses the lease after its drop.
        unsafe { ManuallyDrop::take(&mut self.0) }.go_home(in_panic);
    }
}

impl<N: GoHome + fmt::Debug> fmt::Debug for Lease<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
