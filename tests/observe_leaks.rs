//! The leak detector. It is one for the process, so that there is one test at a time.

use ebbtide::observe::{LeakDetector, LeakScope, LeaseRecord, tagged};
use ebbtide::{BufferPool, Pool, Pooled};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(|broken| broken.into_inner())
}

#[test]
fn one_lease_in_so_many_is_on_record_until_it_is_back() {
    let _alone = alone();
    let leaks = LeakDetector::new().with_sampling(256);
    let pool = Pool::builder().name("sampled").max_idle(20_000).build(|| vec![0_u8; 8]);
    // Made, and then found waiting: both are leases.
    for _ in 0..2 {
        let held: Vec<_> = (0..10_000).map(|_| pool.get()).collect();
        let line = line!() - 1;
        let leases = leaks.leases(Instant::now());
        let ours: Vec<_> = leases.iter().filter(|lease| lease.pool() == "sampled").collect();
        // One in 256, and up to 32 between them.
        assert!((34..=40).contains(&ours.len()), "{}", ours.len());
        assert!(ours.iter().all(|lease| lease.site().line() == line && lease.site().file() == file!()));
        drop(held);
        assert!(leaks.leases(Instant::now()).is_empty());
    }
    let single = (0..10_000).filter(|_| {
        let lease = pool.get();
        let is_on_record = !leaks.leases(Instant::now()).is_empty();
        drop(lease);
        is_on_record
    });
    let single = single.count();
    assert!((34..=40).contains(&single), "one at a time: {single}");
    drop(leaks);
    let held: Vec<_> = (0..1000).map(|_| pool.get()).collect();
    assert!(LeakDetector::new().leases(Instant::now()).is_empty(), "none without a detector");
    drop(held);
}

#[test]
fn a_record_tells_pool_tag_bytes_and_the_last_four_words() {
    let _alone = alone();
    let leaks = LeakDetector::new().with_sampling(1);
    let buffers = BufferPool::builder().name("frames").build();
    let take = || tagged("decoder", || buffers.get(1000));
    let held: Vec<_> = (0..1000).map(|_| take()).collect();
    for buffer in &held {
        for word in ["read", "parsed", "checked", "queued", "sent"] {
            buffer.touch(word);
        }
    }
    let leases = leaks.leases(Instant::now());
    let lease = leases.iter().find(|lease| lease.pool() == "frames").expect("one in 256 of 1,000");
    assert_eq!((lease.tag(), lease.class_bytes()), ("decoder", 1024));
    assert_eq!(lease.site().file(), file!(), "a new buffer is taken here, not in the crate");
    assert!((1024..1200).contains(&lease.bytes()));
    assert_eq!(lease.crumbs().collect::<Vec<_>>(), ["parsed", "checked", "queued", "sent"]);
    assert!(lease.backtrace().is_none());
    let text = lease.to_string();
    assert!(text.contains("`frames` under `decoder`") && text.contains("touched: `parsed`, `checked`"), "{text}");
    drop(held);
}

#[test]
fn an_old_lease_is_told_once_and_never_too_early() {
    let _alone = alone();
    let leaks = LeakDetector::new().with_sampling(256).with_age(Duration::from_secs(60));
    let pool = Pool::builder().name("old").build(String::new);
    let held: Vec<_> = (0..1000).map(|_| pool.get()).collect();
    let begin = Instant::now() + Duration::from_secs(1000); // A clock of its own.
    let at = |second| begin + Duration::from_secs(second);
    let mut told = Vec::new();
    let mut poll = |second| {
        let old = leaks.poll(at(second), |lease: &LeaseRecord| told.push((second, lease.age())));
        (old, told.len())
    };
    assert_eq!(poll(0), (0, 0));
    assert_eq!(poll(60), (0, 0), "not older yet");
    let (old, told_of) = poll(61);
    assert!(old > 0 && told_of == old, "{old} {told_of}");
    assert_eq!(poll(70), (old, old), "once");
    assert_eq!(poll(5), (old, old), "a clock that goes back makes nothing younger");
    drop(held);
    assert_eq!(poll(100), (0, old));
    assert!(told.iter().all(|told| *told == (61, Duration::from_secs(61))));
}

#[test]
fn a_leak_on_another_thread_is_sampled_too_and_settled_by_any() {
    let _alone = alone();
    let leaks = LeakDetector::new().with_sampling(256);
    let pool = Pool::new(String::new);
    let held =
        thread::scope(|threads| threads.spawn(|| (0..1000).map(|_| pool.get()).collect::<Vec<_>>()).join().unwrap());
    assert!(!leaks.leases(Instant::now()).is_empty());
    held.into_iter().for_each(|lease| drop(Pooled::detach(lease)));
    assert!(leaks.leases(Instant::now()).is_empty());
}

