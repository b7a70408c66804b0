//! What a rope becomes when its writing ends: bytes in several segments, to share and to read from the front.

use super::piece::Piece;
use crate::buffer::{NoBuffer, PooledBuf, PooledBytes};
use bytes::{Buf, Bytes};
use core::{fmt, mem};
use std::collections::VecDeque;
use std::io;

/// Immutable bytes in pooled segments, read from the front as a [`Buf`].
///
/// A segment that is read past goes back to its pool at once, unless a clone has it too. **Cost** of a clone: one atomic
/// operation for each segment, and a list of them if there are several. See [`PooledRope`](super::PooledRope).
///
/// # Invariants
///
/// (a) Only `first` may be empty, and then so is `rest`. (b) `len` is the sum of all.
#[derive(Clone, Default)]
pub struct RopeBytes {
    first: PooledBytes,
    rest: VecDeque<Piece>,
    len: usize,
}

impl RopeBytes {
    /// Sees to it that the list has room for one segment more.
    pub(super) fn try_reserve(&mut self) -> Result<(), NoBuffer> {
        self.rest.try_reserve(1).map_err(|_| NoBuffer::Memory)
    }

    /// Appends a segment, by (a) only if there is something in it.
    pub(super) fn push(&mut self, segment: PooledBuf) {
        self.len += segment.len();
        if self.first.is_empty() {
            self.first = segment.freeze();
        } else {
            self.rest.extend(Piece::of(segment));
        }
    }

    /// Bytes that are left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no bytes are left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The segments, each of them in one piece. None is empty.
    pub fn segments(&self) -> impl Iterator<Item = &[u8]> {
        Some(&*self.first).filter(|first| !first.is_empty()).into_iter().chain(self.rest.iter().map(|piece| &**piece))
    }

    /// All bytes as one slice, if they are in one segment.
    #[must_use]
    pub fn as_slice(&self) -> Option<&[u8]> {
        self.rest.is_empty().then_some(&*self.first)
    }

    /// Takes the first segment off.
    pub fn pop_segment(&mut self) -> Option<PooledBytes> {
        if self.first.is_empty() {
            return None;
        }
        let next = self.rest.pop_front().map(Piece::into_bytes);
        let first = mem::replace(&mut self.first, next.unwrap_or_default());
        self.len -= first.len();
        Some(first)
    }

    /// All bytes as one slice.
    ///
    /// **Cost**: nothing for one segment. Else one copy into a buffer for all, counted in
    /// [`BufferPool::gathered_bytes`](crate::BufferPool::gathered_bytes); each segment goes back as it is copied.
    pub fn make_contiguous(&mut self) -> &[u8] {
        let len = self.len;
        self.try_make_contiguous().unwrap_or_else(|full| full.fail(len))
    }

    /// [`make_contiguous`](Self::make_contiguous) that may fail, and leaves the segments as they were then.
    ///
    /// # Errors
    ///
    /// As [`BufferPool::try_get`](crate::BufferPool::try_get).
    pub fn try_make_contiguous(&mut self) -> Result<&[u8], NoBuffer> {
        if let Some(buffer) = self.room_for_all()? {
            self.gather(buffer);
        }
        Ok(&self.first)
    }

    /// An empty buffer for all bytes, unless they are in one piece.
    pub(crate) fn room_for_all(&self) -> Result<Option<PooledBuf>, NoBuffer> {
        if self.rest.is_empty() { Ok(None) } else { self.first.try_beside(self.len) }
    }

    /// Moves all bytes into `buffer`, which has the room.
    pub(crate) fn gather(&mut self, buffer: PooledBuf) {
        let all = self.copy_into(buffer, self.len);
        *self = Self::from(all);
    }

    /// All bytes in one segment. **Cost**: as [`make_contiguous`](Self::make_contiguous).
    #[must_use]
    pub fn into_contiguous(mut self) -> PooledBytes {
        self.make_contiguous();
        self.first
    }

    /// An empty buffer for the next `len` bytes, unless it is better to share their segment: if they lie in several, or are
    /// so few that they would pin much more than they are.
    pub(crate) fn room_for(&self, len: usize) -> Result<Option<PooledBuf>, NoBuffer> {
        let is_shared = len <= self.first.len() && self.first.is_worth_sharing(len);
        if is_shared { Ok(None) } else { self.first.try_beside(len) }
    }

    /// Takes off the next `len` bytes, which are in one piece.
    pub(crate) fn split_to(&mut self, len: usize) -> PooledBytes {
        if len == self.first.len() {
            return self.pop_segment().unwrap_or_default();
        }
        self.len -= len;
        self.first.split_to(len)
    }

    /// Moves the next `len` bytes into `buffer`, which has the room.
    pub(crate) fn copy_into(&mut self, mut buffer: PooledBuf, len: usize) -> PooledBytes {
        if len > self.first.len() {
            buffer.note_gathered(len);
        }
        while buffer.len() < len {
            let chunk = &self.first[..self.first.len().min(len - buffer.len())];
            buffer.extend_from_slice(chunk);
            self.advance(chunk.len());
        }
        buffer.freeze()
    }
}

impl Buf for RopeBytes {
    fn remaining(&self) -> usize {
        self.len
    }

    fn chunk(&self) -> &[u8] {
        &self.first
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [io::IoSlice<'a>]) -> usize {
        let filled = slices.iter_mut().zip(self.segments()).map(|(slice, segment)| *slice = io::IoSlice::new(segment));
        filled.count()
    }

    fn advance(&mut self, bytes: usize) {
        assert!(bytes <= self.len, "advance by {bytes} out of {} bytes", self.len);
        let mut left = bytes;
        while left >= self.first.len() && left > 0 {
            left -= self.first.len();
            drop(self.pop_segment());
        }
        self.first.advance(left);
        self.len -= left;
    }

    /// Shares the memory if the bytes are in one segment, and are 512 at least and a quarter of it, or secrets. Else they are
    /// copied into a buffer of their own: a small part that is kept does not keep a large segment.
    fn copy_to_bytes(&mut self, len: usize) -> Bytes {
        assert!(len <= self.len, "copy of {len} out of {} bytes", self.len);
        match self.room_for(len).unwrap_or_else(|full| full.fail(len)) {
            Some(buffer) => self.copy_into(buffer, len).into_bytes(),
            None => self.split_to(len).into_bytes(),
        }
    }
}

/// The segments of a rope, each given back when it is dropped.
#[derive(Debug)]
pub struct IntoSegments(RopeBytes);

impl Iterator for IntoSegments {
    type Item = PooledBytes;

    fn next(&mut self) -> Option<PooledBytes> {
        self.0.pop_segment()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.0.segments().count();
        (left, Some(left))
    }
}

impl ExactSizeIterator for IntoSegments {}

impl IntoIterator for RopeBytes {
    type Item = PooledBytes;
    type IntoIter = IntoSegments;

    fn into_iter(self) -> IntoSegments {
        IntoSegments(self)
    }
}

impl From<PooledBytes> for RopeBytes {
    fn from(bytes: PooledBytes) -> Self {
        Self { len: bytes.len(), first: bytes, rest: VecDeque::new() }
    }
}

impl fmt::Debug for RopeBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RopeBytes").field("len", &self.len).field("segments", &self.segments().count()).finish()
    }
}
