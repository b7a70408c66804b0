//! The unsafe `Allocator` for [`ArenaAlloc`]: a cursor lent to collections.

use super::cursor::Cursor;
use super::lanes::Claim;
use allocator_api2::alloc::{AllocError, Allocator};
use bumpalo::Bump;
use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

/// An arena's memory as an allocator, for collections within a borrow of the cursor.
///
/// Copies of one allocator may serve several collections side by side. They are dropped, or forgotten, before the cursor
/// is used again; what they held is free again when the request ends, and values in them are dropped by the
/// collection, or leaked with it. As with [`Arena::alloc`](crate::Arena::alloc), memory beyond the quota is given, and
/// told of: an allocator that refused would abort the program in most collections.
///
/// It is neither `Send` nor `Sync`: the copies share the cursor without a lock. So a collection of it is not held
/// across an `.await` of a future that must be `Send`.
///
/// Nothing can be pinned in it for less than `'static`: `Box::pin_in` and `Box::into_pin` ask for an allocator that
/// lives for ever, since a pinned box that is forgotten would leave the value undropped in memory that the next
/// request reuses.
///
/// **Cost**: that of an allocation in the arena. Only the last allocation can be given back or grown in place; what
/// a collection leaves behind as it grows is lost until the request ends.
///
/// # Examples
///
/// ```
/// use allocator_api2::vec::Vec;
///
/// let request = ebbtide::Scopes::new().begin();
/// let scope = request.scope();
/// let mut arena = scope.arena();
/// let memory = arena.allocator();
/// let (mut left, mut right) = (Vec::new_in(memory), Vec::new_in(memory));
/// left.push(String::from("dropped by its vector"));
/// right.extend([1, 2]);
/// assert_eq!((left.len(), right.len()), (1, 2));
/// ```
#[derive(Clone, Copy)]
pub struct ArenaAlloc<'a, 's> {
    /// Shared by the copies; the cursor that it belongs to is borrowed exclusively for `'a`, so nobody else uses it. `&Claim`
    /// is not `Send`, which keeps all copies on one thread.
    claim: &'a Claim<'s>,
}

impl<'s> Cursor<'s> {
    /// Lends the claim for the length of this borrow.
    pub fn allocator(&mut self) -> ArenaAlloc<'_, 's> {
        ArenaAlloc { claim: &self.claim }
    }
}

impl<'s> ArenaAlloc<'_, 's> {
    /// Runs `attempt`, which changes nothing where it fails: in the block in use, in a new one within the quota, in
    /// a new one beyond it.
    #[inline]
    fn run<R>(&self, size: usize, mut attempt: impl FnMut(&'s Bump) -> Result<R, AllocError>) -> Result<R, AllocError> {
        attempt(self.claim.bump())
            .or_else(|_| self.claim.within_quota(size, &mut attempt))
            .or_else(|_| self.claim.beyond_quota(&mut attempt))
    }
}

// SAFETY: each call is one of the bump's own `Allocator`, or several of which all but the last have failed. A block
// stays where it is until the request is reset, which `'s` outlasts; all copies use the one bump.
unsafe impl Allocator for ArenaAlloc<'_, '_> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.run(layout.size(), |bump| bump.allocate(layout))
    }

    #[inline]
    unsafe fn deallocate(&self, place: NonNull<u8>, layout: Layout) {
        drop(self.claim.noted());
        // SAFETY: the caller's promise; the block is of this bump.
        unsafe { self.claim.bump().deallocate(place, layout) };
    }

    #[inline]
    unsafe fn grow(&self, place: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.run(new.size(), |bump| {
            // SAFETY: the caller's promise, which a failed attempt leaves in force.
            unsafe { bump.grow(place, old, new) }
        })
    }

    #[inline]
    unsafe fn grow_zeroed(&self, place: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.run(new.size(), |bump| {
            // SAFETY: as in `grow`.
            unsafe { bump.grow_zeroed(place, old, new) }
        })
    }

    #[inline]
    unsafe fn shrink(&self, place: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.run(new.size(), |bump| {
            // SAFETY: as in `grow`.
            unsafe { bump.shrink(place, old, new) }
        })
    }
}

impl fmt::Debug for ArenaAlloc<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArenaAlloc").finish_non_exhaustive()
    }
}
