//! What request slots keep between requests, as the docs of `Scopes` promise it.

use ebbtide::pool::process_bytes;
use ebbtide::request::ScopesBuilder;
use ebbtide::{Reset, Scope, ScopeStats, Scopes, Verdict};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What the budget of the process says is every test's here, so they take turns.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> impl Sized {
    TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Runs a request that takes `bytes` in values of 100, as a parser would.
fn serve(scopes: &Scopes, bytes: usize) {
    let request = scopes.begin();
    take(&request.scope(), bytes);
}

fn take(scope: &Scope, bytes: usize) {
    let mut arena = scope.arena();
    (0..bytes / 100).for_each(|_| _ = arena.alloc([0_u8; 100]));
}

/// Serves `count` requests, of which `open` at a time: the size of each is told by its number.
fn serve_many(scopes: &Scopes, open: usize, count: usize, size: impl Fn(usize) -> usize) {
    let mut slots: Vec<_> = (0..open).map(|_| None).collect();
    for number in 0..count {
        let slot = &mut slots[number % open];
        // The one before ends first.
        *slot = None;
        let request = scopes.begin();
        take(&request.scope(), size(number));
        *slot = Some(request);
    }
}

/// Bytes that an idle slot keeps, without the slot itself.
fn kept_by_slot(scopes: &Scopes) -> u64 {
    let stats = scopes.stats();
    assert_eq!(stats.open(), 0);
    let bare = Scopes::new();
    drop(bare.begin());
    stats.retained_bytes / stats.idle - bare.stats().retained_bytes
}

#[test]
fn one_large_request_in_a_hundred_is_not_what_slots_keep() {
    let _turn = turn();
    let scopes = Scopes::builder().retain_bytes(8 << 20).build();
    // Large ones fall on each of the 64 slots.
    serve_many(&scopes, 64, 10_000, |number| if number % 101 == 7 { 400_000 } else { 4000 });
    let stats = scopes.stats();
    assert_eq!((stats.idle, stats.open()), (64, 0), "{stats:?}");
    assert!(kept_by_slot(&scopes) <= 2 * 4032, "{stats:?}");
    assert!(stats.retained_bytes < 2 * 400_000, "not 64 times the largest: {stats:?}");
    assert!((4000..5000).contains(&stats.request_bytes_p50), "{stats:?}");
    assert!((400_000..800_000).contains(&stats.request_bytes_largest), "{stats:?}");
}

#[test]
fn what_slots_keep_follows_sizes_that_grow_and_shrink() {
    let _turn = turn();
    let scopes = Scopes::new();
    for size in [1000, 10_000, 50_000, 100_000] {
        (0..1000).for_each(|_| serve(&scopes, size));
        let kept = kept_by_slot(&scopes) as usize;
        assert!((size..=size * 5 / 2 + 1000).contains(&kept), "{kept} for {size}");
    }
    (0..11_000).for_each(|_| serve(&scopes, 1000));
    assert!(kept_by_slot(&scopes) <= 2 * 1216, "{:?}", scopes.stats());
}

#[test]
fn a_typical_request_runs_in_one_block() {
    let _turn = turn();
    let scopes = Scopes::new();
    serve(&scopes, 20_000);
    serve(&scopes, 20_000);
    let kept = kept_by_slot(&scopes);
    assert!((20_000..=2 * 20_416).contains(&kept), "{kept}");
    let request = scopes.begin();
    let scope = request.scope();
    let mut arena = scope.arena();
    let addresses: Vec<_> = (0..200).map(|_| std::ptr::from_ref(arena.alloc([0_u8; 100])).addr()).collect();
    let (low, high) = (addresses.iter().min().unwrap(), addresses.iter().max().unwrap());
    assert_eq!(high - low, 199 * 100, "one value beside the other");
}

#[test]
fn a_slot_keeps_no_more_than_its_bound() {
    let _turn = turn();
    for (bound, least) in [(0, 0), (1000, 960), (10_000, 8128), (100_000, 98_240)] {
        let scopes = Scopes::builder().retain_bytes(bound).build();
        (0..100).for_each(|_| serve(&scopes, 500_000));
        serve(&scopes, 100);
        let kept = kept_by_slot(&scopes) as usize;
        assert!((least..=bound).contains(&kept), "{kept} of {bound}");
    }
}

#[derive(Default)]
struct Kept(Vec<u8>);

