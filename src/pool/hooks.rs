//! How a value of a pool is made as good as new, measured, and judged.

use super::home::{Node, returned};
use super::reset::{Reset, Verdict};
use super::stats::DropReason;
use core::mem::size_of;

/// How values of one pool are made as good as new and measured.
pub(crate) trait Hooks<T>: Send + Sync {
    /// Resets the value and tells what it costs while it is idle, or why it is not worth keeping.
    fn judge(&self, value: &mut T, strikes: &mut u8) -> Judged;
    fn retained_bytes(&self, value: &T) -> usize;
    /// Overwrites what the value keeps but does not show.
    fn poison(&self, _: &mut T) {}
    /// Whether the value is as its reset left it.
    fn is_clean(&self, _: &T) -> bool {
        true
    }
    /// Told of a value that waited and will be dropped, since nobody wants it.
    fn give_up(&self, _: &mut T) {}
    /// What ends a lease as `judge` says, without a look into a table.
    fn end_by(&self) -> EndBy<T>
    where
        T: Send + 'static,
    {
        by_table
    }
}

/// Ends the lease of a value: resets and judges it, and puts it back or frees it. One function for all of it, so that nothing is kept
/// across a call in its midst. A panic goes no further: of the ABI "C", so that the compiler knows.
pub(super) type EndBy<T> = extern "C" fn(Box<Node<T>>);

/// By the hooks of the pool.
extern "C" fn by_table<T: Send + 'static>(node: Box<Node<T>>) {
    returned(node, |hooks, value, strikes| hooks.judge(value, strikes));
}

/// By the hooks of a type that knows itself: nothing is looked up.
extern "C" fn by_itself<T: Reset + Send + 'static>(node: Box<Node<T>>) {
    returned(node, |_, value, strikes| OwnHooks.judge(value, strikes));
}

/// By the hooks of a type of fixed size: a value that has its charge keeps it, unmeasured.
extern "C" fn by_charge<T: Fixed + Send + 'static>(node: Box<Node<T>>) {
    let charged = node.payload.charged();
    returned(node, |_, value, strikes| match charged {
        Some(charge) if value.reset() == Verdict::Keep => Judged::of_charge(charge),
        Some(_) => Judged::drop(DropReason::Verdict),
        None => FixedHooks.judge(value, strikes),
    });
}

/// What became of a value at its reset, in one word: the bytes that it costs while it is idle, at least those of
/// its node; or, from the top of the numbers down, why it is dropped.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Judged(usize);

/// Bytes that a value costs while it is idle which keeps so many on the heap. No value costs so much that it looks like a
/// reason, or its charge like a marked one, whatever it says.
#[inline]
pub(super) fn cost<T>(retained: usize) -> usize {
    size_of::<Node<T>>().saturating_add(retained).min(isize::MAX as usize)
}

impl Judged {
    pub(crate) fn keep<T>(retained: usize) -> Self {
        Self(cost::<T>(retained))
    }

    pub(super) fn drop(reason: DropReason) -> Self {
        Self(usize::MAX - reason as usize)
    }

    /// What a value with this charge has to come to, to keep it.
    pub(super) fn of_charge(bytes: usize) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(self) -> Result<usize, DropReason> {
        let reasons = [DropReason::Verdict, DropReason::Panicked, DropReason::Underused, DropReason::NotPooled];
        reasons.into_iter().find(|&reason| self == Self::drop(reason)).map_or(Ok(self.0), Err)
    }
}

/// The hooks of a type that knows itself.
pub(crate) struct OwnHooks;

impl<T: Reset> Hooks<T> for OwnHooks {
    fn judge(&self, value: &mut T, strikes: &mut u8) -> Judged {
        let used = value.used_bytes();
        if value.reset() == Verdict::Discard {
            return Judged::drop(DropReason::Verdict);
        }
        let retained = value.retained_bytes();
        if is_underused(used, retained, strikes) {
            Judged::drop(DropReason::Underused)
        } else {
            Judged::keep::<T>(retained)
        }
    }
    fn retained_bytes(&self, value: &T) -> usize {
        value.retained_bytes()
    }
    fn poison(&self, value: &mut T) {
        value.poison();
    }
    fn is_clean(&self, value: &T) -> bool {
        value.is_clean()
    }
    fn end_by(&self) -> EndBy<T>
    where
        T: Send + 'static,
    {
        by_itself
    }
}

/// The hooks of values that never change their size: what a value was charged once stays true, and none is underused.
pub(crate) struct FixedHooks;

/// A value that never changes its size.
pub(crate) trait Fixed: Reset {
    /// See [`Hooks::give_up`]. No code of a user runs, and it does not panic.
    fn give_up(&mut self);
}

impl<T: Fixed> Hooks<T> for FixedHooks {
    fn judge(&self, value: &mut T, _: &mut u8) -> Judged {
        match value.reset() {
            Verdict::Keep => Judged::keep::<T>(value.retained_bytes()),
            Verdict::Discard => Judged::drop(DropReason::Verdict),
        }
    }
    fn retained_bytes(&self, value: &T) -> usize {
        value.retained_bytes()
    }
    fn poison(&self, value: &mut T) {
        value.poison();
    }
    fn is_clean(&self, value: &T) -> bool {
        value.is_clean()
    }
    fn give_up(&self, value: &mut T) {
        value.give_up();
    }
    fn end_by(&self) -> EndBy<T>
    where
        T: Send + 'static,
    {
        by_charge
    }
}

/// Hooks of a foreign type: a closure resets it, and what it keeps on the heap is not known.
pub(crate) struct ResetBy<R>(pub(crate) R);

impl<T, R: Fn(&mut T) -> Verdict + Send + Sync> Hooks<T> for ResetBy<R> {
    fn judge(&self, value: &mut T, _: &mut u8) -> Judged {
        match (self.0)(value) {
            Verdict::Keep => Judged::keep::<T>(0),
            Verdict::Discard => Judged::drop(DropReason::Verdict),
        }
    }
    fn retained_bytes(&self, _: &T) -> usize {
        0
    }
}

/// What is larger than this, in bytes, has to earn its keep.
pub(crate) const LARGE: usize = 4096;
/// Uses in a row below a quarter that a large value survives.
const STRIKES: u8 = 3;

/// Whether a value is to be dropped for being far larger than its recent uses.
///
/// A value that keeps more than 4 KiB gets a strike for each use below a quarter of that, and goes with the
/// fourth in a row. So of five uses in a row that a value serves, one needed a quarter of it: at worst a twentieth
/// of what is kept is in use on average. (The rule, and its bound of 5 %, are those of Go's `encoding/json/jsontext`.)
fn is_underused(used: usize, retained: usize, strikes: &mut u8) -> bool {
    // A value that was never large has no strikes to forgive.
    if retained <= LARGE {
        return false;
    }
    *strikes = if used >= retained / 4 { 0 } else { *strikes + 1 };
    *strikes > STRIKES
}
