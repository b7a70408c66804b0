//! What single requests have out: counted by request, tag and pool, in a table of fixed size, without reference counts.
//!
//! A request that takes something under a tag gets a block of the table, and a [`Ticket`] to it, which goes with what it
//! takes. Each entry of the block is one word, with the request's stamp in it:
//!
//! | bits | what |
//! |---|---|
//! | 0 to 11 | values that are out |
//! | 12 to 33 | the pool |
//! | 34 to 43 | the tag |
//! | 44 to 63 | the stamp of the request |
//!
//! Every change is a compare-and-exchange on the whole word. So what comes back after its request has ended finds another
//! stamp, or nothing, and changes nothing; it needs to know of no end. A stamp comes again after a million requests of its
//! block: a value that comes back just then is counted for the wrong one.

use crate::sync::{AtomicU32, AtomicU64, MODELLED, Ordering, count};
use core::fmt;

/// Requests that are audited at once.
const BLOCKS: usize = if MODELLED { 1 } else { 1024 };
/// Pairs of tag and pool that are told apart in one request.
const ENTRIES: usize = if MODELLED { 1 } else { 8 };
/// Blocks that a request looks at for a free one.
const LOOKS: usize = 64;

const COUNT: u32 = 12;
const POOL: u32 = 22;
const TAG: u32 = 10;
const STAMP: u32 = 20;
const BUSY: u32 = 1 << 31;

const fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

/// Who has taken what from where: an entry without its count.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key(u64);

impl Key {
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
}

fn count_of(entry: u64) -> u64 {
    entry & mask(COUNT)
}

/// A request's right to a block. Never 0, which stands for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u32);

impl Ticket {
    fn new(block: usize, stamp: u32) -> Self {
        // A stamp is not 0, and there are 2^10 blocks at most.
        Self(stamp << TAG | block as u32)
    }

    pub fn from_word(word: u32) -> Option<Self> {
        (word != 0).then_some(Self(word))
    }

    pub fn word(self) -> u32 {
        self.0
    }

    fn block(self) -> usize {
        (self.0 as u64 & mask(TAG)) as usize
    }

    fn stamp(self) -> u32 {
        self.0 >> TAG
    }
}

/// What was out when its request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Out {
    pub tag: u16,
    pub pool: u32,
    pub values: u64,
}

#[derive(Debug)]
struct Block {
    /// The stamp of the last request, and whether it still runs.
    stamp: AtomicU32,
    entries: [AtomicU64; ENTRIES],
}

