//! What single requests have out: counted by request, tag and pool, in a table of fixed size, without reference counts.
//!
//! A request that takes something under a tag gets a block of the table, and a [`Ticket`] to it. What it takes gets a
//! [`Receipt`], which says where it is counted: a return finds its entry by that, and compares the stamp. Each entry of the
//! block is one word, with the request's stamp in it:
//!
//! | bits | what |
//! |---|---|
//! | 0 to 12 | values that are out |
//! | 13 to 34 | the pool |
//! | 35 to 44 | the tag |
//! | 45 to 63 | the stamp of the request |
//!
//! Every change is an exchange of the whole word. So what comes back after its request has ended finds another stamp, or
//! nothing, and changes nothing; it needs to know of no end. Nor does a take: one that comes too late, while another request
//! has the block, finds a later stamp and leaves it alone, or else an entry that this other request takes over when it wants
//! it. A stamp comes again after half a million requests of its block: a value that comes back just then is counted for the
//! wrong one.

use crate::sync::{AtomicU32, AtomicU64, MODELLED, Ordering, count};
use core::fmt;
use core::num::NonZeroU32;

/// Requests that are audited at once.
const BLOCKS: usize = if MODELLED { 1 } else { 1 << BLOCK };
/// Pairs of tag and pool that are told apart in one request.
const ENTRIES: usize = if MODELLED { 2 } else { 1 << ENTRY };
/// Blocks that a request looks at for a free one.
const LOOKS: usize = 64;

const COUNT: u32 = 13;
const POOL: u32 = 22;
const TAG: u32 = 10;
const STAMP: u32 = 19;
const BUSY: u32 = 1 << 31;

/// Bits of a ticket below its stamp, and of a receipt below those.
const BLOCK: u32 = 10;
const ENTRY: u32 = 3;

const fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

/// Who has taken what from where: an entry without its count.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key(u64);

impl Key {
    #[inline]
    fn new(ticket: Ticket, tag: u16, pool: u32) -> Self {
        let (stamp, tag, pool) = (u64::from(ticket.stamp()), u64::from(tag), u64::from(pool));
        Self((stamp << TAG | tag & mask(TAG)) << POOL | pool & mask(POOL))
    }

    fn of(entry: u64) -> Self {
        Self(entry >> COUNT)
    }

    fn with(self, count: u64) -> u64 {
        self.0 << COUNT | count
    }

    fn stamp(self) -> u32 {
        (self.0 >> (TAG + POOL)) as u32
    }

    fn tag(self) -> u16 {
        (self.0 >> POOL & mask(TAG)) as u16
    }

    fn pool(self) -> u32 {
        (self.0 & mask(POOL)) as u32
    }

    /// The entry with one value more, if this may be counted there.
    #[inline]
    fn counted_in(self, entry: u64) -> Option<u64> {
        let found = Self::of(entry);
        if found == self {
            return (count_of(entry) < mask(COUNT)).then_some(entry + 1);
        }
        // What is left of an earlier request is as good as none. The entries of this one fill the block from its beginning, so
        // that none of them follows.
        (entry == 0 || found.is_before(self)).then(|| self.with(1))
    }

    /// Whether its request had the block before the other's, as far as stamps tell.
    fn is_before(self, other: Self) -> bool {
        let later = u64::from(other.stamp().wrapping_sub(self.stamp())) & mask(STAMP);
        (1..=mask(STAMP) / 2).contains(&later)
    }
}

fn count_of(entry: u64) -> u64 {
    entry & mask(COUNT)
}

/// A request's right to a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(NonZeroU32);

impl Ticket {
    fn new(block: usize, stamp: u32) -> Option<Self> {
        // There are 2^10 blocks at most.
        Self::from_word(stamp << BLOCK | block as u32)
    }

    /// 0 stands for none.
    #[inline]
    pub fn from_word(word: u32) -> Option<Self> {
        NonZeroU32::new(word).map(Self)
    }

    pub fn word(self) -> u32 {
        self.0.get()
    }

    fn block(self) -> usize {
        self.word() as usize % BLOCKS
    }

    fn stamp(self) -> u32 {
        self.word() >> BLOCK
    }
}

/// Where a value is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt(NonZeroU32);

impl Receipt {
    #[inline]
    fn new(ticket: Ticket, entry: usize) -> Option<Self> {
        // A stamp and both places fit exactly.
        Self::from_word(ticket.word() << ENTRY | entry as u32)
    }

    /// 0 stands for none.
    #[inline]
    pub fn from_word(word: u32) -> Option<Self> {
        NonZeroU32::new(word).map(Self)
    }

    #[inline]
    pub fn word(self) -> u32 {
        self.0.get()
    }

    fn block(self) -> usize {
        (self.word() >> ENTRY) as usize % BLOCKS
    }

    fn entry(self) -> usize {
        self.word() as usize % ENTRIES
    }

    fn stamp(self) -> u32 {
        self.word() >> (BLOCK + ENTRY)
    }
}

/// What was out when its request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Out {
    pub tag: u16,
    pub pool: u32,
    pub values: u64,
}

