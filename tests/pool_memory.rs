//! What threads and pools leave on the heap when they are gone. A process of its own, since it counts all of its bytes; one test,
//! since another one would be counted too.

use ebbtide::Pool;
use ebbtide::bench::{CountingAllocator, live};
use std::sync::mpsc;
use std::thread;

#[global_allocator]
static HEAP: CountingAllocator = CountingAllocator::new();

/// Bytes that may be there for other reasons: a list of std's or of the crate's that has grown by a step.
const SLACK: u64 = 16 << 10;

/// Runs `once` until everything has its size, then `times` more, and checks that the heap has not grown by it.
fn leaves_nothing(what: &str, times: usize, once: impl Fn()) {
    (0..100).for_each(|_| once());
    let before = live();
    (0..times).for_each(|_| once());
    let after = live();
    assert!(after <= before + SLACK, "{what}: {before} bytes before, {after} after");
}

#[test]
fn short_lived_threads_and_pools_leave_the_heap_flat() {
    for full in [false, true] {
        let builder = Pool::builder().full_fence(full);
        let pool = builder.clone().build(|| Vec::<u8>::with_capacity(1000));
        leaves_nothing("10,000 short-lived threads", 5_000, || {
            let pool = pool.clone();
            thread::spawn(move || drop([pool.get(), pool.get()])).join().unwrap();
        });
        drop(pool);

        // Idle threads that have used each of the pools, and sleep when it goes.
        let (say_done, done) = mpsc::channel();
        let sleepers = [(); 4].map(|()| {
            let ((send, pools), say_done) = (mpsc::channel::<Pool<Vec<u8>>>(), say_done.clone());
            let thread = thread::spawn(move || {
                for pool in pools {
                    drop([pool.get(), pool.get()]);
                    drop(pool);
                    say_done.send(()).unwrap();
                }
            });
            (send, thread)
        });
        leaves_nothing("pools that come and go beside idle threads", 2_000, || {
            let pool = builder.clone().build(|| Vec::<u8>::with_capacity(1000));
            sleepers.iter().for_each(|(send, _)| send.send(pool.clone()).unwrap());
            sleepers.iter().for_each(|_| done.recv().unwrap());
            assert!(pool.stats().idle >= 2);
        });
        sleepers.into_iter().for_each(|(send, thread)| {
            drop(send);
            thread.join().unwrap();
        });
    }
}
