//! What requests use, and what a slot keeps for the next one.
//!
//! A histogram of recent requests by the bytes that they used, in buckets that grow by steps (four to a doubling, as in
//! HdrHistogram), with exponential decay: when it holds [`WINDOW`] requests all counts are halved. What a
//! slot may keep follows from one percentile of it, [`TYPICAL_PERCENT`].
//!
//! **What can be said of it.** Once there are some hundred requests, a share clearly below a fiftieth does not set what is
//! kept, however large they are. After a change to larger requests the percentile has followed when a fiftieth of the
//! window is new, some 80 requests; after one to smaller requests, when at most a fiftieth is old: six halvings, or
//! 12,288 requests. The estimate is at least the percentile and, beyond 448 bytes, at most a quarter more than the
//! percentile and a block's footer.
//!
//! **Cost.** A slot notes its requests by itself, a byte each, and hands in a batch: after the first request, then
//! after two, four and so on up to [`BATCH`]. So numbers come early, and later a lock is tried once in sixteen requests of
//! a slot. When somebody else has it, the slot goes on noting; in the end it forgets what it has no room for. Nobody waits.

use crate::raw::lanes::Keep;
use crate::sync::Ordering::Relaxed;
use crate::sync::count::AtomicUsize;
use core::fmt;
use parking_lot::Mutex;

/// The percentile of recent requests whose use a slot is made for. Not the 99th: with one large request in a hundred, the
/// textbook case, that one would hang on the toss of a coin. One request in fifty may pay for blocks of its own: with one in
/// twenty the main job allocated a quarter more bytes.
const TYPICAL_PERCENT: u32 = 98;
/// Requests in the histogram at which all counts are halved.
const WINDOW: u32 = 4096;
/// New requests between two estimates, once there are as many.
const ESTIMATE_EVERY: u32 = 128;
/// Requests that a slot hands in at once when it runs for long.
const BATCH: usize = 16;
/// Batches of a slot of which one has a request whose reclaim is timed: one request in 256.
const BATCHES_A_TIME: u8 = 16;
/// Requests that a slot notes at most while it cannot hand them in.
const NOTES: usize = 32;

/// What a block of bumpalo's costs beyond its capacity, with the allocator's own bytes: whole blocks are powers of two,
/// or pages.
const FOOTER: usize = 64;
/// The smallest whole block.
const SMALLEST: usize = 512;
const PAGE: usize = 4096;
/// One for no bytes, one for the smallest block, four for each doubling up to a tebibyte.
const BUCKETS: usize = 2 + 4 * 31;

/// The bucket of a request that used `bytes`.
fn bucket(bytes: usize) -> usize {
    if bytes == 0 {
        return 0;
    }
    let last = bytes.saturating_add(FOOTER - 1);
    if last < SMALLEST {
        return 1;
    }
    let doublings = last.ilog2() - SMALLEST.ilog2();
    // The two bits below the highest.
    let step = (last >> (last.ilog2() - 2)) & 3;
    (2 + doublings as usize * 4 + step).min(BUCKETS - 1)
}

/// The most that a request of the bucket used: the capacity of a block for it.
fn capacity(bucket: usize) -> usize {
    match bucket {
        0 => 0,
        1 => SMALLEST - FOOTER,
        _ => {
            let (doublings, step) = ((bucket - 2) / 4, (bucket - 2) % 4);
            ((SMALLEST / 4) << doublings) * (5 + step) - FOOTER
        }
    }
}

/// The capacity of the whole block that bumpalo allocates when it is asked for `bytes`.
fn block_for(bytes: usize) -> usize {
    match bytes {
        0 => 0,
        PAGE.. => (bytes + FOOTER).next_multiple_of(PAGE) - FOOTER,
        _ => (bytes + FOOTER).next_power_of_two().max(SMALLEST) - FOOTER,
    }
}

/// The largest capacity of a whole block that is not above `bytes`; 0 if there is none.
fn block_within(bytes: usize) -> usize {
    let whole = bytes.saturating_add(FOOTER);
    match whole {
        PAGE.. => whole / PAGE * PAGE - FOOTER,
        SMALLEST.. => (1 << whole.ilog2()) - FOOTER,
        _ => 0,
    }
}

