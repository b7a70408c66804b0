//! All homes of the process, so that a thread that ends can give its magazines back, and a close that found an owner
//! busy is finished by somebody.
//!
//! Touched when a pool begins, when a thread ends and when a close was not complete: never on a hot path. No
//! user code runs under its locks.

use crate::raw::threads::{EndingThread, on_end};
use parking_lot::Mutex;
use std::sync::{Arc, Once, Weak};

/// A home, whatever its values are.
pub(super) trait Idle: Send + Sync {
    /// Gives back what the calling thread has at hand.
    fn thread_ends(&self, thread: &EndingThread);

    /// Frees what is idle, for good; `false` if something was left.
    fn close(&self) -> bool;
}

static HOMES: Mutex<Vec<Weak<dyn Idle>>> = Mutex::new(Vec::new());
static UNFINISHED: Mutex<Vec<Arc<dyn Idle>>> = Mutex::new(Vec::new());

/// Notes a home that begins. Those that have ended are forgotten when there are as many as others.
pub(super) fn add<H: Idle + 'static>(home: &Arc<H>) {
    static WATCHING: Once = Once::new();
    WATCHING.call_once(|| on_end(thread_ends));
    finish();
    let home: Weak<dyn Idle> = Arc::downgrade(home) as _;
    let mut homes = HOMES.lock();
    if homes.len() == homes.capacity() {
        homes.retain(|home| home.strong_count() > 0);
        let room = homes.len() + 1;
        homes.reserve(room);
    }
    homes.push(home);
}

fn thread_ends(thread: &EndingThread) {
    // The counts are given up after the lock: the last one frees a home, and that is user code.
    let homes: Vec<_> = HOMES.lock().iter().filter_map(Weak::upgrade).collect();
    for home in homes {
        home.thread_ends(thread);
    }
    finish();
}

/// Notes a home whose close found an owner busy for long.
pub(super) fn finish_later<H: Idle + 'static>(home: &Arc<H>) {
    UNFINISHED.lock().push(Arc::clone(home) as _);
}

/// Looks again at closes that were not complete.
pub(super) fn finish() {
    let waiting = core::mem::take(&mut *UNFINISHED.lock());
    for home in waiting {
        if !home.close() {
            UNFINISHED.lock().push(home);
        }
    }
}
