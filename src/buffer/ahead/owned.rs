//! A reservation that keeps its pool.

use super::Left;
use crate::buffer::BufferPool;

/// As [`Ahead`](super::Ahead), with a handle of the pool: for a future that also owns what its pool belongs to, and so
/// cannot borrow from it.
pub(crate) struct OwnedAhead {
    pool: BufferPool,
    left: Left,
}

impl OwnedAhead {
    /// Reserves `bytes` of `pool`, wholly or not at all.
    pub(crate) fn reserve(pool: &BufferPool, bytes: usize) -> Option<Self> {
        let reserved = pool.bound().0.reserve(bytes);
        reserved.then(|| Self { pool: pool.clone(), left: Left { bytes, arrived: 0 } })
    }

    /// Says that `bytes` more have arrived.
    pub(crate) fn arrived(&mut self, bytes: usize) {
        self.left.arrived(bytes, self.pool.bound());
    }
}

impl Drop for OwnedAhead {
    fn drop(&mut self) {
        self.left.give_back(usize::MAX, self.pool.bound());
    }
}
