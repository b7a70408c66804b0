//! loom's atomics, each with a ghost beside it.
//!
//! loom remembers only the last access of each atomic, so two loads followed by a store count as one
//! execution and a race between them is never tried. Each operation here first touches a ghost atomic
//! with a read-modify-write, which makes every access one that loom has to order against the others.

use loom::sync::atomic;
use std::sync::atomic::Ordering;
use std::time::Instant;

pub(crate) use atomic::fence;

/// An atomic and its ghost. The methods are those that the crate uses, named as in std.
#[derive(Debug, Default)]
pub(crate) struct Ghosted<A> {
    value: A,
    ghost: atomic::AtomicUsize,
}

impl<A> Ghosted<A> {
    fn seen(&self) -> &A {
        self.ghost.fetch_add(0, Ordering::Relaxed);
        &self.value
    }
}

pub(crate) type AtomicBool = Ghosted<atomic::AtomicBool>;
pub(crate) type AtomicU32 = Ghosted<atomic::AtomicU32>;
pub(crate) type AtomicU64 = Ghosted<atomic::AtomicU64>;
pub(crate) type AtomicUsize = Ghosted<atomic::AtomicUsize>;
pub(crate) type AtomicPtr<T> = Ghosted<atomic::AtomicPtr<T>>;

impl AtomicBool {
    pub(crate) fn new(value: bool) -> Self {
        Self { value: atomic::AtomicBool::new(value), ghost: atomic::AtomicUsize::new(0) }
    }
    pub(crate) fn load(&self, order: Ordering) -> bool {
        self.seen().load(order)
    }
    pub(crate) fn store(&self, value: bool, order: Ordering) {
        self.seen().store(value, order);
    }
    pub(crate) fn swap(&self, value: bool, order: Ordering) -> bool {
        self.seen().swap(value, order)
    }
}

impl AtomicU32 {
    pub(crate) fn new(value: u32) -> Self {
        Self { value: atomic::AtomicU32::new(value), ghost: atomic::AtomicUsize::new(0) }
    }
    pub(crate) fn load(&self, order: Ordering) -> u32 {
        self.seen().load(order)
    }
    pub(crate) fn compare_exchange_weak(
        &self,
        old: u32,
        new: u32,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u32, u32> {
        self.seen().compare_exchange_weak(old, new, success, failure)
    }
    pub(crate) fn compare_exchange(
        &self,
        old: u32,
        new: u32,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u32, u32> {
        self.seen().compare_exchange(old, new, success, failure)
    }
    pub(crate) fn fetch_and(&self, value: u32, order: Ordering) -> u32 {
        self.seen().fetch_and(value, order)
    }
    pub(crate) fn store(&self, value: u32, order: Ordering) {
        self.seen().store(value, order);
    }
}

impl AtomicU64 {
    pub(crate) fn new(value: u64) -> Self {
        Self { value: atomic::AtomicU64::new(value), ghost: atomic::AtomicUsize::new(0) }
    }
    pub(crate) fn load(&self, order: Ordering) -> u64 {
        self.seen().load(order)
    }
    pub(crate) fn store(&self, value: u64, order: Ordering) {
        self.seen().store(value, order);
    }
    pub(crate) fn swap(&self, value: u64, order: Ordering) -> u64 {
        self.seen().swap(value, order)
    }
    pub(crate) fn fetch_or(&self, value: u64, order: Ordering) -> u64 {
        self.seen().fetch_or(value, order)
    }
    pub(crate) fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        self.seen().fetch_add(value, order)
    }
    pub(crate) fn fetch_sub(&self, value: u64, order: Ordering) -> u64 {
        self.seen().fetch_sub(value, order)
    }
    pub(crate) fn compare_exchange_weak(
        &self,
        old: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        self.seen().compare_exchange_weak(old, new, success, failure)
    }
    pub(crate) fn fetch_max(&self, value: u64, order: Ordering) -> u64 {
        self.seen().fetch_max(value, order)
    }
    pub(crate) fn fetch_update(
        &self,
        success: Ordering,
        failure: Ordering,
        mut next: impl FnMut(u64) -> Option<u64>,
    ) -> Result<u64, u64> {
        // As std does it; each step touches the ghost.
        let mut seen = self.load(failure);
        while let Some(value) = next(seen) {
            match self.compare_exchange_weak(seen, value, success, failure) {
                Ok(before) => return Ok(before),
                Err(now) => seen = now,
            }
        }
        Err(seen)
    }
}

impl AtomicUsize {
    pub(crate) fn new(value: usize) -> Self {
        Self { value: atomic::AtomicUsize::new(value), ghost: atomic::AtomicUsize::new(0) }
    }
    pub(crate) fn load(&self, order: Ordering) -> usize {
        self.seen().load(order)
    }
    pub(crate) fn store(&self, value: usize, order: Ordering) {
        self.seen().store(value, order);
    }
    pub(crate) fn fetch_add(&self, value: usize, order: Ordering) -> usize {
        self.seen().fetch_add(value, order)
    }
    pub(crate) fn fetch_sub(&self, value: usize, order: Ordering) -> usize {
        self.seen().fetch_sub(value, order)
    }
    pub(crate) fn compare_exchange_weak(
        &self,
        old: usize,
        new: usize,
        success: Ordering,
        failure: Ordering,
    ) -> Result<usize, usize> {
        self.seen().compare_exchange_weak(old, new, success, failure)
    }
    pub(crate) fn fetch_update(
        &self,
        success: Ordering,
        failure: Ordering,
        mut next: impl FnMut(usize) -> Option<usize>,
    ) -> Result<usize, usize> {
        // As std does it; each step touches the ghost.
        let mut seen = self.load(failure);
        while let Some(value) = next(seen) {
            match self.compare_exchange_weak(seen, value, success, failure) {
                Ok(before) => return Ok(before),
                Err(now) => seen = now,
            }
        }
        Err(seen)
    }
}

impl<T> AtomicPtr<T> {
    pub(crate) fn new(value: *mut T) -> Self {
        Self { value: atomic::AtomicPtr::new(value), ghost: atomic::AtomicUsize::new(0) }
    }
    pub(crate) fn load(&self, order: Ordering) -> *mut T {
        self.seen().load(order)
    }
    pub(crate) fn store(&self, value: *mut T, order: Ordering) {
        self.seen().store(value, order);
    }
}

/// loom's lock with the face of parking_lot's, which loom would not see.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }
    pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// loom's condition variable with the face of ours. No deadline comes: who is not woken is a deadlock, which loom reports.
#[derive(Debug, Default)]
pub(crate) struct Condvar(loom::sync::Condvar);

impl Condvar {
    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
    pub(crate) fn wait_until<'a, T>(
        &self,
        guard: loom::sync::MutexGuard<'a, T>,
        _deadline: Instant,
    ) -> (loom::sync::MutexGuard<'a, T>, bool) {
        (self.0.wait(guard).unwrap_or_else(std::sync::PoisonError::into_inner), false)
    }
}
