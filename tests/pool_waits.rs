//! Waiting for the end of a pool whose close found a thread at its magazine. Alone in its process: a pool that begins, and
//! a thread that ends, would finish such a close.

use ebbtide::{Pool, PoolBuilder};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// How long the test waits for what takes some milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Closes a pool beside more threads than processors, one of which may be put off its own in the middle of a `get`.
fn close_beside_a_crowd(builder: PoolBuilder, ended: impl Fn(&Pool<Vec<u8>>) -> bool) {
    let pool = builder.build(Vec::new);
    let (begin, end) = (Barrier::new(9), Barrier::new(9));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                begin.wait();
                while !stop.load(Relaxed) {
                    (0..100).for_each(|_| drop(pool.get()));
                }
                end.wait();
            });
        }
        begin.wait();
        thread::sleep(Duration::from_millis(3));
        stop.store(true, Relaxed);
        pool.close();
        let ended = ended(&pool);
        end.wait();
        assert!(ended, "nobody finished the close");
    });
    assert_eq!(pool.stats().live, 0);
}

#[test]
fn a_close_that_found_a_thread_busy_is_finished_by_who_waits() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for round in 0..100 {
        let builder = Pool::builder().full_fence(round % 2 == 1);
        close_beside_a_crowd(builder.clone(), |pool| pool.wait_closed(Instant::now() + PATIENCE).is_ok());
        close_beside_a_crowd(builder, |pool| {
            let closed = async { tokio::time::timeout(PATIENCE, pool.closed()).await };
            runtime.block_on(closed).is_ok()
        });
    }
}