/// The use of recent requests, of all slots together.
pub(super) struct Usage {
    book: Mutex<Book>,
    /// Bytes that one slot's arena keeps at most.
    bound: usize,
    /// What follows from the last estimate, as in [`Keep`]. They publish nothing, hence Relaxed. One may be read before, the
    /// other after a change: lanes keep within `most` whatever `block` is.
    block: AtomicUsize,
    most: AtomicUsize,
}

#[derive(Clone, Copy)]
struct Book {
    counts: [u32; BUCKETS],
    /// The sum of `counts`.
    requests: u32,
    /// Requests since the last estimate.
    fresh: u32,
    largest: usize,
    used: u64,
    wasted: u64,
}

impl Usage {
    /// For slots that keep at most `bound` bytes each.
    pub(super) fn new(bound: usize) -> Self {
        let book = Book { counts: [0; BUCKETS], requests: 0, fresh: 0, largest: 0, used: 0, wasted: 0 };
        Self { book: Mutex::new(book), bound, block: AtomicUsize::new(0), most: AtomicUsize::new(bound) }
    }

    /// The bytes of [`keep`](Self::keep) alone.
    #[inline]
    pub(super) fn most(&self) -> usize {
        self.most.load(Relaxed)
    }

    /// What a slot keeps: a block for a typical request, or up to twice the bytes if it has them already. Before the first
    /// request is known, whatever it has.
    pub(super) fn keep(&self) -> Keep {
        Keep { block: self.block.load(Relaxed), most: self.most.load(Relaxed) }
    }

    fn set_typical(&self, bytes: usize) {
        let block = block_for(bytes);
        self.block.store(if block <= self.bound { block } else { block_within(self.bound) }, Relaxed);
        self.most.store(self.bound.min(bytes * 2), Relaxed);
    }

    /// A snapshot of the numbers.
    pub(super) fn snapshot(&self) -> Snapshot {
        let book = *self.book.lock();
        let at = |percent| capacity(book.percentile(percent)).min(book.largest);
        Snapshot { percentiles: [50, 90, 99].map(at), largest: book.largest, used: book.used, wasted: book.wasted }
    }
}

/// The numbers of [`Usage`].
pub(super) struct Snapshot {
    /// The 50th, the 90th and the 99th.
    pub(super) percentiles: [usize; 3],
    pub(super) largest: usize,
    pub(super) used: u64,
    pub(super) wasted: u64,
}

impl Book {
    /// Adds requests by their buckets, and some that took nothing.
    fn add(&mut self, buckets: &[u8], nothing: usize) {
        for &bucket in buckets {
            self.counts[usize::from(bucket)] += 1;
        }
        // There are at most `NOTES` at once.
        let requests = (buckets.len() + nothing) as u32;
        self.counts[0] += nothing as u32;
        self.requests += requests;
        self.fresh += requests;
        if self.requests >= WINDOW {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.requests = self.counts.iter().sum();
        }
    }

    /// The first bucket with at least `percent` of the requests in it and below.
    fn percentile(&self, percent: u32) -> usize {
        let wanted = (self.requests * percent).div_ceil(100).max(1);
        let mut below = 0;
        let reaches = |count: &u32| {
            below += count;
            below >= wanted
        };
        self.counts.iter().position(reaches).unwrap_or(0)
    }

    fn wants_estimate(&self) -> bool {
        self.fresh >= ESTIMATE_EVERY || self.requests < ESTIMATE_EVERY
    }
}

/// What one slot has noted and not handed in.
pub(super) struct Notes {
    /// Requests that took something, by their buckets.
    buckets: [u8; NOTES],
    len: usize,
    /// Requests to note until some are handed in: those that took nothing leave no other trace.
    left: usize,
    /// Requests that are noted when none is left.
    due: usize,
    /// Notes to hand in at once next time.
    batch: usize,
    /// Batches handed in since the last reclaim that was to be timed.
    batches: u8,
    /// The reclaim of the next request that took something is to be timed: the first, and one for every sixteenth batch.
    pub(super) is_timed: bool,
    largest: usize,
    used: u64,
    wasted: u64,
}

impl Default for Notes {
    fn default() -> Self {
        Self {
            buckets: [0; NOTES],
            len: 0,
            left: 1,
            due: 1,
            batch: 1,
            batches: 0,
            is_timed: true,
            largest: 0,
            used: 0,
            wasted: 0,
        }
    }
}