impl Reset for Kept {
    fn reset(&mut self) -> Verdict {
        self.0.reset()
    }
    fn retained_bytes(&self) -> usize {
        self.0.retained_bytes()
    }
}

#[test]
fn locals_count_for_what_a_slot_keeps() {
    let _turn = turn();
    let scopes = Scopes::builder().retain_bytes(100_000).build();
    let with_local = |bytes: usize| {
        let request = scopes.begin();
        request.scope().local::<Kept>().unwrap().0.reserve_exact(bytes);
    };
    with_local(60_000);
    assert!((60_000..61_000).contains(&kept_by_slot(&scopes)), "{:?}", scopes.stats());
    with_local(200_000);
    assert!(kept_by_slot(&scopes) < 1000, "dropped: {:?}", scopes.stats());
}

/// Says when it is dropped.
#[derive(Default)]
struct Noted(Option<std::sync::mpsc::Sender<()>>);

impl Reset for Noted {
    fn reset(&mut self) -> Verdict {
        Verdict::Keep
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        if let Some(sender) = &self.0 {
            sender.send(()).unwrap();
        }
    }
}

#[test]
fn a_handle_that_is_kept_keeps_nothing_of_a_slot_that_was_freed() {
    let _turn = turn();
    let (send, dropped) = std::sync::mpsc::channel();
    let scopes = Scopes::new();
    let request = scopes.begin();
    let handle = request.handle();
    request.scope().local::<Noted>().unwrap().0 = Some(send);
    drop(request);
    assert!(dropped.try_recv().is_err(), "kept with the slot");
    (0..3).for_each(|_| _ = scopes.trim());
    assert!(dropped.try_recv().is_ok());
    assert!(handle.enter().is_err());
}

#[test]
fn requests_that_take_nothing_count_too() {
    let _turn = turn();
    let scopes = Scopes::new();
    (0..1000).for_each(|_| serve(&scopes, 100_000));
    assert!(kept_by_slot(&scopes) >= 100_000);
    (0..11_000).for_each(|_| drop(scopes.begin()));
    assert_eq!(kept_by_slot(&scopes), 0);
}

#[test]
fn the_lists_of_a_slot_keep_a_page_each() {
    let _turn = turn();
    let scopes = Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    for _ in 0..10_000 {
        scope.on_end(|_| ());
    }
    drop((scope, request));
    assert_eq!(kept_by_slot(&scopes), 4096);
}

#[test]
fn all_slots_together_keep_no_more_than_their_bound() {
    let _turn = turn();
    const BOUND: u64 = 1 << 20;
    let scopes = Scopes::builder().retain_total_bytes(BOUND as usize).build();
    serve_many(&scopes, 100, 1000, |_| 50_000);
    let stats = scopes.stats();
    assert!(stats.idle < 25 && stats.retained_bytes <= BOUND, "{stats:?}");
    assert!(stats.retained_bytes > BOUND / 2, "{stats:?}");
    assert_eq!((stats.begun, stats.ended), (1000, 1000));
}

#[test]
fn slots_count_against_the_budget_of_the_process() {
    let _turn = turn();
    let before = process_bytes();
    let scopes = Scopes::new();
    serve_many(&scopes, 10, 100, |_| 50_000);
    assert_eq!(process_bytes() - before, scopes.stats().retained_bytes as usize);
    assert!(scopes.stats().retained_bytes > 10 * 50_000);
    drop(scopes);
    assert_eq!(process_bytes(), before);
}

fn burst(builder: ScopesBuilder) -> Scopes {
    let scopes = builder.build();
    drop(
        (0..500)
            .map(|_| (scopes.begin(), scopes.begin().scope().arena().alloc([0_u8; 1000]).len()))
            .collect::<Vec<_>>(),
    );
    assert!(scopes.stats().idle >= 500);
    scopes
}

#[test]
fn after_a_burst_three_trims_free_all() {
    let _turn = turn();
    let before = process_bytes();
    let scopes = burst(Scopes::builder());
    for step in 0..3 {
        assert!(scopes.stats().idle > 0, "not before step {step}");
        while !scopes.trim() {}
    }
    let stats = scopes.stats();
    assert_eq!((stats.idle, stats.retained_bytes, process_bytes()), (0, 0, before));
    drop(scopes.begin());
    assert_eq!((scopes.stats().idle, scopes.stats().open()), (1, 0), "and they work on");
}

