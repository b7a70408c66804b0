//! A hammer for sanitizers: pools, buffers and requests under several threads at once, for a few seconds.
//!
//! `cargo run --release --example hammer [SECONDS]`. `.ci/deep` runs it under AddressSanitizer and LeakSanitizer; the hammer
//! for ThreadSanitizer, which knows less of std, is `tsan-tests`. It fails if anything is out at the end.

use ebbtide::{BufferPool, Pool, Pooled, Scopes};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// What the threads share.
#[derive(Clone)]
struct Yard {
    pool: Pool<Vec<u64>>,
    fenced: Pool<Vec<u64>>,
    buffers: BufferPool,
    scopes: Scopes,
    stop: Arc<AtomicBool>,
}

/// Takes, writes and gives back, at hand and in bursts; sends some to another thread.
fn work(yard: &Yard, sender: &SyncSender<Pooled<Vec<u64>>>) {
    for round in 0.. {
        if yard.stop.load(Relaxed) {
            break;
        }
        for pool in [&yard.pool, &yard.fenced] {
            let mut burst: Vec<_> = (0..round % 70).map(|_| pool.get()).collect();
            burst.iter_mut().for_each(|value| {
                assert!(value.is_empty());
                value.push(round);
            });
            if let Some(value) = burst.pop() {
                let _ = sender.try_send(value);
            }
        }
        request(yard);
    }
}

/// A request with all that one can hold.
fn request(yard: &Yard) {
    let guard = yard.scopes.begin();
    let scope = guard.scope();
    let handle = guard.handle();
    let late = thread::scope(|threads| {
        let other = threads.spawn(|| handle.enter().map(|scope| scope.arena().alloc_str("there").len()));
        scope.lease(&yard.pool).push(1);
        scope.arena().alloc_str("here");
        let mut buffer = yard.buffers.get(600);
        buffer.extend_from_slice(b"bytes");
        let bytes = buffer.freeze();
        let clone = bytes.clone();
        threads.spawn(move || assert_eq!(clone.len(), 5));
        drop(bytes);
        other.join()
    });
    assert!(late.is_ok_and(|length| length == Ok(5)));
}

/// Drops what others took.
fn receive(receiver: &Receiver<Pooled<Vec<u64>>>) {
    receiver.iter().for_each(drop);
}

/// Trims, clears, and begins and closes pools, while others work.
fn disturb(yard: &Yard) {
    while !yard.stop.load(Relaxed) {
        yard.pool.trim();
        yard.fenced.trim();
        yard.buffers.trim();
        yard.pool.clear();
        let passing = Pool::new(Vec::<u64>::new);
        thread::scope(|threads| {
            let pool = &passing;
            threads.spawn(move || (0..50).for_each(|_| drop(pool.get())));
            threads.spawn(move || (0..50).for_each(|_| drop(pool.get())));
            thread::yield_now();
            passing.close();
        });
        thread::sleep(Duration::from_micros(200));
    }
}

fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2);
    let yard = Yard {
        pool: Pool::new(Vec::new),
        fenced: Pool::builder().full_fence(true).build(Vec::new),
        buffers: BufferPool::new(),
        scopes: Scopes::new(),
        stop: Arc::default(),
    };
    let (sender, receiver) = sync_channel(64);
    thread::scope(|threads| {
        for _ in 0..2 {
            let sender = sender.clone();
            threads.spawn(|| work(&yard, &{ sender }));
        }
        drop(sender);
        threads.spawn(|| receive(&{ receiver }));
        threads.spawn(|| disturb(&yard));
        thread::sleep(Duration::from_secs(seconds));
        yard.stop.store(true, Relaxed);
    });
    let (pool, fenced) = (yard.pool.stats(), yard.fenced.stats());
    let out =
        pool.outstanding() + fenced.outstanding() + yard.buffers.stats().outstanding() + yard.scopes.stats().open();
    println!("{} values lent, {} requests, {out} out", pool.gets() + fenced.gets(), yard.scopes.stats().begun);
    assert_eq!(out, 0);
}
