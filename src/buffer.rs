//! Pooled byte buffers.
//!
//! [`BufferPool::get`] lends a [`PooledBuf`] to write into; [`PooledBuf::freeze`] makes it [`PooledBytes`] to
//! share and send. The memory goes back when the last of them is dropped, on any thread.

mod ahead;
mod block;
mod buf;
mod bytes;
mod classes;
mod compare;
mod rope;
mod write;

pub use crate::raw::segment::NoBuffer;
pub use ahead::Ahead;
pub use buf::PooledBuf;
pub use bytes::PooledBytes;
#[allow(unused_imports)] // Only the porch asks.
pub(crate) use rope::Segments;
pub use rope::{IntoSegments, PooledRope, RopeBytes};

#[cfg(feature = "http")]
pub(crate) use ahead::OwnedAhead;
pub(crate) use block::Block;

use crate::pool::{PoolDebug, PoolStats};
use ::bytes::Bytes;
use ahead::Bound;
use classes::{Classes, Limits};
use core::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// A pool of byte buffers by size class. Cloning gives another handle to the same pool.
///
/// Buffers are aligned to a cache line and never zero-filled. When the last handle is dropped, idle memory is
/// freed, and leased buffers when they come back.
///
/// # Examples
///
/// ```
/// use ebbtide::BufferPool;
///
/// let pool = BufferPool::builder().max_idle_bytes(16 << 20).max_buffer_bytes(1 << 20).build();
/// let buffer = pool.get(4000);
/// assert!(buffer.capacity() >= 4000);
/// ```
#[derive(Clone)]
pub struct BufferPool(Arc<Handle>);

/// What the handles of a pool share; its drop closes the pool.
struct Handle(Arc<Classes>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl BufferPool {
    /// A pool with default bounds.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Settings for a pool.
    pub fn builder() -> BufferPoolBuilder {
        BufferPoolBuilder::default()
    }

    /// The pool that the whole process shares, with default bounds. It is never closed.
    pub fn global() -> &'static Self {
        static GLOBAL: OnceLock<BufferPool> = OnceLock::new();
        GLOBAL.get_or_init(Self::new)
    }

    /// Lends an empty buffer with room for at least `min_capacity` bytes.
    ///
    /// The buffer has the size of the smallest class with that room: 64, 128, 192 or 256 bytes, then four steps to each
    /// doubling (320, 384, 448, 512, 640..), so that at most a quarter is more than was asked for, or 63 bytes where that
    /// is more.
    ///
    /// **Cost**: that of [`Pool::get`](crate::Pool::get), and the search for the size class; two allocations when it has no idle buffer,
    /// for its memory and for a node of 128 bytes. The first buffer of a class makes the class, some 12 KB.
    ///
    /// # Panics
    ///
    /// When `min_capacity` is more than `isize::MAX`, as `Vec` does. Never trust a client's number: cap it.
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn get(&self, min_capacity: usize) -> PooledBuf {
        PooledBuf::new(Classes::lease(&self.0.0, min_capacity))
    }

    /// [`get`](Self::get) that may fail, for a size that comes from elsewhere.
    ///
    /// # Errors
    ///
    /// [`NoBuffer`], when there can be no such buffer, or no memory for one. The pool's own note of a new buffer, 128
    /// bytes, is an allocation that aborts the process where there is no memory, as those of `Box` do.
    ///
    /// # Examples
    ///
    /// ```
    /// use ebbtide::{BufferPool, buffer::NoBuffer};
    ///
    /// let pool = BufferPool::new();
    /// assert_eq!(pool.try_get(usize::MAX).unwrap_err(), NoBuffer::TooLarge);
    /// assert!(pool.try_get(4000).unwrap().capacity() >= 4000);
    /// ```
    #[track_caller]
    pub fn try_get(&self, min_capacity: usize) -> Result<PooledBuf, NoBuffer> {
        let lease = Classes::try_lease(&self.0.0, min_capacity)?;
        Ok(PooledBuf::new(lease))
    }

    /// A buffer with room for `bytes`, or rather than a new one an idle one for `least` to `most`.
    #[allow(dead_code)] // Only the porch asks.
    pub(crate) fn try_get_near(&self, bytes: usize, least: usize, most: usize) -> Result<PooledBuf, NoBuffer> {
        Classes::try_lease_near(&self.0.0, bytes, least, most).map(PooledBuf::new)
    }

    /// Copies `bytes` into this pool if there are at most `threshold`, and lets go of what they pinned; else they pass.
    ///
    /// For small values that are kept: `Bytes` out of a request are slices of the connection's read buffer, and each keeps all
    /// of it, 8 KiB at least with hyper. Bytes for which there is no memory pass too.
    ///
    /// **Cost**: one copy, and the box of [`PooledBytes::into_bytes`]. A 64-byte body that is kept then takes some 200 bytes with all
    /// that belongs to it, instead of 8 KiB.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::Bytes;
    ///
    /// let pool = ebbtide::BufferPool::new();
    /// let read = Bytes::from(vec![7; 8192]);
    /// let kept = pool.detach(read.slice(100..164), 1024);
    /// assert!(read.is_unique());
    /// assert_eq!(kept, [7; 64][..]);
    /// ```
    #[must_use]
    pub fn detach(&self, bytes: Bytes, threshold: usize) -> Bytes {
        if bytes.len() > threshold {
            return bytes;
        }
        let Ok(mut buffer) = self.try_get(bytes.len()) else { return bytes };
        buffer.extend_from_slice(&bytes);
        buffer.freeze().into_bytes()
    }

    /// Frees all idle memory, in one call. On Linux the pages of buffers from 16 KiB on go back to the system, whatever the allocator keeps.
    pub fn clear(&self) {
        self.0.0.clear();
    }

    /// Ages what is idle by one step: see [`Pool::trim`](crate::Pool::trim). On Linux the pages of buffers from 16 KiB on that are
    /// freed go back to the system, whatever the allocator keeps.
    ///
    /// **Cost**: a call frees of each size class at most 256 buffers, and at most 1 MiB or one larger buffer: some hundred
    /// microseconds, most of them the system's. `false` says that this step is not done.
    pub fn trim(&self) -> bool {
        self.0.0.trim()
    }

    /// Ages what is idle if a step is due: see [`Pool::trim_at`](crate::Pool::trim_at).
    pub fn trim_at(&self, now: Instant) -> bool {
        self.0.0.trim_at(now)
    }

    /// Closes the pool for all handles: idle memory is freed now, leased buffers when they come back. `get`
    /// still works, with buffers that are not kept. It waits for nobody's lease.
    pub fn close(&self) {
        self.0.0.close();
    }

    /// The capacity of the buffer that [`get`](Self::get) would lend for `min_capacity` bytes; `min_capacity` when there
    /// can be no such buffer.
    #[must_use]
    pub fn capacity_for(&self, min_capacity: usize) -> usize {
        self.0.0.rounded(min_capacity)
    }

    /// Reserves `bytes` that somebody claims and that have not arrived, within the pool's bound
    /// ([`max_ahead_bytes`](BufferPoolBuilder::max_ahead_bytes)); `None` when they do not fit in it.
    ///
    /// A number only: it lends no memory. Who gets it may take a buffer for the whole claim.
    #[must_use]
    pub fn ahead(&self, bytes: usize) -> Option<Ahead<'_>> {
        self.bound().reserve(bytes)
    }

    /// Bytes that are reserved now by [`ahead`](Self::ahead).
    #[must_use]
    pub fn ahead_bytes(&self) -> usize {
        self.bound().used()
    }

    fn bound(&self) -> &Bound {
        &self.0.0.ahead
    }

    /// Bytes that were copied once more since the pool began, because somebody asked for a rope in one piece.
    #[must_use]
    pub fn gathered_bytes(&self) -> u64 {
        self.0.0.gathered.bytes()
    }

    /// A snapshot of the pool's numbers, all classes together.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        self.0.0.stats()
    }
}

