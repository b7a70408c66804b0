//! Impls of unsafe traits for the types of `pool` and `buffer`.
//!
//! The one arrow of the basement that points up: such an impl must stand here, and Rust wants it on the
//! type itself.

use super::chain::Chain;
use super::magazines::{Housed, Magazines};
use super::shared::{Count, Counted};
use super::shell::Hollow;
use super::tiers::{Homed, Tiers};
use super::view::Holds;
use crate::buffer::{Block, PooledBuf};
use crate::pool::{Lent, Node, Shell};
use bytes::buf::UninitSlice;
use bytes::{Buf, BufMut};
use core::mem::MaybeUninit;

// SAFETY: `chunk_mut` is the segment's room behind the written bytes, and `advance_mut` counts bytes of it as
// written; both are the same until the buffer is written to.
unsafe impl BufMut for PooledBuf {
    #[inline]
    fn remaining_mut(&self) -> usize {
        isize::MAX as usize - self.len()
    }

    #[inline]
    unsafe fn advance_mut(&mut self, bytes: usize) {
        let room = self.capacity() - self.len();
        // As in `BytesMut`: a caller that breaks its promise is stopped, not obeyed.
        assert!(bytes <= room, "advance out of bounds: {bytes} bytes into {room} of room");
        // SAFETY: the caller has initialised that much of `chunk_mut`, which is the segment's room.
        unsafe { self.segment_mut().advance(bytes) };
    }

    #[inline]
    fn chunk_mut(&mut self) -> &mut UninitSlice {
        // A full buffer doubles, whatever little is asked for; one with any room at all is lent as it is, so that a reader
        // which reserved what it expects is not moved before that is there.
        self.reserve(1);
        UninitSlice::uninit(self.segment_mut().spare_mut())
    }

    // The provided forms would lend out all of the room, which then counts as written where secrets are wiped.

    #[inline]
    fn put_slice(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn put<B: Buf>(&mut self, mut bytes: B) {
        self.reserve(bytes.remaining());
        while bytes.has_remaining() {
            let chunk = bytes.chunk();
            self.extend_from_slice(chunk);
            let len = chunk.len();
            bytes.advance(len);
        }
    }

    fn put_bytes(&mut self, byte: u8, times: usize) {
        self.reserve(times);
        self.segment_mut().append_times(byte, times);
    }
}

// SAFETY: always the field of the one segment in the one block of the node.
unsafe impl Counted for Node<Block> {
    #[inline]
    fn count(&self) -> &Count {
        self.payload.value().segment().count()
    }
}

// SAFETY: the written bytes of that segment lie in its block, which the segment only points at; they change by `&mut` only.
unsafe impl Holds for Node<Block> {
    #[inline]
    fn bytes(&self) -> &[u8] {
        self.payload.value().segment().written()
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
