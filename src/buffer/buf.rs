//! A byte buffer on lease, to write into.

use super::block::{Block, Leased};
use super::bytes::PooledBytes;
use super::classes::Classes;
use crate::pool::Node;
use crate::raw::segment::{NoBuffer, Segment};
use bytes::BufMut;
use core::fmt;
use core::ops::{Deref, DerefMut, Range};
use core::panic::{RefUnwindSafe, UnwindSafe};

/// Bytes of a buffer that had to grow, at least.
const GROWN: usize = 512;

/// A growable byte buffer on lease from a [`BufferPool`](crate::BufferPool). One word.
///
/// It derefs to the bytes that were written, and to no others: what an earlier request left in the memory
/// cannot be read. It is written by [`extend_from_slice`](Self::extend_from_slice), [`std::io::Write`], [`fmt::Write`],
/// `Extend` or [`bytes::BufMut`]. Its drop gives the memory back, in a panic too, unless it holds secrets (it is wiped and freed
/// then); `mem::forget` only loses it.
///
/// A reader into [`BufMut::chunk_mut`], as tokio's `read_buf` is, fills all that the buffer has before it grows; a
/// full one then doubles. Reading to the end of a stream takes one read more than there are bytes: who knows their
/// number asks for one byte more.
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
pub struct PooledBuf(Leased);

impl PooledBuf {
    #[inline]
    pub(super) fn new(lease: Leased) -> Self {
        Self(lease)
    }

    /// A buffer that was frozen, of which the bytes at `place` are left.
    pub(super) fn of(lease: Leased, place: Range<usize>) -> Self {
        let mut buffer = Self(lease);
        buffer.segment_mut().keep(place);
        buffer
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

    /// Leaves a word with the buffer, for the leak detector: see [`Pooled::touch`](crate::Pooled::touch).
    #[inline]
    pub fn touch(&self, crumb: &'static str) {
        self.0.payload.touch(crumb);
    }

    /// Forgets all bytes but the first `len`.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.segment_mut().truncate(len);
    }

    /// Forgets all bytes. The memory stays with the buffer.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Makes room for `additional` bytes more.
    ///
    /// **Cost** when there is no room: a larger buffer from the pool, at least twice as large and 512 bytes, and a copy of
    /// what is written; the old buffer goes back.
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

    /// [`reserve`](Self::reserve) that may fail, and leaves the buffer as it was then.
    ///
    /// # Errors
    ///
    /// [`NoBuffer`], when there can be no such buffer, or no memory for one.
    ///
    /// # Examples
    ///
    /// ```
    /// use ebbtide::{BufferPool, buffer::NoBuffer};
    ///
    /// let mut buffer = BufferPool::new().get(100);
    /// assert_eq!(buffer.try_reserve(usize::MAX), Err(NoBuffer::TooLarge));
    /// assert_eq!(buffer.try_reserve(1000), Ok(()));
    /// assert!(buffer.capacity() >= 1000);
    /// ```
    pub fn try_reserve(&mut self, additional: usize) -> Result<(), NoBuffer> {
        if additional > self.capacity() - self.len() { self.try_grow(additional) } else { Ok(()) }
    }

    #[cold]
    fn grow(&mut self, additional: usize) {
        if let Err(full) = self.try_grow(additional) {
            full.fail(self.len().saturating_add(additional));
        }
    }

    #[cold]
    fn try_grow(&mut self, additional: usize) -> Result<(), NoBuffer> {
        let needed = self.len().checked_add(additional).ok_or(NoBuffer::TooLarge)?;
        let wanted = needed.max(self.capacity().saturating_mul(2)).max(GROWN);
        let classes = &self.0.payload.value().classes;
        // Where there is no memory for twice as much there may be some for as much as is needed.
        let lease = Classes::try_lease(classes, wanted).or_else(|_| Classes::try_lease(classes, needed))?;
        let mut larger = Self(lease);
        larger.segment_mut().append(self);
        *self = larger;
        Ok(())
    }

    /// Appends `bytes`.
    ///
    /// # Panics
    ///
    /// As [`reserve`](Self::reserve).
    #[inline]
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        if !self.segment_mut().append_whole(bytes) {
            self.extend_slow(bytes);
        }
    }

    /// With the copy in here, so that each place that appends has one.
    #[cold]
    fn extend_slow(&mut self, bytes: &[u8]) {
        self.grow(bytes.len());
        self.segment_mut().append(bytes);
    }

    /// [`extend_from_slice`](Self::extend_from_slice) that may fail, and leaves the buffer as it was then.
    ///
    /// # Errors
    ///
    /// As [`try_reserve`](Self::try_reserve).
    #[inline]
    pub fn try_extend_from_slice(&mut self, bytes: &[u8]) -> Result<(), NoBuffer> {
        if self.segment_mut().append_whole(bytes) { Ok(()) } else { self.try_extend_slow(bytes) }
    }

    #[cold]
    fn try_extend_slow(&mut self, bytes: &[u8]) -> Result<(), NoBuffer> {
        self.try_grow(bytes.len())?;
        self.segment_mut().append(bytes);
        Ok(())
    }

    /// Appends as much of `bytes` as there is room for and returns how much that was.
    #[inline]
    pub(super) fn fill(&mut self, bytes: &[u8]) -> usize {
        self.segment_mut().append(bytes)
    }

    /// Another buffer of the same pool, empty, with room for `bytes`.
    pub(super) fn try_beside(&self, bytes: usize) -> Result<Self, NoBuffer> {
        Classes::try_lease(&self.0.payload.value().classes, bytes).map(Self)
    }

    /// The same with room for about `bytes`: see [`Classes::try_lease_near`].
    pub(super) fn try_near(&self, bytes: usize, least: usize, most: usize) -> Result<Self, NoBuffer> {
        Classes::try_lease_near(&self.0.payload.value().classes, bytes, least, most).map(Self)
    }

    /// Ends the lease; the node does not go home.
    #[inline]
    pub(super) fn into_node(self) -> Box<Node<Block>> {
        self.0.into_box()
    }

    /// Counts `bytes` that are copied to be in one piece.
    pub(super) fn note_gathered(&self, bytes: usize) {
        self.0.payload.value().classes.gathered.add(bytes);
    }

    /// Makes the buffer `len` bytes long: it forgets those behind, or appends `byte` as often as need be.
    ///
    /// # Panics
    ///
    /// As [`reserve`](Self::reserve).
    pub fn resize(&mut self, len: usize, byte: u8) {
        match len.checked_sub(self.len()) {
            Some(more) => self.put_bytes(byte, more),
            None => self.truncate(len),
        }
    }

    /// Ends the writing: the bytes can be shared, sliced and sent. No heap allocation. A buffer without bytes goes back at
    /// once. [`PooledBytes::try_into_mut`] is the way back.
    #[must_use]
    #[inline]
    pub fn freeze(self) -> PooledBytes {
        PooledBytes::of(self.into_node())
    }
}

/// As `Vec<u8>`: a panic leaves some bytes written, and others not.
impl UnwindSafe for PooledBuf {}
impl RefUnwindSafe for PooledBuf {}

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

impl fmt::Debug for PooledBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledBuf").field("len", &self.len()).field("capacity", &self.capacity()).finish()
    }
}
