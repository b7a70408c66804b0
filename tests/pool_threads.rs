//! The pool among threads that begin, end, sleep and outlive it, with both kinds of fences. Each test counts the values
//! that are alive, and no value is ever lent twice at once.

use ebbtide::{DropReason, Pool, PoolBuilder, Pooled};
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;

/// How many values are alive.
#[derive(Clone, Default)]
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn count(&self) -> usize {
        self.0.load(Relaxed)
    }
}

/// A value that knows whether it is in use.
struct Value {
    in_use: AtomicBool,
    /// Written without a lock by whoever has the value.
    uses: u64,
    alive: Alive,
}

impl Value {
    fn new(alive: &Alive) -> Self {
        alive.0.fetch_add(1, Relaxed);
        Self { in_use: AtomicBool::new(false), uses: 0, alive: alive.clone() }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.alive.0.fetch_sub(1, Relaxed);
    }
}

fn build(builder: PoolBuilder) -> (Alive, Pool<Value>) {
    let alive = Alive::default();
    let source = alive.clone();
    let reset = |value: &mut Value| assert!(value.in_use.swap(false, Relaxed), "given back twice");
    (alive, builder.build_with_reset(move || Value::new(&source), reset))
}

/// Takes a value and marks it.
fn take(pool: &Pool<Value>) -> Pooled<Value> {
    let mut value = pool.get();
    assert!(!value.in_use.swap(true, Relaxed), "lent twice");
    value.uses += 1;
    value
}

/// Runs a test with both kinds of fences.
fn both(test: impl Fn(PoolBuilder)) {
    for full in [false, true] {
        test(Pool::builder().full_fence(full));
    }
}

#[test]
fn ten_thousand_short_lived_threads_leave_memory_flat() {
    both(|builder| {
        let (alive, pool) = build(builder);
        for _ in 0..5_000 {
            let pool = pool.clone();
            thread::spawn(move || drop(take(&pool))).join().unwrap();
        }
        assert_eq!((alive.count(), pool.stats().made, pool.stats().idle), (1, 1, 1));
        drop(pool);
        assert_eq!(alive.count(), 0);
    });
}

#[test]
fn a_thread_that_ends_gives_back_what_it_has_at_hand() {
    both(|builder| {
        let (alive, pool) = build(builder);
        let other = pool.clone();
        thread::spawn(move || drop((0..100).map(|_| take(&other)).collect::<Vec<_>>())).join().unwrap();
        let taken: Vec<_> = (0..100).map(|_| take(&pool)).collect();
        assert_eq!((alive.count(), pool.stats().made), (100, 100), "all found again");
        drop(taken);
    });
}

#[test]
fn leases_outlive_their_thread_and_their_pool() {
    both(|builder| {
        let (alive, pool) = build(builder);
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let pool = pool.clone();
                thread::spawn(move || (0..50).map(|_| take(&pool)).collect::<Vec<_>>())
            })
            .collect();
        let mut leases: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(alive.count(), 400);
        leases.truncate(200);
        assert_eq!((alive.count(), pool.stats().idle), (400, 200));
        drop(pool);
        assert_eq!(alive.count(), 200, "the idle ones are gone");
        let late: Vec<_> = leases.drain(100..).collect();
        thread::spawn(move || drop(late)).join().unwrap();
        assert_eq!(alive.count(), 100);
        drop(leases);
        assert_eq!(alive.count(), 0);
    });
}

thread_local! {
    static KEPT: RefCell<Vec<Pooled<Value>>> = const { RefCell::new(Vec::new()) };
    static POOLS: RefCell<Vec<Pool<Value>>> = const { RefCell::new(Vec::new()) };
}

