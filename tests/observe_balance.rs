//! The balance of single requests: what was taken under a tag and is still out when a request has ended is named.

use ebbtide::observe::{Imbalance, Ledger, tagged};
use ebbtide::request::with_current;
use ebbtide::{BufferPool, Pool, Pooled, RequestGuard, Scopes};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;

/// For tests that fill the audit, or find it full.
static AUDIT: Mutex<()> = Mutex::new(());

fn imbalances(tag: &str) -> (u64, Vec<Imbalance>) {
    let mut requests = 0;
    Ledger::process().each_tag(|entry| {
        if entry.tag == tag {
            requests = entry.imbalances;
        }
    });
    let mut kinds = Vec::new();
    Ledger::process().each_imbalance(|kind| {
        if kind.tag == tag {
            kinds.push(*kind);
        }
    });
    (requests, kinds)
}

/// Runs `f` as the code of a request.
fn within<R>(request: &RequestGuard, f: impl FnOnce() -> R) -> R {
    with_current(&mut Some(request.handle()), f)
}

#[test]
fn what_outlives_its_request_is_named_by_tag_pool_and_count() {
    let scopes = Scopes::new();
    let pool = Pool::builder().name("parsers of balance").build(String::new);
    let buffers = BufferPool::builder().name("buffers of balance").build();
    let mut kept = Vec::new();
    for _ in 0..3 {
        let request = scopes.begin();
        within(&request, || {
            tagged("unbalanced", || {
                kept.push((pool.get(), pool.get(), buffers.get(1000)));
                drop(pool.get());
            });
        });
        drop(request);
    }
    let (requests, kinds) = imbalances("unbalanced");
    assert_eq!(requests, 3);
    let of = |name| kinds.iter().find(|kind| kind.pool == name).copied().expect("named");
    let (parsers, buffers) = (of("parsers of balance"), of("buffers of balance"));
    assert_eq!((parsers.class_bytes, parsers.requests, parsers.values), (0, 3, 6));
    assert_eq!((buffers.class_bytes, buffers.requests, buffers.values), (1024, 3, 3));
    drop(kept);
    assert_eq!(imbalances("unbalanced").0, 3, "what comes back late is not taken back from the count");
}

#[test]
fn what_goes_back_with_its_request_or_leaves_the_pool_is_in_balance() {
    let scopes = Scopes::new();
    let pool = Pool::new(String::new);
    let request = scopes.begin();
    let scope = request.scope();
    let detached = within(&request, || {
        tagged("balanced", || {
            scope.lease(&pool).push('x');
            let elsewhere = pool.get();
            thread::spawn(move || drop(elsewhere)).join().unwrap();
            Pooled::detach(pool.get())
        })
    });
    drop(request);
    drop((scope, detached));
    assert_eq!(imbalances("balanced"), (0, vec![]));
}

#[test]
fn a_request_that_panicked_is_audited_too() {
    let scopes = Scopes::new();
    let pool = Pool::new(String::new);
    let request = scopes.begin();
    let scope = request.scope();
    let kept = within(&request, || {
        tagged("panicked", || {
            scope.lease(&pool);
            pool.get()
        })
    });
    drop(scope);
    request.poison();
    drop(request);
    let (requests, kinds) = imbalances("panicked");
    assert_eq!((requests, kinds.len(), kinds[0].values), (1, 1, 1));
    drop(kept);
}

#[test]
fn a_late_return_counts_for_no_later_request() {
    let _audit = AUDIT.lock();
    let scopes = Scopes::new();
    let pool = Pool::new(String::new);
    let first = scopes.begin();
    let late = within(&first, || tagged("late return", || pool.get()));
    drop(first);
    // As many requests as there are blocks, so that each block is used again.
    let others: Vec<_> = (0..1024)
        .map(|_| {
            let request = scopes.begin();
            let lease = within(&request, || tagged("late return", || pool.get()));
            (request, lease)
        })
        .collect();
    drop(late);
    let leases: Vec<_> = others.into_iter().map(|(request, lease)| (drop(request), lease).1).collect();
    let audited = 1025 - Ledger::process().unaudited();
    assert_eq!(imbalances("late return").0, audited);
    drop(leases);
}

#[test]
fn without_a_request_nothing_is_audited() {
    let pool = Pool::new(String::new);
    let scopes = Scopes::new();
    let request = scopes.begin();
    let lease = tagged("no request", || pool.get());
    drop(request);
    assert_eq!(imbalances("no request").0, 0);
    drop(lease);
}

#[test]
fn a_request_that_leaves_more_out_than_one_count_holds_is_one_request() {
    let _audit = AUDIT.lock();
    let scopes = Scopes::new();
    let pool = Pool::new(|| ());
    let request = scopes.begin();
    let kept: Vec<_> = within(&request, || tagged("very many", || (0..5000).map(|_| pool.get()).collect()));
    drop(request);
    let (requests, kinds) = imbalances("very many");
    assert_eq!((requests, kinds.len()), (1, 1));
    assert_eq!((kinds[0].requests, kinds[0].values), (1, 5000));
    drop(kept);
}

#[test]
fn a_take_while_something_unwinds_does_not_poison_its_request() {
    let _audit = AUDIT.lock();
    struct TakesInDrop(Pool<String>);
    impl Drop for TakesInDrop {
        fn drop(&mut self) {
            drop(tagged("while unwinding", || self.0.get()));
        }
    }
    let scopes = Scopes::new();
    let request = scopes.begin();
    within(&request, || {
        let takes = TakesInDrop(Pool::new(String::new));
        let caught = catch_unwind(AssertUnwindSafe(move || {
            let _takes = takes;
            panic!("with a value that takes in its drop");
        }));
        assert!(caught.is_err());
    });
    drop(request);
    assert_eq!((scopes.stats().poisoned, imbalances("while unwinding").0), (0, 0));
}

#[test]
fn an_imbalance_is_named_while_pools_come_and_go() {
    let _audit = AUDIT.lock();
    let scopes = Scopes::new();
    let pool = Pool::builder().name("stays").build(String::new);
    thread::scope(|threads| {
        let coming = threads.spawn(|| (0..20_000).for_each(|_| drop(Pool::new(String::new).get())));
        while !coming.is_finished() {
            let request = scopes.begin();
            let lease = within(&request, || tagged("while pools come", || pool.get()));
            drop(request);
            drop(lease);
        }
    });
    assert!(imbalances("while pools come").1.iter().all(|kind| kind.pool == "stays"));
}
