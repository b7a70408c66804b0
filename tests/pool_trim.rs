//! How much one call of `trim` does, and how much one thread has at hand.

use ebbtide::{DropReason, Pool, Pooled};
use std::sync::mpsc;
use std::thread;

#[test]
fn one_call_of_trim_frees_at_most_256_values() {
    // However long the chains are in which they wait.
    for thread_values in [1, 32, 3000] {
        let pool = Pool::builder().max_idle(10_000).max_thread_idle(thread_values).build(String::new);
        drop((0..10_000).map(|_| pool.get()).collect::<Vec<_>>());
        let mut calls = 0;
        while pool.stats().live > 0 {
            let before = pool.stats();
            let done = pool.trim();
            let freed = before.live - pool.stats().live;
            assert!(freed <= 256, "{freed} freed at once, {thread_values} at a thread's hand");
            assert_eq!(before.idle - pool.stats().idle, freed);
            calls += 1;
            assert!(done || calls < 200, "no end");
        }
        assert_eq!(pool.stats().drops(DropReason::Aged), 10_000);
    }
}

#[test]
fn a_thread_at_work_keeps_what_it_uses_and_loses_the_rest_to_trims() {
    let pool = Pool::new(String::new);
    let used = |values: usize| drop((0..values).map(|_| pool.get()).collect::<Vec<_>>());
    used(100);
    for _ in 0..20 {
        used(10);
        while !pool.trim() {}
    }
    let idle = pool.stats().idle;
    assert!((10..=20).contains(&idle), "{idle}");
    let made = pool.stats().made;
    used(10);
    assert_eq!(pool.stats().made, made, "what it uses stays");
    drop(pool.get());
}

#[test]
fn a_thread_has_no_more_at_hand_than_it_may() {
    // More chains than the depot has room for, so that many become one.
    let pool = Pool::builder().max_idle(10_000).max_thread_idle(1).build(String::new);
    drop((0..10_000).map(|_| pool.get()).collect::<Vec<_>>());
    let takes = || {
        let mut values = Vec::new();
        // The first of a chain is the thread's, one waits at its hand, and the next comes by another fetch.
        for fetches in 0..1000 {
            values.extend([pool.get(), pool.get()]);
            assert_eq!(pool.stats().fetches, fetches + 1, "{} taken", values.len());
        }
    };
    std::thread::scope(|scope| scope.spawn(takes).join().unwrap());
    assert_eq!(pool.stats().made, 10_000);
}

/// Takes values until a fetch is needed, and says how many came before it. They stay out.
fn taken_before_a_fetch(pool: &Pool<String>, out: &mut Vec<Pooled<String>>) -> usize {
    let (fetches, before) = (pool.stats().fetches, out.len());
    while pool.stats().fetches == fetches {
        out.push(pool.try_get().expect("there is more"));
    }
    out.len() - before - 1
}

#[test]
fn a_trim_leaves_256_values_of_a_large_hoard_at_hand() {
    const VALUES: usize = 100_000;
    let pool = Pool::builder().max_idle(VALUES).max_thread_idle(VALUES).build(String::new);
    let mut out: Vec<_> = (0..VALUES).map(|_| pool.get()).collect();
    out.clear();
    assert_eq!(pool.stats().fetches, 0);
    drop(pool.get());
    while !pool.trim() {}
    let stats = pool.stats();
    assert_eq!((stats.live, stats.idle), (VALUES as u64, VALUES as u64), "nothing is lost");
    assert_eq!(taken_before_a_fetch(&pool, &mut out), 256);
    // It fetches back what it wants, in pieces that are walked, and the last of it is the 256 that were at hand.
    assert_eq!(taken_before_a_fetch(&pool, &mut out), 256);
    assert_eq!(pool.stats().made, VALUES as u64);
    // What it does not fetch is freed by the next step.
    while !pool.trim() {}
    assert!(pool.stats().live <= 1024, "{:?}", pool.stats());
}

type Work = Box<dyn FnOnce() + Send>;

/// Threads that do, one after the other, what they are told.
struct Crew(Vec<(mpsc::Sender<Work>, mpsc::Receiver<()>)>);

impl Crew {
    fn new(threads: usize) -> Self {
        let begin = |_| {
            let (work, works) = mpsc::channel::<Work>();
            let (done, is_done) = mpsc::channel();
            thread::spawn(move || {
                for work in works {
                    work();
                    done.send(()).expect("somebody waits");
                }
            });
            (work, is_done)
        };
        Self((0..threads).map(begin).collect())
    }

    fn each(&self, pool: &Pool<String>, work: fn(&Pool<String>)) {
        for (thread, is_done) in &self.0 {
            let pool = pool.clone();
            thread.send(Box::new(move || work(&pool))).expect("it runs");
            is_done.recv().expect("it does not panic");
        }
    }
}

/// The calls of one step, when nothing is old.
fn calls(pool: &Pool<String>) -> usize {
    1 + core::iter::from_fn(|| (!pool.trim()).then_some(())).count()
}

#[test]
fn a_step_comes_to_many_threads_in_many_calls() {
    let crew = Crew::new(16);
    let pool = Pool::builder().max_idle(100_000).max_thread_idle(1000).build(String::new);
    crew.each(&pool, |pool| {
        drop((0..1000).map(|_| pool.get()).collect::<Vec<_>>());
        drop(pool.get());
    });
    // Each keeps 256 of its 1000, and that is as much as one call does.
    assert_eq!(calls(&pool), 16);
    assert_eq!(pool.stats().live, 16_000);
    // All have taken nothing since: nothing is kept.
    while !pool.trim() {}
    while !pool.trim() {}
    assert_eq!(pool.stats().live, 0);
}

#[test]
fn one_call_of_trim_frees_the_shells_of_a_few_threads() {
    let crew = Crew::new(16);
    let pool = Pool::builder().max_idle(100_000).build(String::new);
    crew.each(&pool, |pool| {
        let values: Vec<_> = (0..64).map(|_| pool.get()).collect();
        values.into_iter().for_each(|value| drop(Pooled::detach(value)));
    });
    assert_eq!(pool.stats().live, 0);
    // 64 of each thread.
    assert_eq!(calls(&pool), 4);
    assert_eq!(calls(&pool), 1);
}
