//! A word that a request leaves at its slot: whoever knows the slot and the generation reads it, without a right to the content.
//!
//! It is 0 until somebody with a pin leaves another one, and again when the slot is recycled. Beside it stands the generation
//! that it belongs to; so nobody reads the word of another request. Whoever reads it sees what was done before it was left.

use super::{Free, GENERATION, Handle, Pin, Recycle, Slot, Spot, Term, Word};
use crate::sync::Ordering::{Acquire, Relaxed, Release};

impl<C> Slot<C> {
    #[inline]
    fn note_of(&self, generation: u32) -> u32 {
        // Acquire: sees what the word stands for, from the Release in `leave_note`.
        let note = Word(self.note.load(Acquire));
        if note.generation() == generation { note.0 as u32 } else { 0 }
    }
}

impl<C> Handle<C> {
    /// The note that was left: 0 without one. For the models: others ask a spot.
    #[allow(dead_code)]
    #[inline]
    pub fn note(&self) -> u32 {
        self.slot.note_of(self.generation)
    }
}

impl<C> Term<C> {
    #[inline]
    fn note(&self) -> u32 {
        self.slot.as_ref().map_or(0, |slot| slot.note_of(self.generation))
    }
}

impl<C> Spot<C> {
    /// The note of what this thread works for: 0 without one.
    #[inline]
    pub fn note(&self) -> u32 {
        self.look(Term::note).unwrap_or(0)
    }
}

impl<C: Recycle> Pin<C> {
    /// Leaves a note, if none is there; else says which is.
    pub fn leave_note(&self, note: u32) -> u32 {
        // This pin keeps the generation from changing.
        let generation = Word(self.slot.word.load(Relaxed)).generation();
        let new = u64::from(generation) << GENERATION | u64::from(note);
        // Acquire, also on failure: as in `note_of`, for it may be the one that counts.
        let mut found = self.slot.note.load(Acquire);
        while Word(found).generation() != generation {
            // Release: publishes what the word stands for, to the Acquire in `note_of`.
            match self.slot.note.compare_exchange_weak(found, new, Release, Acquire) {
                Ok(_) => return 0,
                Err(now) => found = now,
            }
        }
        found as u32
    }
}

impl<C> Free<C> {
    /// Takes the note away that the last generation has left: 0 without one.
    pub fn take_note(&mut self) -> u32 {
        // Relaxed: the last right is gone, and with it everybody who leaves one; 0 publishes nothing.
        let note = self.slot.note.load(Relaxed);
        self.slot.note.store(0, Relaxed);
        note as u32
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::raw::slot::{Lent, Owner};
    use std::sync::Mutex;
    use std::sync::mpsc::{Sender, channel};

    struct Content(Mutex<Sender<Free<Content>>>);

    impl Recycle for Content {
        fn recycle(free: Free<Self>) {
            let home = free.0.lock().unwrap().clone();
            home.send(free).unwrap();
        }
    }

    thread_local! {
        static SPOT: Spot<Content> = const { Spot::new() };
    }

    fn noted(handle: &Handle<Content>) -> u32 {
        Spot::with(&SPOT, Lent::of(Some(handle)).term(), || SPOT.with(Spot::note))
    }

    #[test]
    fn a_note_belongs_to_one_generation_and_is_left_once() {
        let (home, freed) = channel();
        let owner = Owner::new(Content(Mutex::new(home)));
        let first = owner.handle();
        assert_eq!((SPOT.with(Spot::note), noted(&first)), (0, 0));
        let pin = owner.pin().unwrap();
        assert_eq!((pin.leave_note(7), pin.leave_note(8), noted(&first)), (0, 7, 7));
        drop((pin, owner));
        let mut free = freed.recv().unwrap();
        assert_eq!((free.take_note(), free.take_note(), noted(&first)), (7, 0, 0));
        let Ok(owner) = free.open(|_| ()) else { unreachable!("there are more generations") };
        let next = owner.handle();
        assert_eq!((owner.pin().unwrap().leave_note(9), noted(&first), noted(&next)), (0, 0, 9));
    }
}
