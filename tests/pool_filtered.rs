//! A process that forbids `membarrier` when it has pools already. Alone in its process: a filter stays.

#![cfg(all(target_os = "linux", not(miri)))]
#[path = "common/membarrier.rs"]
mod membarrier;

use ebbtide::Pool;
use membarrier::forbid_membarrier;

/// How many values are left when a pool has been filled and closed.
fn left_by(pool: &Pool<String>) -> u64 {
    drop((0..100).map(|_| pool.get()).collect::<Vec<_>>());
    pool.close();
    pool.stats().live
}

#[test]
fn pools_that_begin_after_the_call_was_refused_do_without() {
    let (light, full) = (Pool::new(String::new), Pool::builder().full_fence(true).build(String::new));
    forbid_membarrier();
    // Nothing may be concluded about the other threads: it is left alone, however long.
    assert_eq!(left_by(&light), 100);
    assert_eq!(left_by(&full), 0, "needs no such call");
    assert_eq!(left_by(&Pool::new(String::new)), 0, "knows better");
}
