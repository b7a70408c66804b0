//! The table of paths: nodes that know their parent, found again by key.
//!
//! Objects in one array mostly have the same keys in the same order, so each node remembers which sibling followed it
//! last time; one comparison then finds the next. Only when that guess fails is a key hashed and looked up in an open
//! table (linear probing, at most half full), with the standard library's keyed hash, since strangers choose the keys.
//! An item of an array may be the last node above [`MOST_PATHS`](crate::summary::MOST_PATHS), one for each array.

use crate::summary::{Kinds, Number, Range};
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;

/// No node: the root is never looked for, so its number is free to say this.
const NONE: u32 = 0;

/// Where a summary's nodes and texts live.
pub trait Memory {
    /// Every text that was copied, one behind the other.
    fn copied(&self) -> &str;
    fn copy(&mut self, text: &str);

    fn nodes(&self) -> &[Node];
    fn nodes_mut(&mut self) -> &mut [Node];
    fn push(&mut self, node: Node);

    fn slots(&self) -> &[u32];
    fn slots_mut(&mut self) -> &mut [u32];
    /// Replaces the slots by as many empty ones, a power of two.
    fn renew_slots(&mut self, count: usize);

    fn ranges(&self) -> &[Range];
    fn ranges_mut(&mut self) -> &mut [Range];
    fn push_range(&mut self, range: Range);
}

/// A text as the parser hands it over: from the body, or unescaped into a buffer that the next string overwrites.
#[derive(Clone, Copy)]
pub enum Key<'m, 'p> {
    InBody(&'m str),
    Passing(&'p str),
}

impl Key<'_, '_> {
    fn as_str(&self) -> &str {
        match *self {
            Self::InBody(text) => text,
            Self::Passing(text) => text,
        }
    }
}

/// A text that is kept: where it begins, counted on from the body into the copied texts.
///
/// Eight bytes, and no more where there may be none; a reference would take 16, in every node twice.
#[derive(Clone, Copy)]
pub struct Text {
    start: u32,
    /// One more than its length.
    beyond: NonZeroU32,
}

impl Text {
    /// Both fit: a body has less than 2 GiB (`--body-limit` sees to it), and copies are never longer than what they were
    /// read from.
    fn new(start: usize, len: usize) -> Self {
        Self { start: start as u32, beyond: NonZeroU32::MIN.saturating_add(len as u32) }
    }

    fn len(self) -> usize {
        self.beyond.get() as usize - 1
    }
}

/// A path, and what was found there. Most of a request's memory is nodes, so what is rare stands elsewhere.
pub struct Node {
    /// The key of an object's member; the root and the items of an array have none.
    pub name: Option<Text>,
    pub longest: Option<Text>,
    pub parent: u32,
    /// A body has less than 2 GiB, and no more values than bytes.
    pub count: u32,
    hash: u32,
    /// The items' node of an array that stands here.
    item: u32,
    /// The first key that an object here had last time.
    first: u32,
    /// The sibling that followed last time.
    follower: u32,
    /// The number of the range of numbers here, and one.
    range: u32,
    pub kinds: Kinds,
}

impl Node {
    fn new(name: Option<Text>, parent: u32, hash: u32) -> Self {
        Self {
            name,
            longest: None,
            parent,
            count: 0,
            hash,
            item: NONE,
            first: NONE,
            follower: NONE,
            range: NONE,
            kinds: Kinds::default(),
        }
    }
}

/// The nodes of one document, in the order in which their paths were first met.
pub struct Table<'m, M> {
    /// What the texts of `Key::InBody` are slices of; empty if the body is no text.
    body: &'m str,
    memory: M,
    hasher: RandomState,
}

impl<'m, M: Memory> Table<'m, M> {
    pub const ROOT: u32 = 0;

    pub fn new(body: &'m str, mut memory: M) -> Self {
        memory.push(Node::new(None, Self::ROOT, 0));
        Self { body, memory, hasher: RandomState::new() }
    }

    pub fn nodes(&self) -> &[Node] {
        self.memory.nodes()
    }

    pub fn node_mut(&mut self, node: u32) -> &mut Node {
        &mut self.memory.nodes_mut()[node as usize]
    }

    pub fn read(&self, text: Text) -> &str {
        let start = text.start as usize;
        let (all, start) = match start.checked_sub(self.body.len()) {
            None => (self.body, start),
            Some(start) => (self.memory.copied(), start),
        };
        &all[start..][..text.len()]
    }

