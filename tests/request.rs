//! Scopes, guards and the arena, as their docs promise them.

use ebbtide::{Outcome, Pool, Reset, Scope, ScopeEnded, Scopes, Verdict};
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<&'static str>>>);

impl Log {
    fn note(&self, what: &'static str) {
        self.0.lock().unwrap().push(what);
    }
    fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Notes its drop.
struct Noted(Log, &'static str);

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.note(self.1);
    }
}

#[test]
fn everything_goes_back_when_the_guard_drops() {
    let scopes = Scopes::new();
    let pool = Pool::new(Vec::<u8>::new);
    let request = scopes.begin();
    let scope = request.scope();
    scope.lease(&pool).push(1);
    scope.lease(&pool).push(2);
    scope.arena().alloc_str("text");
    assert_eq!((pool.stats().outstanding(), scopes.stats().open()), (2, 1));
    drop(scope);
    assert_eq!(pool.stats().outstanding(), 2, "only the guard's drop ends the request");
    drop(request);
    assert_eq!((pool.stats().outstanding(), pool.stats().idle), (0, 2));
    assert_eq!((scopes.stats().open(), scopes.stats().idle, scopes.stats().late), (0, 1, 0));
    assert!(pool.get().is_empty());
}

#[test]
fn the_ending_is_in_order_last_in_first_out() {
    let log = Log::default();
    let scopes = Scopes::new();
    let leased = log.clone();
    let pool = Pool::with_reset(|| 0u8, move |_| leased.note("lease"));
    {
        let request = scopes.begin();
        let scope = request.scope();
        let mut arena = scope.arena();
        scope.lease(&pool);
        arena.alloc_with_drop(Noted(log.clone(), "drop 1"));
        arena.alloc_with_drop(Noted(log.clone(), "drop 2"));
        for name in ["cleanup 1", "cleanup 2"] {
            let log = log.clone();
            scope.on_end(move |ending| {
                assert_eq!(ending.outcome(), Outcome::Finished);
                log.note(name);
            });
        }
        assert!(log.take().is_empty());
    }
    assert_eq!(log.take(), ["cleanup 2", "cleanup 1", "drop 2", "drop 1", "lease"]);
}

#[test]
fn a_late_scope_keeps_the_memory_and_is_counted() {
    let scopes = Scopes::new();
    let pool = Pool::new(String::new);
    let request = scopes.begin();
    let (scope, handle) = (request.scope(), request.handle());
    let text = scope.arena().alloc_str("still here");
    scope.lease(&pool).push('x');
    drop(request);
    assert_eq!(text, "still here");
    assert_eq!((scopes.stats().open(), pool.stats().outstanding()), (1, 1));
    assert_eq!(handle.enter().unwrap_err(), ScopeEnded);
    let another = scope.clone();
    drop(scope);
    assert_eq!(scopes.stats().open(), 1);
    drop(another);
    assert_eq!((scopes.stats().open(), scopes.stats().late, pool.stats().outstanding()), (0, 1, 0));
}

#[test]
fn an_escaped_handle_fails_clearly_and_never_enters_another_request() {
    let scopes = Scopes::new();
    let escaped = scopes.begin().handle();
    for _ in 0..3 {
        let _next = scopes.begin(); // in the same slot
        assert_eq!(escaped.enter().unwrap_err().to_string(), "request scope used after the request ended");
    }
    assert_eq!(scopes.stats().idle, 1);
}

#[test]
fn a_leaked_scope_retires_its_slot() {
    let scopes = Scopes::new();
    let request = scopes.begin();
    let scope: &'static Scope = Box::leak(Box::new(request.scope()));
    let text = scope.arena().alloc_str("for ever");
    drop(request);
    drop(scopes.begin());
    assert_eq!(text, "for ever");
    assert_eq!((scopes.stats().open(), scopes.stats().idle), (1, 1));
}

#[test]
fn addresses_repeat_after_the_reset() {
    let scopes = Scopes::new();
    let addresses = || {
        let request = scopes.begin();
        let scope = request.scope();
        let mut arena = scope.arena();
        (0..100).map(|i| std::ptr::from_ref(arena.alloc([i; 10])).addr()).collect::<Vec<_>>()
    };
    // The first request grows block by block; the largest stays.
    addresses();
    assert_eq!(addresses(), addresses());
}

