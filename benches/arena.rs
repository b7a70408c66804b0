//! Allocating in a request's arena, beside bumpalo by itself and the heap.

mod allocator;
mod mixed;

use bumpalo::Bump;
use criterion::{Criterion, criterion_group, criterion_main};
use ebbtide::Scopes;
use mixed::Mixed;
use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// Allocations between two resets, so that the reset does not count in the cost of one.
const CHUNK: u64 = 1024;

type Value = [u64; 4];

/// The time of `rounds` allocations, made by `chunk` some at a time.
fn in_chunks(rounds: u64, mut chunk: impl FnMut(u64)) -> Duration {
    let start = Instant::now();
    (0..rounds / CHUNK).for_each(|_| chunk(CHUNK));
    chunk(rounds % CHUNK);
    start.elapsed()
}

fn one_value(c: &mut Criterion) {
    let mut group = c.benchmark_group("arena/one_value");
    let scopes = Scopes::new();
    group.bench_function("ebbtide", |b| {
        b.iter_custom(|rounds| {
            in_chunks(rounds, |count| {
                let request = scopes.begin();
                let scope = request.scope();
                let mut arena = scope.arena();
                (0..count).for_each(|_| _ = black_box(arena.alloc::<Value>(black_box([7; 4]))));
            })
        });
    });
    let mut bump = Bump::new();
    group.bench_function("bumpalo", |b| {
        b.iter_custom(|rounds| {
            in_chunks(rounds, |count| {
                (0..count).for_each(|_| _ = black_box(bump.alloc::<Value>(black_box([7; 4]))));
                bump.reset();
            })
        });
    });
    group.bench_function("box", |b| b.iter(|| black_box(Box::<Value>::new(black_box([7; 4])))));
}

fn whole_request(c: &mut Criterion) {
    let mut group = c.benchmark_group("arena/whole_request");
    let (request, scopes) = (Mixed::new(), Scopes::new());
    group.bench_function("ebbtide", |b| b.iter(|| request.in_scope(&scopes)));
    group.bench_function("heap", |b| b.iter(|| request.on_heap()));
    group.bench_function("bumpalo_fresh", |b| b.iter(|| request.in_bump(&Bump::new())));
    group.bench_function("bumpalo_kept", |b| b.iter(|| request.in_kept_bump()));
    group.bench_function("fixed_block", |b| b.iter(|| request.in_fixed_block()));
}

/// The time of `rounds` on each of two threads at once.
fn on_two_threads(rounds: u64, one: &(impl Fn() + Sync)) -> Duration {
    let begin = Barrier::new(2);
    let work = || {
        begin.wait();
        let start = Instant::now();
        (0..rounds).for_each(|_| one());
        start.elapsed()
    };
    thread::scope(|threads| {
        let other = threads.spawn(work);
        work().max(other.join().expect("no panic in a bench"))
    })
}

fn whole_request_on_two_threads(c: &mut Criterion) {
    let mut group = c.benchmark_group("arena/whole_request_on_two_threads");
    let (request, scopes) = (Mixed::new(), Scopes::new());
    group.bench_function("ebbtide", |b| b.iter_custom(|n| on_two_threads(n, &|| request.in_scope(&scopes))));
    group.bench_function("heap", |b| b.iter_custom(|n| on_two_threads(n, &|| request.on_heap())));
    group.bench_function("bumpalo_kept", |b| b.iter_custom(|n| on_two_threads(n, &|| request.in_kept_bump())));
    group.bench_function("fixed_block", |b| b.iter_custom(|n| on_two_threads(n, &|| request.in_fixed_block())));
}

criterion_group!(benches, one_value, whole_request, whole_request_on_two_threads);
criterion_main!(benches);
