//! Which takes of a thread are looked at closely: about one in so many, found without a counter of its own.
//!
//! A magazine counts what is put in and taken anyway. What makes the first count pass a multiple of [`STEP`] goes the long way, as
//! does who fetches more values, and each takes what was taken since off the thread's own countdown; a take that finds nothing
//! at hand takes one off. When the countdown has run down,
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
/// Looks that a thread which has taken many at once is owed at most.
const MOST_OWED: u64 = 64;

/// One in so many; 0 when none is wanted.
static EVERY: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Takes until the next one that is looked at.
    static LEFT: Cell<u64> = const { Cell::new(0) };
    /// Takes that pass before it, when the countdown has run down.
    static SKIPPED: Cell<Option<u32>> = const { Cell::new(None) };
    /// How often it has run down again meanwhile: who has taken many at once is looked at as often later.
    static OWED: Cell<u64> = const { Cell::new(0) };
    static CHANCE: Cell<u32> = const { Cell::new(0x9E37_79B9) };
}

/// Looks at one take in so many from now on, rounded up to a multiple of [`STEP`]; at none for 0.
pub fn set_every(takes: u64) {
    // Relaxed: who sees it late looks late.
    EVERY.store(takes.saturating_add(STEP - 1) / STEP * STEP, Relaxed);
}

/// Counts values that this thread has taken on the short way.
#[cold]
pub fn tick(takes: u64) {
    count_down(takes);
    // Also where it ran down before, and a tag that ended has opened the short way again.
    if is_near() {
        watch::watch_next();
    }
}

/// Counts a take that found nothing at hand, and says whether it goes the long way: now, or since the countdown ran down
/// where no take was to come, as under a tag, or in a look that found nothing.
#[inline]
pub fn is_due_beyond() -> bool {
    if EVERY.load(Relaxed) == 0 {
        return false;
    }
    // One that is near is chosen among takes like this one. Looks that find nothing do not add up.
    if !is_near() {
        count_down(1);
    }
    is_near()
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
    let Some(over) = takes.checked_sub(left) else { return LEFT.set(left - takes) };
    LEFT.set(every - over % every);
    let owed = OWED.get() + over / every + u64::from(is_near());
    OWED.set(owed.min(MOST_OWED));
    if !is_near() {
        choose();
    }
}

/// Chooses one of the next takes.
fn choose() {
    // Two chances at once: all places come, and most often a near one, for each that passes costs the long way.
    SKIPPED.set(Some(chance() & (chance() % AMONG)));
}

/// Whether takes go the long way, since one of them is to be looked at.
#[inline]
pub fn is_near() -> bool {
    SKIPPED.get().is_some()
}

/// Whether the take that goes the long way just now is the one.
pub fn is_this() -> bool {
    let Some(skipped) = SKIPPED.get() else { return false };
    SKIPPED.set(skipped.checked_sub(1));
    let is_wanted = EVERY.load(Relaxed) != 0;
    if !is_wanted {
        OWED.set(0);
    }
    if skipped == 0 && OWED.get() > 0 {
        OWED.set(OWED.get() - 1);
        choose();
    }
    skipped == 0 && is_wanted
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
            tick(STEP);
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
                tick(STEP);
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
