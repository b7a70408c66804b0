//! A recyclable slot: one word decides who owns the content, and a token stands for each right to it.
//!
//! The tokens make the protocol a matter of types, so that nobody above needs `unsafe`:
//!
//! | token | stands for | gives | ends by |
//! |---|---|---|---|
//! | [`Free`] | nobody else has a right | `&mut C` | `open` -> [`Owner`]; or the slot is dropped |
//! | [`Owner`] | one request, begun | `&C` | its drop, which closes the slot |
//! | [`Pin`] | one strong pin | `&C` | its drop |
//! | [`Handle`] | nothing: weak | | `enter` -> [`Pin`], or nothing after the end; lent, a [`Spot`] notes its [`Term`] and enters by it |
//! | [`Hold`] | what an `Owner` does, or a `Handle`, or nothing | | its drop |
//! | [`Wait`] | nothing: weak | | the close, of which it hears |
//!
//! The word, with `generation` in its upper half:
//!
//! | closed | pins | the content belongs to | next |
//! |---|---|---|---|
//! | yes | 0 | the one `Free` token | open, one generation on; or the slot is dropped |
//! | no | n | shared: the owner and n pins | closed |
//! | yes | n > 0 | shared: n late pins | the last to go gets `Free` |
//!
//! Whoever brings the word to `closed, 0 pins`, the owner or the last pin, hands the `Free` token to
//! [`Recycle::recycle`]. A token that is forgotten leaves its count behind: the slot is never free
//! again, and its memory stays valid and is lost. A generation is used once; the slot that has used
//! them all is dropped.

mod free;
mod handle;
mod hold;
mod note;
mod spot;
mod waiting;

pub use free::Free;
pub use handle::Handle;
#[allow(unused_imports)] // Only a porch holds.
pub use hold::{Carried, GivenUp, Hold};
pub use hold::{Lent, Term};
pub use spot::{Spot, Step};
pub use waiting::Wait;

use crate::sync::{Arc, AtomicU64, Mutex, Ordering};
use core::cell::UnsafeCell;
use core::fmt;
use core::mem::{ManuallyDrop, size_of};
use core::ops::Deref;
use free::LastUse;
use std::thread::panicking;
use waiting::Waiters;

const PIN: u64 = 1;
const PINS: u64 = (1 << 29) - 1;
/// Somebody waits for the close: see `waiting`.
const WAITED: u64 = 1 << 29;
/// Somebody panicked while holding a right: the content must not be used again.
const POISONED: u64 = 1 << 30;
const CLOSED: u64 = 1 << 31;
const GENERATION: u32 = 32;

/// One snapshot of the state word.
#[derive(Clone, Copy)]
struct Word(u64);

impl Word {
    fn generation(self) -> u32 {
        (self.0 >> GENERATION) as u32
    }
    fn pins(self) -> u64 {
        self.0 & PINS
    }
    fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }
    fn is_poisoned(self) -> bool {
        self.0 & POISONED != 0
    }
    fn is_waited(self) -> bool {
        self.0 & WAITED != 0
    }
}

/// What becomes of a content that nobody has a right to any more.
pub trait Recycle: Sized {
    /// The owner is about to close, with pins alive that may outlive it. Runs in a `Drop`, so it must not panic.
    fn outlived(&self) {}

    /// Takes the content over. Runs in a `Drop`, so it must not panic.
    fn recycle(free: Free<Self>);

    /// Ends the right of an owner that a [`Hold`] has stood for: a drop, in a place of the content's choice.
    fn end(owner: Owner<Self>) {
        drop(owner);
    }
}

/// # Invariants
///
/// (a) `content` is reached by `&mut` only through the one `Free` token, which exists while the word says
///     closed with no pins; through `Owner` and `Pin` it is reached by `&`.
/// (b) `Owner` exists once, from `open` to its drop; each `Pin` is counted in the word until its drop.
/// (c) The owner and the pins of one generation have one strong count together: each holds a copy of the same `Arc`,
///     which nobody drops. Whoever is last takes the count over, as the `Free` token. So a pin touches no count but its
///     own in the word.
struct Slot<C> {
    word: AtomicU64,
    content: UnsafeCell<C>,
    /// See `note`.
    note: AtomicU64,
    waiters: Mutex<Waiters>,
}

