//! How much one call of `trim` does.

use ebbtide::{DropReason, Pool};

#[test]
fn one_call_of_trim_frees_at_most_256_values() {
    // However long the chains are in which they wait.
    for thread_values in [1, 32, 3000] {
        let pool = Pool::builder().max_idle(10_000).max_thread_idle(thread_values).build(String::new);
        drop((0..10_000).map(|_| pool.get()).collect::<Vec<_>>());
        let mut calls = 0;
        while pool.stats().live > 0 {
            let before = pool.stats();
            let done = pool.trim();
            let freed = before.live - pool.stats().live;
            assert!(freed <= 256, "{freed} freed at once, {thread_values} at a thread's hand");
            assert_eq!(before.idle - pool.stats().idle, freed);
            calls += 1;
            assert!(done || calls < 200, "no end");
        }
        assert_eq!(pool.stats().drops(DropReason::Aged), 10_000);
    }
}

#[test]
fn a_thread_at_work_keeps_what_it_uses_and_loses_the_rest_to_trims() {
    let pool = Pool::new(String::new);
    let used = |values: usize| drop((0..values).map(|_| pool.get()).collect::<Vec<_>>());
    used(100);
    for _ in 0..20 {
        used(10);
        while !pool.trim() {}
    }
    let idle = pool.stats().idle;
    assert!((10..=20).contains(&idle), "{idle}");
    let made = pool.stats().made;
    used(10);
    assert_eq!(pool.stats().made, made, "what it uses stays");
    drop(pool.get());
}
