//! Chains: boxed nodes linked through themselves, last in first out. What moves between the tiers of a pool.

use super::depot::Load;
use super::magazine::{Magazine, NOBODY, Owner};
use crate::sync::MODELLED;
use core::cell::Cell;
use core::fmt;
use core::ptr::NonNull;

/// How many nodes of a list are followed at most to divide it, where the list may be of any length: as many as a trim frees. Each
/// may cost a miss of the cache, a tenth of a microsecond, and whose magazine it is finds its gate shut as long.
pub const WALK: usize = if MODELLED { 1 } else { 256 };

/// A boxed payload with room for the links of a pool. Outside of the basement it is a box around its payload. The links
/// come first: they lie beside what a payload has in front, on a cache line of its own, for who takes it on one thread and drops it
/// on another has each line fetched twice (`docs/decisions/0038`).
#[repr(C, align(64))]
pub struct Node<P> {
    /// The next node of the chain that owns this one. Touched by the owner of the box or of the chain only.
    next: Cell<Option<NonNull<Self>>>,
    /// The owner of the magazine that it was taken from, and with it the whole of that, for a short way back; `NOBODY` when it
    /// came another way. Touched as `next` is. Valid while the node's pool is.
    home: Cell<NonNull<Owner>>,
    pub payload: P,
}

// SAFETY: who has the node has the payload; the links go with it and are only followed by its owner.
unsafe impl<P: Send> Send for Node<P> {}
// SAFETY: `&Node` gives `&P`; the cells are touched by the owner of the box only, which `&Node` is not.
unsafe impl<P: Sync> Sync for Node<P> {}

impl<P> Node<P> {
    pub fn new(payload: P) -> Box<Self> {
        Box::new(Self { next: Cell::new(None), home: Cell::new(NonNull::from(&NOBODY)), payload })
    }

    /// Notes where it was taken from. Mostly it says so already, and is only read: a store would fetch the cache line a
    /// second time, for writing, where another thread dropped the node.
    #[inline(always)]
    pub(super) fn came_from(&self, magazine: Option<NonNull<Magazine<P>>>) {
        let home = magazine.map_or(NonNull::from(&NOBODY), NonNull::cast);
        if self.home.get() != home {
            self.home.set(home);
        }
    }

    /// The magazine that it was taken from, if that is the one of thread `number`.
    ///
    /// # Safety
    ///
    /// - The node's pool is there, and so is the magazine;
    /// - `number` is a thread's, or what `threads` says of one that has none.
    #[inline(always)]
    pub(super) unsafe fn home_of(&self, number: usize) -> Option<NonNull<Magazine<P>>> {
        let home = self.home.get();
        // SAFETY: a magazine's, by the caller's promise, or `NOBODY`.
        let owner = unsafe { home.as_ref() }.number();
        (owner == number).then_some(home.cast())
    }

    /// Whether it was taken from this magazine.
    pub(super) fn is_from(&self, magazine: NonNull<Magazine<P>>) -> bool {
        self.home.get() == magazine.cast()
    }
}

impl<P: fmt::Debug> fmt::Debug for Node<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.payload.fmt(f)
    }
}

/// Nodes linked one to the next, not counted.
///
/// # Invariants
///
/// (a) The head and what follows it by `next` are boxes that this list owns.
pub struct List<P>(Option<NonNull<Node<P>>>);

// SAFETY: by (a) the list owns its nodes.
unsafe impl<P: Send> Send for List<P> {}

impl<P> List<P> {
    pub const fn new() -> Self {
        Self(None)
    }

    #[inline(always)]
    pub fn push(&mut self, node: Box<Node<P>>) {
        node.next.set(self.0);
        self.0 = Some(NonNull::from(Box::leak(node)));
    }

    #[inline(always)]
    pub fn pop(&mut self) -> Option<Box<Node<P>>> {
        let head = self.0?;
        // SAFETY: by (a) it is a box that this list owns, and it leaves the list here.
        let node = unsafe { Box::from_raw(head.as_ptr()) };
        self.0 = node.next.get();
        Some(node)
    }

    /// Keeps the first `keep` nodes and gives the others. The links of those kept are followed and only the last is written to: the
    /// cache lines of the others stay with the thread that used them.
    fn cut(&mut self, keep: usize) -> Self {
        let mut last = None;
        let mut rest = self.0;
        for _ in 0..keep {
            let Some(node) = rest else { break };
            last = rest;
            // SAFETY: by (a) it is a box that this list owns.
            rest = unsafe { node.as_ref() }.next.get();
        }
        match last {
            // SAFETY: as above.
            Some(last) => unsafe { last.as_ref() }.next.set(None),
            None => self.0 = None,
        }
        Self(rest)
    }
}

