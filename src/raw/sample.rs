//! Which takes of a thread are looked at closely: about one in so many, found without a counter of its own.
//!
//! A magazine counts what is put in anyway. What makes this count pass a multiple of [`STEP`] goes the long way, and takes as
//! many off the thread's own countdown; a take that finds nothing at hand takes one off. When the countdown has run down,
//! the next takes go the long way, and after a random few of them comes the one that is looked at: so a thread that takes
//! the same things in turn is not always looked at in the same place.

use super::watch;
use crate::sync::Ordering::Relaxed;
use crate::sync::count::AtomicU64;
use core::cell::Cell;

/// Returns between two looks at the countdown: a power of two.
pub const STEP: u64 = 256;
/// Takes among which the one is chosen by chance.
const AMONG: u32 = 32;
/// What a thread that gives back many at once, and then takes many, is owed at most.
const MOST_OWED: u32 = 64;

/// One in so many; 0 when none is wanted.
static EVERY: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Takes until the next one that is looked at.
    static LEFT: Cell<u64> = const { Cell::new(0) };
    /// Takes that pass before it, when the countdown has run down.
    static SKIPPED: Cell<Option<u32>> = const { Cell::new(None) };
    /// How often the countdown ran down meanwhile.
    static OWED: Cell<u32> = const { Cell::new(0) };
    static CHANCE: Cell<u32> = const { Cell::new(0x9E37_79B9) };
}

/// Looks at one take in so many from now on, rounded up to a multiple of [`STEP`]; at none for 0.
pub fn set_every(takes: u64) {
    // Relaxed: who sees it late looks late.
    EVERY.store(takes.saturating_add(STEP - 1) / STEP * STEP, Relaxed);
}

/// Counts `STEP` values that this thread has taken, on the short way, and given back.
#[cold]
pub fn tick() {
    count_down(STEP);
    // Also where it ran down before, and a tag that ended has opened the short way again.
    if is_near() {
        watch::watch_next();
    }
}

/// Counts a take that found nothing at hand, and says whether it goes the long way.
#[inline]
pub fn is_due_beyond() -> bool {
    EVERY.load(Relaxed) != 0 && {
        count_down(1);
        is_near()
    }
}

fn count_down(takes: u64) {
    let every = EVERY.load(Relaxed);
    if every == 0 {
        return;
    }
    // A thread that begins, and one for which there are fewer from now on.
    let left = match LEFT.get() {
        0 => every,
        left => left.min(every),
    };
    LEFT.set(if left <= takes { every } else { left - takes });
    if left <= takes {
        if is_near() { OWED.set((OWED.get() + 1).min(MOST_OWED)) } else { choose() }
    }
}

/// Chooses one of the next takes.
fn choose() {
    // Two chances at once: all places come, and most often a near one, for each that passes costs the long way.
    SKIPPED.set(Some(chance() & (chance() % AMONG)));
}

/// Whether takes go the long way, since one of them is to be looked at.
pub fn is_near() -> bool {
    SKIPPED.get().is_some()
}

/// Whether the take that goes the long way just now is the one.
pub fn is_this() -> bool {
    let skipped = SKIPPED.get();
    SKIPPED.set(skipped.and_then(|skipped| skipped.checked_sub(1)));
    if skipped != Some(0) {
        return false;
    }
    if let Some(owed) = OWED.get().checked_sub(1) {
        OWED.set(owed);
        choose();
    }
    EVERY.load(Relaxed) != 0
}

/// A number by chance (George Marsaglia, "Xorshift RNGs", 2003), of this thread.
fn chance() -> u32 {
    let mut x = CHANCE.get();
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    CHANCE.set(x);
    x
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_countdown_that_ran_down_under_a_tag_is_not_forgotten() {
        std::thread::spawn(|| {
            crate::raw::threads::number();
            let near = || SKIPPED.set(Some(1));
            watch::scoped(|_| near());
            assert!(watch::is_open() && is_near());
            tick();
            assert!(!watch::is_open());
            is_this();
            is_this();
            watch::rest();
            assert!(watch::is_open() && !is_near());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn one_in_so_many_is_looked_at_and_not_always_in_the_same_place() {
        set_every(1000); // 1,024
        let mut places = std::collections::BTreeSet::new();
        let mut looked = 0;
        for take in 0..1_024_000_u64 {
            if is_near() {
                if is_this() {
                    looked += 1;
                    places.insert(take % 64);
                }
            } else if take % STEP == 0 {
                tick();
            }
        }
        assert!((950..=1000).contains(&looked), "{looked}");
        assert!(places.len() >= AMONG as usize, "{places:?}");
        let near = (0..1024).position(|_| is_due_beyond()).expect("takes beyond the short way count too");
        assert!(near < 1024 && is_near());
        while is_near() {
            is_this();
        }
        watch::rest();
        set_every(0);
        assert!((0..10_000).all(|_| !is_due_beyond()));
    }
}
