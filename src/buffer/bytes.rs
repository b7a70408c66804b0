//! Frozen bytes: shared, sliced, and back in the pool when the last clone is gone.

use super::block::{Block, Leased};
use super::buf::PooledBuf;
use super::classes::Classes;
use crate::pool::Node;
use crate::raw::segment::NoBuffer;
use crate::raw::view::View;
use bytes::{Buf, Bytes, buf};
use core::borrow::Borrow;
use core::fmt;
use core::mem::take;
use core::ops::{Bound, Deref, RangeBounds};
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::slice;

/// Bytes that `copy_to_bytes` copies rather than share: a box for the share costs as much as the copy.
const COPIED: usize = 512;
/// What it shares is at least this part of the memory that it keeps.
const SHARED_PART: usize = 4;

/// Immutable bytes in pooled memory. A clone or slice shares the memory and allocates nothing; the last one
/// to be dropped gives it back to its pool. Where no bytes are left, no memory is held.
///
/// **Cost**: a clone or slice is one locked addition. A drop is one locked subtraction, and none when there is no other
/// clone; the last one is the return to the pool too.
///
/// # Examples
///
/// ```
/// let pool = ebbtide::BufferPool::new();
/// let mut buffer = pool.get(16);
/// buffer.extend_from_slice(b"hello world");
/// let bytes = buffer.freeze();
/// let world = bytes.slice(6..);
/// drop(bytes);
/// assert_eq!(world, "world");
/// drop(world);
/// assert_eq!(pool.stats().outstanding(), 0);
/// ```
#[derive(Clone, Default)]
pub struct PooledBytes(View<Node<Block>>);

impl PooledBytes {
    /// No bytes, and no memory.
    #[must_use]
    pub const fn new() -> Self {
        Self(View::EMPTY)
    }

    #[inline]
    pub(super) fn of(node: Box<Node<Block>>) -> Self {
        View::new(node).map_or_else(Self::of_nothing, Self)
    }

    #[cold]
    fn of_nothing(node: Box<Node<Block>>) -> Self {
        drop(Leased::ending(node));
        Self::new()
    }

    /// Bytes that are there.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Leaves a word with the memory, for the leak detector: see [`Pooled::touch`](crate::Pooled::touch).
    pub fn touch(&self, crumb: &'static str) {
        if let Some(node) = self.0.node() {
            node.payload.touch(crumb);
        }
    }

    #[inline]
    pub(super) fn viewing(view: View<Node<Block>>) -> Self {
        Self(view)
    }

    /// An empty buffer of the same pool, with room for `bytes`; `None` if these bytes have no pool, since there are none.
    pub(super) fn try_beside(&self, bytes: usize) -> Result<Option<PooledBuf>, NoBuffer> {
        let Some(node) = self.0.node() else { return Ok(None) };
        Classes::try_lease(&node.payload.value().classes, bytes).map(|lease| Some(PooledBuf::new(lease)))
    }