/// The entries of one request, in one cache line.
#[derive(Debug)]
#[repr(align(64))]
struct Block([AtomicU64; ENTRIES]);

/// See the head of this file. Entries are Relaxed: each is whole in itself, and publishes nothing. A block goes from one
/// request to the next by its stamp.
#[derive(Debug)]
pub struct Audits {
    blocks: Box<[Block; BLOCKS]>,
    /// The stamp of each block's last request, and whether it still runs.
    stamps: Box<[AtomicU32; BLOCKS]>,
    /// Where to look next for a free block.
    next: count::AtomicUsize,
}

impl Audits {
    #[allow(clippy::new_without_default)] // It is no value, but a table.
    pub fn new() -> Self {
        Self {
            blocks: table(|| Block(core::array::from_fn(|_| AtomicU64::new(0)))),
            stamps: table(|| AtomicU32::new(0)),
            next: count::AtomicUsize::new(0),
        }
    }

    /// A block for a request; `None` when none is found.
    pub fn begin(&self) -> Option<Ticket> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let mut looked = (0..LOOKS.min(BLOCKS)).map(|look| next.wrapping_add(look) % BLOCKS);
        looked.find_map(|block| Ticket::new(block, begun(&self.stamps[block])?))
    }

    /// Counts a value that the request takes, and says where; nowhere if there is no room for that.
    #[inline]
    pub fn take(&self, ticket: Ticket, tag: u16, pool: u32) -> Option<Receipt> {
        let key = Key::new(ticket, tag, pool);
        let Block(entries) = &self.blocks[ticket.block()];
        for (at, entry) in entries.iter().enumerate() {
            let word = entry.load(Ordering::Relaxed);
            let next = match Key::of(word) {
                found if found == key => word + 1,
                _ if word == 0 => key.with(1),
                _ => continue,
            };
            let is_full = count_of(next) == 0;
            if is_full || entry.compare_exchange_weak(word, next, Ordering::Relaxed, Ordering::Relaxed).is_err() {
                break;
            }
            return Receipt::new(ticket, at);
        }
        self.take_slow(ticket, key)
    }

    /// As `take`, where others are at the same entries, or one is full.
    #[cold]
    fn take_slow(&self, ticket: Ticket, key: Key) -> Option<Receipt> {
        let Block(entries) = &self.blocks[ticket.block()];
        let entry = entries.iter().position(|entry| changed(entry, |word| key.counted_in(word)))?;
        Receipt::new(ticket, entry)
    }

    /// Counts that such a value comes back. It says whether that was in time.
    #[inline]
    pub fn back(&self, receipt: Receipt) -> bool {
        let Block(entries) = &self.blocks[receipt.block()];
        let is_in_time = |word| Key::of(word).stamp() == receipt.stamp() && count_of(word) > 0;
        // As long as the stamp is the request's, so is all of the entry.
        changed(&entries[receipt.entry()], |word| is_in_time(word).then(|| word - 1))
    }

    /// Ends a request, and tells what is out.
    #[inline]
    pub fn end(&self, ticket: Ticket, out: impl FnMut(Out)) {
        let Block(entries) = &self.blocks[ticket.block()];
        for entry in entries {
            let word = entry.load(Ordering::Relaxed);
            // They fill the block from its beginning.
            if word == 0 {
                break;
            }
            let is_own = Key::of(word).stamp() == ticket.stamp();
            if is_own && count_of(word) > 0 {
                tell(entries, ticket, out);
                break;
            }
            if is_own {
                // Nothing is to come back here.
                entry.store(0, Ordering::Relaxed);
            }
        }
        // Release: publishes that the entries are empty, to the Acquire in `begun`.
        self.stamps[ticket.block()].store(ticket.stamp(), Ordering::Release);
    }
}

fn table<T, const N: usize>(make: impl Fn() -> T) -> Box<[T; N]> {
    let table: Box<[T]> = (0..N).map(|_| make()).collect();
    table.try_into().unwrap_or_else(|_| unreachable!("it was made with as many"))
}

/// Begins a request in the block with this stamp, if none runs there.
fn begun(stamp: &AtomicU32) -> Option<u32> {
    // Relaxed: the exchange decides.
    let word = stamp.load(Ordering::Relaxed);
    if word & BUSY != 0 {
        return None;
    }
    // 0 stands for none.
    let next = ((word + 1) & mask(STAMP) as u32).max(1);
    // Acquire: sees the entries emptied, from the Release in `end`; else that could still take away what this request counts.
    // Relaxed on failure: the block is another's.
    let begun = stamp.compare_exchange(word, next | BUSY, Ordering::Acquire, Ordering::Relaxed);
    begun.is_ok().then_some(next)
}