#[test]
fn alignments_and_sizes() {
    #[repr(align(4096))]
    struct Page(#[allow(dead_code)] u8);
    let scopes = Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let mut arena = scope.arena();
    assert_eq!(std::ptr::from_ref(arena.alloc(Page(1))).addr() % 4096, 0);
    assert_eq!(std::ptr::from_ref(arena.alloc(1u64)).addr() % 8, 0);
    arena.alloc(());
    assert!(arena.alloc_slice_copy::<u8>(&[]).is_empty());
    assert_eq!(arena.alloc_slice_fill_with(3, |i| i * 2), [0, 2, 4]);
    assert_eq!(arena.alloc_slice_fill_with(1 << 20, |_| 7u8).len(), 1 << 20);
}

#[test]
fn text_that_is_not_utf8_becomes_replacement_characters() {
    let scopes = Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let mut arena = scope.arena();
    for bytes in [&b""[..], b"plain", b"a\xffb", b"\xf0\x9f\x98", b"\xe2\x82\xacuro\xc0"] {
        assert_eq!(*arena.alloc_str_lossy(bytes), *String::from_utf8_lossy(bytes));
    }
}

#[test]
fn two_growing_vectors_need_two_cursors() {
    let scopes = Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let (mut first, mut second) = (scope.arena(), scope.arena());
    let mut numbers = first.vec::<u32>(0);
    let mut text = second.string(0);
    for number in 0..1000 {
        numbers.push(number);
        write!(text, "{number},").unwrap();
    }
    assert_eq!(numbers.pop(), Some(999));
    numbers.truncate(10);
    numbers.extend_from_slice(&[1, 2]);
    let (numbers, text) = (numbers.into_slice(), text.into_str());
    assert_eq!(numbers[8..], [8, 9, 1, 2]);
    assert!(text.ends_with("998,999,"));
}

#[test]
fn more_cursors_than_lanes() {
    let scopes = Scopes::new();
    for _ in 0..2 {
        let request = scopes.begin();
        let scope = request.scope();
        let mut cursors: Vec<_> = (0..20).map(|_| scope.arena()).collect();
        let texts: Vec<_> = cursors.iter_mut().enumerate().map(|(i, arena)| arena.alloc(i)).collect();
        assert!(texts.iter().enumerate().all(|(i, value)| **value == i));
    }
}

#[test]
fn cursors_work_on_several_threads_at_once() {
    let scopes = Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    std::thread::scope(|threads| {
        for thread in 0..4u64 {
            let scope = &scope;
            threads.spawn(move || {
                for round in 0..100 {
                    let mut arena = scope.arena();
                    let values = arena.alloc_slice_fill_with(50, |i| thread * 1000 + round + i as u64);
                    assert!(values.iter().enumerate().all(|(i, value)| *value == thread * 1000 + round + i as u64));
                }
            });
        }
    });
}

#[test]
fn a_forgotten_cursor_is_taken_until_the_request_ends() {
    let scopes = Scopes::new();
    for _ in 0..20 {
        let request = scopes.begin();
        let scope = request.scope();
        (0..10).for_each(|_| std::mem::forget(scope.arena()));
        assert_eq!(scope.arena().alloc_str("fine"), "fine");
    }
}

#[test]
fn a_panic_in_a_hook_stops_none_of_the_others() {
    let log = Log::default();
    let scopes = Scopes::new();
    {
        let request = scopes.begin();
        let scope = request.scope();
        let notes = [log.clone(), log.clone()];
        let [first, last] = notes;
        scope.on_end(move |_| first.note("first"));
        scope.on_end(|_| panic!("a cleanup"));
        scope.on_end(move |_| last.note("last"));
        let mut arena = scope.arena();
        arena.alloc_with_drop(Noted(log.clone(), "dropped"));
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("a value's drop");
            }
        }
        arena.alloc_with_drop(Bomb);
    }
    assert_eq!(log.take(), ["last", "first", "dropped"]);
    assert_eq!((scopes.stats().hook_panics, scopes.stats().open(), scopes.stats().idle), (2, 0, 1));
}

#[test]
fn a_panicked_request_is_discarded_and_the_next_one_is_clean() {
    let log = Log::default();
    let scopes = Scopes::new();
    let pool = Pool::new(Vec::<u8>::new);
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let request = scopes.begin();
        let scope = request.scope();
        scope.lease(&pool).push(1);
        let log = log.clone();
        scope.on_end(move |ending| {
            assert_eq!(ending.outcome(), Outcome::Panicked);
            log.note("told");
        });
        panic!("in the handler");
    }));
    assert!(caught.is_err());
    assert_eq!(log.take(), ["told"]);
    let stats = scopes.stats();
    assert_eq!((stats.poisoned, stats.idle, stats.open(), stats.hook_panics), (1, 0, 0, 0));
    assert_eq!((pool.stats().idle, pool.stats().live), (0, 0));
    drop(scopes.begin());
    assert_eq!(scopes.stats().idle, 1);
}

