//! The pool, as its docs promise it.

use ebbtide::observe::leaked_on_purpose;
use ebbtide::{DropReason, Pool, Pooled, Reset, Verdict};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Counts how many of it are alive.
#[derive(Clone, Default)]
struct Alive(Arc<AtomicUsize>);

struct Tracked {
    alive: Alive,
    data: Vec<u8>,
}

impl Alive {
    fn value(&self) -> Tracked {
        self.0.fetch_add(1, Relaxed);
        Tracked { alive: self.clone(), data: Vec::new() }
    }
    fn count(&self) -> usize {
        self.0.load(Relaxed)
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.alive.0.fetch_sub(1, Relaxed);
    }
}

impl Reset for Tracked {
    fn reset(&mut self) -> Verdict {
        self.data.reset()
    }
    fn retained_bytes(&self) -> usize {
        self.data.retained_bytes()
    }
}

fn tracked() -> (Alive, Pool<Tracked>) {
    let alive = Alive::default();
    let source = alive.clone();
    (alive, Pool::new(move || source.value()))
}

#[test]
fn a_value_comes_back_reset_and_is_lent_again() {
    let (alive, pool) = tracked();
    let mut first = pool.get();
    first.data.extend_from_slice(b"stale");
    let address = first.data.as_ptr();
    drop(first);
    let second = pool.get();
    assert_eq!((second.data.len(), second.data.as_ptr()), (0, address));
    assert_eq!((alive.count(), pool.stats().made, pool.stats().outstanding()), (1, 1, 1));
}

#[test]
fn try_get_takes_only_what_is_idle() {
    let (_, pool) = tracked();
    assert!(pool.try_get().is_none());
    drop(pool.get());
    assert!(pool.try_get().is_some());
}

/// The recipe of the module's docs, with many tasks.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_semaphore_limits_leases() {
    const LIMIT: usize = 3;
    let (_, pool) = tracked();
    let permits = Arc::new(Semaphore::new(LIMIT));
    let (out, most) = (Alive::default(), Arc::new(AtomicUsize::new(0)));
    let mut tasks = JoinSet::new();
    for task in 0..64_u32 {
        let (pool, permits) = (pool.clone(), Arc::clone(&permits));
        let (out, most) = (out.clone(), Arc::clone(&most));
        tasks.spawn(async move {
            let permit = permits.acquire_owned().await.expect("nobody closes the semaphore");
            let mut held = (pool.get(), out.value(), permit);
            held.0.data.push(1);
            most.fetch_max(out.count(), Relaxed);
            tokio::task::yield_now().await;
            // Some are cancelled while they hold a lease, or wait for a permit.
            if task % 8 == 0 {
                std::future::pending().await
            }
        });
        if task % 8 == 0 {
            tokio::task::yield_now().await;
            tasks.abort_all();
        }
    }
    while tasks.join_next().await.is_some() {}
    let most = most.load(Relaxed);
    assert!((1..=LIMIT).contains(&most), "{most} were out at once");
    assert_eq!((permits.available_permits(), pool.stats().outstanding()), (LIMIT, 0));
}

#[test]
fn detach_does_not_return_the_value() {
    let (alive, pool) = tracked();
    let value = Pooled::detach(pool.get());
    assert_eq!((pool.stats().live, pool.stats().charged_bytes), (0, 0));
    drop(pool);
    assert_eq!(alive.count(), 1);
    drop(value);
}

#[test]
fn put_adopts_a_value_on_the_same_terms() {
    let (alive, pool) = tracked();
    let mut value = alive.value();
    value.data.push(1);
    pool.put(value);
    assert!(pool.try_get().expect("adopted").data.is_empty());
    let mut large = alive.value();
    large.data.reserve(5 << 20);
    pool.put(large);
    assert_eq!(pool.stats().drops(DropReason::Oversize), 1);
    assert_eq!((pool.stats().idle, pool.stats().live, alive.count()), (1, 1, 1));
}

#[test]
fn the_bound_in_count_holds() {
    let (alive, _) = tracked();
    let source = alive.clone();
    let pool = Pool::builder().max_idle(3).build(move || source.value());
    drop((0..10).map(|_| pool.get()).collect::<Vec<_>>());
    assert_eq!((alive.count(), pool.stats().idle, pool.stats().drops(DropReason::Full)), (3, 3, 7));
    let none = Pool::builder().max_idle(0).build(String::new);
    drop(none.get());
    assert_eq!((none.stats().idle, none.stats().live), (0, 0));
}

