//! Allocating in a request's arena, beside bumpalo by itself and the heap.

mod allocator;

use bumpalo::Bump;
use criterion::{Criterion, criterion_group, criterion_main};
use ebbtide::Scopes;
use std::cell::RefCell;
use std::hint::black_box;
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

/// What a request allocates: 40 values of 16 to 512 bytes, 4 strings, and a vector that grows to 4 KiB.
struct Request {
    values: Vec<Vec<u8>>,
    strings: [&'static str; 4],
}

/// The vector grows to this many bytes, from a quarter of it, by 64 at a time.
const VECTOR: usize = 4096;
const STEP: [u8; 64] = [7; 64];

impl Request {
    fn new() -> Self {
        let values = (0..40).map(|i| vec![7; 16 + i * 137 % 497]).collect();
        Self { values, strings: ["id", "content-type", "application/json", "a path with some words in it"] }
    }

    fn on_heap(&self) {
        let values: Vec<Box<[u8]>> = self.values.iter().map(|value| value[..].into()).collect();
        let strings = self.strings.map(str::to_owned);
        let mut vector = Vec::with_capacity(VECTOR / 4);
        (0..VECTOR / STEP.len()).for_each(|_| vector.extend_from_slice(&STEP));
        black_box((values, strings, vector));
    }

    fn in_bump(&self, bump: &Bump) {
        for value in &self.values {
            black_box(bump.alloc_slice_copy(value));
        }
        black_box(self.strings.map(|text| bump.alloc_str(text)));
        let mut vector = bumpalo::collections::Vec::with_capacity_in(VECTOR / 4, bump);
        (0..VECTOR / STEP.len()).for_each(|_| vector.extend_from_slice_copy(&STEP));
        black_box(vector.into_bump_slice());
    }

    fn in_scope(&self, scopes: &Scopes) {
        let request = scopes.begin();
        let scope = request.scope();
        let mut arena = scope.arena();
        for value in &self.values {
            black_box(arena.alloc_slice_copy(value));
        }
        black_box(self.strings.map(|text| arena.alloc_str(text)));
        let mut vector = arena.vec(VECTOR / 4);
        (0..VECTOR / STEP.len()).for_each(|_| vector.extend_from_slice(&STEP));
        black_box(vector.into_slice());
    }
}

thread_local! {
    static KEPT: RefCell<Bump> = RefCell::new(Bump::new());
}

fn whole_request(c: &mut Criterion) {
    let mut group = c.benchmark_group("arena/whole_request");
    let (request, scopes) = (Request::new(), Scopes::new());
    group.bench_function("ebbtide", |b| b.iter(|| request.in_scope(&scopes)));
    group.bench_function("heap", |b| b.iter(|| request.on_heap()));
    group.bench_function("bumpalo_fresh", |b| b.iter(|| request.in_bump(&Bump::new())));
    group.bench_function("bumpalo_kept", |b| {
        b.iter(|| {
            KEPT.with_borrow_mut(|bump| {
                request.in_bump(bump);
                bump.reset();
            });
        });
    });
}

criterion_group!(benches, one_value, whole_request);
criterion_main!(benches);
