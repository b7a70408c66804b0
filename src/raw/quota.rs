//! The quota: how many bytes the lanes of one request may take together.
//!
//! `bumpalo` looks at a bump's limit only when the block in use is full. The limit of every bump stands at
//! what the bump has already, so an allocation that finds room costs nothing more, and one that needs a new block
//! comes here, where it is either let through within the quota or let pass and remembered.

use bumpalo::Bump;
use core::fmt;
use parking_lot::Mutex;

/// Why an allocation that may fail did so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ArenaFull {
    /// The request would take more memory than its quota:
    /// [`ScopesBuilder::quota`](crate::request::ScopesBuilder::quota). As a response of axum it answers 413.
    Quota,
    /// The quota has room, but the allocator has no memory, or the size is beyond what any allocator has. As a
    /// response of axum it answers 503.
    Memory,
}

impl fmt::Display for ArenaFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quota => "the request has used up its memory quota",
            Self::Memory => "out of memory",
        })
    }
}

impl core::error::Error for ArenaFull {}

/// The account of a request's blocks.
///
/// # Invariants
///
/// (a) A bump of the lanes cannot take a block by itself: its limit is what it has. Blocks are taken in `grow` and `bump` only,
///     which one lane at a time goes through, so `taken` is the exact sum.
pub struct Quota {
    bytes: usize,
    /// Bytes of the blocks of all lanes, without bumpalo's footers. Locked while a block is allocated, never while
    /// user code runs.
    taken: Mutex<usize>,
}

impl Quota {
    pub fn new(bytes: usize) -> Self {
        Self { bytes, taken: Mutex::new(0) }
    }

    /// Makes (a) true for a bump that is new, or has other blocks than before.
    #[inline]
    pub fn seal(bump: &Bump) {
        bump.set_allocation_limit(Some(bump.allocated_bytes()));
    }

    /// Whether the request took more than its quota.
    pub fn is_passed(&self) -> bool {
        *self.taken.lock() > self.bytes
    }

    /// Begins a new account, with `kept` bytes that the lanes kept of the last one.
    pub fn begin(&mut self, kept: usize) {
        *self.taken.get_mut() = kept;
    }

    /// A bump with a first block for `capacity` bytes, if there is memory and the quota has room for it.
    pub fn bump(&self, capacity: usize) -> Option<Bump> {
        let mut taken = self.taken.lock();
        let bump = Bump::try_with_capacity(capacity).ok()?;
        let sum = taken.checked_add(bump.allocated_bytes()).filter(|&sum| sum <= self.bytes)?;
        *taken = sum;
        Self::seal(&bump);
        Some(bump)
    }

    /// Runs `attempt`, which may take a block of `bump` if the quota has room for it. `size` is what it
    /// wants at least, in bytes.
    #[cold]
    pub fn within<R, E>(
        &self,
        bump: &Bump,
        size: usize,
        attempt: impl FnOnce() -> Result<R, E>,
    ) -> Result<R, ArenaFull> {
        let mut taken = self.taken.lock();
        let left = self.bytes.saturating_sub(*taken);
        let limit = bump.allocated_bytes().saturating_add(left);
        grow(bump, Some(limit), &mut taken, attempt).map_err(|_| why(left, size))
    }

    /// Runs `attempt`, which may take a block whatever the quota says.
    #[cold]
    pub fn beyond<R, E>(&self, bump: &Bump, attempt: impl FnOnce() -> Result<R, E>) -> Result<R, E> {
        grow(bump, None, &mut self.taken.lock(), attempt)
    }
}

/// Runs `attempt` under `limit`, books what it took, and seals the bump again.
fn grow<R, E>(
    bump: &Bump,
    limit: Option<usize>,
    taken: &mut usize,
    attempt: impl FnOnce() -> Result<R, E>,
) -> Result<R, E> {
    let before = bump.allocated_bytes();
    bump.set_allocation_limit(limit);
    let outcome = attempt();
    *taken += bump.allocated_bytes() - before;
    Quota::seal(bump);
    outcome
}

/// Who refused `size` bytes with `left` in the quota. bumpalo rounds the smallest block that will do up to a power of
/// two, or to a page; where that would have fitted, it was not the quota.
fn why(left: usize, size: usize) -> ArenaFull {
    const PAGE: usize = 4096;
    let block = size.saturating_mul(2).saturating_add(PAGE);
    // `isize::MAX` is more than any allocator has.
    if left >= block || (isize::MAX as usize) < size { ArenaFull::Memory } else { ArenaFull::Quota }
}

/// There is no memory for a call that cannot say so.
#[cold]
#[inline(never)]
pub fn no_memory() -> ! {
    panic!("out of memory in a request's arena")
}

impl fmt::Debug for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quota").field("bytes", &self.bytes).field("taken", &*self.taken.lock()).finish()
    }
}
