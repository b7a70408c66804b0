//! What a detached value leaves behind: its box and its place, for the next value of the same thread, and in nobody's way.

use ebbtide::{DropReason, Pool, PoolBuilder, Pooled};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

const ROOM: usize = 1000;

fn build(builder: PoolBuilder) -> Pool<Vec<u8>> {
    builder.build(|| Vec::with_capacity(ROOM))
}

/// Has so many values out at once, and takes them out for good.
fn lose(pool: &Pool<Vec<u8>>, values: usize) {
    let leases: Vec<_> = (0..values).map(|_| pool.get()).collect();
    leases.into_iter().for_each(|lease| drop(Pooled::detach(lease)));
}

/// A thread that has lost a value, and does nothing until it is told to end.
fn idle_loser(pool: &Pool<Vec<u8>>) -> (mpsc::Sender<()>, thread::JoinHandle<()>) {
    let pool = pool.clone();
    let (lost, is_lost) = mpsc::channel();
    let (end, ends) = mpsc::channel::<()>();
    let loser = thread::spawn(move || {
        lose(&pool, 1);
        drop(pool);
        lost.send(()).expect("somebody waits");
        let _ = ends.recv();
    });
    is_lost.recv().expect("it lost them");
    (end, loser)
}

#[test]
fn what_was_detached_is_in_no_number_of_the_pool() {
    let pool = build(Pool::builder());
    drop(pool.get());
    let before = pool.stats();
    for round in 1..=3 {
        lose(&pool, 10);
        let stats = pool.stats();
        assert_eq!((stats.live, stats.idle, stats.outstanding(), stats.charged_bytes), (0, 0, 0, 0));
        // The first of all values was idle before.
        assert_eq!((stats.made, stats.peak_live), (before.made + 10 * round - 1, 10));
    }
    let (first, _second) = (pool.get(), pool.get());
    assert_eq!((pool.stats().live, pool.stats().charged_bytes), (2, 2 * before.charged_bytes));
    drop(first);
    assert_eq!((pool.stats().idle, pool.stats().outstanding()), (1, 1));
}

#[test]
fn a_value_after_a_detached_one_is_charged_what_it_keeps() {
    let pool = build(Pool::builder());
    drop(pool.get());
    let bytes = pool.stats().charged_bytes;
    lose(&pool, 1);
    pool.get().reserve_exact(2 * ROOM);
    assert_eq!(pool.stats().charged_bytes, bytes + ROOM as u64);
    // The one that has grown, and a new one.
    lose(&pool, 2);
    assert_eq!(pool.stats().charged_bytes, 0);
    let mut small = pool.get();
    small.shrink_to_fit();
    drop(small);
    assert_eq!((pool.stats().charged_bytes, pool.stats().idle), (bytes - ROOM as u64, 1));
}

#[test]
fn a_value_after_a_detached_one_has_no_strikes() {
    let pool = Pool::new(|| vec![0_u8; 5000]);
    drop(pool.get());
    // A use of less than a quarter is a strike, and the fourth in a row the end.
    (0..3).for_each(|_| pool.get().clear());
    drop(Pooled::detach(pool.get()));
    (0..3).for_each(|_| pool.get().clear());
    assert_eq!((pool.stats().drops(DropReason::Underused), pool.stats().idle), (0, 1));
}

#[test]
fn put_adopts_a_value_where_one_was_detached() {
    let pool = build(Pool::builder());
    lose(&pool, 1);
    pool.put(Vec::with_capacity(10));
    pool.put(Vec::with_capacity(ROOM));
    let stats = pool.stats();
    assert_eq!((stats.made, stats.live, stats.idle, stats.peak_live), (1, 2, 2, 2));
    assert!(pool.get().capacity() == ROOM && pool.stats().hits == 1);
}