#[test]
fn a_lease_may_be_dropped_by_a_thread_local_s_destructor() {
    both(|builder| {
        for kept_first in [true, false] {
            let (alive, pool) = build(builder.clone());
            let other = pool.clone();
            thread::spawn(move || {
                // Destructors run in reverse: with `kept_first` the pool's own thread-local is gone by then.
                if kept_first {
                    KEPT.with_borrow(|_| ());
                }
                let lease = take(&other);
                KEPT.with_borrow_mut(|kept| kept.extend([lease, take(&other)]));
            })
            .join()
            .unwrap();
            assert_eq!((alive.count(), pool.stats().idle, pool.stats().outstanding()), (2, 2, 0), "{kept_first}");
            drop((take(&pool), take(&pool)));
            assert_eq!(pool.stats().made, 2, "found again");
            drop(pool);
            assert_eq!(alive.count(), 0);
        }
    });
}

#[test]
fn a_late_lease_may_be_dropped_by_a_thread_local_s_destructor() {
    both(|builder| {
        for kept_first in [true, false] {
            let (alive, pool) = build(builder.clone());
            thread::spawn(move || {
                if kept_first {
                    KEPT.with_borrow(|_| ());
                }
                let lease = take(&pool);
                KEPT.with_borrow_mut(|kept| kept.push(lease));
                drop(pool);
            })
            .join()
            .unwrap();
            assert_eq!(alive.count(), 0, "{kept_first}");
        }
    });
}

#[test]
fn a_pool_may_end_and_begin_in_a_thread_local_s_destructor() {
    struct Last(Alive);
    impl Drop for Last {
        fn drop(&mut self) {
            let alive = self.0.clone();
            let pool = Pool::with_reset(move || Value::new(&alive), |_| ());
            let two = (pool.get(), pool.get());
            drop(two);
            drop(pool.get());
            assert_eq!(pool.stats().made, 2);
            // Its destructor may have run; the lease is dropped then.
            let late = pool.get();
            let _ = KEPT.try_with(|kept| kept.borrow_mut().push(late));
        }
    }
    thread_local! {
        static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
    }
    both(|builder| {
        for last_first in [true, false] {
            let (alive, pool) = build(builder.clone());
            let begun = alive.clone();
            thread::spawn(move || {
                if last_first {
                    LAST.set(Some(Last(begun.clone())));
                }
                drop(take(&pool));
                POOLS.with_borrow_mut(|pools| pools.push(pool));
                LAST.set(Some(Last(begun)));
            })
            .join()
            .unwrap();
            assert_eq!(alive.count(), 0, "{last_first}");
        }
    });
}

#[test]
fn two_hundred_pools_on_one_thread_reuse_fully() {
    both(|builder| {
        let pools: Vec<_> = (0..200).map(|_| build(builder.clone())).collect();
        for _ in 0..3 {
            for (_, pool) in &pools {
                drop((take(pool), take(pool)));
            }
        }
        assert!(pools.iter().all(|(alive, pool)| (alive.count(), pool.stats().made) == (2, 2)));
        let alive: Vec<_> = pools.into_iter().map(|(alive, _)| alive).collect();
        assert_eq!(alive.iter().map(Alive::count).sum::<usize>(), 0);
    });
}

/// Threads that do what they are sent, and sleep in between.
struct Crew {
    sends: Vec<mpsc::Sender<Job>>,
    done: mpsc::Receiver<()>,
}

type Job = Box<dyn FnOnce() + Send>;

impl Crew {
    fn new(size: usize) -> Self {
        let (say_done, done) = mpsc::channel();
        let sends = (0..size).map(|_| {
            let (send, jobs) = mpsc::channel::<Job>();
            let say_done = say_done.clone();
            thread::spawn(move || {
                for job in jobs {
                    job();
                    say_done.send(()).unwrap();
                }
            });
            send
        });
        Self { sends: sends.collect(), done }
    }

    /// Runs a job on each thread, and waits for all.
    fn each<J: FnOnce() + Send + 'static>(&self, job: impl Fn() -> J) {
        self.sends.iter().for_each(|send| send.send(Box::new(job())).unwrap());
        self.sends.iter().for_each(|_| self.done.recv().unwrap());
    }
}

