//! A byte buffer on lease, to write into.

use super::block::Block;
use super::bytes::PooledBytes;
use super::classes::Classes;
use crate::pool::Node;
use crate::raw::lease::Lease;
use crate::raw::segment::Segment;
use core::fmt;
use core::ops::{Deref, DerefMut};
use std::io;

/// A growable byte buffer on lease from a [`BufferPool`](crate::BufferPool). One word.
///
/// It derefs to the bytes that were written, and to no others: what an earlier request left in the memory
/// cannot be read. It is written by [`extend_from_slice`](Self::extend_from_slice), [`std::io::Write`] or
/// [`bytes::BufMut`]. Its drop gives the memory back; `mem::forget` only loses it.
///
/// # Examples
///
/// ```
/// use std::io::Write;
///
/// let pool = ebbtide::BufferPool::new();
/// let mut buffer = pool.get(100);
/// write!(buffer, "{} bottles", 99)?;
/// assert_eq!(&buffer[..], b"99 bottles");
/// # std::io::Result::Ok(())
/// ```
pub struct PooledBuf(Lease<Node<Block>>);

impl PooledBuf {
    pub(super) fn new(lease: Lease<Node<Block>>) -> Self {
        Self(lease)
    }

    #[inline]
    fn segment(&self) -> &Segment {
        &self.0.payload.value().segment
    }

    #[inline]
    pub(crate) fn segment_mut(&mut self) -> &mut Segment {
        &mut self.0.payload.value_mut().segment
    }

    /// Bytes written.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.segment().written().len()
    }

    /// Whether nothing is written.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that fit before the buffer must grow.
    #[must_use]
    #[inline]
    pub fn capacity(&self) -> usize {
        self.segment().capacity()
    }

    /// Forgets all bytes but the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.segment_mut().truncate(len);
    }

    /// Forgets all bytes. The memory stays with the buffer.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Makes room for `additional` bytes more.
    ///
    /// **Cost** when there is no room: a larger buffer from the pool, at least twice as large, and a copy of what is
    /// written; the old buffer goes back.
    ///
    /// # Panics
    ///
    /// When the sum is more than `isize::MAX`, as `Vec` does.
    #[inline]
    pub fn reserve(&mut self, additional: usize) {
        if additional > self.capacity() - self.len() {
            self.grow(additional);
        }
    }

    #[cold]
    fn grow(&mut self, additional: usize) {
        let needed = self.len().checked_add(additional).expect("capacity overflow");
        let mut larger = Self(Classes::lease(&self.0.payload.value().classes, needed.max(self.capacity() * 2)));
        larger.segment_mut().append(self);
        *self = larger;
    }

    /// Appends `bytes`.
    ///
    /// # Panics
    ///
    /// As [`reserve`](Self::reserve).
    #[inline]
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        if !self.segment_mut().append_whole(bytes) {
            self.grow(bytes.len());
            self.segment_mut().append(bytes);
        }
    }

    /// Appends as much of `bytes` as there is room for and returns how much that was.
    #[inline]
    pub(super) fn fill(&mut self, bytes: &[u8]) -> usize {
        self.segment_mut().append(bytes)
    }

    /// Another buffer of the same pool, empty, with room for `bytes`.
    pub(super) fn beside(&self, bytes: usize) -> Self {
        Self(Classes::lease(&self.0.payload.value().classes, bytes))
    }

    /// Counts `bytes` that are copied to be in one piece.
    pub(super) fn note_gathered(&self, bytes: usize) {
        self.0.payload.value().classes.gathered.add(bytes);
    }

    /// Ends the writing: the bytes can be shared, sliced and sent. No heap allocation.
    #[must_use]
    pub fn freeze(self) -> PooledBytes {
        PooledBytes::new(self.0.into_box())
    }
}

impl Deref for PooledBuf {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        self.segment().written()
    }
}

impl DerefMut for PooledBuf {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.segment_mut().written_mut()
    }
}

impl AsRef<[u8]> for PooledBuf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// Never fails.
impl io::Write for PooledBuf {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.extend_from_slice(bytes);
        Ok(())
    }

    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for PooledBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledBuf").field("len", &self.len()).field("capacity", &self.capacity()).finish()
    }
}