impl Block {
    fn new() -> Self {
        Self { stamp: AtomicU32::new(0), entries: core::array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// Begins a request here, if none runs.
    fn begin(&self) -> Option<u32> {
        // Relaxed: the exchange decides.
        let word = self.stamp.load(Ordering::Relaxed);
        if word & BUSY != 0 {
            return None;
        }
        // 0 stands for none.
        let stamp = ((word + 1) & mask(STAMP) as u32).max(1);
        // Relaxed: what the entries say is in each of them.
        let begun = self.stamp.compare_exchange(word, stamp | BUSY, Ordering::Relaxed, Ordering::Relaxed);
        begun.is_ok().then_some(stamp)
    }
}

/// See the head of this file. Relaxed throughout: each entry is whole in itself, and publishes nothing.
#[derive(Debug)]
pub struct Audits {
    blocks: Box<[Block]>,
    /// Where to look next for a free block.
    next: count::AtomicUsize,
}

impl Audits {
    #[allow(clippy::new_without_default)] // It is no value, but a table.
    pub fn new() -> Self {
        Self { blocks: (0..BLOCKS).map(|_| Block::new()).collect(), next: count::AtomicUsize::new(0) }
    }

    /// A block for a request; `None` when none is found.
    pub fn begin(&self) -> Option<Ticket> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let mut looked = (0..LOOKS.min(BLOCKS)).map(|look| next.wrapping_add(look) % BLOCKS);
        looked.find_map(|block| Some(Ticket::new(block, self.blocks[block].begin()?)))
    }

    /// Counts a value that the request takes; `false` when there is no room for that. The request has not ended.
    pub fn take(&self, ticket: Ticket, tag: u16, pool: u32) -> bool {
        let key = Key::new(ticket, tag, pool);
        let counted = |entry| match Key::of(entry) {
            found if found == key => (count_of(entry) < mask(COUNT)).then_some(entry + 1),
            // An entry of an earlier request is as good as none; those of this one fill the block from its beginning, so
            // that none of them follows.
            found => (found.stamp() != ticket.stamp()).then(|| key.with(1)),
        };
        self.blocks[ticket.block()].entries.iter().any(|entry| changed(entry, counted))
    }

    /// Counts a value that comes back. It says whether it was in time.
    pub fn back(&self, ticket: Ticket, tag: u16, pool: u32) -> bool {
        let key = Key::new(ticket, tag, pool);
        let less = |entry| (Key::of(entry) == key && count_of(entry) > 0).then(|| entry - 1);
        self.blocks[ticket.block()].entries.iter().any(|entry| changed(entry, less))
    }

    /// Ends a request, and tells what is out.
    pub fn end(&self, ticket: Ticket, mut out: impl FnMut(Out)) {
        let block = &self.blocks[ticket.block()];
        let taken = block.entries.each_ref().map(|entry| {
            let word = entry.load(Ordering::Relaxed);
            let is_out = Key::of(word).stamp() == ticket.stamp() && count_of(word) > 0;
            if is_out { entry.swap(0, Ordering::Relaxed) } else { 0 }
        });
        block.stamp.store(ticket.stamp(), Ordering::Relaxed);
        if taken.iter().any(|&entry| entry != 0) {
            tell(&taken, &mut out);
        }
    }
}

/// Tells what is out, by tag and pool.
#[cold]
fn tell(taken: &[u64], out: &mut impl FnMut(Out)) {
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
        for (tag, pool) in [(1, 7), (1, 7), (1, 8), (1023, (1 << 22) - 1)] {
            assert!(audits.take(ticket, tag, pool));
        }
        assert!(audits.back(ticket, 1, 8) && !audits.back(ticket, 1, 8) && audits.back(ticket, 1, 7));
        let out = |tag, pool, values| Out { tag, pool, values };
        assert_eq!(ended(&audits, ticket), [out(1, 7, 1), out(1023, (1 << 22) - 1, 1)]);
        assert!(!audits.back(ticket, 1, 7), "too late");
    }

    #[test]
    fn a_late_return_leaves_the_next_request_of_its_block_alone() {
        let audits = Audits::new();
        let first = audits.begin().unwrap();
        audits.take(first, 1, 7);
        ended(&audits, first);
        let next = (0..BLOCKS).map(|_| audits.begin().unwrap()).find(|next| next.block() == first.block()).unwrap();
        assert!(audits.take(next, 1, 7));
        assert!(!audits.back(first, 1, 7));
        assert_eq!(ended(&audits, next), [Out { tag: 1, pool: 7, values: 1 }]);
    }

    #[test]
    fn neither_requests_nor_kinds_without_room_are_counted() {
        let audits = Audits::new();
        let tickets: Vec<_> = (0..BLOCKS).map(|_| audits.begin().expect("there are as many")).collect();
        assert!(audits.begin().is_none());
        let kinds = (0..10).filter(|&pool| audits.take(tickets[0], 1, pool)).count();
        assert_eq!(kinds, ENTRIES);
        assert!(audits.take(tickets[0], 1, 0), "one that has an entry");
        assert_eq!(ended(&audits, tickets[0]).len(), ENTRIES);
        let again = (0..BLOCKS).find_map(|_| audits.begin());
        assert_eq!(again.map(Ticket::block), Some(tickets[0].block()));
    }

    #[test]
    fn stamps_come_round_without_the_one_for_none() {
        let audits = Audits::new();
        audits.blocks[0].stamp.store(mask(STAMP) as u32, Ordering::Relaxed);
        assert_eq!(audits.blocks[0].begin(), Some(1));
    }
}
