//! What was taken from lanes, and what they keep.

use bumpalo::Bump;

/// What lanes keep at a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Capacity of the block that a typical request needs; 0 if that is not known.
    pub block: usize,
    /// Bytes of all blocks together.
    pub most: usize,
}

/// Bytes that were taken from bumps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Of which those that were handed out, with what was left at the ends of all blocks but the last.
    pub used: usize,
    /// In blocks.
    pub reserved: usize,
}

impl Taken {
    pub(super) fn of(bump: &Bump) -> Self {
        let reserved = bump.allocated_bytes();
        Self { used: reserved - bump.chunk_capacity(), reserved }
    }

    pub(super) fn add(&mut self, Self { used, reserved }: Self) {
        self.used += used;
        self.reserved += reserved;
    }
}
