//! Leaks in tests: exact, by scope, under test threads side by side; and over a whole process.

use ebbtide::observe::{LeakScope, leaked_on_purpose, tagged};
use ebbtide::{BufferPool, Pool, Pooled, Scopes};
use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::thread;

/// What a scope says at its end.
fn said(leaks: LeakScope) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(|| leaks.check())).err()?;
    panic.downcast_ref::<String>().cloned()
}

#[test]
fn a_scope_names_each_lease_that_is_out() {
    let pool = Pool::builder().name("leaked").build(String::new);
    drop(pool.get()); // Idle: found by the short way, if that were open.
    let leaks = LeakScope::enter();
    let kept = tagged("keeps", || pool.get());
    let line = line!() - 1;
    Pooled::touch(&kept, "looked at");
    drop(pool.get());
    let text = said(leaks).expect("one is out");
    assert!(text.starts_with("1 lease is out:\n"), "{text}");
    let site = format!("bytes of `leaked` under `keeps`, taken at {}:{line}:", file!());
    assert!(text.contains(&site) && text.contains("touched: `looked at`"), "{text}");
    drop(kept);
    drop(pool.get());
}

#[test]
fn try_get_names_its_caller() {
    let pool = Pool::new(String::new);
    drop(pool.get());
    let leaks = LeakScope::enter();
    let kept = pool.try_get().expect("an idle one");
    let line = line!() - 1;
    let text = said(leaks).expect("one is out");
    assert!(text.contains(&format!("taken at {}:{line}:", file!())), "{text}");
    drop(kept);
}

#[test]
fn what_is_back_before_the_end_is_no_leak_wherever_it_came_back() {
    let (pool, buffers) = (Pool::new(String::new), BufferPool::new());
    let leaks = LeakScope::enter();
    let lease = pool.get();
    thread::spawn(move || drop(lease)).join().unwrap();
    drop(Pooled::detach(pool.get()));
    let mut buffer = buffers.get(10);
    buffer.extend_from_slice(&[7; 100_000]);
    drop(buffer.freeze().into_bytes());
    let request = Scopes::new().begin();
    request.scope().lease(&pool).push('x');
    drop(request);
    leaks.check();
}

#[test]
fn what_was_taken_before_or_elsewhere_is_not_looked_at() {
    let pool = Pool::new(String::new);
    let before = pool.get();
    let leaks = LeakScope::enter();
    let elsewhere = thread::scope(|threads| threads.spawn(|| pool.get()).join().unwrap());
    assert_eq!(said(leaks), None);
    drop((before, elsewhere));
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_and_tasks_that_enter_it_count() {
    let pool = Pool::new(String::new);
    let leaks = LeakScope::enter();
    let handle = leaks.handle();
    let from_thread = thread::scope(|threads| {
        let taking = || {
            let _entered = handle.enter();
            pool.get()
        };
        threads.spawn(taking).join().unwrap()
    });
    let taking = {
        let pool = pool.clone();
        async move {
            tokio::task::yield_now().await;
            pool.get()
        }
    };
    let from_task = tokio::spawn(handle.within(taking)).await.unwrap();
    let text = said(leaks).expect("two are out");
    assert!(text.starts_with("2 leases are out:\n"), "{text}");
    drop((from_thread, from_task));
}

#[test]
fn scopes_nest_and_each_looks_at_its_own() {
    let pool = Pool::new(String::new);
    let outer = LeakScope::enter();
    let inner = LeakScope::enter();
    let lost = pool.get();
    assert!(said(inner).is_some());
    let kept = pool.get();
    assert!(said(outer).is_some_and(|text| text.starts_with("1 lease")));
    drop((lost, kept));
}

#[test]
fn what_leaks_on_purpose_is_left_out() {
    let pool = Pool::new(String::new);
    let leaks = LeakScope::enter();
    leaked_on_purpose(|| forget(pool.get()));
    leaks.check();
}

#[test]
fn a_panic_in_the_test_is_not_replaced() {
    let pool = Pool::new(String::new);
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let _leaks = LeakScope::enter();
        leaked_on_purpose(|| forget(pool.get()));
        let _kept = pool.get();
        panic!("the test's own");
    }));
    assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"the test's own"));
}

/// Runs one of the tests below as a process of its own that is watched as a whole.
fn run_watched(test: &str) -> std::process::Output {
    let mut process = Command::new(std::env::current_exe().unwrap());
    process.args(["--exact", test, "--ignored"]).env("EBBTIDE_POOLS", "leaks").output().unwrap()
}

#[test]
#[ignore = "leaks, for the test below"]
fn leaking() {
    forget(Pool::builder().name("lost").build(String::new).get());
}

#[test]
#[ignore = "leaks not, for the test below"]
fn not_leaking() {
    let pool = Pool::new(String::new);
    drop(pool.get());
    leaked_on_purpose(|| forget(pool.get()));
    thread::spawn(move || drop(pool.get())).join().unwrap();
}

#[test]
fn a_watched_process_ends_badly_when_something_is_out() {
    let leaking = run_watched("leaking");
    let text = String::from_utf8(leaking.stderr).unwrap();
    assert_eq!(leaking.status.code(), Some(86), "{text}");
    assert!(text.contains("ebbtide: leaked: ") && text.contains("`lost`") && text.contains(file!()), "{text}");
    let fine = run_watched("not_leaking");
    assert_eq!(fine.status.code(), Some(0), "{}", String::from_utf8_lossy(&fine.stderr));
}

#[test]
fn scopes_that_end_in_another_order_each_look_at_their_own() {
    let pool = Pool::new(String::new);
    let (one, two) = (LeakScope::enter(), LeakScope::enter());
    assert_eq!(said(one), None);
    let lost = pool.get();
    assert!(said(two).is_some_and(|text| text.starts_with("1 lease")), "it still looks");
    drop(lost);
    // And nothing of them is left.
    let leaks = LeakScope::enter();
    leaks.check();
    drop(pool.get());
}

#[test]
#[ignore = "leaks in a panic, for the test below"]
fn leaking_in_a_panic() {
    let pool = Pool::new(String::new);
    let _leaks = LeakScope::enter();
    forget(pool.get());
    panic!("the test's own");
}

#[test]
#[cfg(target_os = "linux")]
fn a_leak_that_cannot_be_told_in_a_panic_does_not_abort() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut process = Command::new(std::env::current_exe().unwrap());
    process.args(["--exact", "leaking_in_a_panic", "--ignored", "--nocapture"]).stderr(full);
    assert_eq!(process.output().unwrap().status.code(), Some(101));
}
