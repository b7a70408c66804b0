//! A segment: one aligned block of bytes of which only the written ones can be read.

use super::shared::{Count, Counted};
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};

/// Alignment and granularity of a block in bytes: a cache line, so that two buffers share none.
pub const LINE: usize = 64;

/// # Invariants
///
/// (a) `data` points at `capacity` bytes allocated with [`layout`], owned by this segment; `capacity > 0`.
/// (b) The first `written` bytes are initialised; `written <= capacity`.
/// (c) If `whole`, all bytes are initialised: nobody takes that back, since what `spare_mut` gives away is only ever
///     written to.
pub struct Segment {
    data: NonNull<u8>,
    capacity: usize,
    written: usize,
    whole: bool,
    references: Count,
}

// SAFETY: the block is plain bytes owned by the segment.
unsafe impl Send for Segment {}
// SAFETY: `&Segment` only reads written bytes; the count is atomic.
unsafe impl Sync for Segment {}

/// The block for at least `bytes`; `None` when that is more than an allocation can be.
fn layout(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(bytes.max(1).checked_next_multiple_of(LINE)?, LINE).ok()
}

impl Segment {
    /// Allocates a block of at least `bytes`, rounded up to whole cache lines and not zeroed.
    ///
    /// # Panics
    ///
    /// When `bytes` is more than `isize::MAX`, as `Vec` does.
    pub fn new(bytes: usize) -> Self {
        let layout = layout(bytes).expect("capacity overflow");
        // SAFETY: the size is not zero.
        let data = unsafe { alloc(layout) };
        let Some(data) = NonNull::new(data) else { handle_alloc_error(layout) };
        Self { data, capacity: layout.size(), written: 0, whole: false, references: Count::default() }
    }

    #[inline]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The bytes that were written.
    #[inline]
    pub fn written(&self) -> &[u8] {
        // SAFETY: by (a) and (b).
        unsafe { core::slice::from_raw_parts(self.data.as_ptr(), self.written) }
    }

    /// The bytes that were written, to change.
    #[inline]
    pub fn written_mut(&mut self) -> &mut [u8] {
        // SAFETY: by (a) and (b); `&mut self` is the only user.
        unsafe { core::slice::from_raw_parts_mut(self.data.as_ptr(), self.written) }
    }

    /// The room behind the written bytes.
    #[inline]
    pub fn spare_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        // SAFETY: by (b) the offset is inside the block.
        let start = unsafe { self.data.as_ptr().add(self.written) };
        // SAFETY: by (a) the rest of the block follows; uninitialised bytes are allowed in `MaybeUninit`.
        unsafe { core::slice::from_raw_parts_mut(start.cast(), self.capacity - self.written) }
    }

    /// Fills the room behind the written bytes with `byte`.
    pub fn fill_spare(&mut self, byte: u8) {
        self.spare_mut().fill(MaybeUninit::new(byte));
        self.whole = true;
    }

    /// Whether the room behind the written bytes still is full of `byte`; also if it never was filled with anything.
    pub fn is_filled(&self, byte: u8) -> bool {
        if !self.whole {
            return true;
        }
        // SAFETY: by (a) and (c).
        let all = unsafe { core::slice::from_raw_parts(self.data.as_ptr(), self.capacity) };
        all[self.written..].iter().all(|&spare| spare == byte)
    }

    /// Counts `bytes` more as written.
    ///
    /// # Safety
    ///
    /// The first `bytes` bytes of `spare_mut` are there and initialised.
    #[inline]
    pub unsafe fn advance(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.capacity - self.written);
        self.written += bytes;
    }

    /// Appends `bytes` if there is room for all of them.
    ///
    /// Unlike in `append`, a constant length stays one where this is inlined: short literals become plain stores.
    #[inline]
    pub fn append_whole(&mut self, bytes: &[u8]) -> bool {
        let spare = self.spare_mut();
        if bytes.len() > spare.len() {
            return false;
        }
        // SAFETY: there is room for all of them, and it is exclusively ours.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), spare.as_mut_ptr().cast(), bytes.len()) };
        // SAFETY: just written.
        unsafe { self.advance(bytes.len()) };
        true
    }

    /// Appends as much of `bytes` as there is room for and returns how much that was.
    #[inline]
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        let spare = self.spare_mut();
        let fitting = bytes.len().min(spare.len());
        // SAFETY: both are `fitting` bytes long, and the room is exclusively ours.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), spare.as_mut_ptr().cast(), fitting) };
        // SAFETY: just written.
        unsafe { self.advance(fitting) };
        fitting
    }

    /// Forgets all written bytes but the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.written = self.written.min(len);
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // By (a) `capacity` is the size of a layout, so this finds the same one.
        if let Some(layout) = layout(self.capacity) {
            // SAFETY: allocated by `new` with this layout.
            unsafe { dealloc(self.data.as_ptr(), layout) };
        }
    }
}

// SAFETY: always the one field.
unsafe impl Counted for Segment {
    fn count(&self) -> &Count {
        &self.references
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment")
            .field("written", &self.written)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_written_bytes_are_visible_after_truncate() {
        let mut segment = Segment::new(10);
        assert_eq!(segment.capacity(), LINE);
        assert_eq!(segment.append(b"secret"), 6);
        segment.truncate(0);
        assert_eq!(segment.written(), b"");
        assert_eq!(segment.append(b"ab"), 2);
        assert_eq!(segment.written(), b"ab");
    }

    #[test]
    fn append_stops_at_the_end_of_the_block() {
        let mut segment = Segment::new(1);
        assert_eq!(segment.append(&[7; 100]), LINE);
        assert_eq!(segment.append(b"x"), 0);
        assert_eq!(segment.written(), &[7; LINE]);
    }

    #[test]
    fn blocks_start_at_a_cache_line() {
        for bytes in [0, 1, 64, 65, 4096] {
            assert_eq!(Segment::new(bytes).written().as_ptr().align_offset(LINE), 0);
        }
    }
}
