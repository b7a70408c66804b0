//! The contract of a pooled value: how it is made as good as new, and how much memory it keeps.

use bytes::BytesMut;
use core::mem::size_of;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, VecDeque};

/// What a pool does with a value after its reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Keep it for the next `get`.
    Keep,
    /// Drop it.
    Discard,
}

impl From<()> for Verdict {
    /// A reset that says nothing means `Keep`.
    fn from((): ()) -> Self {
        Self::Keep
    }
}

/// A value that can be made as good as new.
///
/// A pool calls [`reset`](Self::reset) when a lease ends, before anybody else can get the value. Afterwards
/// nothing of the earlier use may be observable but spare capacity.
///
/// `#[derive(Reset)]` (feature `derive`) writes it for a struct, and forgets no field.
///
/// # Examples
///
/// ```
/// use ebbtide::{Pool, Reset, Verdict};
///
/// #[derive(Default)]
/// struct Parser {
///     tokens: Vec<u32>,
///     depth: usize,
/// }
///
/// impl Reset for Parser {
///     fn reset(&mut self) -> Verdict {
///         self.depth = 0;
///         self.tokens.reset()
///     }
///     fn retained_bytes(&self) -> usize {
///         self.tokens.retained_bytes()
///     }
/// }
///
/// let pool = Pool::new(Parser::default);
/// pool.get().tokens.push(7);
/// assert!(pool.get().tokens.is_empty());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no reset",
    label = "`Reset` is not implemented for this type",
    note = "under `#[derive(Reset)]` a field may say `#[reset(default)]`, `#[reset(with = ..)]` or `#[reset(skip)]`; \
            a pool takes a foreign type by `Pool::with_reset`"
)]
pub trait Reset {
    /// Clears the value and says whether it is worth keeping.
    ///
    /// # Panics
    ///
    /// It may: the value is discarded then, and nothing else is harmed.
    fn reset(&mut self) -> Verdict;

    /// Bytes that the value keeps on the heap, by capacity; not its own size. What the pool's byte bound counts.
    fn retained_bytes(&self) -> usize {
        0
    }

    /// Bytes of [`retained_bytes`](Self::retained_bytes) that hold data now. Read before `reset`.
    fn used_bytes(&self) -> usize {
        self.retained_bytes()
    }
}

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
}

impl Reset for BytesMut {
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
}

/// Keeps nothing: a cleared tree has no nodes.
impl<K, V> Reset for BTreeMap<K, V> {
    fn reset(&mut self) -> Verdict {
        self.clear();
        Verdict::Keep
    }
}

/// Keeps nothing: a cleared tree has no nodes.
impl<T> Reset for BTreeSet<T> {
    fn reset(&mut self) -> Verdict {
        self.clear();
        Verdict::Keep
    }
}

/// Becomes `None`, whatever it was: a `Some` that stays would tell the next user about the last.
impl<T> Reset for Option<T> {
    fn reset(&mut self) -> Verdict {
        *self = None;
        Verdict::Keep
    }
}

/// For those who need no state.
impl Reset for () {
    fn reset(&mut self) -> Verdict {
        Verdict::Keep
    }
}

impl<A: Reset, B: Reset> Reset for (A, B) {
    fn reset(&mut self) -> Verdict {
        both(self.0.reset(), self.1.reset())
    }
    fn retained_bytes(&self) -> usize {
        self.0.retained_bytes() + self.1.retained_bytes()
    }
    fn used_bytes(&self) -> usize {
        self.0.used_bytes() + self.1.used_bytes()
    }
}

impl<A: Reset, B: Reset, C: Reset> Reset for (A, B, C) {
    fn reset(&mut self) -> Verdict {
        both(both(self.0.reset(), self.1.reset()), self.2.reset())
    }
    fn retained_bytes(&self) -> usize {
        self.0.retained_bytes() + self.1.retained_bytes() + self.2.retained_bytes()
    }
    fn used_bytes(&self) -> usize {
        self.0.used_bytes() + self.1.used_bytes() + self.2.used_bytes()
    }
}

impl<A: Reset, B: Reset, C: Reset, D: Reset> Reset for (A, B, C, D) {
    fn reset(&mut self) -> Verdict {
        both(both(self.0.reset(), self.1.reset()), both(self.2.reset(), self.3.reset()))
    }
    fn retained_bytes(&self) -> usize {
        self.0.retained_bytes() + self.1.retained_bytes() + self.2.retained_bytes() + self.3.retained_bytes()
    }
    fn used_bytes(&self) -> usize {
        self.0.used_bytes() + self.1.used_bytes() + self.2.used_bytes() + self.3.used_bytes()
    }
}

/// Keeps only what both want to keep.
pub(crate) fn both(a: Verdict, b: Verdict) -> Verdict {
    if a == Verdict::Keep { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reset_keeps_capacity_and_nothing_else() {
        let mut value = (vec![1u32; 100], String::from("secret"), Some(3));
        assert_eq!(value.used_bytes(), 406);
        assert_eq!(value.reset(), Verdict::Keep);
        assert_eq!((value.0.len(), value.1.as_str(), value.2), (0, "", None));
        assert!(value.retained_bytes() >= 406);
        assert_eq!(value.used_bytes(), 0);
    }

    #[test]
    fn a_table_is_measured_by_its_capacity() {
        let mut map: HashMap<u64, u64> = (0..1000).map(|i| (i, i)).collect();
        let before = map.retained_bytes();
        assert!(before >= 1000 * 17, "{before}");
        map.reset();
        assert_eq!(map.retained_bytes(), before);
    }
}
