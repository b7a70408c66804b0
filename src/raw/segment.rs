//! A segment: one aligned block of bytes of which only the written ones can be read.

use super::pages;
use super::shared::{Count, Counted};
use core::fmt;
use core::mem::MaybeUninit;
use core::ops::Range;
use core::ptr::NonNull;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use zeroize::Zeroize;

/// Alignment and granularity of a block in bytes: a cache line, so that two buffers share none.
pub const LINE: usize = 64;

/// Why a buffer could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NoBuffer {
    /// The size is more than any allocation can be, `isize::MAX` bytes.
    TooLarge,
    /// The allocator has no memory for it.
    Memory,
}

impl NoBuffer {
    /// What callers do who cannot fail.
    #[cold]
    pub fn fail(self, bytes: usize) -> ! {
        match (self, layout(bytes)) {
            (Self::Memory, Some(layout)) => handle_alloc_error(layout),
            _ => panic!("capacity overflow"),
        }
    }
}

impl fmt::Display for NoBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the size is more than any buffer can have",
            Self::Memory => "out of memory",
        })
    }
}

impl core::error::Error for NoBuffer {}

impl From<NoBuffer> for std::io::Error {
    fn from(_: NoBuffer) -> Self {
        // With a text of its own it would have to be boxed.
        std::io::ErrorKind::OutOfMemory.into()
    }
}

/// # Invariants
///
/// (a) `data` points at `capacity` bytes allocated with [`layout`], owned by this segment; `capacity` is a whole number
///     of lines, at least one.
/// (b) The first `written` bytes are initialised; `written <= capacity`.
/// (c) If `whole`, all bytes are initialised: nobody but `hand_back` takes that back, since what `spare_mut` gives away is only
///     ever written to.
/// (d) Whatever was written since the last wipe lies in the first `touched` bytes, or the first `written`;
///     `touched <= capacity`.
pub struct Segment {
    data: NonNull<u8>,
    capacity: usize,
    written: usize,
    touched: usize,
    whole: bool,
    /// Whether what was written is wiped before the memory is idle or freed.
    secret: bool,
    references: Count,
}

// SAFETY: the block is plain bytes owned by the segment.
unsafe impl Send for Segment {}
// SAFETY: `&Segment` only reads written bytes; the count is atomic.
unsafe impl Sync for Segment {}

/// The block for at least `bytes`; `None` when that is more than an allocation can be.
fn layout(bytes: usize) -> Option<Layout> {
    let size = bytes.max(1).checked_next_multiple_of(LINE)?;
    Layout::from_size_align(size, if pages::wants_huge(size) { pages::HUGE } else { LINE }).ok()
}

impl Segment {
    /// Allocates a block of at least `bytes`, rounded up to whole cache lines and not zeroed. A `secret` one wipes what was
    /// written when it is emptied or dropped.
    pub fn new(bytes: usize, secret: bool) -> Result<Self, NoBuffer> {
        let layout = layout(bytes).ok_or(NoBuffer::TooLarge)?;
        // SAFETY: the size is not zero.
        let data = NonNull::new(unsafe { alloc(layout) }).ok_or(NoBuffer::Memory)?;
        let references = Count::default();
        let mut segment =
            Self { data, capacity: layout.size(), written: 0, touched: 0, whole: false, secret, references };
        if pages::wants_huge(segment.capacity) {
            pages::make_huge(segment.room());
        }
        Ok(segment)
    }

    /// The capacity of a segment for `bytes`, if there can be one.
    pub fn capacity_for(bytes: usize) -> Option<usize> {
        layout(bytes).map(|layout| layout.size())
    }

    #[inline]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    pub fn is_secret(&self) -> bool {
        self.secret
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
    fn room(&mut self) -> &mut [MaybeUninit<u8>] {
        // SAFETY: by (b) the offset is inside the block.
        let start = unsafe { self.data.as_ptr().add(self.written) };
        // SAFETY: by (a) the rest of the block follows; uninitialised bytes are allowed in `MaybeUninit`.
        unsafe { core::slice::from_raw_parts_mut(start.cast(), self.capacity - self.written) }
    }