#[test]
fn pools_that_come_and_go_beside_idle_threads_leave_nothing() {
    let crew = Crew::new(4);
    both(|builder| {
        for _ in 0..500 {
            let (alive, pool) = build(builder.clone());
            crew.each(|| {
                let pool = pool.clone();
                move || drop((0..40).map(|_| take(&pool)).collect::<Vec<_>>())
            });
            assert!((40..=160).contains(&alive.count()));
            drop(pool);
            assert_eq!(alive.count(), 0);
        }
    });
}

#[test]
fn sleeping_threads_lose_their_hoard_to_trims() {
    let crew = Crew::new(64);
    both(|builder| {
        let (alive, pool) = build(builder.max_idle(10_000));
        crew.each(|| {
            let pool = pool.clone();
            move || drop((0..32).map(|_| take(&pool)).collect::<Vec<_>>())
        });
        for _ in 0..4 {
            while !pool.trim() {}
        }
        assert_eq!((alive.count(), pool.stats().idle), (0, 0));
        // Their magazines still work.
        crew.each(|| {
            let pool = pool.clone();
            move || drop(take(&pool))
        });
        assert_eq!(pool.stats().idle as usize, alive.count());
    });
}

#[test]
fn more_threads_than_numbers_share_the_depot() {
    both(|builder| {
        let (alive, pool) = build(builder);
        let barrier = Arc::new(Barrier::new(200));
        let threads: Vec<_> = (0..200)
            .map(|_| {
                let (pool, barrier) = (pool.clone(), Arc::clone(&barrier));
                thread::spawn(move || {
                    let first = take(&pool);
                    barrier.wait();
                    drop(first);
                    (0..100).for_each(|_| drop((take(&pool), take(&pool))));
                    barrier.wait();
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!((alive.count() as u64, pool.stats().outstanding()), (pool.stats().idle, 0));
        drop(pool);
        assert_eq!(alive.count(), 0);
    });
}

#[test]
fn a_thread_that_only_gives_back_hands_on_what_others_took() {
    both(|builder| {
        let (_, pool) = build(builder);
        let crew = Crew::new(1);
        for taken in [1_usize, 3, 10, 40] {
            pool.clear();
            let values = Mutex::new((0..taken).map(|_| take(&pool)).collect::<Vec<_>>());
            let values = Arc::new(values);
            crew.each(|| {
                let values = Arc::clone(&values);
                move || values.lock().unwrap().drain(..).for_each(drop)
            });
            assert_eq!(pool.stats().idle as usize, taken);
            let found: Vec<_> = std::iter::from_fn(|| pool.try_get()).collect();
            assert!(found.len() + 1 >= taken.div_ceil(2), "{} of {taken} found, the rest is hoarded", found.len());
        }
    });
}

#[test]
fn taken_here_and_dropped_there_makes_a_bounded_number() {
    both(|builder| {
        let (alive, pool) = build(builder.max_thread_idle(32));
        let (send, receive) = mpsc::sync_channel::<Pooled<Value>>(16);
        let consumer = thread::spawn(move || receive.into_iter().map(|value| value.uses).max());
        for _ in 0..100_000 {
            send.send(take(&pool)).unwrap();
        }
        drop(send);
        assert!(consumer.join().unwrap() > Some(100), "reused");
        let made = pool.stats().made;
        // In the channel and in hand, in two magazines, and a chain on its way.
        assert!(made <= 16 + 3 + 3 * 32, "{made} made");
        // A shared operation on each side for a chain of up to 32 values, not for each value.
        let stats = pool.stats();
        assert!(stats.fetches > 0 && stats.fetches * 8 < stats.hits, "{stats:?}");
        assert_eq!(alive.count() as u64, pool.stats().idle);
    });
}

/// Works with a pool until told to stop: alone, several at a time, and by way of other threads.
fn work(pool: &Pool<Value>, shared: &Mutex<Vec<Pooled<Value>>>, stop: &AtomicBool) {
    for rounds in 0.. {
        if stop.load(Relaxed) {
            break;
        }
        drop(take(pool));
        drop((0..rounds % 40).map(|_| take(pool)).collect::<Vec<_>>());
        let foreign = {
            let mut shared = shared.lock().unwrap();
            let value = take(pool);
            shared.push(value);
            let end = shared.len().min(3);
            shared.drain(..end).collect::<Vec<_>>()
        };
        drop(foreign);
    }
}

/// Runs `disturb` often beside threads that work, and checks that no value is lost.
fn disturbed(builder: PoolBuilder, times: usize, disturb: impl Fn(&Pool<Value>)) {
    let (alive, pool) = build(builder.max_thread_idle(8));
    let (shared, stop) = (Mutex::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(|| work(&pool, &shared, &stop))).collect();
        for _ in 0..times {
            disturb(&pool);
            thread::yield_now();
        }
        stop.store(true, Relaxed);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    shared.into_inner().unwrap().clear();
    assert_eq!((alive.count() as u64, pool.stats().outstanding()), (pool.stats().idle, 0));
    drop(pool);
    assert_eq!(alive.count(), 0);
}

#[test]
fn trimming_beside_working_threads_loses_nothing() {
    both(|builder| {
        disturbed(builder, 2_000, |pool| {
            pool.trim();
        })
    });
}

#[test]
fn clearing_beside_working_threads_loses_nothing() {
    both(|builder| disturbed(builder, 2_000, Pool::clear));
}

#[test]
fn closing_beside_working_threads_frees_everything() {
    both(|builder| {
        for _ in 0..100 {
            let (alive, pool) = build(builder.clone());
            let (shared, ready) = (Mutex::default(), Barrier::new(3));
            let stop = AtomicBool::new(false);
            thread::scope(|scope| {
                let threads: Vec<_> = (0..2)
                    .map(|_| {
                        scope.spawn(|| {
                            ready.wait();
                            work(&pool, &shared, &stop)
                        })
                    })
                    .collect();
                ready.wait();
                thread::yield_now();
                pool.close();
                stop.store(true, Relaxed);
                threads.into_iter().for_each(|thread| thread.join().unwrap());
            });
            drop(shared);
            // Finishes a close that found a thread busy all the while.
            pool.trim();
            assert_eq!((alive.count(), pool.stats().live), (0, 0));
            assert_eq!(pool.stats().drops(DropReason::Full), 0);
        }
    });
}

/// A value whose drop uses its pool.
struct Nested {
    pool: Pool<Option<Self>>,
    depth: usize,
}

impl Drop for Nested {
    fn drop(&mut self) {
        if self.depth < 3 {
            let mut value = self.pool.get();
            *value = Some(Self { pool: self.pool.clone(), depth: self.depth + 1 });
            drop(value);
            drop((self.pool.get(), self.pool.get()));
        }
    }
}

#[test]
fn a_value_whose_drop_uses_its_pool_finds_it_in_order() {
    both(|builder| {
        let pool = builder.max_thread_idle(2).max_idle(4).build_with_reset(|| None::<Nested>, |_| ());
        let fill = || {
            let mut leases: Vec<_> = (0..8).map(|_| pool.get()).collect();
            leases.iter_mut().for_each(|value| **value = Some(Nested { pool: pool.clone(), depth: 0 }));
        };
        fill();
        pool.clear();
        fill();
        for _ in 0..4 {
            pool.trim();
        }
        fill();
        let other = pool.clone();
        thread::spawn(move || drop((0..8).map(|_| other.get()).collect::<Vec<_>>())).join().unwrap();
        pool.close();
        let stats = pool.stats();
        assert_eq!((stats.live, stats.idle), (0, 0));
    });
}