#[test]
fn a_trim_leaves_what_is_in_use() {
    let _turn = turn();
    let scopes = burst(Scopes::builder().age_every(Duration::from_secs(10)));
    let begin = Instant::now();
    for second in 0..60 {
        serve(&scopes, 1000);
        while !scopes.trim_at(begin + Duration::from_secs(second)) {}
    }
    let idle = scopes.stats().idle;
    assert!((1..50).contains(&idle), "one at work, and what lies at the thread's hand: {idle}");
}

#[test]
fn requests_that_end_on_other_threads_leave_memory_flat() {
    let _turn = turn();
    let scopes = Scopes::new();
    let (send, receive) = std::sync::mpsc::sync_channel(4);
    thread::scope(|threads| {
        threads.spawn(|| receive.into_iter().for_each(drop));
        for _ in 0..20_000 {
            let request = scopes.begin();
            take(&request.scope(), 1000);
            send.send(request).unwrap();
        }
        drop(send);
    });
    let stats = scopes.stats();
    assert_eq!((stats.begun, stats.ended), (20_000, 20_000));
    assert!(stats.idle < 200, "{stats:?}");
}

#[test]
fn ten_thousand_short_threads_leave_memory_flat() {
    let _turn = turn();
    let scopes = Scopes::new();
    for _ in 0..5000 {
        // Joined, since the end of a scope does not wait for a thread to give back what it has at hand.
        let threads = [scopes.clone(), scopes.clone()].map(|scopes| thread::spawn(move || serve(&scopes, 1000)));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
    let stats = scopes.stats();
    assert_eq!((stats.begun, stats.ended), (10_000, 10_000));
    assert!(stats.idle <= 4, "{stats:?}");
}

#[test]
fn a_leaked_scope_is_counted_and_costs_its_slot_only() {
    let _turn = turn();
    let scopes = Scopes::new();
    let request = scopes.begin();
    let late = request.scope();
    assert_eq!(scopes.stats().late_open, 0, "its guard is still there");
    drop(request);
    assert_eq!((scopes.stats().late_open, scopes.stats().open(), scopes.stats().late), (1, 1, 0));
    drop(late);
    assert_eq!((scopes.stats().late_open, scopes.stats().open(), scopes.stats().late), (0, 0, 1));
    let request = scopes.begin();
    std::mem::forget(request.scope());
    drop(request);
    (0..100).for_each(|_| serve(&scopes, 1000));
    let stats = scopes.stats();
    assert_eq!((stats.late_open, stats.open(), stats.late, stats.idle), (1, 1, 1, 1));
}

#[test]
fn open_requests_free_their_slots_when_no_handle_is_left() {
    let _turn = turn();
    let before = process_bytes();
    let scopes = Scopes::new();
    let (begun, ended) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let theirs = (scopes.clone(), Arc::clone(&begun), Arc::clone(&ended));
    let other = thread::spawn(move || {
        let (scopes, begun, ended) = theirs;
        let request = scopes.begin();
        let scope = request.scope();
        let text = scope.arena().alloc_str("still here");
        drop(scopes);
        begun.wait();
        ended.wait();
        assert_eq!(text, "still here");
    });
    begun.wait();
    drop(scopes);
    ended.wait();
    other.join().unwrap();
    assert_eq!(process_bytes(), before);
}

#[test]
fn used_and_wasted_bytes_are_told() {
    let _turn = turn();
    let scopes = Scopes::new();
    serve(&scopes, 1000);
    let ScopeStats { used_bytes, wasted_bytes, request_bytes_p99, request_bytes_largest, .. } = scopes.stats();
    // In blocks of 448 and 960 bytes, with the end of the first lost.
    assert_eq!((used_bytes + wasted_bytes, request_bytes_largest), (448 + 960, used_bytes));
    assert_eq!((used_bytes, request_bytes_p99), (448 + 600, 448 + 600));
}

#[test]
fn arena_and_locals_keep_no_more_than_the_bound_together() {
    let _turn = turn();
    let scopes = Scopes::builder().retain_bytes(100_000).build();
    for _ in 0..50 {
        let request = scopes.begin();
        let scope = request.scope();
        scope.arena().alloc_slice_fill_with(60_000, |_| 0_u8);
        scope.local::<Vec<u8>>().unwrap().reserve_exact(60_000);
    }
    assert!((60_000..=100_000).contains(&kept_by_slot(&scopes)), "{:?}", scopes.stats());
}
