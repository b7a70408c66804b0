//! A block: what a node of a buffer pool holds.

use super::classes::Classes;
use crate::pool::{PoolDebug, Reset, Verdict};
use crate::raw::segment::{NoBuffer, Segment};
use std::sync::Arc;

/// A segment and the classes that it came from.
#[derive(Debug)]
pub(crate) struct Block {
    pub(super) segment: Segment,
    pub(super) classes: Arc<Classes>,
}

impl Block {
    pub(super) fn new(bytes: usize, secret: bool, classes: &Arc<Classes>) -> Result<Self, NoBuffer> {
        Ok(Self { segment: Segment::new(bytes, secret)?, classes: Arc::clone(classes) })
    }

    pub(crate) fn segment(&self) -> &Segment {
        &self.segment
    }
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

#[cfg(test)]
mod tests {
    use super::Block;
    use crate::pool::Node;

    /// `BufferPool::get` promises so.
    #[test]
    fn a_node_takes_about_a_hundred_bytes() {
        assert!(size_of::<Node<Block>>() <= 112, "{}", size_of::<Node<Block>>());
    }
}
