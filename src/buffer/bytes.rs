//! Frozen bytes: shared, sliced, and back in the pool when the last clone is gone.

use super::block::Block;
use super::buf::PooledBuf;
use super::classes::Classes;
use crate::pool::Node;
use crate::raw::lease::Lease;
use crate::raw::shared::Shared;
use bytes::{Buf, Bytes};
use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::{Bound, Deref, RangeBounds};

/// Immutable bytes in pooled memory. A clone or slice shares the memory and allocates nothing; the last one
/// to be dropped gives it back to its pool.
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
/// assert_eq!(&world[..], b"world");
/// drop(world);
/// assert_eq!(pool.stats().outstanding(), 0);
/// ```
#[derive(Default)]
pub struct PooledBytes {
    /// `None` when there are no bytes to keep.
    node: Option<Shared<Node<Block>>>,
    start: usize,
    len: usize,
}

impl PooledBytes {
    pub(super) fn new(node: Box<Node<Block>>) -> Self {
        let len = node.payload.value().segment.written().len();
        Self { node: Some(Shared::new(node)), start: 0, len }
    }

    /// An empty buffer of the same pool, with room for `bytes`; `None` if these bytes have no pool, since there are none.
    pub(super) fn beside(&self, bytes: usize) -> Option<PooledBuf> {
        let node = self.node.as_ref()?;
        Some(PooledBuf::new(Classes::lease(&node.payload.value().classes, bytes)))
    }

    /// A part of these bytes, in the same memory.
    ///
    /// # Panics
    ///
    /// When the range is not within the bytes, as slices do.
    #[must_use]
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Self {
        let from = match range.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&start) => start.checked_add(1).expect("range start overflow"),
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(&end) => end.checked_add(1).expect("range end overflow"),
            Bound::Excluded(&end) => end,
            Bound::Unbounded => self.len,
        };
        assert!(from <= to && to <= self.len, "range {from}..{to} out of {} bytes", self.len);
        Self { node: self.node.clone(), start: self.start + from, len: to - from }
    }

    /// These bytes as [`Bytes`], for those who ask for no other type: axum, tonic. The memory comes back to
    /// the pool as before.
    ///
    /// **Cost**: one small heap allocation, which `Bytes` needs for a foreign owner. No copy.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        if self.is_empty() { Bytes::new() } else { Bytes::from_owner(self) }
    }
}

impl Drop for PooledBytes {
    fn drop(&mut self) {
        if let Some(node) = self.node.take().and_then(Shared::into_last) {
            drop(Lease::new(node));
        }
    }
}

impl Clone for PooledBytes {
    fn clone(&self) -> Self {
        Self { node: self.node.clone(), start: self.start, len: self.len }
    }
}

impl Deref for PooledBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        let Some(node) = &self.node else { return &[] };
        &node.payload.value().segment.written()[self.start..][..self.len]
    }
}

impl AsRef<[u8]> for PooledBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Buf for PooledBytes {
    fn remaining(&self) -> usize {
        self.len
    }

    fn chunk(&self) -> &[u8] {
        self
    }

    fn advance(&mut self, bytes: usize) {
        assert!(bytes <= self.len, "advance by {bytes} out of {} bytes", self.len);
        self.start += bytes;
        self.len -= bytes;
    }
}

impl From<PooledBytes> for Bytes {
    fn from(bytes: PooledBytes) -> Self {
        bytes.into_bytes()
    }
}

impl PartialEq for PooledBytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for PooledBytes {}

impl PartialEq<[u8]> for PooledBytes {
    fn eq(&self, other: &[u8]) -> bool {
        **self == *other
    }
}

/// As for `[u8]` and `Bytes`.
impl Hash for PooledBytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for PooledBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledBytes").field("len", &self.len).finish_non_exhaustive()
    }
}
