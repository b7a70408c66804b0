//! Calls into user code that must not unwind further: from `Drop`, and between the steps of an ending.

use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `f`; `None` if it panicked. What `f` was working on must be discarded by the caller then. A payload
/// whose own drop panics is leaked.
#[inline]
pub fn caught<R>(f: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(f)).map_err(forget).ok()
}

#[cold]
#[inline(never)]
fn forget(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        core::mem::forget(second);
    }
}

/// A value of user code whose drop may panic, in a place that is dropped by nobody in particular: the panic goes no
/// further.
///
/// # Invariants
///
/// (a) The value is there until `drop`.
pub struct Quiet<T>(ManuallyDrop<T>);

impl<T> Quiet<T> {
    pub fn new(value: T) -> Self {
        Self(ManuallyDrop::new(value))
    }
}

impl<T> Deref for Quiet<T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Drop for Quiet<T> {
    fn drop(&mut self) {
        // SAFETY: by (a) it is there, and nobody comes after this drop.
        caught(|| unsafe { ManuallyDrop::drop(&mut self.0) });
    }
}

impl<T: fmt::Debug> fmt::Debug for Quiet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Quiet, caught};

    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the payload's drop panics");
        }
    }

    #[test]
    fn a_payload_that_panics_when_dropped_goes_no_further() {
        assert_eq!(caught(|| 1), Some(1));
        assert_eq!(caught(|| -> u8 { std::panic::panic_any(Bomb) }), None);
    }

    #[test]
    fn a_quiet_value_that_panics_when_dropped_goes_no_further() {
        drop(Quiet::new(Bomb));
    }
}