    fn node(&self, node: u32) -> &Node {
        &self.memory.nodes()[node as usize]
    }

    /// The range of the numbers at `node`, if there were any.
    pub fn range(&self, node: &Node) -> Option<&Range> {
        self.memory.ranges().get(node.range.checked_sub(1)? as usize)
    }

    /// Lets the range of numbers at `node` take in `number`.
    pub fn widen_range(&mut self, node: u32, number: Number) {
        match self.node(node).range {
            NONE => {
                self.memory.push_range(Range { min: number, max: number });
                self.node_mut(node).range = self.memory.ranges().len() as u32;
            }
            known => self.memory.ranges_mut()[known as usize - 1].widen(number),
        }
    }

    /// Keeps `text` as the longest string at `node` if it is that.
    pub fn offer_longest(&mut self, node: u32, text: Key<'m, '_>) {
        let longest = self.node(node).longest.map(Text::len);
        if longest.is_none_or(|longest| longest < text.as_str().len()) {
            let kept = self.keep(text);
            self.node_mut(node).longest = Some(kept);
        }
    }

    fn keep(&mut self, text: Key<'m, '_>) -> Text {
        if let Key::InBody(text) = text {
            let start = text.as_ptr().addr().wrapping_sub(self.body.as_ptr().addr());
            if start < self.body.len() {
                return Text::new(start, text.len());
            }
        }
        let text = text.as_str();
        let start = self.body.len() + self.memory.copied().len();
        self.memory.copy(text);
        Text::new(start, text.len())
    }

    /// The node of the items of the array at `of`.
    pub fn item(&mut self, of: u32) -> u32 {
        match self.node(of).item {
            NONE => {
                let made = self.push(Node::new(None, of, 0));
                self.node_mut(of).item = made;
                made
            }
            known => known,
        }
    }

    /// The node of `key` in the object at `of`, where the key `before` came last. None if that would be one node more
    /// than `most`.
    pub fn member(&mut self, of: u32, before: Option<u32>, key: Key<'m, '_>, most: usize) -> Option<u32> {
        let guess = before.map_or(self.node(of).first, |before| self.node(before).follower);
        if guess != NONE && self.is_member(guess, of, key.as_str()) {
            return Some(guess);
        }
        let found = self.look_up(of, key, most)?;
        match before {
            Some(before) => self.node_mut(before).follower = found,
            None => self.node_mut(of).first = found,
        }
        Some(found)
    }

    fn is_member(&self, node: u32, of: u32, key: &str) -> bool {
        let node = self.node(node);
        node.parent == of && node.name.is_some_and(|name| self.read(name) == key)
    }

    #[cold]
    fn look_up(&mut self, of: u32, key: Key<'m, '_>, most: usize) -> Option<u32> {
        // Half of the hash is plenty for a table of this size, and nodes stay smaller.
        let hash = self.hasher.hash_one((of, key.as_str())) as u32;
        let mask = self.memory.slots().len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            match self.memory.slots()[slot] {
                NONE => break,
                node if self.node(node).hash == hash && self.is_member(node, of, key.as_str()) => return Some(node),
                _ => slot = (slot + 1) & mask,
            }
        }
        if self.nodes().len() >= most {
            return None;
        }
        let name = self.keep(key);
        let made = self.push(Node::new(Some(name), of, hash));
        self.memory.slots_mut()[slot] = made;
        self.make_room();
        Some(made)
    }

    fn push(&mut self, node: Node) -> u32 {
        let number = self.nodes().len() as u32;
        self.memory.push(node);
        number
    }

    /// Doubles the slots when every second one may be taken.
    fn make_room(&mut self) {
        let nodes = self.nodes().len();
        let slots = self.memory.slots().len();
        if nodes * 2 <= slots {
            return;
        }
        self.memory.renew_slots(slots * 2);
        let mask = slots * 2 - 1;
        for number in 1..nodes {
            let node = self.node(number as u32);
            if node.name.is_none() {
                continue;
            }
            let mut slot = node.hash as usize & mask;
            while self.memory.slots()[slot] != NONE {
                slot = (slot + 1) & mask;
            }
            self.memory.slots_mut()[slot] = number as u32;
        }
    }
}
