//! Impls of unsafe traits for the types of `pool` and `buffer`.
//!
//! The one arrow of the basement that points up: such an impl must stand here, and Rust wants it on the
//! type itself.

use super::chain::Chain;
use super::magazines::{Housed, Magazines};
use super::shared::{Count, Counted};
use super::shell::Hollow;
use super::tiers::{Homed, Tiers};
use crate::buffer::{Block, PooledBuf};
use crate::pool::{Lent, Node, Shell};
use bytes::BufMut;
use bytes::buf::UninitSlice;
use core::mem::MaybeUninit;

/// Room that `chunk_mut` makes when there is none, in bytes.
const STEP: usize = 64;

// SAFETY: `chunk_mut` is the segment's room behind the written bytes, and `advance_mut` counts bytes of it as
// written; both are the same until the buffer is written to.
unsafe impl BufMut for PooledBuf {
    fn remaining_mut(&self) -> usize {
        isize::MAX as usize - self.len()
    }

    unsafe fn advance_mut(&mut self, bytes: usize) {
        let room = self.capacity() - self.len();
        // As in `BytesMut`: a caller that breaks its promise is stopped, not obeyed.
        assert!(bytes <= room, "advance out of bounds: {bytes} bytes into {room} of room");
        // SAFETY: the caller has initialised that much of `chunk_mut`, which is the segment's room.
        unsafe { self.segment_mut().advance(bytes) };
    }

    fn chunk_mut(&mut self) -> &mut UninitSlice {
        if self.len() == self.capacity() {
            self.reserve(STEP);
        }
        UninitSlice::uninit(self.segment_mut().spare_mut())
    }

    fn put_slice(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

// SAFETY: always the field of the one segment in the one block of the node.
unsafe impl Counted for Node<Block> {
    fn count(&self) -> &Count {
        self.payload.value().segment().count()
    }
}

// SAFETY: the tiers are a field of the home, and the payload has a strong count on its home, which it never changes.
unsafe impl<T: Send + 'static> Homed for Lent<T> {
    fn tiers(&self) -> &Tiers<Self> {
        self.home().tiers()
    }

    fn spill(&self, chain: Chain<Self>) {
        self.home().spill(chain);
    }
}

// SAFETY: as above; the shells are a field of the home too.
unsafe impl<T: Send + 'static> Housed for Shell<T> {
    fn magazines(&self) -> &Magazines<Self> {
        self.home().shells()
    }
}

// SAFETY: `Lent` is `repr(C)`, and a shell is one whose last field, of the parameter's type, is what `room` lends.
unsafe impl<T: Send + 'static> Hollow for Lent<T> {
    type Value = T;
    type Shell = Shell<T>;

    fn room(shell: &mut Shell<T>) -> &mut MaybeUninit<T> {
        shell.value_mut()
    }
}