#[test]
fn the_bound_in_bytes_holds_and_counts_growth_on_lease() {
    let pool = Pool::builder().max_idle_bytes(10_000).build(Vec::<u8>::new);
    let leases: Vec<_> = (0..5)
        .map(|_| {
            let mut lease = pool.get();
            lease.reserve_exact(3000);
            lease
        })
        .collect();
    drop(leases);
    let stats = pool.stats();
    assert!(stats.charged_bytes <= 10_000, "{stats:?}");
    assert_eq!((stats.idle, stats.drops(DropReason::Budget)), (3, 2));
    pool.clear();
    assert_eq!(pool.stats().charged_bytes, 0);
}

#[test]
fn the_bounds_hold_exactly_at_rest_after_threads() {
    let pool = Pool::builder().max_idle(8).max_idle_bytes(6000).build(Vec::<u8>::new);
    // Joined one by one: a scope does not wait until its threads have given back what they have at hand.
    let threads = [0, 1, 2, 3].map(|thread| {
        let pool = pool.clone();
        std::thread::spawn(move || {
            for round in 0..500 {
                let mut leases: Vec<_> = (0..5).map(|_| pool.get()).collect();
                leases[round % 5].reserve((thread + 1) * 100 + round);
            }
        })
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let stats = pool.stats();
    assert!(stats.idle <= 8 && stats.charged_bytes <= 6000, "{stats:?}");
    assert_eq!(stats.outstanding(), 0);
    let held: u64 = std::iter::from_fn(|| pool.try_get()).map(|lease| Pooled::detach(lease).capacity() as u64).sum();
    assert!(held <= stats.charged_bytes);
    assert_eq!(pool.stats().charged_bytes, 0);
}

#[test]
fn a_verdict_discards() {
    let pool = Pool::with_reset(Vec::<u8>::new, |bytes| {
        bytes.clear();
        if bytes.capacity() > 10 { Verdict::Discard } else { Verdict::Keep }
    });
    pool.get().reserve(100);
    drop(pool.get());
    assert_eq!((pool.stats().drops(DropReason::Verdict), pool.stats().idle), (1, 1));
}

#[test]
fn a_reset_that_panics_costs_that_one_value() {
    let pool = Pool::with_reset(|| 0u32, |value| assert_ne!(*value, 13));
    *pool.get() = 13;
    drop(pool.get());
    assert_eq!((pool.stats().drops(DropReason::Panicked), pool.stats().idle, pool.stats().live), (1, 1, 1));
}

#[test]
fn a_lease_dropped_by_a_panic_is_not_reused() {
    let (alive, pool) = tracked();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _half_done = pool.get();
        panic!("while leased");
    }));
    assert!(caught.is_err());
    assert_eq!((alive.count(), pool.stats().drops(DropReason::Panicked), pool.stats().outstanding()), (0, 1, 0));
}

#[test]
fn a_factory_that_panics_leaves_the_pool_whole() {
    let calls = AtomicUsize::new(0);
    let pool = Pool::new(move || {
        assert_ne!(calls.fetch_add(1, Relaxed), 0, "the first call");
        String::new()
    });
    assert!(catch_unwind(AssertUnwindSafe(|| pool.get())).is_err());
    drop(pool.get());
    assert_eq!((pool.stats().made, pool.stats().live, pool.stats().outstanding()), (1, 1, 0));
}

#[test]
fn a_drop_that_panics_goes_no_further() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("in drop");
            }
        }
    }
    let pool = Pool::with_reset(|| Bomb, |_| Verdict::Discard);
    drop(pool.get());
    let pool = Pool::with_reset(|| Bomb, |_| ());
    drop(pool.get());
    pool.clear();
    drop(pool.get());
    drop(pool);
}

#[test]
fn user_code_may_use_the_same_pool() {
    static POOL: OnceLock<Pool<Nested>> = OnceLock::new();
    #[derive(Default)]
    struct Nested(u32);
    fn poke() -> u32 {
        POOL.get().map_or(0, |pool| {
            pool.try_get().map_or(0, |mut nested| {
                nested.0 += 1;
                nested.0
            })
        })
    }
    let pool = POOL.get_or_init(|| {
        Pool::with_reset(
            || {
                poke();
                Nested::default()
            },
            |nested| {
                nested.0 = 0;
                poke();
            },
        )
    });
    let (a, b) = (pool.get(), pool.get());
    drop(a);
    drop(b);
    pool.clear();
    assert_eq!(pool.stats().outstanding(), 0);
}

