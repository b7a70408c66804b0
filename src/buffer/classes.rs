//! Size classes: 64, 128, 192 and 256 bytes, then four equal steps to each doubling.
//!
//! A request for one byte more than a class gets at most a quarter more than it asked for; that is what the
//! four steps buy (two would waste up to half, eight would double the classes that lie idle for an eighth). Below 256
//! bytes a step is a cache line, the least that two buffers can do without sharing one: there the waste is below 64
//! bytes. Every class is a whole number of cache lines. A class begins to exist with its first buffer.
//! `docs/decisions/0012` has the figures.

use super::ahead::Bound;
use super::block::{Block, Leased};
use super::rope::Gathered;
use crate::pool::{AGE_EVERY, Budget, FixedHooks, Home, PoolDebug, PoolStats, Settings};
use crate::raw::segment::{NoBuffer, Segment};
use crate::raw::watch::{self, Tag};
use parking_lot::Mutex;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// Bytes from one class to the next up to `LINEAR`.
const LINE: usize = 64;
/// The class in bytes from which on each doubling has `STEPS` classes.
const LINEAR: usize = LINE * STEPS;
/// Classes to each doubling, and up to `LINEAR`.
const STEPS: usize = 4;
/// Buffers of one class that may be idle at once, however small they are.
const MAX_BUFFERS: usize = 1024;

/// Bytes of one class that a thread has at hand.
const THREAD_BYTES: usize = 1 << 20;
/// Buffers of one class that a thread has at hand.
const THREAD_BUFFERS: usize = 32;

/// Cache lines of the buffers whose class is looked up rather than searched for: up to 4 KiB.
const SMALL_LINES: usize = 64;

/// The number of the smallest class with room for `bytes`.
fn class_of(bytes: usize) -> usize {
    search(bytes.saturating_sub(1))
}

/// The number of the class for one byte more than `last`.
fn search(last: usize) -> usize {
    if last < LINEAR {
        return last / LINE;
    }
    let doublings = (last.ilog2() - LINEAR.ilog2()) as usize;
    // The two bits behind the first one tell the step.
    let step = (last >> (doublings + LINE.ilog2() as usize)) % STEPS;
    (doublings + 1) * STEPS + step
}

/// Bytes of a buffer of class number `class`.
fn class_size(class: usize) -> usize {
    let (doublings, step) = (class / STEPS, class % STEPS + 1);
    match doublings.checked_sub(1) {
        None => LINE * step,
        Some(doublings) => (LINEAR << doublings) + (LINE << doublings) * step,
    }
}

/// What a buffer pool keeps at most, in bytes, and how it is watched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) name: &'static str,
    pub(super) idle_bytes: usize,
    pub(super) buffer_bytes: usize,
    pub(super) ahead_bytes: usize,
    /// Whether what was written is wiped when a buffer comes back.
    pub(super) secret: bool,
    pub(super) debug: PoolDebug,
}

/// The settings of one class, or of what is not kept.
fn settings(limits: &Limits, class_bytes: usize, values: usize, thread_values: usize) -> Settings {
    Settings {
        name: limits.name,
        class_bytes,
        values,
        value_bytes: if values == 0 { 0 } else { usize::MAX },
        thread_values,
        age_every: AGE_EVERY,
        full_fence: false,
        debug: limits.debug,
    }
}

/// The classes of one buffer pool. They share one byte budget.
///
/// Each block holds a strong count on its classes, so that a buffer can grow into the next class
/// anywhere. The circle classes -> idle block -> classes is broken by `close`.
#[derive(Debug)]
pub(super) struct Classes {
    homes: Box<[OnceLock<Arc<Home<Block>>>]>,
    /// Those of small buffers once more, by the cache lines that are asked for: found by one look.
    by_line: [OnceLock<Arc<Home<Block>>>; SMALL_LINES],
    /// The home of buffers that are not kept: larger than the largest class, or made after the close.
    passing: Arc<Home<Block>>,
    bytes: Arc<Budget>,
    pub(super) ahead: Bound,
    pub(super) gathered: Gathered,
    limits: Limits,
    /// Held while a class begins and while the pool closes, so that no class begins unseen by the close.
    closed: Mutex<bool>,
}

