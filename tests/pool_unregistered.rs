//! A process that may not call `membarrier` from the beginning. Alone in its process: the filter stays, and the system is
//! asked once.

#![cfg(all(target_os = "linux", not(miri)))]
#[path = "common/membarrier.rs"]
mod membarrier;

use ebbtide::Pool;
use membarrier::forbid_membarrier;

#[test]
fn a_pool_that_may_not_ask_for_the_fence_passes_full_ones() {
    forbid_membarrier();
    let pool = Pool::new(String::new);
    drop((0..100).map(|_| pool.get()).collect::<Vec<_>>());
    assert_eq!(pool.stats().idle, 100);
    pool.close();
    assert_eq!(pool.stats().live, 0, "what a thread has at hand is taken from it");
}
