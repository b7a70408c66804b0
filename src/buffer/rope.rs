//! Bytes in several pooled segments: what grows without copying, and without holding much more than it has.
//!
//! A buffer that doubles holds up to twice its bytes, three times while it copies. A rope adds a segment of about a
//! sixteenth of what is there, so it holds at most a twelfth more than its bytes, or one small segment; nothing is
//! copied twice until somebody asks for one slice.

use super::{PooledBuf, PooledBytes};
use crate::sync::Ordering::Relaxed;
use crate::sync::count::AtomicU64;
use bytes::{Buf, Bytes};
use core::fmt;
use std::collections::VecDeque;
use std::{io, mem};

/// The smallest segment in bytes that a rope takes by itself: a page, as a read of a socket brings.
const SMALLEST: usize = 4 << 10;
/// The largest one in bytes: beyond it, more bytes to a segment save nothing that shows.
const LARGEST: usize = 256 << 10;
/// The share of what is there that a segment is asked for. A size class adds up to a quarter, which makes a twelfth.
const SHARE: usize = 16;

/// Bytes that were copied once more because somebody asked a rope for one slice.
#[derive(Debug, Default)]
pub(super) struct Gathered(AtomicU64);

impl Gathered {
    pub(super) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A writer into pooled segments: it grows by a segment and never moves what is written.
///
/// Only its last segment is not full. That one has at most a twelfth as much room as all have bytes, or 4 KiB, or a quarter of the
/// slice that needed it, whichever is most; the first one has what was asked for. [`freeze`](Self::freeze) makes
/// it [`RopeBytes`]. Its drop gives all segments back.
///
/// # Examples
///
/// ```
/// use ebbtide::{BufferPool, PooledRope};
///
/// let pool = BufferPool::new();
/// let mut rope = PooledRope::new(&pool);
/// for _ in 0..1000 {
///     rope.extend_from_slice(b"hello world. ");
/// }
/// assert_eq!(rope.len(), 13_000);
/// assert!(rope.capacity() <= 17_000);
/// let bytes = rope.freeze();
/// assert_eq!(bytes.segments().map(|segment| segment.len()).sum::<usize>(), 13_000);
/// assert_eq!(&bytes.into_contiguous()[..12], b"hello world.");
/// ```
pub struct PooledRope {
    full: RopeBytes,
    /// Of the segments in `full`.
    full_capacity: usize,
    last: PooledBuf,
}

impl PooledRope {
    /// An empty rope.
    ///
    /// **Cost**: that of [`BufferPool::get`](crate::BufferPool::get): the first segment, of 4 KiB, is there at once.
    #[must_use]
    pub fn new(pool: &super::BufferPool) -> Self {
        Self::with_capacity(pool, SMALLEST)
    }

    /// An empty rope whose first segment has room for `bytes`. What fits is in one piece.
    ///
    /// # Panics
    ///
    /// As [`BufferPool::get`](crate::BufferPool::get).
    #[must_use]
    pub fn with_capacity(pool: &super::BufferPool, bytes: usize) -> Self {
        Self { full: RopeBytes::default(), full_capacity: 0, last: pool.get(bytes) }
    }

    /// Bytes written.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.full.len + self.last.len()
    }

    /// Whether nothing is written.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all segments, written or not.
    #[must_use]
    #[inline]
    pub fn capacity(&self) -> usize {
        self.full_capacity + self.last.capacity()
    }

    /// Appends `bytes`.
    ///
    /// **Cost**: one copy, and [`BufferPool::get`](crate::BufferPool::get) for each new segment. What is written stays where it is.
    #[inline]
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.extend_expecting(bytes, usize::MAX);
    }

    /// Appends `bytes`, of `expected` that are to come: segments are no larger than that needs.
    #[inline]
    pub(crate) fn extend_expecting(&mut self, bytes: &[u8], expected: usize) {
        let fitted = self.last.fill(bytes);
        if fitted < bytes.len() {
            self.extend_slow(&bytes[fitted..], expected.saturating_sub(fitted));
        }
    }

    #[cold]
    fn extend_slow(&mut self, mut bytes: &[u8], mut expected: usize) {
        while !bytes.is_empty() {
            self.add_segment(bytes.len(), expected);
            let fitted = self.last.fill(bytes);
            bytes = &bytes[fitted..];
            expected = expected.saturating_sub(fitted);
        }
    }

    /// Adds room for `pending` bytes, or the largest segment; for more as the rope has grown, up to what is
    /// `expected`.
    fn add_segment(&mut self, pending: usize, expected: usize) {
        let share = (self.len() / SHARE).max(SMALLEST);
        let next = self.last.beside(share.min(expected).max(pending).min(LARGEST));
        self.full_capacity += self.last.capacity();
        self.full.push(mem::replace(&mut self.last, next).freeze());
    }

    /// Ends the writing: the bytes can be shared and read from the front.
    ///
    /// **Cost**: no copy; none of memory for one segment, else that of a list of segments, 24 bytes each.
    #[must_use]
    pub fn freeze(self) -> RopeBytes {
        let Self { mut full, last, .. } = self;
        full.push(last.freeze());
        full
    }
}

