//! Typed state of one request: one value a type, made on first use, reset when the request ends.
//!
//! The values stay with the slot and serve the next request. They hang in a list that only grows while the
//! request is shared, so a reference into it stays valid without a lock around the list.

use crate::pool::{Reset, Verdict};
use crate::raw::unwind::caught;
use core::any::{Any, type_name};
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use parking_lot::{Mutex, MutexGuard};
use std::sync::OnceLock;

/// The values of one slot.
#[derive(Default)]
pub(super) struct Locals(Link);

type Link = OnceLock<Box<Entry>>;

struct Entry {
    cell: Box<dyn AnyCell>,
    next: Link,
}

/// A value, and whether this request has touched it.
struct Cell<S>(Mutex<(S, bool)>);

trait AnyCell: Send + Sync {
    fn as_any(&self) -> &dyn Any;
    /// Resets a touched value; `None` if it must not be kept, else the bytes that it keeps.
    fn reset(&mut self) -> Option<usize>;
}

impl<S: Reset + Send + 'static> AnyCell for Cell<S> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn reset(&mut self) -> Option<usize> {
        // A borrow that was forgotten would leave the value busy for ever.
        if self.0.is_locked() {
            return None;
        }
        let (value, touched) = self.0.get_mut();
        let verdict = if core::mem::take(touched) { value.reset() } else { Verdict::Keep };
        (verdict == Verdict::Keep).then(|| value.retained_bytes())
    }
}

impl Locals {
    /// Lends this request's `S`.
    pub(super) fn get<S: Reset + Default + Send + 'static>(&self) -> Result<LocalRef<'_, S>, LocalBusy> {
        let mut link = &self.0;
        loop {
            let Some(entry) = link.get() else {
                // The value is made outside of the cell: making it is user code, which may use this list. If another
                // thread hung an entry here meanwhile, this one is dropped and the search goes on.
                let cell = Box::new(Cell(Mutex::new((S::default(), false))));
                let _ = link.set(Box::new(Entry { cell, next: Link::new() }));
                continue;
            };
            if let Some(cell) = entry.cell.as_any().downcast_ref::<Cell<S>>() {
                let mut value = cell.0.try_lock().ok_or(LocalBusy { of: type_name::<S>() })?;
                value.1 = true;
                return Ok(LocalRef { value, _here: PhantomData });
            }
            link = &entry.next;
        }
    }

    /// Whether no request has asked for a value yet.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.get().is_none()
    }

    /// Resets what was touched and returns the bytes that stay, at most `keep`. If a value refuses, panics
    /// or is too large, all are dropped, and the next request makes its own. Returns the panics too.
    #[inline]
    pub(super) fn reset(&mut self, keep: usize) -> (usize, usize) {
        if self.is_empty() {
            return (0, 0);
        }
        match caught(|| self.reset_all()) {
            Some(Some(kept)) if kept <= keep => (kept, 0),
            outcome => (0, usize::from(outcome.is_none()) + self.clear()),
        }
    }

    fn reset_all(&mut self) -> Option<usize> {
        let mut kept = 0;
        let mut link = &mut self.0;
        while let Some(entry) = link.get_mut() {
            kept = entry.cell.reset()?.saturating_add(kept);
            link = &mut entry.next;
        }
        Some(kept)
    }

    /// Drops all values and returns how many of the drops panicked.
    pub(super) fn clear(&mut self) -> usize {
        let mut panics = 0;
        let mut link = self.0.take();
        while let Some(entry) = link {
            let Entry { cell, mut next } = *entry;
            panics += usize::from(caught(|| drop(cell)).is_none());
            link = next.take();
        }
        panics
    }
}

impl Drop for Locals {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Exclusive use of a request's local value. Its drop gives the value back; it is not `Send`, so that it is not
/// held across an `.await`.
pub struct LocalRef<'s, S> {
    value: MutexGuard<'s, (S, bool)>,
    /// Not `Send`, whatever features of the lock somebody else switches on.
    _here: PhantomData<*const ()>,
}

impl<S> Deref for LocalRef<'_, S> {
    type Target = S;
    fn deref(&self) -> &S {
        &self.value.0
    }
}

impl<S> DerefMut for LocalRef<'_, S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.value.0
    }
}

impl<S: fmt::Debug> fmt::Debug for LocalRef<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// The value is lent already: only one [`LocalRef`] of a type exists at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalBusy {
    of: &'static str,
}

impl fmt::Display for LocalBusy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the request's local {} is in use", self.of)
    }
}

impl core::error::Error for LocalBusy {}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_value_a_type_busy_while_lent_and_reset_when_touched() {
        let mut locals = Locals::default();
        let mut text = locals.get::<String>().unwrap();
        text.push('x');
        locals.get::<Vec<u8>>().unwrap().push(1);
        let error = locals.get::<String>().unwrap_err();
        assert_eq!(error.to_string(), "the request's local alloc::string::String is in use");
        drop(text);
        assert_eq!(&*locals.get::<String>().unwrap(), "x");
        let (kept, panics) = locals.reset(1000);
        assert!(kept > 0);
        assert_eq!((panics, locals.get::<String>().unwrap().len()), (0, 0));
    }

    #[test]
    fn a_forgotten_borrow_is_over_with_the_request() {
        let mut locals = Locals::default();
        std::mem::forget(locals.get::<String>().unwrap());
        assert!(locals.get::<String>().is_err());
        locals.reset(1000);
        assert!(locals.get::<String>().is_ok());
    }

    #[test]
    fn what_is_too_large_is_dropped() {
        let mut locals = Locals::default();
        locals.get::<String>().unwrap().reserve(100);
        assert_eq!(locals.reset(10), (0, 0));
        assert_eq!(locals.get::<String>().unwrap().capacity(), 0);
    }

    #[test]
    fn what_is_too_large_to_count_is_dropped() {
        /// Tells of more than there can be.
        #[derive(Default)]
        struct Endless;
        impl Reset for Endless {
            fn reset(&mut self) -> Verdict {
                Verdict::Keep
            }
            fn retained_bytes(&self) -> usize {
                usize::MAX
            }
        }
        let mut locals = Locals::default();
        locals.get::<String>().unwrap().reserve(100);
        drop(locals.get::<Endless>().unwrap());
        assert_eq!(locals.reset(1000), (0, 0));
        assert!(locals.is_empty());
    }
}
