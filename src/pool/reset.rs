//! The contract of a pooled value: how it is made as good as new, and how much memory it keeps.

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

    /// Overwrites with [`PoolDebug::POISON`](crate::PoolDebug::POISON) what the value keeps but no longer shows. A pool with the
    /// switch [`poison`](crate::PoolDebug::poison) calls it after a `reset` that keeps the value. It changes neither
    /// what the value shows nor how much it keeps. Provided: does nothing.
    ///
    /// # Panics
    ///
    /// As `reset`.
    fn poison(&mut self) {}

    /// Whether the value still is as its reset left it. A pool with the switch [`verify`](crate::PoolDebug::verify) asks
    /// before it lends a value again. Provided: `true`.
    ///
    /// # Panics
    ///
    /// It may: the value counts as damaged then.
    fn is_clean(&self) -> bool {
        true
    }
}

/// Becomes `None`, whatever it was: a `Some` that stays would tell the next user about the last.
impl<T> Reset for Option<T> {
    fn reset(&mut self) -> Verdict {
        *self = None;
        Verdict::Keep
    }
    fn is_clean(&self) -> bool {
        self.is_none()
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
        sum([self.0.retained_bytes(), self.1.retained_bytes()])
    }
    fn used_bytes(&self) -> usize {
        sum([self.0.used_bytes(), self.1.used_bytes()])
    }
    fn poison(&mut self) {
        self.0.poison();
        self.1.poison();
    }
    fn is_clean(&self) -> bool {
        self.0.is_clean() && self.1.is_clean()
    }
}

impl<A: Reset, B: Reset, C: Reset> Reset for (A, B, C) {
    fn reset(&mut self) -> Verdict {
        both(both(self.0.reset(), self.1.reset()), self.2.reset())
    }
    fn retained_bytes(&self) -> usize {
        sum([self.0.retained_bytes(), self.1.retained_bytes(), self.2.retained_bytes()])
    }
    fn used_bytes(&self) -> usize {
        sum([self.0.used_bytes(), self.1.used_bytes(), self.2.used_bytes()])
    }
    fn poison(&mut self) {
        self.0.poison();
        self.1.poison();
        self.2.poison();
    }
    fn is_clean(&self) -> bool {
        self.0.is_clean() && self.1.is_clean() && self.2.is_clean()
    }
}

impl<A: Reset, B: Reset, C: Reset, D: Reset> Reset for (A, B, C, D) {
    fn reset(&mut self) -> Verdict {
        both(both(self.0.reset(), self.1.reset()), both(self.2.reset(), self.3.reset()))
    }
    fn retained_bytes(&self) -> usize {
        sum([self.0.retained_bytes(), self.1.retained_bytes(), self.2.retained_bytes(), self.3.retained_bytes()])
    }
    fn used_bytes(&self) -> usize {
        sum([self.0.used_bytes(), self.1.used_bytes(), self.2.used_bytes(), self.3.used_bytes()])
    }
    fn poison(&mut self) {
        self.0.poison();
        self.1.poison();
        self.2.poison();
        self.3.poison();
    }
    fn is_clean(&self) -> bool {
        self.0.is_clean() && self.1.is_clean() && self.2.is_clean() && self.3.is_clean()
    }
}

/// The bytes of several parts; too many stay too many. An empty `BytesMut` says that it uses the largest number, with which a plain
/// sum would wrap, or panic.
pub(super) fn sum(parts: impl IntoIterator<Item = usize>) -> usize {
    parts.into_iter().fold(0, usize::saturating_add)
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
}