/// Never fails.
impl io::Write for PooledRope {
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

impl fmt::Debug for PooledRope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledRope").field("len", &self.len()).field("capacity", &self.capacity()).finish()
    }
}

/// Immutable bytes in pooled segments, read from the front as a [`Buf`].
///
/// A segment that is read past goes back to its pool at once, unless a clone has it too. **Cost** of a clone: one atomic
/// operation for each segment, and a list of them if there are several. See [`PooledRope`].
///
/// # Invariants
///
/// (a) Only `first` may be empty, and then so is `rest`. (b) `len` is the sum of all.
#[derive(Clone, Default)]
pub struct RopeBytes {
    first: PooledBytes,
    rest: VecDeque<PooledBytes>,
    len: usize,
}

impl RopeBytes {
    /// Appends a segment, by (a) only if there is something in it.
    fn push(&mut self, segment: PooledBytes) {
        if segment.is_empty() {
            return;
        }
        self.len += segment.len();
        if self.first.is_empty() {
            self.first = segment;
        } else {
            self.rest.push_back(segment);
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
    pub fn segments(&self) -> impl Iterator<Item = &PooledBytes> {
        Some(&self.first).filter(|first| !first.is_empty()).into_iter().chain(&self.rest)
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
        let first = mem::replace(&mut self.first, self.rest.pop_front().unwrap_or_default());
        self.len -= first.len();
        Some(first)
    }

    /// All bytes as one slice.
    ///
    /// **Cost**: nothing for one segment. Else one copy into a buffer for all, counted in
    /// [`BufferPool::gathered_bytes`](crate::BufferPool::gathered_bytes); each segment goes back as it is copied.
    pub fn make_contiguous(&mut self) -> &[u8] {
        if self.rest.is_empty() {
            return &self.first;
        }
        if let Some(mut whole) = self.first.beside(self.len) {
            whole.note_gathered(self.len);
            while let Some(segment) = self.pop_segment() {
                whole.extend_from_slice(&segment);
            }
            self.push(whole.freeze());
        }
        &self.first
    }

    /// All bytes in one segment. **Cost**: as [`make_contiguous`](Self::make_contiguous).
    #[must_use]
    pub fn into_contiguous(mut self) -> PooledBytes {
        self.make_contiguous();
        self.first
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

    /// Copies nothing if the bytes are in one segment.
    fn copy_to_bytes(&mut self, len: usize) -> Bytes {
        assert!(len <= self.len, "copy of {len} out of {} bytes", self.len);
        if len == self.first.len() {
            return self.pop_segment().unwrap_or_default().into_bytes();
        }
        if len < self.first.len() {
            let part = self.first.slice(..len);
            self.advance(len);
            return part.into_bytes();
        }
        let Some(mut whole) = self.first.beside(len) else { return Bytes::new() };
        whole.note_gathered(len);
        while whole.len() < len {
            let chunk = &self.first[..self.first.len().min(len - whole.len())];
            whole.extend_from_slice(chunk);
            self.advance(chunk.len());
        }
        whole.freeze().into_bytes()
    }
}

/// The segments, each given back when it is dropped.
impl IntoIterator for RopeBytes {
    type Item = PooledBytes;
    type IntoIter =
        core::iter::Chain<core::option::IntoIter<PooledBytes>, std::collections::vec_deque::IntoIter<PooledBytes>>;

    fn into_iter(self) -> Self::IntoIter {
        Some(self.first).filter(|first| !first.is_empty()).into_iter().chain(self.rest)
    }
}

impl From<PooledBytes> for RopeBytes {
    fn from(bytes: PooledBytes) -> Self {
        let mut rope = Self::default();
        rope.push(bytes);
        rope
    }
}

impl fmt::Debug for RopeBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RopeBytes").field("len", &self.len).field("segments", &self.segments().count()).finish()
    }
}
