//! The two memories of a summary: the heap, and a request's arena. Everything else is the same code.

use crate::summary::Range;
use crate::table::{Memory, Node};
use ebbtide::arena::{Arena, ArenaString, ArenaVec};

/// Slots for `nodes` nodes, every second one free.
fn slots_for(nodes: usize) -> usize {
    (nodes * 2).next_power_of_two()
}

/// Standard vectors, sized by a guess and growing from there: two allocations for most documents.
pub struct Heap {
    nodes: Vec<Node>,
    slots: Vec<u32>,
    ranges: Vec<Range>,
    copied: String,
}

impl Heap {
    pub fn new(expected: usize) -> Self {
        Self {
            nodes: Vec::with_capacity(expected),
            slots: vec![0; slots_for(expected)],
            ranges: Vec::new(),
            copied: String::new(),
        }
    }
}

impl Memory for Heap {
    fn copied(&self) -> &str {
        &self.copied
    }

    fn copy(&mut self, text: &str) {
        self.copied.push_str(text);
    }

    fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    fn nodes_mut(&mut self) -> &mut [Node] {
        &mut self.nodes
    }

    fn push(&mut self, node: Node) {
        self.nodes.push(node);
    }

    fn slots(&self) -> &[u32] {
        &self.slots
    }

    fn slots_mut(&mut self) -> &mut [u32] {
        &mut self.slots
    }

    fn renew_slots(&mut self, count: usize) {
        self.slots.clear();
        self.slots.resize(count, 0);
    }

    fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    fn ranges_mut(&mut self) -> &mut [Range] {
        &mut self.ranges
    }

    fn push_range(&mut self, range: Range) {
        self.ranges.push(range);
    }
}

/// A request's arena, through three cursors: nodes and texts grow in one each while slots and ranges are laid down in the last.
pub struct InArena<'x, 'm> {
    nodes: ArenaVec<'x, 'm, Node>,
    copied: ArenaString<'x, 'm>,
    rest: &'x mut Arena<'m>,
    slots: &'m mut [u32],
    /// Of which the first `in_use` are.
    ranges: &'m mut [Range],
    in_use: usize,
}

impl<'x, 'm> InArena<'x, 'm> {
    pub fn new(expected: usize, [nodes, texts, rest]: [&'x mut Arena<'m>; 3]) -> Self {
        let slots = rest.alloc_slice_fill_with(slots_for(expected), |_| 0);
        Self { nodes: nodes.vec(expected), copied: texts.string(0), rest, slots, ranges: &mut [], in_use: 0 }
    }
}

impl Memory for InArena<'_, '_> {
    fn copied(&self) -> &str {
        &self.copied
    }

    fn copy(&mut self, text: &str) {
        self.copied.push_str(text);
    }

    fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    fn nodes_mut(&mut self) -> &mut [Node] {
        &mut self.nodes
    }

    fn push(&mut self, node: Node) {
        self.nodes.push(node);
    }

    fn slots(&self) -> &[u32] {
        self.slots
    }

    fn slots_mut(&mut self) -> &mut [u32] {
        self.slots
    }

    fn renew_slots(&mut self, count: usize) {
        self.slots = self.rest.alloc_slice_fill_with(count, |_| 0);
    }

    fn ranges(&self) -> &[Range] {
        &self.ranges[..self.in_use]
    }

    fn ranges_mut(&mut self) -> &mut [Range] {
        &mut self.ranges[..self.in_use]
    }

    fn push_range(&mut self, range: Range) {
        if self.in_use == self.ranges.len() {
            let room = (2 * self.in_use).max(4);
            self.ranges =
                self.rest.alloc_slice_fill_with(room, |index| self.ranges.get(index).copied().unwrap_or(range));
        }
        self.ranges[self.in_use] = range;
        self.in_use += 1;
    }
}
