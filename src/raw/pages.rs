//! Advice to the system about the pages of a block: take them back, or make them large.
//!
//! An allocator keeps the pages of what it has back, for long or for ever. A pool that gives a large block up knows that nobody
//! wants it, so it hands the whole pages inside of it to the system first: what is freed then is a block of addresses. And a
//! new block of some MiB is filled several times as quickly where its pages are huge ones, which most systems give only to
//! those who ask. `docs/decisions/0036` has the figures, and says why no allocator minds.
//!
//! Both are advice: where the system refuses, or is not Linux, nothing happens.

use core::mem::MaybeUninit;

/// Bytes of a huge page, where pages have 4 KiB. Where those are larger, so are the huge ones, and the advice does nothing.
pub const HUGE: usize = 2 << 20;

/// Bytes of the smallest block whose pages are handed back. For a smaller one a call to the system, and the faults of whoever
/// gets the block next, cost more than its few pages are worth.
pub const WORTH_HANDING_BACK: usize = 16 << 10;

/// Whether a block of `bytes` should begin where a huge page does, and [be made up of such](make_huge): four fifths of it at
/// least. Of 3 MiB a third would have small pages; an allocator that asks for huge ones by itself covers more.
pub const fn wants_huge(bytes: usize) -> bool {
    cfg!(all(target_os = "linux", target_pointer_width = "64", not(miri))) && bytes >= HUGE && bytes % HUGE <= bytes / 5
}

/// Hands the whole pages inside of `block` back to the system. Whatever was written to them is gone.
pub fn hand_back(block: &mut [MaybeUninit<u8>]) {
    if block.len() >= WORTH_HANDING_BACK && !has_tag(block) {
        system::advise(whole(block, system::page()), system::TAKE_BACK);
    }
}

/// Asks that the whole huge pages inside of `block` be such when they are first written to. What does not fill one is left as
/// it is: so a block is never more resident than it is large.
pub fn make_huge(block: &mut [MaybeUninit<u8>]) {
    system::advise(whole(block, HUGE), system::MAKE_HUGE);
}

/// The part of `block` that is made up of whole pages of `page` bytes.
fn whole(block: &mut [MaybeUninit<u8>], page: usize) -> &mut [MaybeUninit<u8>] {
    let begin = block.as_ptr().addr().wrapping_neg() % page;
    let bytes = block.len().saturating_sub(begin) / page * page;
    block.get_mut(begin..).and_then(|rest| rest.get_mut(..bytes)).unwrap_or_default()
}

/// Whether the address carries a tag in its top byte: then the memory has tags too, which would go with the pages, and the
/// allocator could not touch the block any more.
fn has_tag(block: &[MaybeUninit<u8>]) -> bool {
    block.as_ptr().addr() as u64 >> 56 != 0
}

#[cfg(all(target_os = "linux", not(miri)))]
mod system {
    use super::MaybeUninit;

    pub(super) const TAKE_BACK: libc::c_int = libc::MADV_DONTNEED;
    pub(super) const MAKE_HUGE: libc::c_int = libc::MADV_HUGEPAGE;

    /// Bytes of a page. It must be the system's own: a length is rounded up to whole pages there, into what is not ours.
    pub(super) fn page() -> usize {
        // SAFETY: the call takes a number only and touches no memory of ours.
        let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        // No system says so. Then no block has a whole page.
        usize::try_from(bytes).ok().filter(|bytes| bytes.is_power_of_two()).unwrap_or(1 << (usize::BITS - 1))
    }

    /// `advice` is one of those above.
    pub(super) fn advise(pages: &mut [MaybeUninit<u8>], advice: libc::c_int) {
        if pages.is_empty() {
            return;
        }
        // SAFETY: the pages are ours alone, and nothing else lies in them. The advice keeps them mapped as they are, and changes
        // at most what is in them, which `MaybeUninit` allows.
        unsafe { libc::madvise(pages.as_mut_ptr().cast(), pages.len(), advice) };
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod system {
    use super::MaybeUninit;

    pub(super) const TAKE_BACK: i32 = 0;
    pub(super) const MAKE_HUGE: i32 = 1;

    pub(super) fn page() -> usize {
        4096
    }

    pub(super) fn advise(_: &mut [MaybeUninit<u8>], _: i32) {}
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Where `whole` begins and ends in a block that begins `offset` bytes behind a page.
    fn part(room: &mut [MaybeUninit<u8>], offset: usize, bytes: usize) -> (usize, usize) {
        let page = 4096;
        let first = room.as_ptr().addr().wrapping_neg() % page;
        let block = &mut room[first + offset..][..bytes];
        let begin = block.as_ptr().addr();
        let whole = whole(block, page);
        if whole.is_empty() { (0, 0) } else { (whole.as_ptr().addr() - begin, whole.len()) }
    }

    #[test]
    fn only_whole_pages_inside_of_a_block_are_advised() {
        let mut room = vec![MaybeUninit::new(0); 8 * 4096];
        assert_eq!(part(&mut room, 0, 8192), (0, 8192));
        assert_eq!(part(&mut room, 64, 8192), (4032, 4096));
        assert_eq!(part(&mut room, 4095, 4097), (1, 4096));
        assert_eq!(part(&mut room, 4095, 4096), (0, 0));
        assert_eq!(part(&mut room, 1, 4095), (0, 0));
        assert_eq!(part(&mut room, 1, 100), (0, 0));
        assert_eq!(part(&mut room, 1, 0), (0, 0));
    }

    #[test]
    #[cfg(all(target_os = "linux", not(miri)))]
    fn what_is_handed_back_is_gone_and_its_neighbours_stay() {
        let mut room = vec![7_u8; 32 << 10];
        let page = system::page();
        let first = room.as_ptr().addr().wrapping_neg() % page;
        let (_, block) = room.split_at_mut(first + 100);
        let block = &mut block[..WORTH_HANDING_BACK];
        // A vector of bytes may be seen as bytes that may be uninitialised, as long as nobody leaves such there.
        let bytes = block.len();
        // SAFETY: the same bytes, which are initialised afterwards too: the system fills them with zeros.
        hand_back(unsafe { core::slice::from_raw_parts_mut(block.as_mut_ptr().cast(), bytes) });
        let (end, last) = (first + 100 + bytes, first + (100 + bytes) / page * page);
        assert!(room[..first + page].iter().all(|&byte| byte == 7));
        assert!(room[first + page..last].iter().all(|&byte| byte == 0));
        assert!(room[last..end].iter().chain(&room[end..]).all(|&byte| byte == 7));
    }

    #[test]
    fn what_is_small_or_tagged_is_left_alone() {
        let mut room = vec![7_u8; WORTH_HANDING_BACK - 1];
        let bytes = room.len();
        // SAFETY: as above.
        hand_back(unsafe { core::slice::from_raw_parts_mut(room.as_mut_ptr().cast(), bytes) });
        assert!(room.iter().all(|&byte| byte == 7));
        assert!(!has_tag(&[MaybeUninit::new(0)]));
    }
}
