//! Ground: the one place that decides between std and loom.
//!
//! Everything above takes its atomics, its `Arc` and its queue from here. In a model run (`--cfg loom`
//! with the feature `loom`) they are loom's, so that a model sees every access; `crossbeam-queue`
//! cannot be seen by loom and gives way to a small port of the same algorithm. Statistics use std's
//! atomics everywhere: they publish nothing and would only multiply the executions of a model.

#[cfg(all(loom, feature = "loom"))]
mod modelled;
#[cfg(all(loom, feature = "loom"))]
#[path = "raw/ring.rs"]
mod ring;

#[cfg(all(loom, feature = "loom"))]
pub(crate) use {
    loom::cell::UnsafeCell,
    loom::sync::Arc,
    loom::thread::yield_now,
    modelled::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Condvar, Mutex, fence},
    ring::Ring as Queue,
};

#[cfg(not(all(loom, feature = "loom")))]
pub(crate) use {
    crossbeam_queue::ArrayQueue as Queue,
    parking_lot::Mutex,
    plain::{Condvar, UnsafeCell},
    std::sync::Arc,
    std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, fence},
    std::thread::yield_now,
};

#[cfg(not(all(loom, feature = "loom")))]
mod plain {
    use parking_lot::MutexGuard;
    use std::time::Instant;

    /// parking_lot's condition variable, with the guard handed in and out as loom's wants it.
    #[derive(Debug, Default)]
    pub(crate) struct Condvar(parking_lot::Condvar);

    impl Condvar {
        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
        /// Says beside the guard whether the wait ended for the deadline.
        pub(crate) fn wait_until<'a, T>(
            &self,
            mut guard: MutexGuard<'a, T>,
            deadline: Instant,
        ) -> (MutexGuard<'a, T>, bool) {
            let timed_out = self.0.wait_until(&mut guard, deadline).timed_out();
            (guard, timed_out)
        }
    }

    /// std's `UnsafeCell` with the methods of loom's.
    #[derive(Debug)]
    pub(crate) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(core::cell::UnsafeCell::new(value))
        }
        #[inline(always)]
        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

pub(crate) use std::sync::atomic::{Ordering, compiler_fence};

/// Whether this is a model run.
pub(crate) const MODELLED: bool = cfg!(all(loom, feature = "loom"));

/// Atomics that count: std's, in models too. They publish nothing, but for those of `pool::books`, which no model reaches.
pub(crate) mod count {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
}
