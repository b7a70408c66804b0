//! `Reset` for the collections of std and `bytes`: cleared, with their capacity kept.
//!
//! Where safe code can get at the spare room it can be poisoned. Hash tables keep theirs to themselves, and a cleared tree
//! has none. Whether the poison is still there is not asked of a collection: its room may be another by then, which
//! nobody ever wrote, and to read that is undefined.

use super::debug::PoolDebug;
use super::reset::{Reset, Verdict};
use crate::raw::room;
use bytes::BytesMut;
use core::mem::{size_of, take};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, VecDeque};

impl<T> Reset for Vec<T> {
    fn reset(&mut self) -> Verdict {
        self.clear();
        Verdict::Keep
    }
    fn retained_bytes(&self) -> usize {
        self.capacity() * size_of::<T>()
    }
    fn used_bytes(&self) -> usize {
        self.len() * size_of::<T>()
    }
    fn poison(&mut self) {
        room::fill(self.spare_capacity_mut(), PoolDebug::POISON);
    }
    fn is_clean(&self) -> bool {
        self.is_empty()
    }
}

impl<T> Reset for VecDeque<T> {
    fn reset(&mut self) -> Verdict {
        self.clear();
        Verdict::Keep
    }
    fn retained_bytes(&self) -> usize {
        self.capacity() * size_of::<T>()
    }
    fn used_bytes(&self) -> usize {
        self.len() * size_of::<T>()
    }
    fn poison(&mut self) {
        // There and back in the same memory.
        let mut plain = Vec::from(take(self));
        plain.poison();
        *self = plain.into();
    }
    fn is_clean(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Ord> Reset for BinaryHeap<T> {
    fn reset(&mut self) -> Verdict {
        self.clear();
        Verdict::Keep
    }
    fn retained_bytes(&self) -> usize {
        self.capacity() * size_of::<T>()
    }
    fn used_bytes(&self) -> usize {
        self.len() * size_of::<T>()
    }
    fn poison(&mut self) {
        // There and back in the same memory. An empty heap has no order to restore.
        if self.is_empty() {
            let mut plain = take(self).into_vec();
            plain.poison();
            *self = plain.into();
        }
    }
    fn is_clean(&self) -> bool {
        self.is_empty()
    }
}

impl Reset for String {
    fn reset(&mut self) -> Verdict {
        self.clear();
        Verdict::Keep
    }
    fn retained_bytes(&self) -> usize {
        self.capacity()
    }
    fn used_bytes(&self) -> usize {
        self.len()
    }
    fn poison(&mut self) {
        let mut plain = take(self).into_bytes();
        plain.poison();
        // The text is as it was, so it is still one.
        *self = Self::from_utf8(plain).unwrap_or_default();
    }
    fn is_clean(&self) -> bool {
        self.is_empty()
    }
}

/// What was read past or split off comes back, so that all of the memory is counted, or half of it at least. It cannot while
/// somebody else has a part: then what is left is kept and counted, and nothing if nothing is left.
impl Reset for BytesMut {
    fn reset(&mut self) -> Verdict {
        self.clear();
        // Each asks for more than it has, and is refused at the cost of a look when nothing is to come back.
        while self.try_reclaim(2 * self.capacity() + 1) {}
        if !self.try_reclaim(self.capacity() + 1) && self.capacity() == 0 {
            *self = Self::new();
        }
        Verdict::Keep
    }
    fn retained_bytes(&self) -> usize {
        self.capacity()
    }
    /// One that is empty may have been read past its end, which cannot be told from one that was not used: it counts as used.
    fn used_bytes(&self) -> usize {
        if self.is_empty() { usize::MAX } else { self.len() }
    }
    fn poison(&mut self) {
        room::fill(self.spare_capacity_mut(), PoolDebug::POISON);
    }
    fn is_clean(&self) -> bool {
        self.is_empty()
    }
}

/// Bytes of a hash table with room for `entries`: std's has a control byte an entry and is 7/8 full at most.
fn table_bytes<E>(entries: usize) -> usize {
    (entries + entries / 7) * (size_of::<E>() + 1)
}

impl<K, V, S> Reset for HashMap<K, V, S> {
    fn reset(&mut self) -> Verdict {
        self.clear();
        Verdict::Keep
    }
    fn retained_bytes(&self) -> usize {
        table_bytes::<(K, V)>(self.capacity())
    }
    fn used_bytes(&self) -> usize {
        table_bytes::<(K, V)>(self.len())
    }
    fn is_clean(&self) -> bool {
        self.is_empty()
    }
}

impl<T, S> Reset for HashSet<T, S> {
    fn reset(&mut self) -> Verdict {
        self.clear();
        Verdict::Keep
    }
    fn retained_bytes(&self) -> usize {
        table_bytes::<T>(self.capacity())
    }
    fn used_bytes(&self) -> usize {
        table_bytes::<T>(self.len())
    }
    fn is_clean(&self) -> bool {
        self.is_empty()
    }
}

/// Keeps nothing: a cleared tree has no nodes.
impl<K, V> Reset for BTreeMap<K, V> {
    fn reset(&mut self) -> Verdict {
        self.clear();
        Verdict::Keep
    }
    fn is_clean(&self) -> bool {
        self.is_empty()
    }
}

/// Keeps nothing: a cleared tree has no nodes.
impl<T> Reset for BTreeSet<T> {
    fn reset(&mut self) -> Verdict {
        self.clear();
        Verdict::Keep
    }
    fn is_clean(&self) -> bool {
        self.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf;

    #[test]
    fn a_table_is_measured_by_its_capacity() {
        let mut map: HashMap<u64, u64> = (0..1000).map(|i| (i, i)).collect();
        let before = map.retained_bytes();
        assert!(before >= 1000 * 17, "{before}");
        map.reset();
        assert_eq!(map.retained_bytes(), before);
    }

    #[test]
    fn bytes_that_were_read_past_or_split_off_are_counted_again() {
        const ALL: usize = 1000;
        let full = || BytesMut::from(&[7; ALL][..]);
        let uses: [fn(&mut BytesMut); 5] = [
            |bytes| bytes.advance(1),
            |bytes| bytes.advance(ALL - 1),
            |bytes| bytes.advance(ALL),
            |bytes| drop(bytes.split_to(ALL - 1)),
            |bytes| drop(bytes.split()),
        ];
        for (number, change) in uses.into_iter().enumerate() {
            let mut bytes = full();
            change(&mut bytes);
            bytes.reset();
            assert_eq!((bytes.len(), bytes.retained_bytes()), (0, ALL), "use {number}");
        }
        let mut bytes = full();
        drop(bytes.split_off(10));
        bytes.reset();
        assert!(bytes.retained_bytes() >= ALL / 2, "{}", bytes.retained_bytes());
        // A part is another's: nothing is left, so nothing is pinned.
        let mut bytes = full();
        let frame = bytes.split().freeze();
        bytes.reset();
        assert!(frame.is_unique());
        assert_eq!(bytes.retained_bytes(), 0);
    }

    /// Poisons `value` and checks that it keeps and shows what it did.
    fn poisoned<T: Reset + Clone + PartialEq + core::fmt::Debug>(mut value: T) -> T {
        let (shown, kept) = (value.clone(), value.retained_bytes());
        value.poison();
        assert_eq!((&value, value.retained_bytes()), (&shown, kept));
        value
    }

    #[test]
    fn poison_changes_nothing_that_shows_or_is_kept() {
        let text = |len: usize| "ä".repeat(len);
        for len in [0, 3] {
            let mut words: Vec<u64> = Vec::with_capacity(8);
            words.extend(0..len);
            poisoned(words);
            let mut string = String::with_capacity(100);
            string.push_str(&text(3));
            poisoned(string);
            let mut ring: VecDeque<String> = VecDeque::with_capacity(4);
            (0..4).for_each(|_| ring.push_back(text(1)));
            drop(ring.pop_front());
            ring.push_back(text(2)); // around the corner
            poisoned(ring);
            let mut bytes = BytesMut::with_capacity(50);
            bytes.extend_from_slice(b"abc");
            poisoned(bytes);
        }
        let mut heap: BinaryHeap<u8> = (0..9).collect();
        heap.poison();
        assert_eq!((heap.len(), heap.pop(), heap.is_clean()), (9, Some(8), false));
        heap.clear();
        let kept = heap.retained_bytes();
        heap.poison();
        assert_eq!((heap.retained_bytes(), heap.is_clean()), (kept, true));
    }

    #[test]
    fn a_collection_with_content_is_not_clean() {
        fn check<T: Reset>(mut value: T) {
            assert!(!value.is_clean());
            value.reset();
            assert!(value.is_clean());
        }
        check(vec![1]);
        check(VecDeque::from([1]));
        check(BinaryHeap::from([1]));
        check(String::from("a"));
        check(BytesMut::from("a"));
        check(HashMap::from([(1, 1)]));
        check(HashSet::from([1]));
        check(BTreeMap::from([(1, 1)]));
        check(BTreeSet::from([1]));
        check(Some(1));
        check((vec![0; 0], 1));
        check((1, (), ()));
        check(((), (), (), [0, 0, 1]));
        check(Box::new(1));
    }
}
