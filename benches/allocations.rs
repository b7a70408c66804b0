//! Allocations instead of time: what is taken from the heap by pool, buffer and request in steady state, beside the plain way.
//!
//! criterion makes no estimate of zero, so that those lines are printed by themselves.

#[path = "mixed/mod.rs"]
mod mixed;

use criterion::{Criterion, criterion_group, criterion_main};
use ebbtide::bench::{Allocations, CountingAllocator, bench_or_zero};
use ebbtide::{BufferPool, Pool, Scopes};
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

/// Bytes in a body.
const BODY: [u8; 4096] = [7; 4096];

fn values(c: &mut Criterion<Allocations>) {
    let pool = Pool::new(|| Vec::<u8>::with_capacity(BODY.len()));
    bench_or_zero(c, "allocations/vector_4k/ebbtide", || pool.get().extend_from_slice(black_box(&BODY)));
    bench_or_zero(c, "allocations/vector_4k/fresh", || black_box(BODY.to_vec()));
}

fn bodies(c: &mut Criterion<Allocations>) {
    let buffers = BufferPool::new();
    let frozen = || {
        let mut buffer = buffers.get(BODY.len());
        buffer.extend_from_slice(black_box(&BODY));
        buffer.freeze()
    };
    bench_or_zero(c, "allocations/body_4k/ebbtide", || drop(frozen().clone()));
    // What axum and tonic ask for.
    bench_or_zero(c, "allocations/body_4k/ebbtide_into_bytes", || drop(frozen().into_bytes().clone()));
    bench_or_zero(c, "allocations/body_4k/vec_to_bytes", || drop(bytes::Bytes::from(black_box(BODY).to_vec()).clone()));
}

fn requests(c: &mut Criterion<Allocations>) {
    let (request, scopes) = (mixed::Mixed::new(), Scopes::new());
    bench_or_zero(c, "allocations/mixed_request/ebbtide", || request.in_scope(&scopes));
    bench_or_zero(c, "allocations/mixed_request/heap", || request.on_heap());
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(Allocations);
    targets = values, bodies, requests
}
criterion_main!(benches);
