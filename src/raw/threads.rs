//! Dense numbers for threads, given out small first, and given back when a thread ends.
//!
//! A pool keeps a magazine for each number. The number stands in a thread-local cell that is const and has no
//! destructor, so it can be read at any time of a thread's life, in other thread-locals' destructors too. A
//! second thread-local, with a destructor, gives the number back: from then on the cell says that the thread has
//! none, and the thread uses the shared tier.
//!
//! A thread may take its first number later still: in the destructor of a key of the system's, when those of its thread-locals
//! have run, and that of the second one never will. There a key of our own gives the number back.
//!
//! The lock around the free numbers makes all that a thread did under its number happen before what the next
//! owner of the number does.

use super::watch;
use crate::sync::MODELLED;
use core::cell::Cell;
use core::marker::PhantomData;
use parking_lot::Mutex;
use std::collections::BTreeSet;

/// Numbers are below this. A thread that comes when all are taken has none. (A model has three threads at most.)
pub const THREADS: usize = if MODELLED { 3 } else { 128 };

/// This thread has not asked yet.
pub(super) const UNKNOWN: usize = usize::MAX;
/// This thread has no number: it came too late, or is about to end.
pub(super) const NONE: usize = usize::MAX - 1;
/// No thread has this number, or ever says that it has.
pub(super) const NOBODY: usize = usize::MAX - 2;

thread_local! {
    static NUMBER: Cell<usize> = const { Cell::new(UNKNOWN) };
    static LENT: Lent = const { Lent };
}

/// Numbers that were given back, and the first that was never given out.
static FREE: Mutex<(BTreeSet<usize>, usize)> = Mutex::new((BTreeSet::new(), 0));

/// What happens when a thread ends, before its number is given back.
static ON_END: Mutex<Option<fn(&EndingThread)>> = Mutex::new(None);

/// Says that the calling thread is about to end, and still has its number.
#[derive(Debug)]
pub struct EndingThread {
    number: usize,
    /// Not to leave its thread.
    _here: PhantomData<*const ()>,
}

impl EndingThread {
    /// # Safety
    ///
    /// `number` is the calling thread's own, and is given back after this value's end.
    pub unsafe fn of(number: usize) -> Self {
        Self { number, _here: PhantomData }
    }

    pub fn number(&self) -> usize {
        self.number
    }
}

/// This thread's number; one that is not below [`THREADS`] means none.
#[inline]
pub fn number() -> usize {
    let number = NUMBER.get();
    if number == UNKNOWN { take() } else { number }
}

/// This thread's number as far as it has asked for one; else none. One load. (The short way of a take asks [`watch`].)
#[inline(always)]
pub fn number_so_far() -> usize {
    NUMBER.get()
}

#[cold]
fn take() -> usize {
    // In the destructors of a thread that never asked before, the guard may be gone already.
    let number = if LENT.try_with(|_| ()).is_ok() { take_free() } else { NONE };
    NUMBER.set(number);
    if number < THREADS {
        late::call();
    }
    watch::renumbered();
    number
}

fn take_free() -> usize {
    let (free, next) = &mut *FREE.lock();
    if let Some(number) = free.pop_first() {
        return number;
    }
    if *next == THREADS {
        return NONE;
    }
    *next += 1;
    *next - 1
}

/// Calls `f` on each thread that ends.
pub fn on_end(f: fn(&EndingThread)) {
    *ON_END.lock() = Some(f);
}

/// Gives the number back when its thread ends.
struct Lent;

impl Drop for Lent {
    fn drop(&mut self) {
        give_back();
        late::call_off();
    }
}

/// Gives this thread's number back, if it has one. It gets no other.
fn give_back() {
    let number = NUMBER.replace(NONE);
    watch::renumbered();
    if number >= THREADS {
        return;
    }
    let on_end = *ON_END.lock();
    if let Some(on_end) = on_end {
        // SAFETY: it is given back below.
        let thread = unsafe { EndingThread::of(number) };
        super::unwind::caught(|| on_end(&thread));
    }
    FREE.lock().0.insert(number);
}

/// A key of the system's, whose destructor gives the number back where `Lent` does not. The system calls those of keys that are set
/// in others' destructors too, in four rounds: a first take in the last of them may still lose its number.
#[cfg(unix)]
mod late {
    use core::ffi::c_void;
    use core::ptr::{dangling, null};
    use std::sync::OnceLock;

    fn set(value: *const c_void) {
        static KEY: OnceLock<Option<libc::pthread_key_t>> = OnceLock::new();
        let new = || {
            let mut key = 0;
            // SAFETY: writes the key, and keeps a function of the right kind, which unwinds into nobody.
            let failed = unsafe { libc::pthread_key_create(&raw mut key, Some(ends)) };
            (failed == 0).then_some(key)
        };
        if let Some(key) = *KEY.get_or_init(new) {
            // SAFETY: the key is never deleted, and nobody reads through the value. Without memory for it, there is no call.
            unsafe { libc::pthread_setspecific(key, value) };
        }
    }

    extern "C" fn ends(_: *mut c_void) {
        super::give_back();
    }

    /// Asks for the call.
    pub(super) fn call() {
        // Any value but null.
        set(dangling());
    }

    pub(super) fn call_off() {
        set(null());
    }
}

#[cfg(not(unix))]
mod late {
    pub(super) fn call() {}
    pub(super) fn call_off() {}
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_number_is_used_again_by_a_later_thread() {
        let first = thread::spawn(number).join().unwrap();
        assert!(first < THREADS);
        let numbers: Vec<_> = (0..1000).map(|_| thread::spawn(number).join().unwrap()).collect();
        assert!(numbers.iter().all(|&number| number < 64), "other tests hold a few at a time");
    }

    #[test]
    fn a_dying_thread_has_none_whatever_the_order_of_destructors() {
        thread_local! {
            static LATE: Late = const { Late };
        }
        struct Late;
        impl Drop for Late {
            fn drop(&mut self) {
                // May still have it, depending on the order; must not panic.
                number();
            }
        }
        for late_first in [true, false] {
            thread::spawn(move || {
                if late_first {
                    LATE.with(|_| ());
                }
                number();
                LATE.with(|_| ());
            })
            .join()
            .unwrap();
        }
    }
}