#[test]
fn at_most_a_thousand_leases_are_on_record_and_the_others_are_counted() {
    let _alone = alone();
    let leaks = LeakDetector::new().with_sampling(256);
    let pool = Pool::builder().max_idle(0).build(|| ());
    let before = leaks.unrecorded();
    let held: Vec<_> = (0..400_000).map(|_| pool.get()).collect();
    assert_eq!(leaks.leases(Instant::now()).len(), 1024);
    assert!(leaks.unrecorded() > before);
    drop(held);
    let held: Vec<_> = (0..1000).map(|_| pool.get()).collect();
    assert!(!leaks.leases(Instant::now()).is_empty(), "there is room again");
    drop(held);
}

#[test]
fn backtraces_are_captured_where_asked_for() {
    let _alone = alone();
    let leaks = LeakDetector::new().with_sampling(256).with_backtraces();
    let pool = Pool::new(String::new);
    let held: Vec<_> = (0..1000).map(|_| pool.get()).collect();
    let leases = leaks.leases(Instant::now());
    let trace = leases[0].backtrace().expect("captured").to_string();
    assert!(trace.contains("backtraces_are_captured_where_asked_for"), "{trace}");
    drop(held);
}

#[test]
fn new_buffers_are_sampled_as_often_as_values_and_whatever_was_looked_for_before() {
    let _alone = alone();
    let leaks = LeakDetector::new().with_sampling(256);
    let (empty, buffers) = (Pool::new(String::new), BufferPool::builder().name("sampled buffers").build());
    // A look that finds nothing may be the one that would be sampled.
    for _ in 0..10_000 {
        assert!(empty.try_get().is_none());
    }
    let held: Vec<_> = (0..10_000).map(|_| buffers.get(100)).collect();
    let leases = leaks.leases(Instant::now());
    let ours = leases.iter().filter(|lease| lease.pool() == "sampled buffers").count();
    assert!((34..=40).contains(&ours), "{ours}");
    drop(held);
}

#[test]
fn behind_a_full_fence_as_many_are_sampled() {
    let _alone = alone();
    let leaks = LeakDetector::new().with_sampling(256);
    let pool = Pool::builder().full_fence(true).build(String::new);
    let sampled = (0..10_000).filter(|_| {
        let lease = pool.get();
        let is_on_record = !leaks.leases(Instant::now()).is_empty();
        drop(lease);
        is_on_record
    });
    let sampled = sampled.count();
    assert!((34..=40).contains(&sampled), "{sampled}");
}

#[test]
fn what_one_thread_takes_and_another_gives_back_is_sampled_too() {
    let _alone = alone();
    let leaks = LeakDetector::new().with_sampling(256).with_age(Duration::ZERO);
    let pool = Pool::new(String::new);
    let (send, receive) = std::sync::mpsc::sync_channel::<Pooled<String>>(1000);
    let sampled = thread::scope(|threads| {
        threads.spawn(|| receive.into_iter().for_each(drop));
        let (mut sampled, mut now) = (0, Instant::now());
        for _ in 0..50_000 {
            let lease = pool.get();
            for _ in 0..2 {
                now += Duration::from_secs(1);
                leaks.poll(now, |_| sampled += 1);
            }
            send.send(lease).unwrap();
        }
        drop(send);
        sampled
    });
    // One in 256 is 195; what finds nothing at hand while a look is near is not counted.
    assert!((160..=196).contains(&sampled), "{sampled}");
}

#[test]
fn what_a_leak_scope_looks_at_is_sampled_too() {
    let _alone = alone();
    let leaks = LeakDetector::new().with_sampling(256);
    let pool = Pool::builder().name("in a scope").build(String::new);
    let scope = LeakScope::enter();
    let held: Vec<_> = (0..1000).map(|_| pool.get()).collect();
    let ours = || leaks.leases(Instant::now()).iter().filter(|lease| lease.pool() == "in a scope").count();
    let sampled = ours();
    assert!((2..=3).contains(&sampled), "{sampled}");
    let panic = catch_unwind(AssertUnwindSafe(|| scope.check())).expect_err("all are out");
    assert!(panic.downcast_ref::<String>().is_some_and(|text| text.starts_with("1000 leases")));
    assert_eq!(ours(), sampled, "the scope's end is not theirs");
    drop(held);
    assert_eq!(ours(), 0);
}