impl Notes {
    /// Notes a request that used some bytes of those that it had reserved.
    #[inline]
    pub(super) fn note(&mut self, used: usize, reserved: usize, usage: &Usage) {
        const { assert!(BUCKETS <= 1 << 8) };
        self.buckets[self.len] = bucket(used) as u8;
        self.len += 1;
        if reserved != 0 {
            self.largest = self.largest.max(used);
            self.used += used as u64;
            self.wasted += (reserved - used) as u64;
        }
        self.noted(usage);
    }

    /// As `note_nothing`, if nothing is to be handed in yet; else `false`, and nothing is done.
    #[inline]
    pub(super) fn count_nothing(&mut self) -> bool {
        let is_counted = self.left > 1;
        if is_counted {
            self.left -= 1;
        }
        is_counted
    }

    /// Notes a request that took nothing.
    #[inline]
    pub(super) fn note_nothing(&mut self, usage: &Usage) {
        self.noted(usage);
    }

    #[inline]
    fn noted(&mut self, usage: &Usage) {
        self.left -= 1;
        if self.left == 0 {
            self.hand_in(usage);
        }
    }

    #[cold]
    fn hand_in(&mut self, usage: &Usage) {
        let Some(mut book) = usage.book.try_lock() else {
            if self.due >= NOTES {
                self.begin_batch();
            } else {
                (self.left, self.due) = (1, self.due + 1);
            }
            return;
        };
        book.add(&self.buckets[..self.len], self.due - self.len);
        book.largest = book.largest.max(self.largest);
        book.used += core::mem::take(&mut self.used);
        book.wasted += core::mem::take(&mut self.wasted);
        if book.wants_estimate() {
            book.fresh = 0;
            usage.set_typical(capacity(book.percentile(TYPICAL_PERCENT)));
        }
        drop(book);
        self.batches = (self.batches + 1) % BATCHES_A_TIME;
        self.is_timed |= self.batches == 0;
        self.batch = (self.batch * 2).min(BATCH);
        self.begin_batch();
    }

    fn begin_batch(&mut self) {
        (self.len, self.left, self.due) = (0, self.batch, self.batch);
    }
}

