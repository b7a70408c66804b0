//! The books by tag: what was taken under each name, what of it came back, and what of that is still there.
//!
//! What comes back is idle of its tag until it is gone: taken under a tag again, or freed. Nobody counts it meanwhile, whoever
//! takes it under no name.
//!
//! Each thread counts by itself, in a block of counters that only the thread with its number writes; who reads adds them
//! up. Blocks are made when a thread first counts a tag of theirs, and stay. Names are interned once and stay too, so
//! both are bounded; what comes later goes by the name [`OTHERS`].
//!
//! [`counts`](crate::raw::counts) says why no sum is negative; (a) is its invariant.

use crate::raw::counts::{Count, Counters, Sum, Sums};
use crate::raw::threads::{self, THREADS};
use crate::raw::watch::{Tag, UNTAGGED};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::count::{AtomicU64, AtomicUsize};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::OnceLock;

/// Names that are told apart, with the one for no name and the one for all others.
pub(crate) const TAGS: usize = 1 << 10;
/// Tags whose counters are made together: 2,304 bytes for each thread.
const BLOCK: usize = 32;
/// The number of the tag for all others.
const LAST: usize = TAGS - 1;
const OTHERS: &str = "(others)";
/// What a tag is called whose user chose that name: it would be read as all others.
const NAMED_OTHERS: &str = "(others), by name";

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
    let name = if name == OTHERS { NAMED_OTHERS } else { name };
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

type Blocks = [OnceLock<Box<[Counters; BLOCK]>>; TAGS / BLOCK];

/// By the numbers of threads; the last is for threads without one, who share it.
static THREAD_BLOCKS: [Blocks; THREADS + 1] = [const { [const { OnceLock::new() }; TAGS / BLOCK] }; THREADS + 1];
/// Threads from here on, but for the last, have no block: numbers are given out small first.
static REACHED: AtomicUsize = AtomicUsize::new(0);

/// Requests that ended out of balance, and tasks that are alive, by tag.
static IMBALANCES: [AtomicU64; TAGS] = [const { AtomicU64::new(0) }; TAGS];
static TASKS: [AtomicU64; TAGS] = [const { AtomicU64::new(0) }; TAGS];

/// What may happen to a value that was taken under a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// From then on it is idle.
    Back,
    Escaped,
    /// It is idle no more.
    Gone,
}

/// This thread's counters of a tag, and whether nobody else writes them.
#[cold]
fn counters(tag: u16) -> (&'static Counters, bool) {
    let tag = usize::from(tag) % TAGS;
    let number = threads::number().min(THREADS);
    let block = THREAD_BLOCKS[number][tag / BLOCK].get_or_init(|| new_block(number));
    (&block[tag % BLOCK], number < THREADS)
}

#[cold]
fn new_block(number: usize) -> Box<[Counters; BLOCK]> {
    if number < THREADS {
        // Release: by (a) who sees what this thread counts looks for it.
        REACHED.fetch_max(number + 1, Release);
    }
    Box::default()
}

impl Counters {
    fn of(&self, event: Event) -> &Count {
        match event {
            Event::Back => &self.back,
            Event::Escaped => &self.escaped,
            Event::Gone => &self.gone,
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
    let (counters, own) = counters(tag);
    counters.of(event).add(bytes, own);
}

/// Counts one value that is taken, and that was idle of `idle_of`, if of any tag.
#[inline]
pub(super) fn take(tag: u16, idle_of: Option<u16>, bytes: usize) {
    match at_hand(tag) {
        // What most are: found by one look.
        Some(counters) if idle_of == Some(tag) => {
            counters.gone.add(bytes, true);
            counters.taken.add(bytes, true);
        }
        _ => take_slow(tag, idle_of, bytes),
    }
}

#[cold]
fn take_slow(tag: u16, idle_of: Option<u16>, bytes: usize) {
    if let Some(other) = idle_of.filter(|&of| of != tag) {
        count(other, Event::Gone, bytes);
    }
    let (counters, own) = counters(tag);
    if idle_of == Some(tag) {
        counters.gone.add(bytes, own);
    }
    counters.taken.add(bytes, own);
}

/// Counts that a value which is idle of this tag has other bytes than before.
#[cold]
pub(super) fn recount(tag: u16, before: usize, after: usize) {
    let (counters, own) = counters(tag);
    counters.recount(before, after, own);
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

/// The books of one tag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TagBooks {
    pub(crate) name: &'static str,
    pub(crate) taken: Sum,
    pub(crate) escaped: Sum,
    pub(crate) outstanding: Sum,
    pub(crate) idle: Sum,
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
    let each = |look: &mut dyn FnMut(&Counters)| {
        // Acquire: by (a) what was counted before what this reading has seen is in a block that it finds.
        let reached = REACHED.load(Acquire);
        let threads = THREAD_BLOCKS[..reached].iter().chain([&THREAD_BLOCKS[THREADS]]);
        threads.filter_map(|blocks| blocks[number / BLOCK].get()).for_each(|block| look(&block[number % BLOCK]));
    };
    let sums = Sums::of(each);
    TagBooks {
        name: tag.name(),
        taken: sums.taken,
        escaped: sums.escaped,
        outstanding: sums.outstanding(),
        idle: sums.idle(),
        imbalances: IMBALANCES[number].load(Relaxed),
        tasks: TASKS[number].load(Relaxed),
    }
}

/// The name of a tag by its number.
pub(super) fn name_of(number: u16) -> &'static str {
    named(usize::from(number)).map_or(UNTAGGED.name(), Tag::name)
}
