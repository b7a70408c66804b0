//! All bytes of one segment, in one word: what a rope lists.
//!
//! A part of a segment takes two words more, to say which part. Of the segments in a rope's list nobody has read any yet.

use super::super::block::Block;
use super::super::buf::PooledBuf;
use super::super::bytes::{PooledBytes, go_home};
use crate::pool::Node;
use crate::raw::shared::Shared;
use crate::raw::view::{Holds, View};
use core::ops::Deref;

/// # Invariants
///
/// (a) The node is there until `into_bytes` or `drop` takes it, each of which ends the piece. (b) It holds a byte at least.
#[derive(Clone)]
pub(super) struct Piece(Option<Shared<Node<Block>>>);

impl Piece {
    /// What was written, if anything was; else the buffer goes back.
    pub(super) fn of(buffer: PooledBuf) -> Option<Self> {
        (!buffer.is_empty()).then(|| Self(Some(Shared::new(buffer.into_node()))))
    }

    pub(super) fn into_bytes(mut self) -> PooledBytes {
        self.0.take().map_or_else(PooledBytes::new, |node| PooledBytes::viewing(View::of(node)))
    }
}

impl Deref for Piece {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |node| node.bytes())
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        go_home(self.0.take().and_then(Shared::into_last));
    }
}