impl Classes {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        // A class is there only if its whole size is within the limit, and of a size that can be allocated.
        let largest = limits.buffer_bytes.min(isize::MAX as usize);
        let classes = (0..).take_while(|&class| class_size(class) <= largest).count();
        let bytes = Arc::new(Budget::of_process(limits.idle_bytes));
        Arc::new(Self {
            homes: (0..classes).map(|_| OnceLock::new()).collect(),
            by_line: [const { OnceLock::new() }; SMALL_LINES],
            passing: Home::new(FixedHooks, settings(&limits, 0, 0, 1), Arc::clone(&bytes)),
            bytes,
            ahead: Bound::new(limits.ahead_bytes),
            gathered: Gathered::default(),
            limits,
            closed: Mutex::new(false),
        })
    }

    /// Lends a block with room for `bytes`.
    #[inline]
    #[track_caller]
    pub(super) fn lease(classes: &Arc<Self>, bytes: usize) -> Leased {
        match Self::try_lease(classes, bytes) {
            Ok(lease) => lease,
            Err(full) => full.fail(bytes),
        }
    }

    /// Lends a block with room for `bytes`, if one can be had.
    #[inline]
    #[track_caller]
    pub(super) fn try_lease(classes: &Arc<Self>, bytes: usize) -> Result<Leased, NoBuffer> {
        match classes.home_of(bytes).and_then(|home| home.take_at_hand()) {
            Some(lease) => Ok(Leased::ending(lease.into_box())),
            None => Self::try_lease_beyond(classes, bytes),
        }
    }

    /// As `try_lease`, but before a block is made, an idle one of the classes around is lent: for `least` to `most` bytes.
    #[track_caller]
    pub(super) fn try_lease_near(
        classes: &Arc<Self>,
        bytes: usize,
        least: usize,
        most: usize,
    ) -> Result<Leased, NoBuffer> {
        let class = class_of(bytes);
        let smaller = (class_of(least)..class).rev();
        // The best one, then larger ones, of which fewer are needed, up to the last class that is not above `most`.
        for near in (class..search(most)).chain(smaller) {
            if let Some(lease) = classes.homes.get(near).and_then(OnceLock::get).and_then(|home| home.take()) {
                return Ok(Leased::ending(lease.into_box()));
            }
        }
        Self::try_lease(classes, bytes)
    }

    /// The home of blocks with room for `bytes`, if it has begun.
    #[inline(always)]
    fn home_of(&self, bytes: usize) -> Option<&Arc<Home<Block>>> {
        let last = bytes.saturating_sub(1);
        match self.by_line.get(last / LINE) {
            Some(home) => home.get(),
            None => self.homes.get(search(last)).and_then(OnceLock::get),
        }
    }

    /// As `try_lease`, where there is nothing on the short way.
    #[cold]
    #[track_caller]
    fn try_lease_beyond(classes: &Arc<Self>, bytes: usize) -> Result<Leased, NoBuffer> {
        match watch::only_named() {
            Some(tag) => Self::try_lease_tagged(classes, bytes, tag),
            None => Self::try_lease_slow(classes, bytes),
        }
    }

    #[inline(never)]
    #[track_caller]
    fn try_lease_tagged(classes: &Arc<Self>, bytes: usize, tag: &Tag) -> Result<Leased, NoBuffer> {
        match classes.home_of(bytes).and_then(|home| home.take_under(tag)) {
            Some(lease) => Ok(Leased::ending(lease.into_box())),
            None => Self::try_lease_slow(classes, bytes),
        }
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn try_lease_slow(classes: &Arc<Self>, bytes: usize) -> Result<Leased, NoBuffer> {
        let class = class_of(bytes);
        let (home, size) = match classes.homes.get(class) {
            Some(home) => (classes.begun(home, class), class_size(class)),
            None => (&classes.passing, bytes),
        };
        if let Some(line) = classes.by_line.get(bytes.saturating_sub(1) / LINE) {
            // Where there is no such class, or not any more, there will be none: then it is the passing home for good.
            line.get_or_init(|| Arc::clone(home));
        }
        let make = || Ok(Home::lease_new(home, Block::new(size, classes.limits.secret, home, classes)?));
        // Not in a closure, which would stand on record as the place where the buffer was taken.
        let lease = match home.take_at_hand() {
            Some(lease) => lease,
            None => home.take_beyond_or(make)?,
        };
        Ok(Leased::ending(lease.into_box()))
    }

    /// The capacity of a block for `bytes`; `bytes` where there can be none.
    pub(super) fn rounded(&self, bytes: usize) -> usize {
        let class = class_of(bytes);
        if class < self.homes.len() { class_size(class) } else { Segment::capacity_for(bytes).unwrap_or(bytes) }
    }

    /// The home of a class, which begins to exist here if the pool is open.
    fn begun<'a>(&'a self, home: &'a OnceLock<Arc<Home<Block>>>, class: usize) -> &'a Arc<Home<Block>> {
        home.get().unwrap_or_else(|| {
            let closed = self.closed.lock();
            if *closed { &self.passing } else { home.get_or_init(|| self.new_home(class_size(class))) }
        })
    }

    #[cold]
    fn new_home(&self, size: usize) -> Arc<Home<Block>> {
        let values = (self.limits.idle_bytes / size).clamp(1, MAX_BUFFERS);
        let thread_values = (THREAD_BYTES / size).clamp(1, THREAD_BUFFERS);
        let settings = settings(&self.limits, size, values, thread_values);
        Home::new(FixedHooks, settings, Arc::clone(&self.bytes))
    }

    fn begun_homes(&self) -> impl Iterator<Item = &Arc<Home<Block>>> {
        self.homes.iter().filter_map(OnceLock::get)
    }

    pub(super) fn clear(&self) {
        self.begun_homes().for_each(|home| home.clear());
    }

    /// Ages every class by one step, or goes on with those whose step is not done: the others would begin another one.
    pub(super) fn trim(&self) -> bool {
        let goes_on = self.begun_homes().any(|home| home.is_ageing());
        self.each_done(|home| (goes_on && !home.is_ageing()) || home.trim())
    }

    pub(super) fn trim_at(&self, now: Instant) -> bool {
        self.each_done(|home| home.trim_at(now))
    }

    /// Whether every class is done. Each has its turn, also after one that is not.
    fn each_done(&self, step: impl Fn(&Home<Block>) -> bool) -> bool {
        let mut done = true;
        for home in self.begun_homes() {
            done &= step(home);
        }
        done
    }

    pub(super) fn close(&self) {
        *self.closed.lock() = true;
        self.begun_homes().for_each(|home| home.close());
    }

    pub(super) fn stats(&self) -> PoolStats {
        let mut sum = self.passing.stats();
        for home in self.begun_homes() {
            sum += home.stats();
        }
        // Every home reports the one budget that they share.
        sum.charged_bytes = self.bytes.used() as u64;
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_is_the_smallest_that_fits() {
        for class in 0..200 {
            let size = class_size(class);
            assert_eq!(class_of(size), class);
            assert_eq!(class_of(size + 1), class + 1);
            assert_eq!(size % 64, 0);
        }
    }

    #[test]
    fn a_look_up_finds_what_the_search_finds() {
        let limits = Limits {
            name: "buffers",
            idle_bytes: 1 << 30,
            buffer_bytes: 1 << 20,
            ahead_bytes: 0,
            secret: false,
            debug: PoolDebug::none(),
        };
        let classes = Classes::new(limits);
        for _ in 0..2 {
            for bytes in 0..10_000_usize {
                let lease = Classes::try_lease(&classes, bytes).unwrap();
                assert_eq!(lease.payload.value().segment.capacity(), class_size(class_of(bytes)), "{bytes} bytes");
            }
        }
        classes.close();
    }

    #[test]
    fn one_byte_more_than_a_class_wastes_at_most_a_quarter_or_a_line() {
        for class in 0..200 {
            let asked = class_size(class) + 1;
            let wasted = class_size(class_of(asked)) - asked;
            let bound = if asked <= LINEAR { LINE - 1 } else { asked / 4 };
            assert!(wasted <= bound, "{asked} bytes waste {wasted}");
        }
        assert_eq!((class_of(0), class_of(1), class_size(0)), (0, 0, 64));
        assert_eq!(
            [256, 320, 512, 640, 1024, 4096].map(|size| class_size(class_of(size))),
            [256, 320, 512, 640, 1024, 4096]
        );
    }
}