#[test]
fn what_was_detached_has_escaped_and_nothing_else_has() {
    let pool = build(Pool::builder().max_idle(2));
    pool.prefill(2);
    lose(&pool, 3);
    pool.put(Vec::new());
    drop([(); 4].map(|()| pool.get()));
    let stats = pool.stats();
    assert_eq!((stats.adopted, stats.made, stats.live, stats.escaped()), (3, 4, 2, 3));
    pool.clear();
    assert_eq!((pool.stats().live, pool.stats().escaped()), (0, 3), "what was dropped has not escaped");
    let held = pool.get();
    assert_eq!(pool.stats().escaped(), 3, "nor what is out");
    drop(held);
}

#[test]
fn the_place_of_a_detached_value_is_free_for_other_threads() {
    let pool = build(Pool::builder().max_idle(2));
    let (end, loser) = idle_loser(&pool);
    let leases = (pool.get(), pool.get());
    let one = pool.stats().charged_bytes / 2;
    assert!(one > ROOM as u64, "both have a place");
    drop(leases);
    assert_eq!((pool.stats().idle, pool.stats().charged_bytes), (2, 2 * one));
    pool.clear();
    // A value that has to find its place when it comes back.
    let leases = [(); 3].map(|()| pool.get());
    let [first, second, third] = leases;
    drop((Pooled::detach(first), Pooled::detach(second)));
    drop(third);
    assert_eq!((pool.stats().idle, pool.stats().drops(DropReason::Full)), (1, 0));
    drop(end);
    loser.join().unwrap();
}

#[test]
fn the_bytes_of_a_detached_value_are_free_for_other_threads() {
    let one = {
        let pool = build(Pool::builder());
        drop(pool.get());
        usize::try_from(pool.stats().charged_bytes).unwrap()
    };
    let pool = build(Pool::builder().max_idle_bytes(one + ROOM));
    let (end, loser) = idle_loser(&pool);
    // A new one, and one that has grown.
    drop(pool.get());
    assert_eq!((pool.stats().idle, pool.stats().charged_bytes), (1, one as u64));
    pool.get().reserve_exact(2 * ROOM);
    assert_eq!((pool.stats().idle, pool.stats().drops(DropReason::Budget)), (1, 0));
    drop(end);
    loser.join().unwrap();
}

#[test]
fn what_a_sleeping_thread_left_of_detached_values_goes_with_the_pool() {
    let pool = build(Pool::builder());
    let (end, loser) = idle_loser(&pool);
    pool.close();
    assert_eq!(pool.wait_closed(Instant::now()), Ok(()));
    drop(end);
    loser.join().unwrap();
}

#[test]
fn a_value_detached_after_the_close_leaves_nothing() {
    let pool = build(Pool::builder());
    lose(&pool, 2);
    let lease = pool.get();
    pool.close();
    assert!(pool.wait_closed(Instant::now()).is_err());
    drop(Pooled::detach(lease));
    assert_eq!(pool.wait_closed(Instant::now()), Ok(()));
    lose(&pool, 2);
    assert_eq!(pool.wait_closed(Instant::now()), Ok(()));
}

#[test]
fn values_are_lost_and_made_by_several_threads_within_the_bounds() {
    const THREADS: usize = 4;
    let pool = build(Pool::builder().max_idle(8));
    let lose_some = &|thread: usize| {
        for round in 0..2000 {
            let leases: Vec<_> = (0..3).map(|_| pool.get()).collect();
            for (at, lease) in leases.into_iter().enumerate() {
                if (round + at + thread) % 3 == 0 {
                    drop(Pooled::detach(lease));
                }
            }
            assert!(pool.stats().idle <= 8);
        }
    };
    thread::scope(|scope| {
        // Joined, since a scope does not wait for what its threads give back when they end.
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || lose_some(thread))).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    let stats = pool.stats();
    assert_eq!((stats.outstanding(), stats.live), (0, stats.idle));
    // All places are there again.
    drop((0..8).map(|_| pool.get()).collect::<Vec<_>>());
    assert_eq!(pool.stats().idle, 8);
    pool.close();
    assert_eq!(pool.wait_closed(Instant::now()), Ok(()));
}