#[test]
fn a_hook_that_panics_while_the_request_panics_does_not_abort() {
    let scopes = Scopes::new();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let request = scopes.begin();
        request.scope().on_end(|_| panic!("on top of the other"));
        panic!("in the handler");
    }));
    assert!(caught.is_err());
    assert_eq!((scopes.stats().hook_panics, scopes.stats().open()), (1, 0));
}

#[test]
fn abort_and_poison_decide_the_outcome() {
    let scopes = Scopes::new();
    let outcome = |end: fn(&ebbtide::RequestGuard)| {
        let told = Arc::new(Mutex::new(None));
        let tell = Arc::clone(&told);
        let request = scopes.begin();
        request.scope().on_end(move |ending| *tell.lock().unwrap() = Some(ending.outcome()));
        end(&request);
        drop(request);
        told.lock().unwrap().take().unwrap()
    };
    assert_eq!(outcome(|request| request.abort()), Outcome::Aborted);
    assert_eq!(outcome(|request| request.poison()), Outcome::Panicked);
    assert_eq!(outcome(|_| ()), Outcome::Finished);
}

#[test]
fn locals_are_one_a_type_busy_while_borrowed_and_reset_between_requests() {
    #[derive(Debug, Default)]
    struct Client {
        name: String,
        visits: u32,
    }
    impl Reset for Client {
        fn reset(&mut self) -> Verdict {
            self.visits = 0;
            self.name.reset()
        }
    }
    let scopes = Scopes::new();
    for _ in 0..2 {
        let request = scopes.begin();
        let scope = request.scope();
        {
            let mut client = scope.local::<Client>().unwrap();
            assert_eq!((client.name.as_str(), client.visits), ("", 0));
            client.name.push_str("ada");
            client.visits += 1;
            assert!(scope.local::<Client>().unwrap_err().to_string().contains("Client is in use"));
            assert!(scope.local::<Vec<u8>>().is_ok());
        }
        assert_eq!(scope.local::<Client>().unwrap().visits, 1);
    }
}

#[test]
fn retained_memory_stays_within_its_bound() {
    let scopes = Scopes::builder().retain_bytes(10_000).build();
    let used = |bytes: usize| {
        let request = scopes.begin();
        let scope = request.scope();
        std::ptr::from_ref(scope.arena().alloc_slice_fill_with(bytes, |_| 0u8)).addr()
    };
    let small = used(4000);
    assert_eq!(used(4000), small, "kept");
    used(1 << 20);
    let request = scopes.begin();
    let scope = request.scope();
    scope.local::<Vec<u8>>().unwrap().reserve(1 << 20);
    drop((scope, request));
    let request = scopes.begin();
    assert_eq!(request.scope().local::<Vec<u8>>().unwrap().capacity(), 0);
}

#[test]
fn more_requests_than_slots_are_kept() {
    let scopes = Scopes::builder().max_idle(2).build();
    drop((0..5).map(|_| scopes.begin()).collect::<Vec<_>>());
    assert_eq!((scopes.stats().idle, scopes.stats().ended), (2, 5));
    let none = Scopes::builder().max_idle(0).build();
    drop(none.begin());
    assert_eq!(none.stats().idle, 0);
}

#[test]
fn requests_outlive_the_last_handle_of_the_scopes() {
    let log = Log::default();
    let scopes = Scopes::new();
    drop(scopes.begin());
    let request = scopes.begin();
    request.scope().arena().alloc_with_drop(Noted(log.clone(), "dropped"));
    drop(scopes);
    assert!(log.take().is_empty());
    drop(request);
    assert_eq!(log.take(), ["dropped"]);
}

#[test]
fn a_cleanup_may_begin_a_request_of_its_own() {
    let scopes = Scopes::new();
    let inner = scopes.clone();
    let request = scopes.begin();
    request.scope().on_end(move |_| drop(inner.begin()));
    drop(request);
    assert_eq!((scopes.stats().begun, scopes.stats().ended), (2, 2));
}
