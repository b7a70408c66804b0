//! Lanes: the bump allocators of one request, each claimed by one cursor at a time.
//!
//! `&Bump` is not `Send`, and an atomic bump pointer would cost most of what an arena gains. So a cursor
//! claims a whole `Bump` with one atomic, uses it alone, and gives it back with another. A concurrent
//! claim gets another lane of the same request; when all are taken it gets one from an overflow list.
//!
//! A lane that was given back keeps what was allocated in it until `reset`, which needs `&mut`.

mod taken;

pub use taken::{Keep, Taken};

use super::mask::Mask;
use super::quota::{ArenaFull, Quota};
use crate::sync::Ordering::Relaxed;
use crate::sync::count::AtomicUsize;
use bumpalo::Bump;
use core::cell::UnsafeCell;
use core::fmt;
use core::ptr::NonNull;
use parking_lot::Mutex;

/// Lanes without a lock. More cursors than this at once in one request are rare, and only slower.
const LANES: usize = 8;
/// Stands for a bump that is no lane's.
const SPARE: usize = LANES;

/// # Invariants
///
/// (a) While place `i` of `claimed` is taken by a live `Claim`, only that claim touches `lanes[i]`.
/// (b) A `Bump` in which anything may have been allocated is neither reset nor dropped but through `&mut self`.
pub struct Lanes {
    claimed: Mask<LANES>,
    lanes: [UnsafeCell<Bump>; LANES],
    /// What the first block of a bare lane has to hold; 0 leaves it to bumpalo. Changed through `&mut self` only.
    first: [usize; LANES],
    /// The most that was in use of a lane when something gave its memory back, since the last reset. By (a) only one claim
    /// writes; it publishes nothing, since releasing the claim does.
    given_back: [AtomicUsize; LANES],
    /// Lanes from here on never had a block.
    reached: usize,
    /// Bytes of the blocks that the lanes kept at the last reset.
    kept: usize,
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
        Self {
            claimed: Mask::default(),
            lanes: core::array::from_fn(|_| UnsafeCell::new(bare())),
            first: [0; LANES],
            given_back: Default::default(),
            reached: 0,
            kept: 0,
            spare: Mutex::default(),
            quota: Quota::new(quota),
        }
    }

    /// Claims a bump for one cursor. One read-modify-write when a lane is free.
    #[inline]
    pub fn claim(&self) -> Claim<'_> {
        let (bump, lane) = if self.claimed.claim_first() { (self.at_hand(0), 0) } else { self.take_another() };
        Claim { lanes: self, bump, lane }
    }

    /// What a claim has beside another one: two words, which come in registers.
    #[inline(never)]
    fn take_another(&self) -> (NonNull<Bump>, usize) {
        self.claimed.claim().map_or_else(|| (self.take_spare(), SPARE), |lane| (self.at_hand(lane), lane))
    }

    /// The bump of a lane that was just taken.
    #[inline(always)]
    fn at_hand(&self, lane: usize) -> NonNull<Bump> {
        // `UnsafeCell<Bump>` has the layout of `Bump`, and the cast keeps its right to mutate.
        let bump = NonNull::from(&self.lanes[lane]).cast();
        if self.first[lane] != 0 {
            // SAFETY: by (a) the lane is the caller's alone.
            unsafe { self.prepare(bump, self.first[lane]) };
        }
        bump
    }

    /// Gives a lane that has no block one of `capacity` bytes. Without memory, or room in the quota, it stays as it is.
    ///
    /// # Safety
    ///
    /// The lane is taken by the caller, who has no claim of it yet.
    #[cold]
    unsafe fn prepare(&self, mut bump: NonNull<Bump>, capacity: usize) {
        // SAFETY: the caller's promise; the reference ends here.
        let bump = unsafe { bump.as_mut() };
        // By (b) only a bump without a block is replaced.
        if bump.allocated_bytes() == 0 {
            if let Some(prepared) = self.quota.bump(capacity) {
                *bump = prepared;
            }
        }
    }

    #[cold]
    fn take_spare(&self) -> NonNull<Bump> {
        NonNull::from(Box::leak(self.spare.lock().pop().unwrap_or_else(|| Box::new(bare()))))
    }

    #[cold]
    fn put_spare(&self, bump: Box<Bump>) {
        self.spare.lock().push(bump);
    }

    /// Whether more was taken than the quota allows.
    pub fn is_over_quota(&self) -> bool {
        self.quota.is_passed()
    }

    /// Begins the account of the next request, after a reset that left `kept` bytes.
    #[inline]
    pub fn begin_account(&mut self, kept: usize) {
        self.quota.begin(kept);
    }

    /// What was taken from the lanes since the last reset.
    #[inline]
    pub fn taken(&mut self) -> Taken {
        let mut taken = Taken::default();
        let mut left = self.claimed.ever();
        while left != 0 {
            taken.add(self.taken_of(left.trailing_zeros() as usize));
            left &= left - 1;
        }
        if self.claimed.ever() == Mask::<LANES>::ALL {
            self.spare.get_mut().iter().for_each(|bump| taken.add(Taken::of(bump)));
        }
        taken
    }

    /// A vector that is dropped gives its block back, and is no less a need of the request.
    #[inline]
    fn taken_of(&mut self, lane: usize) -> Taken {
        let Taken { used, reserved } = Taken::of(self.lanes[lane].get_mut());
        Taken { used: used.max(*self.given_back[lane].get_mut()), reserved }
    }

    /// Whether nobody claimed a lane since the last reset, and they keep at most `most` bytes.
    #[inline]
    pub fn are_untouched(&mut self, most: usize) -> bool {
        self.claimed.ever() == 0 && self.kept <= most
    }

    /// Sets what the first lane's first block has to hold, if it has none yet.
    pub fn begin_with(&mut self, block: usize) {
        self.first[0] = if self.lanes[0].get_mut().allocated_bytes() == 0 { block } else { 0 };
    }

    /// Takes everything back: `keep` is told what was taken, and says what the lanes keep; the bytes of that are returned. They
    /// are in the account of the next request already. Where one cursor at a time was used, which is what most requests have, it
    /// looks at one lane.
    #[inline]
    pub fn end(&mut self, keep: impl FnOnce(Taken) -> Keep) -> usize {
        let kept = if self.claimed.ever() == 1 && self.reached <= 1 {
            let taken = self.taken_of(0);
            let keep = keep(taken);
            self.claimed.clear();
            (self.reached, self.kept) = (1, 0);
            self.reset_lane_of(0, taken.used, keep);
            self.kept
        } else {
            let keep = keep(self.taken());
            self.reset(keep)
        };
        self.begin_account(kept);
        kept
    }

    /// Takes everything back where one cursor at a time was used, and had room in the block that was kept for it: then
    /// the same block stays, and with it all accounts. Returns what was taken; else `None`, and nothing is done.
    #[inline]
    pub fn rewind(&mut self, most: usize) -> Option<Taken> {
        let had = self.lanes[0].get_mut().allocated_bytes();
        let is_kept = had == self.kept && had != 0 && had <= most;
        if !is_kept || self.claimed.ever() != 1 || self.reached > 1 {
            return None;
        }
        let taken = self.taken_of(0);
        self.claimed.clear();
        *self.given_back[0].get_mut() = 0;
        self.lanes[0].get_mut().reset();
        Some(taken)
    }

    /// Takes everything back and returns the bytes that stay with the lanes. A lane keeps its last block, which is its
    /// largest, if there is room for it and it is large enough for what was taken now, as far as `keep.block` goes. Else it
    /// gets one of a better size when it is claimed next. Spare bumps are freed.
    pub fn reset(&mut self, keep: Keep) -> usize {
        // A claim that was forgotten ends here.
        let claimed = self.claimed.clear();
        if claimed != 0 || self.kept > keep.most {
            self.reset_lanes(claimed, keep);
        }
        self.kept
    }

    fn reset_lanes(&mut self, claimed: u32, keep: Keep) {
        self.reached = self.reached.max((u32::BITS - claimed.leading_zeros()) as usize);
        self.kept = 0;
        self.spare.get_mut().clear();
        for lane in 0..self.reached {
            self.reset_lane(lane, claimed & 1 << lane != 0, keep);
        }
    }

    fn reset_lane(&mut self, lane: usize, was_claimed: bool, keep: Keep) {
        let used = if was_claimed { self.taken_of(lane).used } else { 0 };
        self.reset_lane_of(lane, used, keep);
    }

    /// Resets a lane of which so much was used.
    #[inline]
    fn reset_lane_of(&mut self, lane: usize, used: usize, Keep { block, most }: Keep) {
        let wanted = used.min(block);
        *self.given_back[lane].get_mut() = 0;
        let (bump, first) = (self.lanes[lane].get_mut(), &mut self.first[lane]);
        if bump.allocated_bytes() == 0 {
            *first = (*first).min(block);
            return;
        }
        bump.reset();
        // What it has is less now, if there was more than one block.
        Quota::seal(bump);
        let (has, room) = (bump.allocated_bytes(), most - self.kept);
        if has < wanted || has > room {
            let better = if lane == 0 { block } else { wanted };
            *first = empty(bump, if better <= room { better } else { 0 });
        } else {
            *first = 0;
            self.kept += has;
        }
    }
}