impl fmt::Debug for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Usage").field("keep", &self.keep()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Hands in `count` requests that used `bytes`.
    fn serve(usage: &Usage, notes: &mut Notes, count: usize, bytes: usize) {
        (0..count).for_each(|_| notes.note(bytes, bytes, usage));
    }

    fn typical(usage: &Usage) -> usize {
        usage.keep().most / 2
    }

    #[test]
    fn a_bucket_holds_its_request_with_at_most_a_quarter_more() {
        let mut last = 0;
        for bytes in (0..100_000).chain((17..40).flat_map(|bit| [(1 << bit) - 65, (1 << bit) - 64, (1 << bit) - 63])) {
            let bucket = bucket(bytes);
            assert!(capacity(bucket) >= bytes, "{bytes}");
            assert!(bucket == 1 || bytes == 0 || capacity(bucket) + FOOTER <= (bytes + FOOTER) * 5 / 4, "{bytes}");
            assert!(bucket >= last, "{bytes}");
            last = bucket;
        }
        assert_eq!((bucket(usize::MAX), bucket(448), bucket(449)), (BUCKETS - 1, 1, 2));
    }

    #[test]
    fn the_first_request_is_known_at_once_and_later_ones_by_batches() {
        let (usage, mut notes) = (Usage::new(usize::MAX), Notes::default());
        assert_eq!(usage.keep(), Keep { block: 0, most: usize::MAX });
        notes.note(900, 1000, &usage);
        assert_eq!(usage.keep(), Keep { block: 960, most: 1920 });
        let snapshot = usage.snapshot();
        assert_eq!((snapshot.largest, snapshot.used, snapshot.wasted), (900, 900, 100));
        serve(&usage, &mut notes, 2 + 4 + 8 + BATCH, 900);
        assert_eq!(notes.len, 0);
        serve(&usage, &mut notes, BATCH - 1, 900);
        assert_eq!(notes.len, BATCH - 1);
        serve(&usage, &mut notes, 1, 900);
        assert_eq!((notes.len, usage.snapshot().used), (0, 900 * (1 + 2 + 4 + 8 + 2 * BATCH as u64)));
    }

    #[test]
    fn less_than_a_fiftieth_of_large_requests_never_sets_what_is_kept() {
        let (usage, mut notes) = (Usage::new(usize::MAX), Notes::default());
        serve(&usage, &mut notes, 100, 4000);
        for round in 0..1000 {
            serve(&usage, &mut notes, 60, 4000);
            serve(&usage, &mut notes, 1, 400_000);
            assert_eq!(typical(&usage), 4032, "round {round}");
        }
        assert_eq!(usage.snapshot().percentiles, [4032, 4032, 400_000]);
    }

    #[test]
    fn the_percentile_follows_larger_requests_soon_and_smaller_ones_by_decay() {
        let (usage, mut notes) = (Usage::new(usize::MAX), Notes::default());
        serve(&usage, &mut notes, 10_000, 1000);
        serve(&usage, &mut notes, 300, 100_000);
        assert!(typical(&usage) >= 100_000, "{usage:?}");
        serve(&usage, &mut notes, 12_288, 100_000);
        serve(&usage, &mut notes, 5000, 1000);
        assert!(typical(&usage) >= 100_000, "{usage:?}");
        serve(&usage, &mut notes, 12_288 - 5000, 1000);
        assert_eq!(typical(&usage), 1216);
    }

    #[test]
    fn what_is_kept_never_passes_its_bound() {
        for (bound, block) in [(0, 0), (447, 0), (448, 448), (5000, 4032), (65_536, 65_472), (100_000, 98_240)] {
            let usage = Usage::new(bound);
            serve(&usage, &mut Notes::default(), 1, 100_000);
            assert_eq!(usage.keep(), Keep { block, most: bound });
        }
    }

    #[test]
    fn what_is_kept_is_whole_blocks_as_bumpalo_allocates_them() {
        for bytes in [1, 449, 5056, 10_000, 114_624] {
            let usage = Usage::new(usize::MAX);
            serve(&usage, &mut Notes::default(), 1, bytes);
            let Keep { block, most } = usage.keep();
            let allocated = bumpalo::Bump::with_capacity(typical(&usage)).allocated_bytes();
            assert_eq!((allocated, bumpalo::Bump::with_capacity(block).allocated_bytes()), (block, block));
            assert!(block >= bytes && block <= most, "{block} of {most} for {bytes}");
        }
    }

    #[test]
    fn a_slot_that_cannot_hand_in_waits_for_nobody() {
        let (usage, mut notes) = (Usage::new(usize::MAX), Notes::default());
        let book = usage.book.lock();
        serve(&usage, &mut notes, NOTES + 1, 100);
        drop(book);
        serve(&usage, &mut notes, 1, 100);
        assert_eq!((notes.len, usage.snapshot().used), (0, 100 * (NOTES as u64 + 2)));
    }

    /// What countdowns stand for: a list of all requests, handed in as batches.
    #[test]
    fn counting_down_comes_to_the_same_as_a_list_of_all_requests() {
        let (counted, listed) = (Usage::new(usize::MAX), Usage::new(usize::MAX));
        let (mut notes, mut list, mut batch) = (Notes::default(), Vec::new(), 1);
        let mut random = 1_u32;
        let mut next = |below| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 16) % below
        };
        let mut is_locked = false;
        for step in 0..50_000 {
            if next(20) == 0 {
                is_locked = next(3) == 0;
            }
            let bytes = if next(2) == 0 { 0 } else { next(9000) as usize };
            let lock = is_locked.then(|| counted.book.lock());
            match bytes {
                0 if next(4) > 0 => notes.note_nothing(&counted),
                _ => notes.note(bytes, bytes, &counted),
            }
            drop(lock);
            list.push(bucket(bytes) as u8);
            if !is_locked && list.len() >= batch {
                listed.book.lock().add(&list, 0);
                (list, batch) = (Vec::new(), (batch * 2).min(BATCH));
            } else if list.len() == NOTES {
                list.clear();
            }
            let (counted, listed) = (counted.book.lock(), listed.book.lock());
            assert_eq!((counted.counts, counted.requests), (listed.counts, listed.requests), "step {step}");
        }
    }
}
