//! A block: what a node of a buffer pool holds.

use super::classes::Classes;
use crate::pool::{Fixed, Home, Node, PoolDebug, Reset, Verdict, give_back_fixed};
use crate::raw::lease::{End, Lease};
use crate::raw::segment::{NoBuffer, Segment};
use std::sync::Arc;

/// A segment and the classes that it came from.
#[derive(Debug)]
pub(crate) struct Block {
    pub(super) segment: Segment,
    /// Whether nobody has to look at it when it comes back: it holds no secrets, and is in no search for faults.
    is_plain: bool,
    pub(super) classes: Arc<Classes>,
}

impl Block {
    pub(super) fn new(bytes: usize, secret: bool, home: &Home<Self>, classes: &Arc<Classes>) -> Result<Self, NoBuffer> {
        let is_plain = !secret && !home.is_watched();
        Ok(Self { segment: Segment::new(bytes, secret)?, is_plain, classes: Arc::clone(classes) })
    }

    pub(crate) fn segment(&self) -> &Segment {
        &self.segment
    }
}

/// A buffer on lease.
pub(super) type Leased = Lease<Node<Block>, Emptied>;

/// The end of a buffer's lease: what was written is forgotten, and that is all, also in a panic. Bytes cannot be half done.
#[derive(Debug)]
pub(super) struct Emptied;

impl End<Node<Block>> for Emptied {
    const MINDS_PANIC: bool = false;

    #[inline]
    fn end(mut node: Box<Node<Block>>, _: bool) {
        let block = node.payload.value_mut();
        if block.is_plain {
            block.segment.forget();
            give_back_fixed(node);
        } else {
            judged(node);
        }
    }
}

#[cold]
fn judged(node: Box<Node<Block>>) {
    drop(Lease::new(node));
}

impl Reset for Block {
    /// The bytes stay in memory, unless they are secrets, and nobody can read them: only what is written after this is
    /// visible.
    fn reset(&mut self) -> Verdict {
        self.segment.clear();
        Verdict::Keep
    }

    fn retained_bytes(&self) -> usize {
        self.segment.capacity()
    }

    fn poison(&mut self) {
        self.segment.fill_spare(PoolDebug::POISON);
    }

    fn is_clean(&self) -> bool {
        self.segment.written().is_empty() && self.segment.is_filled(PoolDebug::POISON)
    }
}

impl Fixed for Block {
    fn give_up(&mut self) {
        self.segment.hand_back();
    }
}

#[cfg(test)]
mod tests {
    use super::Block;
    use crate::pool::Node;

    /// `BufferPool::get` promises so.
    #[test]
    fn a_node_takes_two_cache_lines() {
        assert_eq!(size_of::<Node<Block>>(), 128);
    }
}
