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
/// (b) `run` fits the value's type and is called at most once. `None` stands where a parcel was taken out early.
struct Parcel<E: ?Sized> {
    value: NonNull<()>,
    run: Option<unsafe fn(NonNull<()>, &E)>,
}

// SAFETY: by (a) the parcel owns a `Send` value; each constructor below asks for it.
unsafe impl<E: ?Sized> Send for Parcel<E> {}

/// A list of parcels that are ended with an `&E`.
///
/// # Invariants
///
/// (c) While the list is shared it only grows, except for empty places at its end. So a [`Later`], which borrows the
///     list, finds its parcel at its index, until it takes it out itself, once.
pub struct Parcels<E: ?Sized> {
    list: Mutex<Vec<Parcel<E>>>,
}

impl<E: ?Sized> Default for Parcels<E> {
    fn default() -> Self {
        Self { list: Mutex::new(Vec::new()) }
    }
}

impl<E: ?Sized> Parcels<E> {
    /// Returns the index of the new parcel.
    fn push(&self, value: NonNull<()>, run: unsafe fn(NonNull<()>, &E)) -> usize {
        let mut list = self.list.lock();
        list.push(Parcel { value, run: Some(run) });
        list.len() - 1
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
        list.push(Parcel { value: value.cast(), run: Some(|value, _| unsafe { value.cast::<T>().drop_in_place() }) });
        true
    }

    /// Writes a cleanup into `place` and calls it at the end, unless what is returned is used before.
    ///
    /// # Safety
    ///
    /// `place` stays where it is, and untouched, until this list has run.
    pub unsafe fn call_later<F>(&self, place: &mut MaybeUninit<F>, f: F) -> Later<'_, E>
    where
        F: FnOnce(&E) + Send + 'static,
    {
        let place = NonNull::from(place.write(f));
        let index = self.push(place.cast(), |place, with| {
            // SAFETY: written by `call_later`, untouched since by the caller's promise, read once by (b).
            let f = unsafe { place.cast::<F>().read() };
            f(with);
        });
        Later {
            list: self,
            index,
            // SAFETY: as above; called in place of `run`.
            forgo: |place| unsafe { place.cast::<F>().drop_in_place() },
        }
    }

    /// Ends the parcel that came last; `false` when there is none. What the parcel calls may panic:
    /// it is off the list before it runs.
    pub fn finish_last(&mut self, with: &E) -> bool {
        let Some(parcel) = self.list.get_mut().pop() else { return false };
        parcel.finish(with);
        true
    }
}

/// What a list keeps for the next request.
impl<E: ?Sized> Parcels<E> {
    #[inline]
    pub fn len(&mut self) -> usize {
        self.list.get_mut().len()
    }

    #[inline]
    pub fn is_empty(&mut self) -> bool {
        self.len() == 0
    }

    /// Frees what an empty list has beyond [`PLACES`].
    pub fn shrink(&mut self) {
        let list = self.list.get_mut();
        if list.capacity() > PLACES {
            list.shrink_to(PLACES);
        }
    }

    /// Bytes that the list keeps.
    #[inline]
    pub fn retained(&mut self) -> usize {
        self.list.get_mut().capacity() * size_of::<Parcel<E>>()
    }
}

impl<E: ?Sized> Parcel<E> {
    fn finish(self, with: &E) {
        let Some(run) = self.run else { return };
        // SAFETY: by (a) the value is valid, by (b) this is the one call: the parcel is off the list.
        unsafe { run(self.value, with) }
    }
}

/// A cleanup that is still in its list: by the borrow the list is not run, and by (c) nobody else takes it out. Its drop
/// leaves it there.
pub struct Later<'l, E: ?Sized> {
    list: &'l Parcels<E>,
    index: usize,
    /// Drops the cleanup instead of calling it.
    forgo: unsafe fn(NonNull<()>),
}

impl<E: ?Sized> Later<'_, E> {
    /// Drops the cleanup without calling it; its own drop may panic.
    pub fn cancel(self) {
        let parcel = self.take();
        if parcel.run.is_some() {
            // SAFETY: as for `run`, in whose place it is called; it fits the type, since both were made together.
            unsafe { (self.forgo)(parcel.value) }
        }
    }

    /// Calls the cleanup; it may panic.
    pub fn run_now(self, with: &E) {
        self.take().finish(with);
    }

    /// Takes the parcel out, and empty places off the end. No code of a user runs under the lock.
    fn take(&self) -> Parcel<E> {
        let mut list = self.list.list.lock();
        // By (c) the index is there.
        let parcel = core::mem::replace(&mut list[self.index], Parcel { value: NonNull::dangling(), run: None });
        while list.last().is_some_and(|last| last.run.is_none()) {
            list.pop();
        }
        parcel
    }
}

impl<E: ?Sized> fmt::Debug for Later<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Later").field("index", &self.index).finish_non_exhaustive()
    }
}

impl<E: ?Sized> fmt::Debug for Parcels<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parcels").field("waiting", &self.list.lock().len()).finish()
    }
}