// SAFETY: the content moves between threads with the `Free` token, so `C: Send`. The waiters are `Send` as they are.
unsafe impl<C: Send + Sync> Send for Slot<C> {}
// SAFETY: `Owner` and `Pin` share `&C` between threads, so `C: Sync`; a `Free` token, made on
// any thread from a shared slot, gives `&mut C`, so `C: Send`.
unsafe impl<C: Send + Sync> Sync for Slot<C> {}

/// Bytes of one slot.
pub const fn bytes<C>() -> usize {
    size_of::<Slot<C>>()
}

impl<C> Slot<C> {
    fn shared(&self) -> &C {
        // SAFETY: called through a token; by (a) nobody has `&mut` while an `Owner` or a `Pin` exists, and
        // `Free` lends its own `&` and `&mut` by the borrow checker's rules.
        unsafe { &*self.content.get() }
    }
}

impl<C: Recycle> Slot<C> {
    /// Closes the generation if the word is still `word`; returns the word as this leaves it, or the other one.
    #[inline]
    fn close(&self, word: Word, bits: u64) -> Result<Word, Word> {
        // Release: publishes the owner's writes to the pin that turns out to be last (the Acquire in its
        // drop). Acquire: sees the writes of pins that were dropped before. Relaxed on failure: it is tried again.
        match self.word.compare_exchange_weak(word.0, word.0 | bits, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(before) => Ok(Word(before | bits)),
            Err(now) => Err(Word(now)),
        }
    }

    /// Closes the generation where there are pins, or somebody waits for it. Returns the word as this leaves it, and, if
    /// somebody waits, a count of the slot, which may be gone by then.
    fn close_before_others(slot: &Arc<Self>, mut word: Word, bits: u64) -> (Word, Option<Arc<Self>>) {
        let (mut told, mut waited) = (false, None);
        loop {
            if word.pins() > 0 && !told {
                slot.shared().outlived();
                told = true;
            }
            if word.is_waited() && waited.is_none() {
                waited = Some(Arc::clone(slot));
            }
            match slot.close(word, bits) {
                Ok(after) => return (after, waited),
                Err(now) => word = now,
            }
        }
    }

    /// Follows up on the close of an owner who was alone, and does not panic.
    #[inline]
    fn recycle_alone(slot: &mut ManuallyDrop<Arc<Self>>) {
        // SAFETY: the word said that there was no pin, so by (b) and (c) this copy is the last one; the owner is in its drop.
        let slot = unsafe { ManuallyDrop::take(slot) };
        C::recycle(Free { slot, last: LastUse::usual() });
    }

    /// Follows up on giving up one right, which left the word at `after`. Unless that was the last one, the slot may be
    /// gone by now.
    #[inline]
    fn given_up(slot: &mut ManuallyDrop<Arc<Self>>, after: Word, late: bool) {
        if after.is_closed() && after.pins() == 0 {
            // SAFETY: by (c) this copy is the last one, and its holder is in its drop.
            Self::recycle_last(unsafe { ManuallyDrop::take(slot) }, LastUse::of(after, late));
        }
    }

    #[inline(never)]
    fn recycle_last(slot: Arc<Self>, last: LastUse) {
        C::recycle(Free { slot, last });
    }
}

/// One more copy of the count that the rights to `slot` have together. For a right that is counted already.
fn copied<C>(slot: &Arc<Slot<C>>) -> ManuallyDrop<Arc<Slot<C>>> {
    // SAFETY: by (c) copies are not dropped, and the count stays while a right is left.
    ManuallyDrop::new(unsafe { core::ptr::read(slot) })
}

/// The right of the one who began the request. Its drop closes the slot: no pin can be added any more.
pub struct Owner<C: Recycle> {
    slot: ManuallyDrop<Arc<Slot<C>>>,
    generation: u32,
}

impl<C: Recycle> Owner<C> {
    /// Makes a slot and begins its first generation.
    pub fn new(content: C) -> Self {
        let (word, note) = (AtomicU64::new(1 << GENERATION), AtomicU64::new(0));
        let slot = Slot { word, content: UnsafeCell::new(content), note, waiters: Mutex::default() };
        Self { slot: ManuallyDrop::new(Arc::new(slot)), generation: 1 }
    }

