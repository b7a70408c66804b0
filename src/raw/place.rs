//! Places: memory of a claimed lane, first without a value, that lives as long as the request is borrowed.

use super::lanes::Claim;
use super::quota::{ArenaFull, Quota, no_memory};
use bumpalo::Bump;
use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

impl<'s> Claim<'s> {
    /// Memory of this layout; past the quota if it must be.
    #[inline]
    fn block(&self, layout: Layout) -> NonNull<u8> {
        let bump = self.bump();
        // Told of the claim's parts, not of the claim: so that it stays in registers.
        bump.try_alloc_layout(layout).unwrap_or_else(|_| new_block(bump, self.quota(), layout))
    }

    /// Memory of this layout within the quota.
    #[inline]
    fn try_block(&self, layout: Layout) -> Result<NonNull<u8>, ArenaFull> {
        let bump = self.bump();
        bump.try_alloc_layout(layout).or_else(|_| try_new_block(bump, self.quota(), layout))
    }

    /// A place for a value.
    #[inline]
    pub(super) fn place<T>(&self) -> &'s mut MaybeUninit<T> {
        let place = self.block(Layout::new::<T>()).cast::<MaybeUninit<T>>();
        // SAFETY: fresh memory of this type's layout, which nobody else has, and which stays for `'s` as the bump does.
        unsafe { &mut *place.as_ptr() }
    }

    #[inline]
    pub(super) fn try_place<T>(&self) -> Result<&'s mut MaybeUninit<T>, ArenaFull> {
        let place = self.try_block(Layout::new::<T>())?.cast::<MaybeUninit<T>>();
        // SAFETY: as in `place`.
        Ok(unsafe { &mut *place.as_ptr() })
    }

    /// Places for `len` values side by side.
    #[inline]
    pub(super) fn places<T>(&self, len: usize) -> &'s mut [MaybeUninit<T>] {
        let Ok(layout) = Layout::array::<T>(len) else { no_memory() };
        let places = self.block(layout).cast::<MaybeUninit<T>>();
        // SAFETY: fresh memory of the layout of `len` values, which nobody else has, and which stays for `'s`.
        unsafe { core::slice::from_raw_parts_mut(places.as_ptr(), len) }
    }

    #[inline]
    pub(super) fn try_places<T>(&self, len: usize) -> Result<&'s mut [MaybeUninit<T>], ArenaFull> {
        // Larger than an address space.
        let Ok(layout) = Layout::array::<T>(len) else { return Err(ArenaFull::Memory) };
        let places = self.try_block(layout)?.cast::<MaybeUninit<T>>();
        // SAFETY: as in `places`.
        Ok(unsafe { core::slice::from_raw_parts_mut(places.as_ptr(), len) })
    }
}

/// Memory of this layout out of a new block.
#[cold]
#[inline(never)]
fn new_block(bump: &Bump, quota: &Quota, layout: Layout) -> NonNull<u8> {
    try_new_block(bump, quota, layout)
        .or_else(|_| quota.beyond(bump, || bump.try_alloc_layout(layout)))
        .unwrap_or_else(|_| no_memory())
}

#[cold]
#[inline(never)]
fn try_new_block(bump: &Bump, quota: &Quota, layout: Layout) -> Result<NonNull<u8>, ArenaFull> {
    // A wider alignment than a block has by itself costs up to as much.
    let size = layout.size().saturating_add(layout.align());
    quota.within(bump, size, || bump.try_alloc_layout(layout))
}

/// Copies `items` into as many places.
#[inline]
pub(super) fn copied<'s, T: Copy>(places: &'s mut [MaybeUninit<T>], items: &[T]) -> &'s mut [T] {
    assert!(places.len() == items.len(), "as many places as items");
    let start = places.as_mut_ptr().cast::<T>();
    // SAFETY: both are as long as `items`, and the places are borrowed exclusively, so they do not overlap.
    unsafe { core::ptr::copy_nonoverlapping(items.as_ptr(), start, items.len()) };
    // SAFETY: all of them are written.
    unsafe { core::slice::from_raw_parts_mut(start, items.len()) }
}

/// Fills the places with what `fill` makes of their indices. If it panics, the places stay as they are, with nothing to
/// drop.
#[inline]
pub(super) fn filled<T>(places: &mut [MaybeUninit<T>], mut fill: impl FnMut(usize) -> T) -> &mut [T] {
    for (at, place) in places.iter_mut().enumerate() {
        place.write(fill(at));
    }
    let (start, len) = (places.as_mut_ptr().cast::<T>(), places.len());
    // SAFETY: the loop has written all of them.
    unsafe { core::slice::from_raw_parts_mut(start, len) }
}

/// The text that these bytes were copied from.
///
/// # Safety
///
/// They are UTF-8.
#[inline]
pub(super) unsafe fn text(bytes: &mut [u8]) -> &mut str {
    // SAFETY: the caller's promise.
    unsafe { core::str::from_utf8_unchecked_mut(bytes) }
}
