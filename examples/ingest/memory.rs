//! The two memories of a summary: the heap, and a request's arena. Everything else is the same code.

use crate::summary::Range;
use crate::table::{Memory, Node};
use ebbtide::arena::{Arena, ArenaVec};
use std::num::NonZeroU32;

/// Slots for `nodes` nodes, every second one free.
fn slots_for(nodes: usize) -> usize {
    (nodes * 2).next_power_of_two()
}

/// A text on the heap: where it begins, counted on from the body into the one string that holds every copied text.
///
/// Eight bytes, and no more where there may be none; a reference or a place in that string would take 24, in every node twice.
#[derive(Clone, Copy)]
pub struct HeapText {
    start: u32,
    /// One more than its length.
    beyond: NonZeroU32,
}

impl HeapText {
    /// Both fit: a body has less than 2 GiB (`--body-limit` sees to it), and copies are never longer than what they were
    /// read from.
    fn new(start: usize, len: usize) -> Self {
        Self { start: start as u32, beyond: NonZeroU32::MIN.saturating_add(len as u32) }
    }

    fn len(self) -> usize {
        self.beyond.get() as usize - 1
    }
}

/// Standard vectors, sized by a guess and growing from there: two allocations for most documents.
pub struct Heap<'m> {
    body: &'m str,
    nodes: Vec<Node<HeapText>>,
    slots: Vec<u32>,
    ranges: Vec<Range>,
    copied: String,
}

impl Heap<'_> {
    pub fn new(expected: usize) -> Self {
        Self {
            body: "",
            nodes: Vec::with_capacity(expected),
            slots: vec![0; slots_for(expected)],
            ranges: Vec::new(),
            copied: String::new(),
        }
    }
}

impl<'m> Memory<'m> for Heap<'m> {
    type Text = HeapText;

    fn slices_of(&mut self, body: &'m str) {
        self.body = body;
    }

    fn in_body(&mut self, text: &'m str) -> HeapText {
        let start = text.as_ptr().addr().wrapping_sub(self.body.as_ptr().addr());
        if start < self.body.len() { HeapText::new(start, text.len()) } else { self.copy(text) }
    }

    fn copy(&mut self, text: &str) -> HeapText {
        let start = self.body.len() + self.copied.len();
        self.copied.push_str(text);
        HeapText::new(start, text.len())
    }

    fn read(&self, text: HeapText) -> &str {
        let start = text.start as usize;
        let (all, start) = match start.checked_sub(self.body.len()) {
            None => (self.body, start),
            Some(start) => (&*self.copied, start),
        };
        &all[start..][..text.len()]
    }

    fn len(text: HeapText) -> usize {
        text.len()
    }

    fn nodes(&self) -> &[Node<HeapText>] {
        &self.nodes
    }

    fn nodes_mut(&mut self) -> &mut [Node<HeapText>] {
        &mut self.nodes
    }

    fn push(&mut self, node: Node<HeapText>) {
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

    /// References find it by themselves.
    fn slices_of(&mut self, _: &'m str) {}

    fn in_body(&mut self, text: &'m str) -> &'m str {
        text
    }

    fn copy(&mut self, text: &str) -> &'m str {
        self.rest.alloc_str(text)
    }

    fn read(&self, text: &'m str) -> &str {
        text
    }

    fn len(text: &'m str) -> usize {
        text.len()
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
