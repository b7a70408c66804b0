//! How many values a pool has, how many of them have a place in it, and whether it is closed: one word, so that who
//! makes or frees a value pays for one shared operation, and exactly one finds that the pool has ended.
//!
//! | bits | what |
//! |---|---|
//! | 0 to 30 | values that exist |
//! | 31 to 61 | of these, the values that have a place: that may wait in the pool |
//! | 63 | the pool is closed |
//!
//! Closed with no value left, the pool has ended. A value that is made after the close (`get` still works) takes the
//! word away from there and brings it back.

use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Relaxed, Release};

/// Two billion: as many values do not fit into any memory.
const FIELD: u32 = 31;
const VALUE: u64 = 1;
const PLACE: u64 = 1 << FIELD;
const CLOSED: u64 = 1 << 63;
const MASK: u64 = PLACE - 1;

/// One snapshot of the word.
#[derive(Clone, Copy)]
struct Word(u64);

impl Word {
    fn values(self) -> u64 {
        self.0 & MASK
    }
    fn places(self) -> u64 {
        self.0 >> FIELD & MASK
    }
    /// Closed, and nothing is left.
    fn is_ended(self) -> bool {
        self.0 & CLOSED != 0 && self.values() == 0
    }
}

/// See the head of this file.
#[derive(Debug)]
pub struct Census {
    word: AtomicU64,
    peak: AtomicU64,
    /// Values that may have a place at once.
    places: u64,
}

impl Census {
    pub fn new(places: usize) -> Self {
        // More places than values can exist are as good as no bound.
        Self { word: AtomicU64::new(0), peak: AtomicU64::new(0), places: (places as u64).min(MASK) }
    }

    /// Counts a value that begins without a place.
    pub fn come(&self) {
        // Relaxed, as wherever nothing ends: it counts, and publishes nothing.
        self.note_peak(Word(self.word.fetch_add(VALUE, Relaxed) + VALUE));
    }

    /// Counts a value that begins, with a place if there is one. Says whether there was.
    pub fn come_with_place(&self) -> bool {
        let add = |word: u64| Some(word + VALUE + if Word(word).places() < self.places { PLACE } else { 0 });
        // An update that is never refused.
        let (Ok(before) | Err(before)) = self.word.fetch_update(Relaxed, Relaxed, add);
        self.note_peak(Word(before + VALUE));
        Word(before).places() < self.places
    }

    /// Gives a place to a value that has none.
    pub fn take_place(&self) -> bool {
        // Relaxed, and below: as in `come`.
        let add = |word: u64| (Word(word).places() < self.places).then_some(word + PLACE);
        self.word.fetch_update(Relaxed, Relaxed, add).is_ok()
    }

    /// Takes back a place that the value, which stays, cannot pay for.
    pub fn give_place(&self) {
        self.word.fetch_sub(PLACE, Relaxed);
    }

    /// Counts a value that is gone for good, and its place. Says whether the pool has ended with it.
    pub fn go(&self, had_place: bool) -> bool {
        let less = VALUE + if had_place { PLACE } else { 0 };
        // Release: the value's end comes before the pool's, which `has_ended` sees. (Every change of the word is a
        // read-modify-write, so all of them stay in one release sequence.)
        Word(self.word.fetch_sub(less, Release) - less).is_ended()
    }

    /// Closes, and says whether the pool has ended.
    pub fn close(&self) -> bool {
        // Release: what was shut for it comes before the pool's end, as in `go`.
        Word(self.word.fetch_or(CLOSED, Release) | CLOSED).is_ended()
    }

    pub fn has_ended(&self) -> bool {
        // Acquire: sees the values' ends, from the Release in `go`, and what was shut, from the one in `close`.
        Word(self.word.load(Acquire)).is_ended()
    }

    /// Values that exist.
    pub fn values(&self) -> u64 {
        Word(self.word.load(Relaxed)).values()
    }

    /// Of these, the values that have a place.
    pub fn placed(&self) -> usize {
        Word(self.word.load(Relaxed)).places() as usize
    }

    /// The most values that existed at once.
    pub fn peak(&self) -> u64 {
        self.peak.load(Relaxed)
    }

    fn note_peak(&self, now: Word) {
        // Looked at first: a peak is rare, and the word is shared.
        if now.values() > self.peak.load(Relaxed) {
            self.peak.fetch_max(now.values(), Relaxed);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_values_are_not() {
        let census = Census::new(2);
        assert!(census.come_with_place() && census.come_with_place());
        assert!(!census.come_with_place() && !census.take_place());
        assert_eq!((census.values(), census.peak()), (3, 3));
        assert!(!census.go(true));
        assert!(census.take_place(), "the place of the one that is gone");
        census.give_place();
        assert!(census.take_place() && !census.take_place());
        assert_eq!((census.values(), census.peak()), (2, 3));
    }

    #[test]
    fn the_end_is_found_by_exactly_one() {
        for closed_first in [true, false] {
            let census = Census::new(1);
            census.come();
            let (close, go) = if closed_first {
                let close = census.close();
                (close, census.go(false))
            } else {
                let go = census.go(false);
                (census.close(), go)
            };
            assert_eq!((close, go), (!closed_first, closed_first));
            assert!(census.has_ended());
        }
    }

    #[test]
    fn without_places_nothing_has_one() {
        let census = Census::new(0);
        assert!(!census.come_with_place() && !census.take_place());
        assert_eq!(census.values(), 1);
    }
}
