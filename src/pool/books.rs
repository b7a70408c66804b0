//! The books by tag: what was taken under each name, and what of it came back.
//!
//! Each thread counts by itself, in a block of counters that only the thread with its number writes; who reads adds them
//! up. Blocks are made when a thread first counts a tag of theirs, and stay. Names are interned once and stay too, so
//! both are bounded; what comes later goes by the name [`OTHERS`].
//!
//! # Invariants
//!
//! (a) What came back was counted as taken before, by a chain of happens-before; so who reads what came back first, and
//!     sees it by an Acquire, sees its taking too: no sum of the books is negative.

use crate::raw::threads::{self, THREADS};
use crate::raw::watch::{Tag, UNTAGGED};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::count::{AtomicU64, AtomicUsize};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::OnceLock;

/// Names that are told apart, with the one for no name and the one for all others.
pub(crate) const TAGS: usize = 1 << 10;
/// Tags whose counters are made together: 1.5 KiB for each thread.
const BLOCK: usize = 32;
/// The number of the tag for all others.
const LAST: usize = TAGS - 1;
const OTHERS: &str = "(others)";

/// By number. Empty from `COUNT` on, but for the last, which is for all others.
static NAMES: [OnceLock<Tag>; TAGS] = [const { OnceLock::new() }; TAGS];
static COUNT: AtomicUsize = AtomicUsize::new(1);
static NUMBERS: Mutex<Option<HashMap<&'static str, usize>>> = Mutex::new(None);
/// Numbers by the address of a name, as far as no two share a place.
static SEEN: [AtomicUsize; TAGS] = [const { AtomicUsize::new(0) }; TAGS];

/// The tag of this name.
///
/// **Cost**: a look by the name's address; the first time, or where two names share a place, a lock.
#[inline]
pub(crate) fn tag(name: &'static str) -> &'static Tag {
    let place = &SEEN[(name.as_ptr().addr() ^ name.len()) % TAGS];
    match named(place.load(Acquire)) {
        // Most often it is the very same.
        Some(tag) if core::ptr::eq(tag.name(), name) || tag.name() == name => tag,
        _ => tag_slow(name, place),
    }
}

#[cold]
fn tag_slow(name: &'static str, place: &AtomicUsize) -> &'static Tag {
    let mut numbers = NUMBERS.lock();
    let next = COUNT.load(Relaxed);
    let known = numbers.get_or_insert_with(HashMap::new);
    let number = if next < LAST { *known.entry(name).or_insert(next) } else { *known.get(name).unwrap_or(&LAST) };
    let name = if number == LAST { OTHERS } else { name };
    // There are fewer than 2^16.
    let tag = NAMES[number].get_or_init(|| Tag::new(name, number as u16));
    if number == next && next < LAST {
        // Release: whoever sees the count sees the tag.
        COUNT.store(next + 1, Release);
    }
    place.store(number, Release);
    tag
}

fn named(number: usize) -> Option<&'static Tag> {
    NAMES.get(number)?.get()
}

/// What one thread has counted under one tag, since the beginning.
#[derive(Default)]
pub(super) struct Counters {
    taken: Count,
    back: Count,
    escaped: Count,
}

/// Values, and their bytes.
#[derive(Default)]
struct Count {
    values: AtomicU64,
    bytes: AtomicU64,
}

impl Count {
    /// Adds one value. `own` says that nobody else writes here.
    #[inline]
    fn add(&self, bytes: usize, own: bool) {
        // Release: who sees a value that came back sees that it was taken, by (a).
        if own {
            self.values.store(self.values.load(Relaxed).wrapping_add(1), Release);
            self.bytes.store(self.bytes.load(Relaxed).wrapping_add(bytes as u64), Release);
        } else {
            self.values.fetch_add(1, Release);
            self.bytes.fetch_add(bytes as u64, Release);
        }
    }

    /// Adds this to a sum.
    fn sum(&self, sum: &mut Sum) {
        sum.values = sum.values.wrapping_add(self.values.load(Acquire));
        sum.bytes = sum.bytes.wrapping_add(self.bytes.load(Acquire));
    }
}

type Blocks = [OnceLock<Box<[Counters; BLOCK]>>; TAGS / BLOCK];

/// By the numbers of threads; the last is for threads without one, who share it.
static THREAD_BLOCKS: [Blocks; THREADS + 1] = [const { [const { OnceLock::new() }; TAGS / BLOCK] }; THREADS + 1];

/// Requests that ended out of balance, and tasks that are alive, by tag.
static IMBALANCES: [AtomicU64; TAGS] = [const { AtomicU64::new(0) }; TAGS];
static TASKS: [AtomicU64; TAGS] = [const { AtomicU64::new(0) }; TAGS];

/// What may happen to a value that was taken under a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Taken,
    Back,
    Escaped,
}