#[test]
fn close_frees_idle_now_and_leased_on_return() {
    let (alive, pool) = tracked();
    let leased = pool.get();
    drop(pool.get());
    pool.clone().close();
    assert_eq!(alive.count(), 1);
    drop(leased);
    assert_eq!((alive.count(), pool.stats().drops(DropReason::Closed)), (0, 2));
    drop(pool.get()); // still serves
    assert_eq!((alive.count(), pool.stats().live), (0, 0));
}

#[test]
fn leases_outlive_the_last_handle() {
    let (alive, pool) = tracked();
    let leased = pool.get();
    drop(pool.get());
    drop(pool);
    assert_eq!(alive.count(), 1);
    drop(leased);
    assert_eq!(alive.count(), 0);
}

#[test]
fn close_against_late_returns_loses_none() {
    for _ in 0..200 {
        let (alive, pool) = tracked();
        let leases: Vec<_> = (0..20).map(|_| pool.get()).collect();
        std::thread::scope(|threads| {
            threads.spawn(move || drop(leases));
            threads.spawn(move || drop(pool));
        });
        assert_eq!(alive.count(), 0);
    }
}

#[test]
fn a_lease_is_dropped_on_another_thread_and_in_a_thread_local_destructor() {
    thread_local! {
        static KEPT: RefCell<Option<Pooled<Tracked>>> = const { RefCell::new(None) };
    }
    let (alive, pool) = tracked();
    let lease = pool.get();
    std::thread::spawn(move || KEPT.set(Some(lease))).join().unwrap();
    assert_eq!((alive.count(), pool.stats().idle), (1, 1));
}

#[test]
fn zero_sized_over_aligned_and_huge_values() {
    #[repr(align(4096))]
    struct Aligned(u8);
    let unit = Pool::with_reset(|| (), |()| ());
    drop(unit.get());
    assert_eq!(unit.stats().idle, 1);
    let aligned = Pool::with_reset(|| Aligned(0), |value| value.0 = 0);
    let lease = aligned.get();
    assert_eq!(std::ptr::from_ref(&*lease).addr() % 4096, 0);
    drop(lease);
    assert_eq!(aligned.stats().idle, 1);
    // Without optimisation a value is copied at each call on its way into its box: that wants a large stack.
    let huge = || {
        let pool = Pool::with_reset(|| [0u8; 1 << 20], |_| ());
        drop(pool.get());
        assert_eq!(pool.stats().idle, 1);
    };
    std::thread::Builder::new().stack_size(32 << 20).spawn(huge).unwrap().join().unwrap();
}

#[test]
fn forgetting_a_lease_only_loses_the_value() {
    let (alive, pool) = tracked();
    std::mem::forget(leaked_on_purpose(|| pool.get()));
    drop(pool.get());
    assert_eq!((pool.stats().outstanding(), pool.stats().idle), (1, 1));
    drop(pool);
    assert_eq!(alive.count(), 1);
}

#[test]
fn silence_returns_a_burst_by_trim_at_alone() {
    let alive = Alive::default();
    let source = alive.clone();
    let pool = Pool::builder().max_idle(200_000).age_every(Duration::from_secs(10)).build(move || source.value());
    drop((0..100_000).map(|_| pool.get()).collect::<Vec<_>>());
    assert_eq!((alive.count(), pool.stats().idle, pool.stats().peak_live), (100_000, 100_000, 100_000));
    let begin = Instant::now();
    let mut calls = 0;
    for seconds in [0, 5, 10, 20, 30] {
        while !pool.trim_at(begin + Duration::from_secs(seconds)) {
            calls += 1;
        }
        assert!(seconds >= 10 || alive.count() == 100_000, "a second step after {seconds} of 10 seconds");
    }
    assert!(calls > 10, "each call does a bounded piece of work: {calls} calls");
    assert_eq!((alive.count(), pool.stats().charged_bytes), (0, 0));
    assert_eq!(pool.stats().drops(DropReason::Aged), 100_000);
}

#[test]
fn one_step_of_ageing_frees_nothing_that_is_used() {
    let (alive, pool) = tracked();
    for _ in 0..10 {
        drop(pool.get());
        assert!(pool.trim());
    }
    assert_eq!((alive.count(), pool.stats().made), (1, 1));
    (0..3).for_each(|_| assert!(pool.trim()));
    assert_eq!(alive.count(), 0);
}

