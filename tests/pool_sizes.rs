//! What a pool keeps of values whose sizes vary: that grow over time, a burst of large ones, some that begin too large; and what
//! it keeps unless other bounds are set.

use ebbtide::{DropReason, Pool};

const MIB: usize = 1 << 20;

/// One use: `bytes` are written. Returns what the vector keeps.
fn use_of(pool: &Pool<Vec<u8>>, bytes: usize) -> usize {
    let mut value = pool.get();
    value.extend(std::iter::repeat_n(0, bytes));
    value.capacity()
}

#[test]
fn sizes_that_grow_over_time_are_followed_up_and_down() {
    let pool = Pool::new(Vec::<u8>::new);
    let (mut used, mut kept, mut bytes) = (0, 0, 1000);
    while bytes < MIB {
        used += bytes;
        kept += use_of(&pool, bytes);
        bytes += bytes / 10;
    }
    assert!(used * 3 >= kept, "{used} of {kept} bytes used while they grew");
    assert_eq!((pool.stats().made, pool.stats().idle), (1, 1), "it grew with them");
    // And back: a size that is no longer needed is not kept for more than four uses.
    while bytes > 1000 {
        bytes /= 10;
        (0..5).for_each(|_| _ = use_of(&pool, bytes));
        let charged = pool.stats().charged_bytes as usize;
        assert!(charged < (4 * bytes).max(8192), "{charged} kept for {bytes}");
    }
}

#[test]
fn a_value_that_is_used_as_little_as_the_rule_allows_is_used_to_a_twentieth() {
    let pool = Pool::builder().max_value_bytes(usize::MAX).build(Vec::<u8>::new);
    let large = use_of(&pool, MIB);
    let (mut used, mut kept) = (0, 0);
    for round in 1..=1000 {
        // The fourth strike in a row would be one too many; a use of a quarter forgives three.
        let bytes = if round % 4 == 0 { large / 4 } else { 0 };
        used += bytes;
        kept += use_of(&pool, bytes);
    }
    assert_eq!(pool.stats().made, 1, "it was kept all the time");
    assert!(used * 20 >= kept, "{used} of {kept} bytes used");
    // A byte less is too little.
    (0..4).for_each(|_| _ = use_of(&pool, large / 4 - 1));
    assert_eq!(pool.stats().drops(DropReason::Underused), 1);
}

#[test]
fn of_a_burst_of_32_mib_values_no_more_stays_than_the_bounds_allow() {
    let burst = |pool: &Pool<Vec<u8>>| {
        let mut values: Vec<_> = (0..4).map(|_| pool.get()).collect();
        values.iter_mut().for_each(|value| value.reserve_exact(32 * MIB));
    };
    // By default one value keeps 4 MiB at most.
    let pool = Pool::new(Vec::<u8>::new);
    burst(&pool);
    let stats = pool.stats();
    assert_eq!((stats.drops(DropReason::Oversize), stats.live, stats.charged_bytes), (4, 0, 0));
    // Where they may be kept, all of them together keep no more than the pool may: 64 MiB, their nodes included.
    let pool = Pool::builder().max_value_bytes(usize::MAX).build(Vec::<u8>::new);
    burst(&pool);
    let stats = pool.stats();
    assert_eq!((stats.idle, stats.drops(DropReason::Budget)), (1, 3));
    assert!((32 * MIB..=64 * MIB).contains(&(stats.charged_bytes as usize)), "{stats:?}");
    // What is left of it does not outlast small uses.
    (0..4).for_each(|_| _ = use_of(&pool, 1000));
    assert!(pool.stats().charged_bytes < 8192, "{:?}", pool.stats());
}

#[test]
fn the_bytes_of_what_waits_and_of_what_is_out_are_told_apart() {
    let pool = Pool::new(|| Vec::<u8>::with_capacity(1000));
    drop([pool.get(), pool.get(), pool.get(), pool.get()]);
    let out = pool.get();
    let stats = pool.stats();
    assert_eq!((stats.idle, stats.outstanding()), (3, 1));
    assert!(stats.outstanding_bytes() >= 1000);
    assert_eq!(
        (stats.idle_bytes(), stats.charged_bytes),
        (3 * stats.outstanding_bytes(), 4 * stats.outstanding_bytes())
    );
    drop((out, pool.get()));
    assert_eq!((pool.stats().idle_bytes(), pool.stats().outstanding_bytes()), (stats.charged_bytes, 0));
    pool.clear();
    assert_eq!(pool.stats().idle_bytes(), 0, "of nothing");
}

#[test]
fn by_default_a_pool_keeps_1024_values_of_at_most_4_mib() {
    let pool = Pool::new(Vec::<u8>::new);
    drop((0..1100).map(|_| pool.get()).collect::<Vec<_>>());
    assert_eq!((pool.stats().idle, pool.stats().drops(DropReason::Full)), (1024, 76));
    // A value is measured with its node.
    for (bytes, is_kept) in [(4 * MIB - 100, true), (4 * MIB, false)] {
        let pool = Pool::new(Vec::<u8>::new);
        pool.get().reserve_exact(bytes);
        assert_eq!(pool.stats().idle == 1, is_kept, "{bytes} bytes");
    }
}

#[test]
fn a_value_that_begins_too_large_is_never_kept() {
    let pool = Pool::builder().max_value_bytes(1000).build(|| Vec::<u8>::with_capacity(2000));
    drop(pool.get());
    drop([pool.get(), pool.get()]);
    let stats = pool.stats();
    assert_eq!((stats.drops(DropReason::Oversize), stats.live, stats.charged_bytes), (3, 0, 0));
}