impl Counters {
    fn of(&self, event: Event) -> &Count {
        match event {
            Event::Taken => &self.taken,
            Event::Back => &self.back,
            Event::Escaped => &self.escaped,
        }
    }

    /// Counts one value, by the thread whose counters these are.
    #[inline]
    pub(super) fn count(&self, event: Event, bytes: usize) {
        self.of(event).add(bytes, true);
    }
}

/// The counters of a tag that this thread alone writes, if it has made them.
#[inline]
pub(super) fn at_hand(tag: u16) -> Option<&'static Counters> {
    let tag = usize::from(tag) % TAGS;
    let block = THREAD_BLOCKS[..THREADS].get(threads::number_so_far())?[tag / BLOCK].get()?;
    Some(&block[tag % BLOCK])
}

/// Counts one value.
#[inline]
pub(super) fn count(tag: u16, event: Event, bytes: usize) {
    match at_hand(tag) {
        Some(counters) => counters.count(event, bytes),
        None => count_slow(tag, event, bytes),
    }
}

#[cold]
fn count_slow(tag: u16, event: Event, bytes: usize) {
    let tag = usize::from(tag) % TAGS;
    let number = threads::number().min(THREADS);
    let block = THREAD_BLOCKS[number][tag / BLOCK].get_or_init(Box::default);
    block[tag % BLOCK].of(event).add(bytes, number < THREADS);
}

/// Counts a request that ended while values of this tag were out.
pub(super) fn count_imbalance(tag: u16) {
    IMBALANCES[usize::from(tag)].fetch_add(1, Relaxed);
}

/// A live task under a tag, counted as long as this is there.
#[derive(Debug)]
pub(crate) struct LiveTask(&'static Tag);

impl LiveTask {
    pub(crate) fn of(tag: &'static Tag) -> Self {
        TASKS[usize::from(tag.number())].fetch_add(1, Relaxed);
        Self(tag)
    }
}

impl Drop for LiveTask {
    fn drop(&mut self) {
        TASKS[usize::from(self.0.number())].fetch_sub(1, Relaxed);
    }
}

/// Values and bytes, added up over all threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) values: u64,
    pub(crate) bytes: u64,
}

impl Sum {
    /// What is left without what came back and what escaped.
    pub(crate) fn without(self, back: Self, escaped: Self) -> Self {
        Self {
            values: self.values.saturating_sub(back.values).saturating_sub(escaped.values),
            bytes: self.bytes.saturating_sub(back.bytes).saturating_sub(escaped.bytes),
        }
    }
}

/// The books of one tag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TagBooks {
    pub(crate) name: &'static str,
    pub(crate) taken: Sum,
    pub(crate) back: Sum,
    pub(crate) escaped: Sum,
    pub(crate) imbalances: u64,
    pub(crate) tasks: u64,
}

/// Hands the books of each tag to `look`, in the order in which the names were first seen.
pub(crate) fn each_tag(mut look: impl FnMut(TagBooks)) {
    // The last is for all others, and beyond the count.
    let numbers = (1..COUNT.load(Acquire)).chain([LAST]);
    numbers.filter_map(named).for_each(|tag| look(books_of(tag)));
}

fn books_of(tag: &'static Tag) -> TagBooks {
    let number = usize::from(tag.number());
    let counters = || {
        let blocks = THREAD_BLOCKS.iter().filter_map(move |blocks| blocks[number / BLOCK].get());
        blocks.map(move |block| &block[number % BLOCK])
    };
    let (mut taken, mut back, mut escaped) = (Sum::default(), Sum::default(), Sum::default());
    for counters in counters() {
        counters.back.sum(&mut back);
        counters.escaped.sum(&mut escaped);
    }
    // After the others, by (a).
    counters().for_each(|counters| counters.taken.sum(&mut taken));
    TagBooks {
        name: tag.name(),
        taken,
        back,
        escaped,
        imbalances: IMBALANCES[number].load(Relaxed),
        tasks: TASKS[number].load(Relaxed),
    }
}

/// The name of a tag by its number.
pub(super) fn name_of(number: u16) -> &'static str {
    named(usize::from(number)).map_or(UNTAGGED.name(), Tag::name)
}