#[test]
fn a_thread_that_sleeps_gives_up_its_hoard() {
    let (alive, pool) = tracked();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (filled, ready) = std::sync::mpsc::channel();
    let sleeper = {
        let pool = pool.clone();
        std::thread::spawn(move || {
            drop((0..20).map(|_| pool.get()).collect::<Vec<_>>());
            filled.send(()).unwrap();
            wait.recv().unwrap_err();
            // Awake again: its magazine works as before.
            drop(pool.get());
        })
    };
    ready.recv().unwrap();
    assert_eq!(pool.stats().idle, 20);
    // It has made values, and taken none that was waiting.
    pool.trim();
    assert!(pool.try_get().is_some(), "another thread finds what the sleeper had");
    (0..3).for_each(|_| assert!(pool.trim()));
    assert_eq!(alive.count(), 0);
    drop(go);
    sleeper.join().unwrap();
    assert_eq!((pool.stats().made, pool.stats().outstanding()), (21, 0));
}

#[test]
fn a_value_far_larger_than_its_uses_goes_after_four_of_them() {
    let pool = Pool::new(Vec::<u8>::new);
    let use_of = |bytes: usize| pool.get().extend(std::iter::repeat_n(0, bytes));
    use_of(100_000);
    for _ in 0..3 {
        use_of(10);
    }
    use_of(30_000); // a quarter of the capacity: forgiven
    for underused in 0..4 {
        assert_eq!(pool.stats().drops(DropReason::Underused), 0, "after {underused}");
        use_of(10);
    }
    assert_eq!((pool.stats().drops(DropReason::Underused), pool.stats().live), (1, 0));
}

#[test]
fn at_least_a_twentieth_of_what_is_kept_is_used() {
    // The worst sequences for the rule: a growth, then as few and as small uses as keep the value alive.
    for large in [50_000usize, 1 << 20] {
        let pool = Pool::builder().max_value_bytes(usize::MAX).build(Vec::<u8>::new);
        let (mut used, mut kept) = (0, 0);
        for round in 0..1000 {
            let bytes = if round % 5 == 0 { large } else { 0 };
            let mut value = pool.get();
            value.extend(std::iter::repeat_n(0, bytes));
            used += bytes;
            kept += value.capacity();
        }
        assert!(used * 20 >= kept, "{used} of {kept} bytes used");
    }
    // 1 % large, 99 % small: the large capacity does not stay for the small uses.
    let pool = Pool::new(Vec::<u8>::new);
    let mut idle_bytes = 0;
    for round in 0..1000 {
        let bytes = if round % 100 == 0 { 1 << 20 } else { 1000 };
        pool.get().extend(std::iter::repeat_n(0, bytes));
        idle_bytes += pool.stats().charged_bytes;
    }
    assert!(idle_bytes / 1000 < (1 << 20) / 10, "{} bytes on average", idle_bytes / 1000);
}

#[test]
fn prefill_fills_as_far_as_the_bounds_allow() {
    let pool = Pool::builder().max_idle(10).build(String::new);
    pool.prefill(5);
    assert_eq!((pool.stats().idle, pool.stats().made), (5, 0));
    pool.prefill(100);
    assert_eq!(pool.stats().idle, 10);
    drop(pool.get());
    assert_eq!((pool.stats().hits, pool.stats().made, pool.stats().gets()), (1, 0, 1));
}

#[test]
fn wait_closed_names_what_is_out() {
    let pool = Pool::builder().name("parsers").build(String::new);
    let soon = || Instant::now() + Duration::from_millis(20);
    assert_eq!(pool.wait_closed(soon()).unwrap_err().to_string(), "the pool parsers is open");
    let lease = pool.get();
    pool.close();
    assert_eq!(pool.wait_closed(soon()).unwrap_err().to_string(), "1 value of the pool parsers is out");
    let waiter = {
        let pool = pool.clone();
        std::thread::spawn(move || pool.wait_closed(Instant::now() + Duration::from_secs(60)))
    };
    drop(lease);
    assert_eq!(waiter.join().unwrap(), Ok(()));
}

#[tokio::test]
async fn closed_resolves_with_the_last_return() {
    let pool = Pool::new(String::new);
    let (lease, detached) = (pool.get(), pool.get());
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.closed().await }
    });
    pool.close();
    tokio::task::yield_now().await;
    drop(Pooled::detach(detached));
    assert!(!waiting.is_finished());
    std::thread::spawn(move || drop(lease)).join().unwrap();
    waiting.await.unwrap();
    pool.closed().await;
}
