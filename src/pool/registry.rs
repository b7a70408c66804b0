//! All homes of the process, so that a thread that ends can give its magazines back, and a close that found an owner
//! busy is finished by somebody.
//!
//! Touched when a pool begins or ends, when a thread ends and when a close was not complete: never on a hot path. No
//! user code runs under its locks.

use super::stats::PoolStats;
use crate::raw::threads::{EndingThread, on_end};
use crate::raw::unwind::caught;
use crate::sync::Ordering::Relaxed;
use crate::sync::count::AtomicU64;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::{Arc, Once, Weak};

/// A home, whatever its values are.
pub(super) trait Idle: Send + Sync {
    /// Gives back what the calling thread has at hand.
    fn thread_ends(&self, thread: &EndingThread);

    /// Frees what is idle, for good; `false` if something was left.
    fn close(&self) -> bool;

    /// Its number in the registry.
    fn id(&self) -> u32;

    /// Its name, and the bytes of its values where all have the same.
    fn label(&self) -> (&'static str, u64);

    /// Its numbers.
    fn own_stats(&self) -> PoolStats;
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

/// Hands the name, the size class and the numbers of each pool to `look`. The lock is held only to find the next one, so a pool that comes
/// or goes meanwhile may be missed.
pub(crate) fn each_pool(mut look: impl FnMut(&'static str, u64, PoolStats)) {
    for home in each_home() {
        let (name, class_bytes) = home.label();
        look(name, class_bytes, home.own_stats());
    }
}

/// A number for a home that begins; four million homes later it comes again.
pub(super) fn next_id() -> u32 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // Relaxed: it only counts.
    (NEXT.fetch_add(1, Relaxed) % (1 << 22)) as u32
}

/// The name and the size class of a home that has not ended.
pub(super) fn name_of(id: u32) -> Option<(&'static str, u64)> {
    each_home().find(|home| home.id() == id).map(|home| home.label())
}

/// The homes, one after the other. Each is given up without the lock: the last count frees a home, which takes it.
fn each_home() -> impl Iterator<Item = Arc<dyn Idle>> {
    let mut next = 0;
    let homes = core::iter::from_fn(move || {
        let (address, home) = after(next)?;
        next = address + 1;
        Some(home)
    });
    homes.filter_map(|home| home.upgrade())
}

/// The first home at an address or beyond.
fn after(address: usize) -> Option<(usize, Weak<dyn Idle>)> {
    HOMES.lock().range(address..).next().map(|(&address, home)| (address, Weak::clone(home)))
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
    use super::{EndingThread, HOMES, Idle, add, finish_later, forget, name_of};
    use crate::{Pool, PoolStats};
    use parking_lot::Mutex;
    use std::sync::Arc;
    use std::thread::{ThreadId, current};

    #[test]
    fn pools_that_ended_are_forgotten() {
        const POOLS: usize = 1000;
        for _ in 0..POOLS {
            drop(Pool::new(Vec::<u8>::new).get());
        }
        assert!(HOMES.lock().len() < POOLS, "other tests have a few at a time");
    }

    /// Notes which thread drops it.
    struct Noting(Arc<Mutex<Vec<ThreadId>>>);

    impl Drop for Noting {
        fn drop(&mut self) {
            self.0.lock().push(current().id());
        }
    }

    #[test]
    fn a_home_that_begins_finishes_no_close() {
        // A class of buffers begins under a lock, which the drop of a value may want too.
        let dropped = Arc::new(Mutex::new(Vec::new()));
        let pool = Pool::with_reset(
            {
                let dropped = Arc::clone(&dropped);
                move || Noting(Arc::clone(&dropped))
            },
            |_| (),
        );
        drop(pool.get());
        // As if the close had found an owner busy. Other tests may finish it, on their threads.
        finish_later(&pool.home);
        add(&pool.home);
        assert!(!dropped.lock().contains(&current().id()));
    }

    /// A home of which the last count but that of who looks is given up while it is looked at.
    struct Ending(Mutex<Option<Arc<Ending>>>);

    impl Idle for Ending {
        fn thread_ends(&self, _: &EndingThread) {}
        fn close(&self) -> bool {
            true
        }
        fn id(&self) -> u32 {
            let last = self.0.lock().take();
            drop(last);
            u32::MAX
        }
        fn label(&self) -> (&'static str, u64) {
            ("ending", 0)
        }
        fn own_stats(&self) -> PoolStats {
            PoolStats::default()
        }
    }

    impl Drop for Ending {
        fn drop(&mut self) {
            forget(self);
        }
    }

    #[test]
    fn a_home_that_ends_while_another_is_looked_for_ends_without_the_lock() {
        let home = Arc::new(Ending(Mutex::default()));
        *home.0.lock() = Some(Arc::clone(&home));
        add(&home);
        let weak = Arc::downgrade(&home);
        drop(home);
        // Under the lock it would wait for itself.
        assert_eq!(name_of(u32::MAX - 1), None);
        assert!(weak.upgrade().is_none());
    }
}