/// Takes out what is out, and tells it by tag and pool.
#[cold]
fn tell(entries: &[AtomicU64], ticket: Ticket, mut out: impl FnMut(Out)) {
    let mut taken = [0; ENTRIES];
    for (entry, taken) in entries.iter().zip(&mut taken) {
        if Key::of(entry.load(Ordering::Relaxed)).stamp() == ticket.stamp() {
            *taken = entry.swap(0, Ordering::Relaxed);
        }
    }
    for (at, key) in taken.iter().map(|&entry| Key::of(entry)).enumerate() {
        // A count that was full went on in another entry.
        let is_same = |entry: &&u64| Key::of(**entry) == key;
        let values = taken.iter().filter(is_same).copied().map(count_of).sum();
        if values > 0 && !taken[..at].iter().any(|entry| is_same(&entry)) {
            out(Out { tag: key.tag(), pool: key.pool(), values });
        }
    }
}

/// Changes an entry, if `change` wants to.
#[inline]
fn changed(entry: &AtomicU64, change: impl Fn(u64) -> Option<u64>) -> bool {
    let mut word = entry.load(Ordering::Relaxed);
    while let Some(changed) = change(word) {
        match entry.compare_exchange_weak(word, changed, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return true,
            Err(now) => word = now,
        }
    }
    false
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("tag", &self.tag()).field("pool", &self.pool()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn ended(audits: &Audits, ticket: Ticket) -> Vec<Out> {
        let mut all = Vec::new();
        audits.end(ticket, |out| all.push(out));
        all
    }

    #[test]
    fn what_is_out_is_told_by_tag_and_pool() {
        let audits = Audits::new();
        let ticket = audits.begin().unwrap();
        let taken = [(1, 7), (1, 7), (1, 8), (1023, (1 << 22) - 1)];
        let taken = taken.map(|(tag, pool)| audits.take(ticket, tag, pool).expect("there is room"));
        assert!(audits.back(taken[2]) && !audits.back(taken[2]) && audits.back(taken[0]));
        let out = |tag, pool, values| Out { tag, pool, values };
        assert_eq!(ended(&audits, ticket), [out(1, 7, 1), out(1023, (1 << 22) - 1, 1)]);
        assert!(!audits.back(taken[1]), "too late");
    }

    #[test]
    fn a_late_return_leaves_the_next_request_of_its_block_alone() {
        let audits = Audits::new();
        let first = audits.begin().unwrap();
        let late = audits.take(first, 1, 7).unwrap();
        ended(&audits, first);
        let next = (0..BLOCKS).map(|_| audits.begin().unwrap()).find(|next| next.block() == first.block()).unwrap();
        assert!(audits.take(next, 1, 7).is_some());
        assert!(!audits.back(late));
        assert_eq!(ended(&audits, next), [Out { tag: 1, pool: 7, values: 1 }]);
    }

    #[test]
    fn neither_requests_nor_kinds_without_room_are_counted() {
        let audits = Audits::new();
        let tickets: Vec<_> = (0..BLOCKS).map(|_| audits.begin().expect("there are as many")).collect();
        assert!(audits.begin().is_none());
        let kinds = (0..10).filter_map(|pool| audits.take(tickets[0], 1, pool)).count();
        assert_eq!(kinds, ENTRIES);
        assert!(audits.take(tickets[0], 1, 0).is_some(), "one that has an entry");
        assert_eq!(ended(&audits, tickets[0]).len(), ENTRIES);
        let again = (0..BLOCKS).find_map(|_| audits.begin());
        assert_eq!(again.map(Ticket::block), Some(tickets[0].block()));
    }

    #[test]
    fn a_late_take_leaves_the_next_request_of_its_block_alone() {
        for stamp in [0, mask(STAMP) as u32 - 1] {
            let audits = Audits::new();
            audits.stamps[0].store(stamp, Ordering::Relaxed);
            let first = audits.begin().unwrap();
            ended(&audits, first);
            audits.next.store(0, Ordering::Relaxed);
            let next = audits.begin().unwrap();
            assert_eq!(next.block(), first.block());
            assert!(audits.take(next, 1, 7).is_some());
            let late: Vec<_> = (0..10).filter_map(|pool| audits.take(first, 2, pool)).collect();
            assert_eq!(late.len(), ENTRIES - 1, "where the next one has nothing");
            assert!(audits.take(next, 1, 8).is_some(), "one that came late makes room");
            assert!(!audits.back(late[0]));
            let out = |pool| Out { tag: 1, pool, values: 1 };
            assert_eq!(ended(&audits, next), [out(7), out(8)]);
        }
    }

    #[test]
    fn a_receipt_has_room_for_the_last_of_all_places() {
        let last = mask(STAMP) as u32;
        let ticket = Ticket::new(BLOCKS - 1, last).unwrap();
        let receipt = Receipt::new(ticket, ENTRIES - 1).unwrap();
        assert_eq!((receipt.block(), receipt.entry(), receipt.stamp()), (BLOCKS - 1, ENTRIES - 1, last));
        assert_eq!((ticket.block(), ticket.stamp()), (BLOCKS - 1, last));
    }

    #[test]
    fn stamps_come_round_without_the_one_for_none() {
        let audits = Audits::new();
        audits.stamps[0].store(mask(STAMP) as u32, Ordering::Relaxed);
        assert_eq!(begun(&audits.stamps[0]), Some(1));
    }
}
