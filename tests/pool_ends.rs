//! The end of a pool, with user code that panics in it, and with those who wait for it.

use ebbtide::{Pool, Pooled};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

/// Panics when it is dropped, unless a panic is on its way already.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("dropped");
        }
    }
}

/// A waker that counts, or that panics.
struct Woken {
    times: AtomicUsize,
    panics: bool,
}

impl Woken {
    fn new(panics: bool) -> Arc<Self> {
        Arc::new(Self { times: AtomicUsize::new(0), panics })
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.times.fetch_add(1, Relaxed);
        assert!(!self.panics, "woken");
    }
}

fn poll(future: Pin<&mut impl Future>, woken: &Arc<Woken>) -> bool {
    let waker = Waker::from(Arc::clone(woken));
    matches!(future.poll(&mut Context::from_waker(&waker)), Poll::Ready(_))
}

#[test]
fn the_last_lease_may_end_closures_that_panic_when_dropped() {
    let (factory, reset) = (Bomb, Bomb);
    let pool = Pool::with_reset(
        move || {
            let _ = &factory;
            7
        },
        move |_: &mut i32| {
            let _ = &reset;
        },
    );
    let (kept, detached) = (pool.get(), pool.get());
    drop(pool);
    assert_eq!(Pooled::detach(detached), 7);
    drop(kept); // the last: it ends the home, and the closure with it
}

#[test]
fn a_future_that_waits_no_more_is_forgotten() {
    let pool = Pool::new(String::new);
    let woken = Woken::new(false);
    for _ in 0..100 {
        let mut closed = pin!(pool.closed());
        assert!(!poll(closed.as_mut(), &woken));
        assert!(!poll(closed.as_mut(), &woken), "the same future again: noted once");
        assert_eq!(Arc::strong_count(&woken), 2);
    }
    assert_eq!(Arc::strong_count(&woken), 1);
}

#[test]
fn a_waker_that_panics_keeps_nobody_else_from_the_end() {
    let pool = Pool::new(String::new);
    let lease = pool.get();
    let (bad, good) = (Woken::new(true), Woken::new(false));
    let (mut first, mut second) = (pin!(pool.closed()), pin!(pool.closed()));
    assert!(!poll(first.as_mut(), &bad) && !poll(second.as_mut(), &good));
    pool.close();
    drop(lease); // must not panic
    assert_eq!((bad.times.load(Relaxed), good.times.load(Relaxed)), (1, 1));
    assert!(poll(first.as_mut(), &good) && poll(second.as_mut(), &good));
}

#[test]
fn the_last_waker_of_a_future_is_the_one_that_counts() {
    let pool = Pool::new(String::new);
    let lease = pool.get();
    let (before, now) = (Woken::new(false), Woken::new(false));
    let mut closed = pin!(pool.closed());
    assert!(!poll(closed.as_mut(), &before) && !poll(closed.as_mut(), &now));
    pool.close();
    drop(lease);
    assert_eq!((before.times.load(Relaxed), now.times.load(Relaxed)), (0, 1));
}
