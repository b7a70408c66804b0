//! Lanes: the bump allocators of one request, each claimed by one cursor at a time.
//!
//! `&Bump` is not `Send`, and an atomic bump pointer would cost most of what an arena gains. So a cursor
//! claims a whole `Bump` with one atomic, uses it alone, and gives it back with another. A concurrent
//! claim gets another lane of the same request; when all are taken it gets one from an overflow list.
//!
//! A lane that was given back keeps what was allocated in it until `reset`, which needs `&mut`.

use super::mask::Mask;
use super::quota::{ArenaFull, Quota};
use bumpalo::Bump;
use core::cell::UnsafeCell;
use core::fmt;
use core::ptr::NonNull;
use parking_lot::Mutex;

/// Lanes without a lock. More cursors than this at once in one request are rare, and only slower.
const LANES: usize = 8;

/// # Invariants
///
/// (a) While place `i` of `claimed` is taken by a live `Claim`, only that claim touches `lanes[i]`.
/// (b) A `Bump` that was ever claimed is neither reset nor dropped but through `&mut self`.
pub struct Lanes {
    claimed: Mask<LANES>,
    lanes: [UnsafeCell<Bump>; LANES],
    /// Bumps beyond the lanes that no claim has now. Boxed, since a claim takes its bump's box and keeps the
    /// address.
    #[allow(clippy::vec_box)]
    spare: Mutex<Vec<Box<Bump>>>,
    quota: Quota,
}

/// Lanes without a quota.
impl Default for Lanes {
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

// SAFETY: the bumps are `Send` and move with the lanes; what they hold is `Send` by the bounds of
// those who put it there, or is never touched again but to be forgotten.
unsafe impl Send for Lanes {}
// SAFETY: `&Lanes` reaches a `Bump` only through `claim`, which by (a) gives it to one thread at a time.
unsafe impl Sync for Lanes {}

impl Lanes {
    /// Lanes that may take so many bytes together.
    pub fn new(quota: usize) -> Self {
        Self { claimed: Mask::default(), lanes: Default::default(), spare: Mutex::default(), quota: Quota::new(quota) }
    }

    /// Claims a bump for one cursor. One read-modify-write when a lane is free.
    pub fn claim(&self) -> Claim<'_> {
        let Some(lane) = self.claimed.claim() else { return self.claim_spare() };
        // `UnsafeCell<Bump>` has the layout of `Bump`, and the cast keeps its right to mutate.
        let bump = NonNull::from(&self.lanes[lane]).cast();
        Claim::new(self, bump, Some(lane))
    }

    #[cold]
    fn claim_spare(&self) -> Claim<'_> {
        let bump = self.spare.lock().pop().unwrap_or_default();
        Claim::new(self, NonNull::from(Box::leak(bump)), None)
    }

    /// Whether more was taken than the quota allows.
    pub fn is_over_quota(&self) -> bool {
        self.quota.is_passed()
    }

    /// Begins the account of the next request, after a reset that left `kept` bytes.
    pub fn begin_account(&mut self, kept: usize) {
        self.quota.begin(kept);
    }

    /// Takes everything back and returns the bytes that stay with the lanes, at most `keep`. Each lane keeps
    /// its largest block as long as there is room for it; spare bumps are freed.
    pub fn reset(&mut self, keep: usize) -> usize {
        // A claim that was forgotten ends here.
        self.claimed.clear();
        self.spare.get_mut().clear();
        let mut kept = 0;
        for lane in &mut self.lanes {
            let bump = lane.get_mut();
            if bump.allocated_bytes() == 0 {
                continue;
            }
            bump.reset();
            if kept + bump.allocated_bytes() > keep {
                *bump = Bump::new();
            }
            kept += bump.allocated_bytes();
        }
        kept
    }
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lanes").field("claimed", &self.claimed.taken()).finish_non_exhaustive()
    }
}

/// The exclusive use of one bump of a request. Dropped, the lane is free for the next cursor; forgotten, it
/// is taken until the request ends.
pub struct Claim<'s> {
    lanes: &'s Lanes,
    bump: NonNull<Bump>,
    /// `None` for a bump from the spare list.
    lane: Option<usize>,
}

// SAFETY: by (a) of `Lanes` the claim is the only user of its bump, and `Bump` is `Send`. Not `Sync`: `&Bump`
// is not to be shared.
unsafe impl Send for Claim<'_> {}

impl<'s> Claim<'s> {
    fn new(lanes: &'s Lanes, bump: NonNull<Bump>, lane: Option<usize>) -> Self {
        let claim = Self { lanes, bump, lane };
        Quota::seal(claim.bump());
        claim
    }

    /// The bump. The lifetime is that of the request, so that what is allocated outlives the claim; the reference
    /// itself must not be used past the borrow of the claim, which the callers (`place`, `grow`, `allocator`) see to:
    /// the next claim may be at it then.
    pub(super) fn bump(&self) -> &'s Bump {
        // SAFETY: the pointer is to a lane of `'s` or to a leaked box; by (b) of `Lanes` neither moves, resets
        // nor dies while `'s` is borrowed. It is never public, and used by one thread at a time: the claim is not `Sync`.
        unsafe { self.bump.as_ref() }
    }

    /// Runs `attempt`, for which the block in use had no room, with what is left of the quota: see [`Quota::within`].
    pub(super) fn within_quota<R, E>(
        &self,
        size: usize,
        attempt: impl FnOnce(&'s Bump) -> Result<R, E>,
    ) -> Result<R, ArenaFull> {
        let bump = self.bump();
        self.lanes.quota.within(bump, size, || attempt(bump))
    }

    /// Runs `attempt` whatever is left of the quota.
    pub(super) fn beyond_quota<R, E>(&self, attempt: impl FnOnce(&'s Bump) -> Result<R, E>) -> Result<R, E> {
        let bump = self.bump();
        self.lanes.quota.beyond(bump, || attempt(bump))
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        match self.lane {
            Some(lane) => self.lanes.claimed.release(lane),
            None => {
                // SAFETY: leaked by `claim_spare` for this claim alone, taken back once.
                let bump = unsafe { Box::from_raw(self.bump.as_ptr()) };
                self.lanes.spare.lock().push(bump);
            }
        }
    }
}

impl fmt::Debug for Claim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").field("lane", &self.lane).finish_non_exhaustive()
    }
}
