//! The life of a body: a buffer is taken, filled, frozen, shared and dropped, beside `Vec` and `BytesMut`.

mod allocator;

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ebbtide::BufferPool;
use std::hint::black_box;

fn life(c: &mut Criterion) {
    let mut group = c.benchmark_group("buffer");
    for size in [512, 4096] {
        let body = vec![7; size];
        let pool = BufferPool::new();
        group.bench_with_input(BenchmarkId::new("ebbtide", size), &body[..], |b, body| {
            b.iter(|| {
                let mut buffer = pool.get(body.len());
                buffer.extend_from_slice(body);
                black_box(buffer.freeze().clone());
            });
        });
        group.bench_with_input(BenchmarkId::new("vec_to_bytes", size), &body[..], |b, body| {
            b.iter(|| {
                let mut buffer = Vec::with_capacity(body.len());
                buffer.extend_from_slice(body);
                black_box(Bytes::from(buffer).clone());
            });
        });
        group.bench_with_input(BenchmarkId::new("bytes_mut", size), &body[..], |b, body| {
            b.iter(|| {
                let mut buffer = BytesMut::with_capacity(body.len());
                buffer.extend_from_slice(body);
                black_box(buffer.freeze().clone());
            });
        });
    }
}

criterion_group!(benches, life);
criterion_main!(benches);
