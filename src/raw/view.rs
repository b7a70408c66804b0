//! A view: a part of the bytes that a shared node holds.
//!
//! The part is kept as a pointer and a length, so that reading takes no look at the node. A view of no bytes holds no
//! node.

use super::shared::{Counted, Shared};
use core::fmt;
use core::mem::take;
use core::ops::Range;
use core::ptr::NonNull;

/// A node that holds bytes.
///
/// # Safety
///
/// `bytes` returns the same bytes each time, until somebody has the node as `&mut`; they stay where they are when the node's
/// box is moved.
pub unsafe trait Holds: Counted {
    fn bytes(&self) -> &[u8];
}

/// # Invariants
///
/// (a) With a node, the view is `len > 0` of its bytes from `data` on; without, `len` is 0 and `data` dangles.
pub struct View<N: Holds> {
    data: NonNull<u8>,
    len: usize,
    node: Option<Shared<N>>,
}

// SAFETY: a view gives `&[u8]` out of a node that it shares: as `Shared`.
unsafe impl<N: Holds + Send + Sync> Send for View<N> {}
// SAFETY: as above.
unsafe impl<N: Holds + Send + Sync> Sync for View<N> {}

impl<N: Holds> View<N> {
    pub const EMPTY: Self = Self { data: NonNull::dangling(), len: 0, node: None };

    /// All bytes of `node`; the node back if it has none.
    #[inline]
    pub fn new(node: Box<N>) -> Result<Self, Box<N>> {
        if node.bytes().is_empty() { Err(node) } else { Ok(Self::of(Shared::new(node))) }
    }

    /// All bytes of `node`, of which there is at least one.
    #[inline]
    pub fn of(node: Shared<N>) -> Self {
        let bytes = NonNull::from(node.bytes());
        debug_assert!(!bytes.is_empty());
        Self { data: bytes.cast(), len: bytes.len(), node: Some(node) }
    }

    #[inline]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: by (a), and by `Holds` they do not change while the node is shared.
        unsafe { core::slice::from_raw_parts(self.data.as_ptr(), self.len) }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn node(&self) -> Option<&N> {
        self.node.as_deref()
    }

    pub fn is_unique(&self) -> bool {
        self.node.as_ref().is_some_and(Shared::is_unique)
    }

    /// Where these bytes lie within those of the node.
    fn place(&self) -> Range<usize> {
        let Some(node) = &self.node else { return 0..0 };
        let start = self.data.as_ptr().addr() - node.bytes().as_ptr().addr();
        start..start + self.len
    }

    /// Makes this a view of fewer bytes, of which there is at least one.
    #[inline]
    fn narrow(&mut self, from: usize, to: usize) {
        assert!(from < to && to <= self.len);
        // SAFETY: within the bytes, by (a).
        self.data = unsafe { self.data.add(from) };
        self.len = to - from;
    }

    /// A part of the view.
    ///
    /// # Panics
    ///
    /// When `range` is not within it.
    pub fn part(&self, range: Range<usize>) -> Self {
        let Range { start, end } = range;
        assert!(start <= end && end <= self.len, "range {start}..{end} out of {} bytes", self.len);
        if start == end {
            return Self::EMPTY;
        }
        let mut part = self.clone();
        part.narrow(start, end);
        part
    }

    /// Keeps the first `at` bytes and returns the others.
    ///
    /// # Panics
    ///
    /// When there are fewer.
    pub fn split_off(&mut self, at: usize) -> Self {
        if at == 0 {
            return take(self);
        }
        let tail = self.part(at..self.len);
        self.narrow(0, at);
        tail
    }

    /// Forgets the first `bytes` bytes. The node comes back if those were all and this was its last view.
    ///
    /// # Panics
    ///
    /// When there are fewer.
    #[inline]
    #[must_use = "the last view of a node returns it"]
    pub fn advance(&mut self, bytes: usize) -> Option<Box<N>> {
        assert!(bytes <= self.len, "advance by {bytes} out of {} bytes", self.len);
        if bytes == self.len {
            return self.release();
        }
        self.narrow(bytes, self.len);
        None
    }

    /// Forgets all but the first `len` bytes; the node as in `advance`.
    #[must_use = "the last view of a node returns it"]
    pub fn truncate(&mut self, len: usize) -> Option<Box<N>> {
        if len == 0 {
            return self.release();
        }
        if len < self.len {
            self.narrow(0, len);
        }
        None
    }

    /// Ends this view; the last one returns the node. A view that is dropped instead leaks it.
    #[inline]
    #[must_use = "the last view of a node returns it"]
    pub fn release(&mut self) -> Option<Box<N>> {
        self.len = 0;
        self.data = NonNull::dangling();
        self.node.take()?.into_last()
    }

    /// The node, and where in its bytes the view was, if there is no other view of it.
    pub fn into_node(mut self) -> Result<(Box<N>, Range<usize>), Self> {
        let place = self.place();
        let Some(node) = self.node.take() else { return Err(self) };
        match node.into_unique() {
            Ok(node) => Ok((node, place)),
            Err(shared) => {
                self.node = Some(shared);
                Err(self)
            }
        }
    }
}

impl<N: Holds> Default for View<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<N: Holds> Clone for View<N> {
    #[inline]
    fn clone(&self) -> Self {
        Self { data: self.data, len: self.len, node: self.node.clone() }
    }
}

impl<N: Holds> fmt::Debug for View<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("len", &self.len).finish_non_exhaustive()
    }
}
