//! The two memories of a summary: the heap, and a request's arena. Everything else is the same code.

use crate::summary::Range;
use crate::table::{Memory, Node};
use ebbtide::arena::{Arena, ArenaVec};

/// Slots for `nodes` nodes, every second one free.
fn slots_for(nodes: usize) -> usize {
    (nodes * 2).next_power_of_two()
}

/// A text on the heap: a slice of the body, or of the one string that holds every copied text.
#[derive(Clone, Copy)]
pub enum HeapText<'m> {
    InBody(&'m str),
    Copied { start: u32, len: u32 },
}

/// Standard vectors, sized by a guess and growing from there: three allocations for most documents.
pub struct Heap<'m> {
    nodes: Vec<Node<HeapText<'m>>>,
    slots: Vec<u32>,
    ranges: Vec<Range>,
    copied: String,
}

impl Heap<'_> {
    pub fn new(expected: usize) -> Self {
        Self {
            nodes: Vec::with_capacity(expected),
            slots: vec![0; slots_for(expected)],
            ranges: Vec::new(),
            copied: String::new(),
        }
    }
}

impl<'m> Memory<'m> for Heap<'m> {
    type Text = HeapText<'m>;

    fn in_body(text: &'m str) -> HeapText<'m> {
        HeapText::InBody(text)
    }

    /// A body has less than 4 GiB (`--body-limit` sees to it), and a copy is never longer than what it was read from.
    fn copy(&mut self, text: &str) -> HeapText<'m> {
        let start = self.copied.len() as u32;
        self.copied.push_str(text);
        HeapText::Copied { start, len: text.len() as u32 }
    }

    fn read(&self, text: HeapText<'m>) -> &str {
        match text {
            HeapText::InBody(text) => text,
            HeapText::Copied { start, len } => &self.copied[start as usize..][..len as usize],
        }
    }

    fn nodes(&self) -> &[Node<HeapText<'m>>] {
        &self.nodes
    }

    fn nodes_mut(&mut self) -> &mut [Node<HeapText<'m>>] {
        &mut self.nodes
    }

    fn push(&mut self, node: Node<HeapText<'m>>) {
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

/// A request's arena, through two cursors: the nodes grow in one while texts and slots are laid down in the other.
pub struct InArena<'x, 'm> {
    nodes: ArenaVec<'x, 'm, Node<&'m str>>,
    rest: &'x mut Arena<'m>,
    slots: &'m mut [u32],
    /// Of which the first `in_use` are.
    ranges: &'m mut [Range],
    in_use: usize,
}

impl<'x, 'm> InArena<'x, 'm> {
    pub fn new(expected: usize, nodes: &'x mut Arena<'m>, rest: &'x mut Arena<'m>) -> Self {
        let slots = rest.alloc_slice_fill_with(slots_for(expected), |_| 0);
        Self { nodes: nodes.vec(expected), rest, slots, ranges: &mut [], in_use: 0 }
    }
}

impl<'m> Memory<'m> for InArena<'_, 'm> {
    type Text = &'m str;

    fn in_body(text: &'m str) -> &'m str {
        text
    }

    fn copy(&mut self, text: &str) -> &'m str {
        self.rest.alloc_str(text)
    }

    fn read(&self, text: &'m str) -> &str {
        text
    }

    fn nodes(&self) -> &[Node<&'m str>] {
        &self.nodes
    }

    fn nodes_mut(&mut self) -> &mut [Node<&'m str>] {
        &mut self.nodes
    }

    fn push(&mut self, node: Node<&'m str>) {
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
