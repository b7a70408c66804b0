//! A mask: a few places, each used by one claim at a time.
//!
//! A set bit says that the place is taken. Who sets it has the place alone, with all that the one before did
//! there, until clearing it again. It owns no data, so that a model can put a checked cell behind each bit.
//!
//! The upper half of the word remembers the places that were ever claimed since the last `clear`.

use crate::sync::{AtomicU32, Ordering};
use core::fmt;

/// How far above the bit of a place the one stands that remembers it.
const EVER: u32 = 16;

/// At most 16 places, none taken at first.
pub struct Mask<const PLACES: usize>(AtomicU32);

impl<const PLACES: usize> Mask<PLACES> {
    /// All places' bits.
    pub const ALL: u32 = {
        assert!(PLACES >= 1 && PLACES <= 16);
        (1 << PLACES) - 1
    };

    /// Takes the first place, if it is free and nobody else is at it: what `claim` does where there is one claim at a time.
    #[inline]
    pub fn claim_first(&self) -> bool {
        // Relaxed: the read-modify-write below decides.
        let taken = self.0.load(Ordering::Relaxed);
        let first = taken | 1 | 1 << EVER;
        // Acquire, and Relaxed on failure: as in `claim`, which comes next.
        taken & 1 == 0 && self.0.compare_exchange_weak(taken, first, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Takes a free place; `None` when there is none. One read-modify-write when nobody else is at it.
    #[inline]
    pub fn claim(&self) -> Option<usize> {
        // Relaxed: the read-modify-write below decides.
        let mut taken = self.0.load(Ordering::Relaxed);
        while taken & Self::ALL != Self::ALL {
            let place = (!taken).trailing_zeros();
            let more = taken | 1 << place | 1 << (place + EVER);
            // Acquire: sees what the last user of the place did, from the Release in `release`. Changes of other
            // bits in between are read-modify-writes and keep that release sequence whole. Relaxed on failure: it is
            // tried again with what was found.
            match self.0.compare_exchange_weak(taken, more, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(place as usize),
                Err(now) => taken = now,
            }
        }
        None
    }

    /// Gives `place` back. Only who claimed it may do so, once.
    #[inline]
    pub fn release(&self, place: usize) {
        // Release: publishes what was done in the place to the Acquire in the next `claim`.
        let before = self.0.fetch_and(!(1 << place), Ordering::Release);
        debug_assert!(before & (1 << place) != 0, "the place was not taken");
    }

    /// Gives all places back, also those whose claims were forgotten, and returns those that were claimed since the last
    /// call, a bit each.
    pub fn clear(&mut self) -> u32 {
        // Relaxed, both: `&mut` is the only user.
        let claimed = self.0.load(Ordering::Relaxed) >> EVER;
        self.0.store(0, Ordering::Relaxed);
        claimed
    }

    /// The places that were claimed since the last `clear`, a bit each.
    pub fn ever(&mut self) -> u32 {
        // Relaxed: `&mut` is the only user.
        self.0.load(Ordering::Relaxed) >> EVER
    }

    /// Places taken: a hint for people.
    pub fn taken(&self) -> u32 {
        // Relaxed: nothing follows from it.
        (self.0.load(Ordering::Relaxed) & Self::ALL).count_ones()
    }
}

impl<const PLACES: usize> Default for Mask<PLACES> {
    fn default() -> Self {
        Self(AtomicU32::new(0))
    }
}

impl<const PLACES: usize> fmt::Debug for Mask<PLACES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mask").field("taken", &self.taken()).field("places", &PLACES).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Mask;

    #[test]
    fn each_place_is_claimed_once_until_it_is_given_back() {
        let mut mask = Mask::<3>::default();
        assert_eq!([(); 4].map(|()| mask.claim()), [Some(0), Some(1), Some(2), None]);
        mask.release(1);
        assert_eq!((mask.taken(), mask.claim()), (2, Some(1)));
        assert_eq!((mask.ever(), mask.clear()), (0b111, 0b111));
        assert_eq!((mask.taken(), mask.claim()), (0, Some(0)));
        mask.release(0);
        assert_eq!((mask.taken(), mask.clear(), mask.clear()), (0, 1, 0));
    }

    #[test]
    fn half_of_the_words_bits_can_be_places() {
        let mut mask = Mask::<16>::default();
        assert_eq!((0..17).filter_map(|_| mask.claim()).last(), Some(15));
        assert_eq!((mask.taken(), mask.clear()), (16, 0xffff));
    }
}