impl Default for BufferPool {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferPool").field("stats", &self.stats()).finish()
    }
}

/// Settings of a [`BufferPool`]. Every bound is finite by default.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct BufferPoolBuilder(Limits);

impl Default for BufferPoolBuilder {
    fn default() -> Self {
        Self(Limits {
            name: "buffers",
            idle_bytes: 64 << 20,
            buffer_bytes: 4 << 20,
            ahead_bytes: 16 << 20,
            secret: false,
            debug: PoolDebug::none(),
        })
    }
}

impl BufferPoolBuilder {
    /// What the pool is called in the books of the process ([`observe`](crate::observe)). Default: `buffers`.
    pub fn name(mut self, name: &'static str) -> Self {
        self.0.name = name;
        self
    }

    /// Bytes that idle buffers may keep together. Default: 64 MiB. At most 1,024 buffers of one
    /// class are kept, however small.
    pub fn max_idle_bytes(mut self, bytes: usize) -> Self {
        self.0.idle_bytes = bytes;
        self
    }

    /// Bytes of the largest buffer that is kept. A larger one is served and never kept. Default: 4 MiB.
    pub fn max_buffer_bytes(mut self, bytes: usize) -> Self {
        self.0.buffer_bytes = bytes;
        self
    }

    /// Bytes that bodies may hold together beyond what has arrived of them, because their clients claimed a size. A body
    /// that finds this used up grows by segments instead. Default: 16 MiB.
    pub fn max_ahead_bytes(mut self, bytes: usize) -> Self {
        self.0.ahead_bytes = bytes;
        self
    }

    /// Whether what is written to a buffer is overwritten with zeros before the buffer waits for its next user, and before its
    /// memory is freed: for secrets. Default: `false`.
    ///
    /// All that was written since the last time is wiped, also what a truncation has hidden, and what moved when a buffer
    /// grew. What was only reserved is not; but room that was lent by
    /// [`BufMut::chunk_mut`](::bytes::BufMut::chunk_mut), as to tokio's `read_buf`, counts as written wholly, for who had it may
    /// have used more of it than was counted.
    ///
    /// A buffer that is forgotten (`mem::forget`) is not wiped, nor is what was copied out of one, as by `to_vec`;
    /// [`Buf::copy_to_bytes`](::bytes::Buf::copy_to_bytes) does not copy these.
    ///
    /// **Cost**: a `memset` of what was written, at each return.
    pub fn zero_on_return(mut self, zero: bool) -> Self {
        self.0.secret = zero;
        self
    }

    /// Switches for a search for faults, beside those of the environment. Default: [`PoolDebug::none`].
    pub fn debug(mut self, switches: PoolDebug) -> Self {
        self.0.debug = switches;
        self
    }

    /// Makes the pool.
    #[must_use]
    pub fn build(self) -> BufferPool {
        BufferPool(Arc::new(Handle(Classes::new(self.0))))
    }
}