    /// A part of these bytes, in the same memory.
    ///
    /// # Panics
    ///
    /// When the range is not within the bytes, as slices do.
    #[must_use]
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Self {
        let start = match range.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&start) => start.checked_add(1).expect("range start overflow"),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&end) => end.checked_add(1).expect("range end overflow"),
            Bound::Excluded(&end) => end,
            Bound::Unbounded => self.len(),
        };
        Self(self.0.part(start..end))
    }

    /// The part of these bytes that `part` is: a slice that was found in them, by a parser say.
    ///
    /// # Panics
    ///
    /// When `part` does not lie within these bytes; an empty one may lie anywhere.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut buffer = ebbtide::BufferPool::new().get(16);
    /// buffer.extend_from_slice(b"key=value");
    /// let line = buffer.freeze();
    /// let value = line.split(|&byte| byte == b'=').last().unwrap();
    /// let value = line.slice_ref(value);
    /// assert_eq!(value, "value");
    /// ```
    #[must_use]
    pub fn slice_ref(&self, part: &[u8]) -> Self {
        if part.is_empty() {
            return Self::new();
        }
        let address = |bytes: &[u8]| bytes.as_ptr().addr();
        let start = address(part).checked_sub(address(self)).expect("the part begins before the bytes");
        // A sum cannot overflow: both are lengths of slices, or the assertion behind fails.
        self.slice(start..start.saturating_add(part.len()))
    }

    /// Takes the first `at` bytes off.
    ///
    /// # Panics
    ///
    /// When there are fewer.
    #[must_use = "use `advance` to drop them"]
    pub fn split_to(&mut self, at: usize) -> Self {
        let tail = self.split_off(at);
        core::mem::replace(self, tail)
    }

    /// Takes the bytes from `at` on off.
    ///
    /// # Panics
    ///
    /// When there are fewer.
    #[must_use = "use `truncate` to drop them"]
    pub fn split_off(&mut self, at: usize) -> Self {
        Self(self.0.split_off(at))
    }

    /// Forgets all bytes but the first `len`.
    pub fn truncate(&mut self, len: usize) {
        go_home(self.0.truncate(len));
    }

    /// Forgets all bytes, and gives up the memory.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Whether no other clone or slice shares the memory. Without bytes there is no memory, and it is `false`.
    #[must_use]
    pub fn is_unique(&self) -> bool {
        self.0.is_unique()
    }

    /// Makes these bytes a buffer again, to change and write on, if no other clone or slice shares the memory. What was
    /// beside them in the memory is not visible.
    ///
    /// **Cost**: none for bytes that begin where the buffer began; others are moved there.
    ///
    /// # Errors
    ///
    /// These bytes, when the memory is shared, or when there are none.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut buffer = ebbtide::BufferPool::new().get(16);
    /// buffer.extend_from_slice(b"hello");
    /// let bytes = buffer.freeze();
    /// let clone = bytes.clone();
    /// let bytes = bytes.try_into_mut().unwrap_err();
    /// drop(clone);
    /// let mut buffer = bytes.try_into_mut().unwrap();
    /// buffer.extend_from_slice(b" world");
    /// assert_eq!(buffer, "hello world");
    /// ```
    pub fn try_into_mut(mut self) -> Result<PooledBuf, Self> {
        let (node, place) = take(&mut self.0).into_node().map_err(Self)?;
        Ok(PooledBuf::of(Leased::ending(node), place))
    }

    /// These bytes as [`Bytes`], for those who ask for no other type: axum, tonic. The memory comes back to
    /// the pool as before.
    ///
    /// **Cost**: one small heap allocation, which `Bytes` needs for a foreign owner. No copy.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        if self.is_empty() { Bytes::new() } else { Bytes::from_owner(self) }
    }

    /// Whether a share of `bytes` bytes is better than a copy: it costs a box, and keeps all of the memory. A copy of a secret
    /// would be memory that nobody wipes.
    pub(super) fn is_worth_sharing(&self, bytes: usize) -> bool {
        let Some(node) = self.0.node() else { return false };
        let segment = node.payload.value().segment();
        segment.is_secret() || bytes >= COPIED.max(segment.capacity() / SHARED_PART)
    }
}

/// What a panic goes through leaves the bytes as they are, and the way home is the pool's own matter.
impl UnwindSafe for PooledBytes {}
impl RefUnwindSafe for PooledBytes {}

/// Gives memory back whose last share is gone.
#[inline]
pub(super) fn go_home(last: Option<Box<Node<Block>>>) {
    if let Some(node) = last {
        drop(Leased::ending(node));
    }
}

impl Drop for PooledBytes {
    #[inline]
    fn drop(&mut self) {
        go_home(self.0.release());
    }
}

impl Deref for PooledBytes {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl AsRef<[u8]> for PooledBytes {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Borrow<[u8]> for PooledBytes {
    fn borrow(&self) -> &[u8] {
        self
    }
}

/// The memory goes back with the last byte that is read, not only with the drop.
impl Buf for PooledBytes {
    #[inline]
    fn remaining(&self) -> usize {
        self.len()
    }

    #[inline]
    fn chunk(&self) -> &[u8] {
        self
    }

    #[inline]
    fn advance(&mut self, bytes: usize) {
        go_home(self.0.advance(bytes));
    }

    /// Shares the memory, at the cost of [`into_bytes`](PooledBytes::into_bytes), if that is 512 bytes at least and a quarter of
    /// the memory, or of a pool of secrets; else it copies.
    fn copy_to_bytes(&mut self, bytes: usize) -> Bytes {
        assert!(bytes <= self.len(), "{bytes} bytes out of {}", self.len());
        if self.is_worth_sharing(bytes) {
            return self.split_to(bytes).into_bytes();
        }
        let copy = Bytes::copy_from_slice(&self[..bytes]);
        self.advance(bytes);
        copy
    }
}

impl From<PooledBuf> for PooledBytes {
    fn from(buffer: PooledBuf) -> Self {
        buffer.freeze()
    }
}

impl From<PooledBytes> for Bytes {
    fn from(bytes: PooledBytes) -> Self {
        bytes.into_bytes()
    }
}

impl From<PooledBuf> for Bytes {
    fn from(buffer: PooledBuf) -> Self {
        buffer.freeze().into_bytes()
    }
}

/// A copy.
impl From<PooledBytes> for Vec<u8> {
    fn from(bytes: PooledBytes) -> Self {
        bytes.to_vec()
    }
}

impl IntoIterator for PooledBytes {
    type Item = u8;
    type IntoIter = buf::IntoIter<Self>;
    fn into_iter(self) -> Self::IntoIter {
        buf::IntoIter::new(self)
    }
}

impl<'a> IntoIterator for &'a PooledBytes {
    type Item = &'a u8;
    type IntoIter = slice::Iter<'a, u8>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for PooledBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledBytes").field("len", &self.len()).finish_non_exhaustive()
    }
}
