//! A lease: the one owner of a boxed node, which goes home when the lease is dropped.

use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use std::thread::panicking;

/// A node that knows where it belongs.
pub trait GoHome {
    /// Takes the node back, whose lease ended in a panic or not. Runs in a `Drop`, so it must not panic.
    fn go_home(self: Box<Self>, in_panic: bool);
}

/// How a lease of a node ends.
pub trait End<N> {
    /// Whether `end` is to know of a panic: to ask costs a look at the thread.
    const MINDS_PANIC: bool;

    /// Takes the node back. Runs in a `Drop`, so it must not panic.
    fn end(node: Box<N>, in_panic: bool);
}

/// The node itself knows.
#[derive(Debug)]
pub struct ByNode;

impl<N: GoHome> End<N> for ByNode {
    const MINDS_PANIC: bool = true;

    #[inline(always)]
    fn end(node: Box<N>, in_panic: bool) {
        node.go_home(in_panic);
    }
}

/// One word; forgotten, it only loses the node.
///
/// # Invariants
///
/// (a) The box is there until `into_box` or `drop` takes it, each of which ends the lease.
pub struct Lease<N, E: End<N> = ByNode>(ManuallyDrop<Box<N>>, PhantomData<E>);

impl<N: GoHome> Lease<N> {
    pub fn new(node: Box<N>) -> Self {
        Self::ending(node)
    }
}

impl<N, E: End<N>> Lease<N, E> {
    /// A lease that ends so.
    #[inline]
    pub fn ending(node: Box<N>) -> Self {
        Self(ManuallyDrop::new(node), PhantomData)
    }

    /// Ends the lease; the node does not go home.
    pub fn into_box(self) -> Box<N> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: by (a) the box is there, and `this` is never dropped.
        unsafe { ManuallyDrop::take(&mut this.0) }
    }
}

impl<N, E: End<N>> Deref for Lease<N, E> {
    type Target = N;
    #[inline]
    fn deref(&self) -> &N {
        &self.0
    }
}

impl<N, E: End<N>> DerefMut for Lease<N, E> {
    #[inline]
    fn deref_mut(&mut self) -> &mut N {
        &mut self.0
    }
}

impl<N, E: End<N>> Drop for Lease<N, E> {
    #[inline]
    fn drop(&mut self) {
        // Asked before the box is taken: else the compiler would free it should the question panic.
        let in_panic = E::MINDS_PANIC && panicking();
        // SAFETY: by (a) the box is there, and nothing uses the lease after its drop.
        E::end(unsafe { ManuallyDrop::take(&mut self.0) }, in_panic);
    }
}

impl<N: fmt::Debug, E: End<N>> fmt::Debug for Lease<N, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