    /// Adds a strong pin. `None` when there are half a billion of them.
    #[inline]
    pub fn pin(&self) -> Option<Pin<C>> {
        pin(&self.slot, self.generation)
    }

    /// A weak handle to this generation.
    pub fn handle(&self) -> Handle<C> {
        Handle { slot: Arc::clone(&self.slot), generation: self.generation }
    }

    /// Marks the content as not to be used again.
    pub fn poison(&self) {
        // Relaxed: the bit is read after the AcqRel of whoever is last, which comes later in the same word.
        self.slot.word.fetch_or(POISONED, Ordering::Relaxed);
    }
}

impl<C: Recycle> Deref for Owner<C> {
    type Target = C;
    fn deref(&self) -> &C {
        self.slot.shared()
    }
}

impl<C: Recycle> Owner<C> {
    #[cold]
    fn close_before_others(&mut self, word: Word, bits: u64) {
        let (after, waited) = Slot::close_before_others(&self.slot, word, bits);
        Slot::given_up(&mut self.slot, after, false);
        if let Some(slot) = waited {
            waiting::closed(&slot, self.generation);
        }
    }
}

impl<C: Recycle> Drop for Owner<C> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<C: Recycle> Owner<C> {
    /// A drop in its caller's place, without a detour by memory.
    #[inline(always)]
    pub fn end(self) {
        ManuallyDrop::new(self).close();
    }

    /// For `end` and the drop, one of which is the last that is done with the owner.
    #[inline(always)]
    fn close(&mut self) {
        if panicking() {
            return self.close_in_panic();
        }
        // Relaxed: the exchange decides.
        let word = Word(self.slot.word.load(Ordering::Relaxed));
        // Nobody else has a right, and nobody waits: what most requests come to.
        let is_alone = word.0 == u64::from(self.generation) << GENERATION;
        match if is_alone { self.slot.close(word, CLOSED) } else { Err(word) } {
            Ok(_) => Slot::recycle_alone(&mut self.slot),
            Err(word) => self.close_before_others(word, CLOSED),
        }
    }

    #[cold]
    fn close_in_panic(&mut self) {
        // Relaxed: as in `close`.
        let word = Word(self.slot.word.load(Ordering::Relaxed));
        self.close_before_others(word, CLOSED | POISONED);
    }
}

/// One strong pin. Whoever is last after the close recycles the content.
pub struct Pin<C: Recycle> {
    slot: ManuallyDrop<Arc<Slot<C>>>,
}

/// Adds a pin to `slot` if `generation` still runs and is not closed.
#[inline]
fn pin<C: Recycle>(slot: &Arc<Slot<C>>, generation: u32) -> Option<Pin<C>> {
    // Relaxed: the exchange below decides.
    let mut word = Word(slot.word.load(Ordering::Relaxed));
    loop {
        if word.generation() != generation || word.is_closed() || word.pins() == PINS {
            return None;
        }
        // Relaxed, both ways: the content was made visible by whatever carried the handle here; pins
        // share it and publish nothing by entering. What decides is the word's own order:
        // a close that came first is seen, one that comes later sees this pin.
        match slot.word.compare_exchange_weak(word.0, word.0 + PIN, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return Some(Pin { slot: copied(slot) }),
            Err(now) => word = Word(now),
        }
    }
}

impl<C: Recycle> Pin<C> {
    /// Marks the content as not to be used again.
    pub fn poison(&self) {
        // Relaxed: as in `Owner::poison`.
        self.slot.word.fetch_or(POISONED, Ordering::Relaxed);
    }

    /// A weak handle to this generation.
    pub fn handle(&self) -> Handle<C> {
        // Relaxed: this pin keeps the generation from changing.
        let generation = Word(self.slot.word.load(Ordering::Relaxed)).generation();
        Handle { slot: Arc::clone(&self.slot), generation }
    }

