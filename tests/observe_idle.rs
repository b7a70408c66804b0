//! What is idle, by tag: whose it is, and what ends it. `tests/sequences/tags.rs` has all of it in scripts.

use ebbtide::observe::{LeakScope, Ledger, TagEntry, tagged};
use ebbtide::{BufferPool, Pool, Pooled, Reset, Verdict};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;

fn books(tag: &str) -> TagEntry {
    let mut found = TagEntry::default();
    Ledger::process().each_tag(|entry| {
        if entry.tag == tag {
            found = *entry;
        }
    });
    found
}

fn idle(tag: &str) -> (u64, u64) {
    let entry = books(tag);
    (entry.idle, entry.idle_bytes)
}

fn vectors() -> Pool<Vec<u8>> {
    Pool::new(|| Vec::with_capacity(1000))
}

#[test]
fn what_came_back_is_idle_of_the_tag_whose_lease_gave_it_back_last() {
    let pool = vectors();
    let lease = tagged("idle of one", || pool.get());
    assert_eq!(idle("idle of one"), (0, 0));
    drop(lease);
    let bytes = pool.stats().charged_bytes;
    assert_eq!((idle("idle of one"), books("idle of one").retained_bytes()), ((1, bytes), bytes));

    let lease = tagged("idle of another", || pool.get());
    assert_eq!((idle("idle of one"), idle("idle of another")), ((0, 0), (0, 0)), "it is out");
    drop(lease);
    assert_eq!((idle("idle of one"), idle("idle of another")), ((0, 0), (1, bytes)));
    drop(tagged("idle of another", || pool.get()));
    assert_eq!(idle("idle of another"), (1, bytes), "the same tag again");
}

#[test]
fn what_is_lent_under_no_name_still_counts_with_the_bytes_that_it_comes_back_with() {
    let pool = vectors();
    drop(tagged("lent on", || pool.get()));
    let before = idle("lent on");
    let mut lease = pool.get();
    assert_eq!(pool.stats().idle, 0);
    lease.reserve_exact(5000);
    assert_eq!(idle("lent on"), before);
    drop(lease);
    assert_eq!(idle("lent on"), (1, pool.stats().charged_bytes));
    assert!(idle("lent on").1 >= before.1 + 4000);
    pool.get().shrink_to(0);
    assert_eq!(idle("lent on"), (1, pool.stats().charged_bytes));
    // One that is looked at, under no name.
    let leaks = LeakScope::enter();
    pool.get().reserve_exact(300);
    leaks.check();
    assert_eq!(idle("lent on"), (1, pool.stats().charged_bytes));
}

#[test]
fn what_grew_under_a_tag_is_idle_with_what_it_is_charged_then() {
    let pool = Pool::new(Vec::<u8>::new);
    tagged("grows", || pool.get().reserve_exact(5000));
    assert_eq!(idle("grows"), (1, pool.stats().charged_bytes));
    // One without a place in its pool finds one when it comes back.
    let narrow = Pool::builder().max_idle(1).build(|| Vec::<u8>::with_capacity(100));
    let leases = tagged("placed late", || [narrow.get(), narrow.get()]);
    let [first, second] = leases;
    drop(Pooled::detach(first));
    drop(second);
    assert_eq!(idle("placed late"), (1, narrow.stats().charged_bytes));
}

#[test]
fn what_leaves_its_pool_is_idle_of_nobody() {
    type End = fn(Pool<Vec<u8>>);
    let ends: [(&str, End); 7] = [
        ("trimmed", |pool| {
            while pool.stats().idle > 0 {
                pool.trim();
            }
        }),
        ("cleared", |pool| pool.clear()),
        ("closed", |pool| pool.close()),
        ("ended", drop),
        ("detached", |pool| drop(Pooled::detach(pool.get()))),
        ("in a panic", |pool| {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                let _lease = pool.get();
                panic!("with a lease");
            }));
            assert!(caught.is_err());
        }),
        ("after the pool", |pool| {
            let lease = pool.get();
            drop(pool);
            drop(lease);
        }),
    ];
    for (tag, end) in ends {
        let pool = vectors();
        drop(tagged(tag, || pool.get()));
        assert_eq!(idle(tag).0, 1, "{tag}");
        end(pool);
        assert_eq!(idle(tag), (0, 0), "{tag}");
    }
}

/// Says at its drop how much was idle then.
struct Refused(mpsc::Sender<(u64, u64)>);

impl Reset for Refused {
    fn reset(&mut self) -> Verdict {
        Verdict::Discard
    }
}

impl Drop for Refused {
    fn drop(&mut self) {
        self.0.send(idle("refused")).unwrap();
    }
}

#[test]
fn what_is_discarded_when_it_comes_back_is_not_idle() {
    let (send, seen) = mpsc::channel();
    let pool = Pool::new(move || Refused(send.clone()));
    drop(tagged("refused", || pool.get()));
    assert_eq!(seen.recv(), Ok((0, 0)));
    let none = Pool::builder().max_idle(0).build(String::new);
    drop(tagged("no room", || none.get()));
    assert_eq!(idle("no room"), (0, 0));
}

#[test]
fn a_buffer_is_idle_when_its_last_part_is_back() {
    let buffers = BufferPool::new();
    let mut buffer = tagged("buffer, idle", || buffers.get(4096));
    buffer.extend_from_slice(b"some");
    let out = books("buffer, idle").outstanding_bytes;
    let whole = buffer.freeze();
    let part = whole.slice(1..3);
    drop(whole);
    assert_eq!(idle("buffer, idle"), (0, 0));
    drop(part);
    assert_eq!(idle("buffer, idle"), (1, out));
    // One that grows is another lease, of another block.
    tagged("buffer, idle", || buffers.get(4096).extend_from_slice(&[0; 10_000]));
    assert_eq!((idle("buffer, idle").0, buffers.stats().idle), (2, 2));
}

#[test]
fn what_threads_leave_idle_adds_up_to_what_the_pool_has() {
    const NAMES: [&str; 3] = ["threads: a", "threads: b", "threads: c"];
    let pool = Pool::builder().max_thread_idle(4).max_idle(40).build(Vec::<u8>::new);
    let taken = AtomicU64::new(0);
    let (send, receive) = mpsc::sync_channel::<Pooled<Vec<u8>>>(32);
    thread::scope(|threads| {
        for thread in 0..3 {
            let (pool, send, taken) = (&pool, send.clone(), &taken);
            threads.spawn(move || {
                for round in 0..3000 {
                    let mut value = tagged(NAMES[(thread + round) % 3], || pool.get());
                    taken.fetch_add(1, Relaxed);
                    value.reserve((round % 7) * 100);
                    match round % 5 {
                        0 => drop(Pooled::detach(value)),
                        1 | 2 => send.send(value).unwrap(),
                        _ => drop(value),
                    }
                    if round % 500 == 0 {
                        pool.trim();
                    }
                }
            });
        }
        drop(send);
        receive.into_iter().for_each(drop);
    });
    let all = NAMES.map(books);
    let sum = |of: fn(&TagEntry) -> u64| all.iter().map(of).sum::<u64>();
    assert_eq!((sum(|tag| tag.taken), sum(|tag| tag.outstanding)), (taken.into_inner(), 0));
    let stats = pool.stats();
    assert!(stats.idle > 0, "{stats:?}");
    assert_eq!((sum(|tag| tag.idle), sum(|tag| tag.idle_bytes)), (stats.idle, stats.charged_bytes));
    drop(pool);
    assert!(NAMES.iter().all(|tag| idle(tag) == (0, 0)));
}
