//! The right to a slot that nobody uses.

#[cfg(test)]
use super::CLOSED;
use super::{GENERATION, Owner, Recycle, Slot, Word};
use crate::sync::{Arc, Ordering};
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};

/// The only right to a slot that nobody uses. Two fields: so it is handed on in registers.
pub struct Free<C> {
    pub(super) slot: Arc<Slot<C>>,
    pub(super) last: LastUse,
}

/// What was out of the ordinary in the last use of a slot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct LastUse(u8);

impl LastUse {
    const POISONED: u8 = 1;
    const LATE: u8 = 2;

    /// Of an owner who was alone and did not panic.
    #[inline]
    pub(super) fn usual() -> Self {
        Self(0)
    }

    #[inline]
    pub(super) fn of(word: Word, late: bool) -> Self {
        Self(if word.is_poisoned() { Self::POISONED } else { 0 } | if late { Self::LATE } else { 0 })
    }
}

impl<C> Free<C> {
    /// Whether somebody panicked in the last use.
    pub fn is_poisoned(&self) -> bool {
        self.last.0 & LastUse::POISONED != 0
    }

    /// Whether a pin outlived the owner in the last use.
    pub fn was_late(&self) -> bool {
        self.last.0 & LastUse::LATE != 0
    }

    /// Whether neither was so.
    #[inline]
    pub fn is_as_usual(&self) -> bool {
        self.last == LastUse::usual()
    }

    /// Sets the generation, so that a test can stand next to the end.
    #[cfg(test)]
    pub fn set_generation(&mut self, generation: u32) {
        // Relaxed: this token is alone.
        self.slot.word.store(u64::from(generation) << GENERATION | CLOSED, Ordering::Relaxed);
    }
}

impl<C: Recycle> Free<C> {
    /// Begins the next generation, before which `prepare` may change the content; gives the token back when all
    /// generations are used up.
    #[inline]
    pub fn open(mut self, prepare: impl FnOnce(&mut C)) -> Result<Owner<C>, Self> {
        // Relaxed: this token is alone, and what brought it here has published the word.
        let word = Word(self.slot.word.load(Ordering::Relaxed));
        let Some(generation) = word.generation().checked_add(1) else { return Err(self) };
        prepare(&mut self);
        // Release: who waited for an earlier generation, and sees this one instead of the close, sees what its owner
        // did (the Acquire in `waiting`). For pins it publishes nothing: a handle of this generation is made from the
        // `Owner` and travels by the caller's own means; one of an earlier generation fails on either value.
        self.slot.word.store(u64::from(generation) << GENERATION, Ordering::Release);
        Ok(Owner { slot: ManuallyDrop::new(self.slot), generation })
    }
}

impl<C> Deref for Free<C> {
    type Target = C;
    fn deref(&self) -> &C {
        self.slot.shared()
    }
}

impl<C> DerefMut for Free<C> {
    fn deref_mut(&mut self) -> &mut C {
        // SAFETY: by (a) this token is the only way to the content.
        unsafe { &mut *self.slot.content.get() }
    }
}

impl<C> fmt::Debug for Free<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Free").field("poisoned", &self.is_poisoned()).finish_non_exhaustive()
    }
}
