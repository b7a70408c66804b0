//! A weak handle to one generation of a slot.

use super::{Pin, Recycle, Slot, pin};
use crate::sync::Arc;
use core::fmt;

/// A weak handle to one generation of a slot.
pub struct Handle<C> {
    pub(super) slot: Arc<Slot<C>>,
    pub(super) generation: u32,
}

impl<C: Recycle> Handle<C> {
    /// Adds a strong pin, if the generation still runs and is not closed.
    pub fn enter(&self) -> Option<Pin<C>> {
        pin(&self.slot, self.generation)
    }
}

impl<C> Clone for Handle<C> {
    fn clone(&self) -> Self {
        Self { slot: Arc::clone(&self.slot), generation: self.generation }
    }
}

impl<C> fmt::Debug for Handle<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("generation", &self.generation).finish_non_exhaustive()
    }
}
