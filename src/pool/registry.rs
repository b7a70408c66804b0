//! All homes of the process, so that a thread that ends can give its magazines back, and a close that found an owner
//! busy is finished by somebody.
//!
//! Touched when a pool begins or ends, when a thread ends and when a close was not complete: never on a hot path. No
//! user code runs under its locks.

use crate::raw::threads::{EndingThread, on_end};
use crate::raw::unwind::caught;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::{Arc, Once, Weak};

/// A home, whatever its values are.
pub(super) trait Idle: Send + Sync {
    /// Gives back what the calling thread has at hand.
    fn thread_ends(&self, thread: &EndingThread);

    /// Frees what is idle, for good; `false` if something was left.
    fn close(&self) -> bool;
}

/// By address, which no other home has before this one is forgotten.
static HOMES: Mutex<BTreeMap<usize, Weak<dyn Idle>>> = Mutex::new(BTreeMap::new());
static UNFINISHED: Mutex<Vec<Arc<dyn Idle>>> = Mutex::new(Vec::new());

fn address<H>(home: &H) -> usize {
    core::ptr::from_ref(home).addr()
}

/// Notes a home that begins.
pub(super) fn add<H: Idle + 'static>(home: &Arc<H>) {
    static WATCHING: Once = Once::new();
    WATCHING.call_once(|| on_end(thread_ends));
    HOMES.lock().insert(address(&**home), Arc::downgrade(home) as _);
}

/// Forgets a home that ends. Called by its drop, before its memory can be another's.
pub(super) fn forget<H>(home: &H) {
    let forgotten = HOMES.lock().remove(&address(home));
    drop(forgotten);
}

fn thread_ends(thread: &EndingThread) {
    // The counts are given up after the lock: the last one frees a home, and that is user code.
    let homes: Vec<_> = HOMES.lock().values().filter_map(Weak::upgrade).collect();
    for home in homes {
        // What one home's values do must not keep the thread from the others.
        caught(|| home.thread_ends(thread));
    }
    finish();
}

/// Notes a home whose close found an owner busy for long.
pub(super) fn finish_later<H: Idle + 'static>(home: &Arc<H>) {
    UNFINISHED.lock().push(Arc::clone(home) as _);
}

/// Looks again at closes that were not complete. What they free is a user's: the caller holds no lock, and is in no
/// initialisation that a value's drop may want.
pub(super) fn finish() {
    let waiting = core::mem::take(&mut *UNFINISHED.lock());
    for home in waiting {
        if !home.close() {
            UNFINISHED.lock().push(home);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HOMES, finish, finish_later};
    use crate::{BufferPool, Pool, Reset, Verdict};

    #[test]
    fn pools_that_ended_are_forgotten() {
        const POOLS: usize = 1000;
        for _ in 0..POOLS {
            drop(Pool::new(Vec::<u8>::new).get());
        }
        assert!(HOMES.lock().len() < POOLS, "other tests have a few at a time");
    }

    /// Takes a buffer of another class when it is dropped.
    struct Taker(BufferPool);

    impl Reset for Taker {
        fn reset(&mut self) -> Verdict {
            Verdict::Keep
        }
    }

    impl Drop for Taker {
        fn drop(&mut self) {
            drop(self.0.get(5000));
        }
    }

    #[test]
    fn a_class_of_buffers_that_begins_finishes_no_close() {
        let buffers = BufferPool::new();
        let pool = Pool::new({
            let buffers = buffers.clone();
            move || Taker(buffers.clone())
        });
        drop(pool.get());
        // As if the close had found an owner busy.
        finish_later(&pool.home);
        // A class begins under a lock, which the drop of the value wants too.
        drop(buffers.get(1000));
        finish();
    }
}