    /// The room behind the written bytes, for others: all of it may be written to, whatever is counted afterwards.
    #[inline]
    pub fn spare_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        self.touched = self.capacity;
        self.room()
    }

    /// Fills the room behind the written bytes with `byte`, which is no secret.
    pub fn fill_spare(&mut self, byte: u8) {
        self.room().fill(MaybeUninit::new(byte));
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
        let spare = self.room();
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
        let spare = self.room();
        let fitting = bytes.len().min(spare.len());
        // SAFETY: both are `fitting` bytes long, and the room is exclusively ours.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), spare.as_mut_ptr().cast(), fitting) };
        // SAFETY: just written.
        unsafe { self.advance(fitting) };
        fitting
    }

    /// Appends `byte` as many times as there is room for, at most `times`, and returns how often that was.
    pub fn append_times(&mut self, byte: u8, times: usize) -> usize {
        let room = self.room();
        let fitting = times.min(room.len());
        room[..fitting].fill(MaybeUninit::new(byte));
        // SAFETY: just written.
        unsafe { self.advance(fitting) };
        fitting
    }

    /// Forgets all written bytes but the first `len`.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.touched = self.touched.max(self.written);
        self.written = self.written.min(len);
    }

    /// Forgets all written bytes but those in `range`, which move to the front.
    ///
    /// # Panics
    ///
    /// When they are not all written.
    pub fn keep(&mut self, range: Range<usize>) {
        let len = range.len();
        if range.start > 0 {
            self.written_mut().copy_within(range, 0);
        }
        self.truncate(len);
    }

    /// Forgets all written bytes. Those of a secret are wiped.
    #[inline]
    pub fn clear(&mut self) {
        if self.secret {
            self.wipe();
        }
        self.forget();
    }

    /// Forgets all written bytes of what is no secret.
    #[inline]
    pub fn forget(&mut self) {
        debug_assert!(!self.secret || self.written == 0);
        self.written = 0;
        self.touched = 0;
    }

    /// Forgets all written bytes, and hands the pages that they lie in back to the system, where there are enough: for a block
    /// that is freed next, since whoever writes to it again pays for each page.
    #[cold]
    pub fn hand_back(&mut self) {
        self.clear();
        self.whole = false;
        pages::hand_back(self.room());
    }

    /// Overwrites with zeros all that was written since the last wipe.
    #[cold]
    fn wipe(&mut self) {
        let touched = self.touched.max(self.written);
        self.written = 0;
        self.room()[..touched].zeroize();
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        self.clear();
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

    fn segment(bytes: usize) -> Segment {
        Segment::new(bytes, false).unwrap()
    }

    #[test]
    fn only_written_bytes_are_visible_after_truncate() {
        let mut segment = segment(10);
        assert_eq!(segment.capacity(), LINE);
        assert_eq!(segment.append(b"secret"), 6);
        segment.truncate(0);
        assert_eq!(segment.written(), b"");
        assert_eq!(segment.append(b"ab"), 2);
        assert_eq!(segment.written(), b"ab");
    }

    #[test]
    fn append_stops_at_the_end_of_the_block() {
        let mut segment = segment(1);
        assert_eq!(segment.append(&[7; 100]), LINE);
        assert_eq!(segment.append(b"x"), 0);
        assert_eq!(segment.written(), &[7; LINE]);
    }

    #[test]
    fn blocks_start_at_a_cache_line() {
        for bytes in [0, 1, 64, 65, 4096] {
            assert_eq!(segment(bytes).written().as_ptr().align_offset(LINE), 0);
        }
    }

    /// What the first `bytes` bytes of the block are, of which all were written once.
    fn memory(segment: &Segment, bytes: usize) -> Vec<u8> {
        assert!(bytes <= segment.capacity());
        // SAFETY: by (a); the caller has written so many.
        unsafe { core::slice::from_raw_parts(segment.data.as_ptr(), bytes) }.to_vec()
    }

    #[test]
    fn a_secret_is_wiped_up_to_its_high_water_mark() {
        let mut segment = Segment::new(1000, true).unwrap();
        segment.append(&[7; 900]);
        segment.truncate(3);
        segment.append(&[8; 10]);
        segment.clear();
        assert_eq!(memory(&segment, 900), [0; 900]);
        // What was wiped is not wiped again.
        assert_eq!((segment.touched, segment.written().len()), (0, 0));
        // What others may have written, without a word of it.
        let room = segment.capacity();
        segment.spare_mut().fill(MaybeUninit::new(9));
        segment.clear();
        assert_eq!(memory(&segment, room), vec![0; room]);
    }

    #[test]
    fn what_is_no_secret_costs_no_wipe() {
        let mut segment = segment(1000);
        segment.append(&[7; 900]);
        segment.clear();
        assert_eq!(memory(&segment, 900), [7; 900]);
    }

    #[test]
    fn bytes_that_are_kept_move_to_the_front() {
        let mut segment = segment(10);
        segment.append(b"0123456789");
        segment.keep(3..7);
        assert_eq!(segment.written(), b"3456");
        assert_eq!(segment.append_times(b'x', 100), LINE - 4);
        assert_eq!(segment.written()[3..6], *b"6xx");
    }

    #[test]
    fn sizes_that_cannot_be_are_an_error() {
        assert_eq!(Segment::new(usize::MAX, false).unwrap_err(), NoBuffer::TooLarge);
        assert_eq!(Segment::new(isize::MAX as usize, false).unwrap_err(), NoBuffer::TooLarge);
    }
}
