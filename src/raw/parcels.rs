//! Parcels: type-erased things that a request owes an ending, each finished exactly once, last in first out.
//!
//! A parcel is a pointer and the function that ends what it points at: drop a value in the arena, give a
//! node back to its pool, call a cleanup. Nothing is boxed for it. A list keeps its capacity between requests.

use core::fmt;
use core::mem::{MaybeUninit, size_of};
use core::ptr::NonNull;
use parking_lot::Mutex;

/// Parcels that a list keeps room for between requests: a page of them.
const PLACES: usize = 256;

/// How a type wants to be ended when it was held as a parcel.
pub trait Finish<E: ?Sized> {
    /// Ends the value. May panic; the caller catches.
    fn finish(self: Box<Self>, with: &E);
}

/// # Invariants
///
/// (a) `value` points at a value that this parcel owns; it is `Send` and stays valid until `run`.
/// (b) `run` fits the value's type and is called at most once.
struct Parcel<E: ?Sized> {
    value: NonNull<()>,
    run: unsafe fn(NonNull<()>, &E),
}

// SAFETY: by (a) the parcel owns a `Send` value; each constructor below asks for it.
unsafe impl<E: ?Sized> Send for Parcel<E> {}

/// A list of parcels that are ended with an `&E`.
pub struct Parcels<E: ?Sized> {
    list: Mutex<Vec<Parcel<E>>>,
}

impl<E: ?Sized> Default for Parcels<E> {
    fn default() -> Self {
        Self { list: Mutex::new(Vec::new()) }
    }
}

impl<E: ?Sized> Parcels<E> {
    fn push(&self, value: NonNull<()>, run: unsafe fn(NonNull<()>, &E)) {
        self.list.lock().push(Parcel { value, run });
    }

    /// Keeps a boxed value and lends it for as long as the list is borrowed.
    #[allow(clippy::mut_from_ref)] // Each call lends another box.
    pub fn hold<B: Finish<E> + Send + 'static>(&self, value: Box<B>) -> &mut B {
        let value = NonNull::from(Box::leak(value));
        self.push(value.cast(), |value, with| {
            // SAFETY: by (a) and (b) this is the box that `hold` leaked, taken back once.
            let value = unsafe { Box::from_raw(value.cast::<B>().as_ptr()) };
            value.finish(with);
        });
        // SAFETY: the value is valid until its parcel runs, which needs `&mut self` and so comes after
        // the borrow that this reference has; nobody else has a reference to it.
        unsafe { &mut *value.as_ptr() }
    }

    /// Drops `value` in place at the end; `false`, and nothing done, when there is no memory for a longer list.
    ///
    /// # Safety
    ///
    /// If it returns `true`:
    ///
    /// - `value` is initialised and nobody else drops it;
    /// - it stays where it is until this list has run;
    /// - nobody has a reference to it when the list runs.
    pub unsafe fn drop_in_place<T: Send + 'static>(&self, value: NonNull<T>) -> bool {
        let mut list = self.list.lock();
        if list.try_reserve(1).is_err() {
            return false;
        }
        // SAFETY: the caller's promise.
        list.push(Parcel { value: value.cast(), run: |value, _| unsafe { value.cast::<T>().drop_in_place() } });
        true
    }

    /// Writes a cleanup into `place` and calls it at the end.
    ///
    /// # Safety
    ///
    /// `place` stays where it is, and untouched, until this list has run.
    pub unsafe fn call_later<F: FnOnce(&E) + Send + 'static>(&self, place: &mut MaybeUninit<F>, f: F) {
        let place = NonNull::from(place.write(f));
        self.push(place.cast(), |place, with| {
            // SAFETY: written by `call_later`, untouched since by the caller's promise, read once by (b).
            let f = unsafe { place.cast::<F>().read() };
            f(with);
        });
    }

    /// Ends the parcel that came last; `false` when there is none. What the parcel calls may panic:
    /// it is off the list before it runs.
    pub fn finish_last(&mut self, with: &E) -> bool {
        let Some(parcel) = self.list.get_mut().pop() else { return false };
        // SAFETY: by (a) the value is valid, by (b) this is the one call: the parcel is off the list.
        unsafe { (parcel.run)(parcel.value, with) };
        true
    }
}

/// What a list keeps for the next request.
impl<E: ?Sized> Parcels<E> {
    #[inline]
    pub fn is_empty(&mut self) -> bool {
        self.list.get_mut().is_empty()
    }

    /// Frees what an empty list has beyond [`PLACES`].
    pub fn shrink(&mut self) {
        let list = self.list.get_mut();
        if list.capacity() > PLACES {
            list.shrink_to(PLACES);
        }
    }

    /// Bytes that the list keeps.
    pub fn retained(&mut self) -> usize {
        self.list.get_mut().capacity() * size_of::<Parcel<E>>()
    }
}

impl<E: ?Sized> fmt::Debug for Parcels<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parcels").field("waiting", &self.list.lock().len()).finish()
    }
}