/// Frees what a bump has, and returns what its first block shall hold.
#[cold]
fn empty(bump: &mut Bump, first: usize) -> usize {
    *bump = bare();
    first
}

/// A bump without a block.
fn bare() -> Bump {
    let bump = Bump::new();
    Quota::seal(&bump);
    bump
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
    /// [`SPARE`] for a bump from the spare list.
    lane: usize,
}

// SAFETY: by (a) of `Lanes` the claim is the only user of its bump, and `Bump` is `Send`. Not `Sync`: `&Bump`
// is not to be shared.
unsafe impl Send for Claim<'_> {}

impl<'s> Claim<'s> {
    /// The bump. The lifetime is that of the request, so that what is allocated outlives the claim; the reference
    /// itself must not be used past the borrow of the claim, which the callers (`place`, `grow`, `allocator`) see to:
    /// the next claim may be at it then.
    pub(super) fn bump(&self) -> &'s Bump {
        // SAFETY: the pointer is to a lane of `'s` or to a leaked box; by (b) of `Lanes` neither moves, resets
        // nor dies while `'s` is borrowed. It is never public, and used by one thread at a time: the claim is not `Sync`.
        unsafe { self.bump.as_ref() }
    }

    /// What notes the use of this lane before some of it is given back, for [`Lanes::taken`].
    #[inline]
    pub(super) fn noted(&self) -> Noted<'s> {
        Noted { bump: self.bump(), given_back: self.lanes.given_back.get(self.lane) }
    }

    /// The quota that all lanes of the request have.
    #[inline]
    pub(super) fn quota(&self) -> &'s Quota {
        &self.lanes.quota
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