    /// Another pin to the same generation, which this one keeps from ending, closed or not. `None` when
    /// there are half a billion of them.
    pub fn another(&self) -> Option<Self> {
        // Relaxed: the exchange below decides.
        let mut word = Word(self.slot.word.load(Ordering::Relaxed));
        while word.pins() < PINS {
            // Relaxed, both ways: this pin is counted, so no one can be last meanwhile.
            match self.slot.word.compare_exchange_weak(word.0, word.0 + PIN, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(Self { slot: copied(&self.slot) }),
                Err(now) => word = Word(now),
            }
        }
        None
    }
}

impl<C: Recycle> Pin<C> {
    /// Gives up a pin whose holder has only looked: it poisons nothing, whatever this thread panics for.
    pub fn leave(self) {
        ManuallyDrop::new(self).give_up();
    }

    /// For `leave` and the drop, one of which is the last that is done with the pin.
    #[inline]
    fn give_up(&mut self) {
        // Release: publishes this pin's writes. Acquire: the last one sees those of all others, whose
        // read-modify-writes form one release sequence with this one, and the owner's from its drop.
        let before = self.slot.word.fetch_sub(PIN, Ordering::AcqRel);
        Slot::given_up(&mut self.slot, Word(before - PIN), true);
    }
}

impl<C: Recycle> Deref for Pin<C> {
    type Target = C;
    fn deref(&self) -> &C {
        self.slot.shared()
    }
}

impl<C: Recycle> Drop for Pin<C> {
    #[inline]
    fn drop(&mut self) {
        if panicking() {
            // Relaxed: as in `Owner::poison`.
            self.slot.word.fetch_or(POISONED, Ordering::Relaxed);
        }
        self.give_up();
    }
}

impl<C: Recycle> fmt::Debug for Owner<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl<C: Recycle> fmt::Debug for Pin<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pin").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// Where a content's `Free` token goes.
    #[derive(Clone, Default)]
    pub(super) struct Content(pub(super) Arc<Mutex<Option<Free<Content>>>>);

    impl Recycle for Content {
        fn recycle(free: Free<Self>) {
            let home = Arc::clone(&free.0);
            *home.lock().unwrap() = Some(free);
        }
    }

    impl Content {
        fn take(&self) -> Option<Free<Self>> {
            self.0.lock().unwrap().take()
        }
    }

    #[test]
    fn the_slot_comes_free_with_the_last_right() {
        let home = Content::default();
        let owner = Owner::new(home.clone());
        let (pin, handle) = (owner.pin().unwrap(), owner.handle());
        drop(owner);
        assert!(home.take().is_none());
        assert!(handle.enter().is_none());
        let another = pin.another().expect("a late pin can be doubled");
        drop(pin);
        assert!(home.take().is_none());
        drop(another);
        assert!(home.take().expect("free").was_late());
    }

    #[test]
    fn an_old_handle_does_not_enter_the_next_generation() {
        let home = Content::default();
        let owner = Owner::new(home.clone());
        let old = owner.handle();
        drop(owner);
        let owner = home.take().unwrap().open(|_| ()).unwrap();
        assert!(old.enter().is_none());
        assert!(owner.handle().enter().is_some());
        drop(owner);
        home.take();
    }

    #[test]
    fn poison_by_the_owner_reaches_the_last_pin() {
        let home = Content::default();
        let owner = Owner::new(home.clone());
        let pin = owner.pin().unwrap();
        owner.poison();
        drop(owner);
        drop(pin);
        assert!(home.take().unwrap().is_poisoned());
    }

    #[test]
    fn a_pin_dropped_by_a_panic_poisons() {
        let home = Content::default();
        let owner = Owner::new(home.clone());
        let pin = owner.pin().unwrap();
        std::thread::spawn(move || {
            let _pin = pin;
            panic!("while pinned");
        })
        .join()
        .unwrap_err();
        drop(owner);
        assert!(home.take().unwrap().is_poisoned());
    }

    #[test]
    fn the_last_generation_retires_the_slot() {
        let home = Content::default();
        drop(Owner::new(home.clone()));
        let mut free = home.take().unwrap();
        free.set_generation(u32::MAX - 1);
        drop(free.open(|_| ()).unwrap());
        assert!(home.take().unwrap().open(|_| ()).is_err());
    }
}