impl<P> fmt::Debug for List<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List").field("is_empty", &self.0.is_none()).finish()
    }
}

impl<P> Drop for List<P> {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

/// A list that knows its length.
pub struct Chain<P> {
    list: List<P>,
    len: usize,
}

impl<P> Chain<P> {
    pub const fn new() -> Self {
        Self { list: List::new(), len: 0 }
    }

    pub fn of(node: Box<Node<P>>) -> Self {
        let mut chain = Self::new();
        chain.push(node);
        chain
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn push(&mut self, node: Box<Node<P>>) {
        self.list.push(node);
        self.len += 1;
    }

    pub fn pop(&mut self) -> Option<Box<Node<P>>> {
        let node = self.list.pop()?;
        self.len -= 1;
        Some(node)
    }

    /// This chain and the nodes of `other`. The shorter one is walked.
    pub fn merged(self, other: Option<Self>) -> Self {
        let other = other.unwrap_or_default();
        let (mut long, mut short) = if self.len < other.len { (other, self) } else { (self, other) };
        while let Some(node) = short.pop() {
            long.push(node);
        }
        long
    }

    /// Exchanges this chain for a list of another place, of length `len`. Returns the length that the list has then.
    pub fn exchange(&mut self, list: &mut List<P>, len: usize) -> usize {
        core::mem::swap(&mut self.list, list);
        core::mem::replace(&mut self.len, len)
    }
}

/// A chain is as much as it has nodes.
impl<P> Load for Chain<P> {
    fn load(&self) -> usize {
        self.len
    }

    fn split_off(&mut self, load: usize) -> Self {
        let rest = self.list.cut(load);
        let len = load.min(self.len);
        self.len -= len;
        Self { list: core::mem::replace(&mut self.list, rest), len }
    }
}

impl<P> Default for Chain<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P> fmt::Debug for Chain<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("len", &self.len).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::raw::threads::{NONE, THREADS, UNKNOWN};

    #[test]
    fn a_new_node_is_at_home_with_nobody() {
        let node = Node::new(());
        for number in (0..THREADS).chain([UNKNOWN, NONE]) {
            // SAFETY: it has no magazine yet.
            assert!(unsafe { node.home_of(number) }.is_none());
        }
    }

    #[test]
    fn last_in_first_out_and_nothing_lost() {
        let mut chain = Chain::of(Node::new(1));
        chain.push(Node::new(2));
        assert_eq!(chain.pop().map(|node| node.payload), Some(2));
        chain.push(Node::new(3));
        assert_eq!((chain.len(), chain.pop().unwrap().payload, chain.pop().unwrap().payload), (2, 3, 1));
        assert!(chain.pop().is_none() && chain.is_empty());
    }

    #[test]
    fn a_chain_splits_and_merges_without_loss() {
        let of = |values: core::ops::Range<u32>| {
            let mut chain = Chain::new();
            values.for_each(|value| chain.push(Node::new(value)));
            chain
        };
        let all = |mut chain: Chain<u32>| {
            assert_eq!(chain.load(), chain.len());
            let mut values: Vec<_> = core::iter::from_fn(|| chain.pop().map(|node| node.payload)).collect();
            values.sort_unstable();
            values
        };
        let mut chain = of(0..5);
        assert_eq!(all(chain.split_off(2)), [3, 4]);
        assert!(all(chain.split_off(0)).is_empty());
        assert_eq!(all(chain.split_off(4)), [0, 1, 2]);
        assert!(all(chain.split_off(1)).is_empty() && all(chain).is_empty());
        assert_eq!(all(of(0..1).merged(Some(of(1..4)))), [0, 1, 2, 3]);
        assert_eq!(all(of(0..3).merged(Some(of(3..4)))), [0, 1, 2, 3]);
        assert_eq!(all(of(0..3).merged(None)), [0, 1, 2]);
    }

    #[test]
    fn a_dropped_chain_drops_its_nodes() {
        let alive = std::rc::Rc::new(());
        let mut chain = Chain::new();
        (0..5).for_each(|_| chain.push(Node::new(alive.clone())));
        drop(chain);
        assert_eq!(std::rc::Rc::strong_count(&alive), 1);
    }
}