/// Notes, when it is dropped, how much of a lane is in use. Dropped only while its claim is borrowed.
pub(super) struct Noted<'s> {
    bump: &'s Bump,
    given_back: Option<&'s AtomicUsize>,
}

impl Drop for Noted<'_> {
    #[inline]
    fn drop(&mut self) {
        let Some(given_back) = self.given_back else { return };
        let used = Taken::of(self.bump).used;
        // Relaxed: by (a) of `Lanes` nobody else writes, and the release of the claim publishes it.
        if used > given_back.load(Relaxed) {
            given_back.store(used, Relaxed);
        }
    }
}

impl Drop for Claim<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.lane == SPARE {
            // SAFETY: leaked by `take_spare` for this claim alone, taken back once.
            self.lanes.put_spare(unsafe { Box::from_raw(self.bump.as_ptr()) });
        } else {
            self.lanes.claimed.release(self.lane);
        }
    }
}

impl fmt::Debug for Claim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").field("lane", &self.lane).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::grow::GrowVec;
    use super::*;

    fn take(lanes: &Lanes, bytes: usize) {
        lanes.claim().places::<u8>(bytes);
    }

    fn reset(lanes: &mut Lanes, block: usize, most: usize) -> usize {
        lanes.reset(Keep { block, most })
    }

    #[test]
    fn what_was_taken_is_measured_before_the_reset() {
        let mut lanes = Lanes::new(usize::MAX);
        assert_eq!(lanes.taken(), Taken::default());
        take(&lanes, 100);
        take(&lanes, 100);
        let first = lanes.claim();
        take(&lanes, 50);
        drop(first);
        assert_eq!(lanes.taken(), Taken { used: 250, reserved: 2 * 448 });
        assert_eq!(reset(&mut lanes, 448, 896), 896);
        assert_eq!(lanes.taken(), Taken::default());
    }

    #[test]
    fn what_was_given_back_counts_as_taken() {
        let mut lanes = Lanes::new(usize::MAX);
        let mut claim = lanes.claim();
        let mut items = GrowVec::<u8>::new(&mut claim);
        items.reserve(300);
        drop(items);
        claim.places::<u8>(100);
        drop(claim);
        assert_eq!(lanes.taken(), Taken { used: 300, reserved: 448 });
        assert_eq!(reset(&mut lanes, 448, 448), 448);
        take(&lanes, 1);
        assert!(lanes.taken().used < 300, "of the last request");
    }

    #[test]
    fn a_lane_keeps_a_block_that_fits_and_else_gets_one_when_it_is_claimed_next() {
        let mut lanes = Lanes::new(usize::MAX);
        take(&lanes, 300);
        take(&lanes, 300);
        assert_eq!(lanes.taken().reserved, 448 + 960, "two blocks");
        assert_eq!(reset(&mut lanes, 960, 1920), 960, "the second is enough for all of it");
        take(&lanes, 5000);
        assert_eq!(reset(&mut lanes, 960, 1920), 0, "too large");
        take(&lanes, 1);
        assert_eq!(lanes.taken().reserved, 960, "as it was asked for");
        assert_eq!(reset(&mut lanes, 1984, 4000), 960, "large enough for what was taken");
        take(&lanes, 900);
        take(&lanes, 900);
        assert_eq!(lanes.taken().reserved, 960 + 1984);
        assert_eq!(reset(&mut lanes, 4032, 8064), 1984);
        take(&lanes, 1900);
        take(&lanes, 1900);
        take(&lanes, 1900);
        assert_eq!(lanes.taken().reserved, 1984 + 4032);
        assert_eq!(reset(&mut lanes, 8128, 16_256), 0, "the last one would not do for what was taken");
        take(&lanes, 1);
        assert_eq!(lanes.taken().reserved, 8128);
    }

    #[test]
    fn lanes_that_were_not_claimed_count_and_give_up_what_there_is_no_room_for() {
        let mut lanes = Lanes::new(usize::MAX);
        let first = lanes.claim();
        take(&lanes, 400);
        drop(first);
        take(&lanes, 400);
        assert_eq!(reset(&mut lanes, 448, 1000), 896);
        take(&lanes, 1);
        assert_eq!(reset(&mut lanes, 448, 1000), 896);
        assert_eq!(reset(&mut lanes, 448, 500), 448);
        assert_eq!(reset(&mut lanes, 0, 0), 0);
        take(&lanes, 1);
        assert_eq!(lanes.taken().reserved, 448, "bumpalo's own first block");
    }

    #[test]
    fn a_forgotten_claim_and_spare_bumps_end_with_the_reset() {
        let mut lanes = Lanes::new(usize::MAX);
        (0..LANES + 3).for_each(|_| core::mem::forget(lanes.claim()));
        take(&lanes, 100);
        assert_eq!((lanes.taken().used, lanes.spare.get_mut().len()), (100, 1));
        reset(&mut lanes, 448, 448);
        assert_eq!((lanes.claimed.taken(), lanes.spare.get_mut().len()), (0, 0));
    }

    #[test]
    fn a_block_that_a_lane_begins_with_is_within_the_quota() {
        for (quota, block) in [(960, 960), (959, 0)] {
            let mut lanes = Lanes::new(quota);
            lanes.begin_with(960);
            drop(lanes.claim());
            assert_eq!(lanes.taken().reserved, block);
            assert!(lanes.claim().try_places::<u8>(961).is_err() && !lanes.is_over_quota());
        }
    }

    #[test]
    fn what_a_lane_kept_or_began_with_counts_in_the_quota() {
        let mut lanes = Lanes::new(2000);
        lanes.begin_with(960);
        assert!(lanes.claim().try_places::<u8>(900).is_ok());
        let other = lanes.claim();
        assert!(lanes.claim().try_places::<u8>(1500).is_err(), "begun with");
        drop(other);
        let kept = reset(&mut lanes, 960, 960);
        lanes.begin_account(kept);
        assert_eq!(kept, 960);
        let first = lanes.claim();
        assert!(lanes.claim().try_places::<u8>(1500).is_err(), "kept");
        assert!(lanes.claim().try_places::<u8>(900).is_ok());
        drop(first);
    }
}
