//! A mask: a few places, each used by one claim at a time.
//!
//! A set bit says that the place is taken. Who sets it has the place alone, with all that the one before did
//! there, until clearing it again. It owns no data, so that a model can put a checked cell behind each bit.

use crate::sync::{AtomicU32, Ordering};
use core::fmt;

/// At most 32 places, none taken at first.
pub struct Mask<const PLACES: usize>(AtomicU32);

impl<const PLACES: usize> Mask<PLACES> {
    const ALL: u32 = {
        assert!(PLACES >= 1 && PLACES <= 32);
        u32::MAX >> (32 - PLACES)
    };

    /// Takes a free place; `None` when there is none. One read-modify-write when nobody else is at it.
    pub fn claim(&self) -> Option<usize> {
        // Relaxed: the read-modify-write below decides.
        let mut taken = self.0.load(Ordering::Relaxed);
        while taken & Self::ALL != Self::ALL {
            let place = (!taken).trailing_zeros();
            // Acquire: sees what the last user of the place did, from the Release in `release`. Changes of other
            // bits in between are read-modify-writes and keep that release sequence whole.
            taken = self.0.fetch_or(1 << place, Ordering::Acquire);
            if taken & (1 << place) == 0 {
                return Some(place as usize);
            }
        }
        None
    }

    /// Gives `place` back. Only who claimed it may do so, once.
    pub fn release(&self, place: usize) {
        // Release: publishes what was done in the place to the Acquire in the next `claim`.
        let before = self.0.fetch_and(!(1 << place), Ordering::Release);
        debug_assert!(before & (1 << place) != 0, "the place was not taken");
    }

    /// Gives all places back, also those whose claims were forgotten.
    pub fn clear(&mut self) {
        // Relaxed: `&mut` is the only user.
        self.0.store(0, Ordering::Relaxed);
    }

    /// Places taken: a hint for people.
    pub fn taken(&self) -> u32 {
        // Relaxed: nothing follows from it.
        self.0.load(Ordering::Relaxed).count_ones()
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
        mask.clear();
        assert_eq!((mask.taken(), mask.claim()), (0, Some(0)));
    }

    #[test]
    fn all_bits_of_the_word_can_be_places() {
        let mask = Mask::<32>::default();
        assert_eq!((0..33).filter_map(|_| mask.claim()).last(), Some(31));
    }
}
