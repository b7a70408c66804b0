//! What all pools of a process keep together, and what sleeping threads can hold. A process of its own, since the limit is
//! the process's.

use ebbtide::pool::{process_bytes, set_process_limit};
use ebbtide::{BufferPool, DropReason, Pool, PoolBuilder, Pooled, Reset, Verdict};
use std::sync::{Arc, Barrier};

#[test]
fn the_bounds_hold_over_pools_and_sleeping_threads() {
    one_gib_unless_another_limit_is_set();
    one_limit_for_all_pools();
    what_detached_values_leave_is_freed();
    // The default, and a bound of one's own.
    sleeping_threads_hold_no_more_than_the_bounds(Pool::builder(), 64 << 20);
    sleeping_threads_hold_no_more_than_the_bounds(Pool::builder().max_idle_bytes(8 << 20), 8 << 20);
}

/// What says that it keeps 100 MiB.
struct Large;

impl Reset for Large {
    fn reset(&mut self) -> Verdict {
        Verdict::Keep
    }
    fn retained_bytes(&self) -> usize {
        100 << 20
    }
}

fn one_gib_unless_another_limit_is_set() {
    let pool = Pool::builder().max_value_bytes(usize::MAX).max_idle_bytes(usize::MAX).build(|| Large);
    drop([(); 11].map(|()| pool.get()));
    assert_eq!((pool.stats().idle, pool.stats().drops(DropReason::Budget)), (10, 1));
}

fn one_limit_for_all_pools() {
    set_process_limit(100_000);
    let pools = [0, 1].map(|_| Pool::new(Vec::<u8>::new));
    let buffers = BufferPool::new();
    for pool in &pools {
        drop([(); 10].map(|()| {
            let mut value = pool.get();
            value.reserve_exact(10_000);
            value
        }));
    }
    drop([(); 10].map(|()| buffers.get(10_000)));
    let stats = [pools[0].stats(), pools[1].stats(), buffers.stats()];
    let charged: u64 = stats.iter().map(|stats| stats.charged_bytes).sum();
    assert!((80_000..=100_000).contains(&charged), "{stats:?}");
    assert_eq!(process_bytes() as u64, charged);
    assert!(stats.iter().map(|stats| stats.drops(DropReason::Budget)).sum::<u64>() >= 20, "{stats:?}");
    drop((pools, buffers));
    assert_eq!(process_bytes(), 0);
}

/// The places that detached values leave to the next ones count here, until somebody frees them.
fn what_detached_values_leave_is_freed() {
    set_process_limit(1 << 30);
    let pool = Pool::new(|| Vec::<u8>::with_capacity(1000));
    let lose =
        |pool: &Pool<Vec<u8>>| [(); 100].map(|()| pool.get()).into_iter().for_each(|it| drop(Pooled::detach(it)));
    let frees: [(&str, &dyn Fn()); 3] = [
        ("clear", &|| pool.clear()),
        ("a step of ageing", &|| while !pool.trim() {}),
        ("a value too many for the limit", &|| {
            set_process_limit(100_000);
            pool.get().reserve_exact(99_000);
            set_process_limit(1 << 30);
            assert_eq!(pool.stats().idle, 1);
            drop(pool.try_get().map(Pooled::detach));
        }),
    ];
    for (way, free) in frees {
        lose(&pool);
        assert!((64_000..80_000).contains(&process_bytes()), "{} bytes before {way}", process_bytes());
        assert_eq!(pool.stats().charged_bytes, 0);
        free();
        assert_eq!(process_bytes(), 0, "after {way}");
    }
    std::thread::scope(|scope| scope.spawn(|| lose(&pool)).join().unwrap());
    assert_eq!(process_bytes(), 0, "after the thread's end");
}

fn sleeping_threads_hold_no_more_than_the_bounds(builder: PoolBuilder, bytes: u64) {
    const THREADS: usize = 64;
    set_process_limit(1 << 30);
    let pool = builder.build(|| Vec::<u8>::with_capacity(100_000));
    let (filled, done) = (Arc::new(Barrier::new(THREADS + 1)), Arc::new(Barrier::new(THREADS + 1)));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (pool, filled, done) = (pool.clone(), Arc::clone(&filled), Arc::clone(&done));
            std::thread::spawn(move || {
                [(); 20].map(|()| pool.get()).iter_mut().for_each(|value| value.extend_from_slice(&[0; 25_000]));
                filled.wait();
                done.wait();
            })
        })
        .collect();
    filled.wait();
    let stats = pool.stats();
    assert!(stats.charged_bytes <= bytes && stats.live * 100_000 <= bytes, "{stats:?}");
    assert!(stats.idle > bytes / 200_000, "they do hold much: {stats:?}");
    // All places are theirs; a thread that finds none for long gets some of them.
    // Each use fills a quarter, so that none is dropped for being too large.
    let use_one = || pool.get().extend_from_slice(&[0; 25_000]);
    (0..64).for_each(|_| use_one());
    let made = pool.stats().made;
    use_one();
    assert_eq!(pool.stats().made, made, "taken from those that sleep");
    // Asleep through two steps of ageing, they hold nothing.
    (0..3).for_each(|_| while !pool.trim() {});
    assert_eq!((pool.stats().live, process_bytes()), (0, 0));
    done.wait();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}
