//! Taking a value from a pool and giving it back, beside the plain ways to have one.

mod allocator;

use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime};
use ebbtide::{Pool, Verdict};
use std::cell::RefCell;
use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// Bytes of room in a vector.
const ROOM: usize = 4096;
/// Values that are out at once in a burst.
const BURST: usize = 64;

/// Boxed, as in the pool: a stack of bare vectors moves three words each way, and takes more than twice as long here.
type Boxed = Box<Vec<u8>>;

thread_local! {
    static VECTORS: RefCell<Vec<Boxed>> = const { RefCell::new(Vec::new()) };
}

/// The plain pool: a stack of one thread.
fn pop() -> Boxed {
    VECTORS.with_borrow_mut(Vec::pop).unwrap_or_else(|| Box::new(Vec::with_capacity(ROOM)))
}

fn push(mut vector: Boxed) {
    vector.clear();
    VECTORS.with_borrow_mut(|vectors| vectors.push(vector));
}

fn pooled() -> Pool<Vec<u8>> {
    Pool::new(|| Vec::with_capacity(ROOM))
}

/// The use: 64 of the bytes are written.
fn write(vector: &mut Vec<u8>) {
    vector.extend_from_slice(black_box(&[7; 64]));
    black_box(vector);
}

fn vector(c: &mut Criterion) {
    let mut group = c.benchmark_group("pool/vector_4k");
    let pool = pooled();
    group.bench_function("ebbtide", |b| b.iter(|| write(&mut pool.get())));
    // What a system without `membarrier` gets.
    let fenced = Pool::builder().full_fence(true).build(|| Vec::with_capacity(ROOM));
    group.bench_function("full_fence", |b| b.iter(|| write(&mut fenced.get())));
    group.bench_function("thread_local", |b| {
        b.iter(|| {
            let mut vector = pop();
            write(&mut vector);
            push(vector);
        });
    });
    group.bench_function("fresh", |b| b.iter(|| write(&mut Vec::with_capacity(ROOM))));
}

fn object(c: &mut Criterion) {
    let mut group = c.benchmark_group("pool/object_1k");
    let pool = Pool::with_reset(|| [0_u8; 1024], |object| object[0] = 0);
    group.bench_function("ebbtide", |b| b.iter(|| pool.get()[0] = black_box(7)));
    group.bench_function("fresh", |b| b.iter(|| black_box(Box::new([0_u8; 1024]))[0] = black_box(7)));
}

/// A value that is costly to make: the table of a CRC-32.
fn table() -> Box<[u32; 256]> {
    Box::new(std::array::from_fn(|byte| {
        (0..8).fold(black_box(byte as u32), |rest, _| if rest & 1 == 1 { rest >> 1 ^ 0xEDB8_8320 } else { rest >> 1 })
    }))
}

fn costly(c: &mut Criterion) {
    let mut group = c.benchmark_group("pool/costly");
    let pool = Pool::with_reset(table, |_| Verdict::Keep);
    group.bench_function("ebbtide", |b| b.iter(|| black_box(pool.get()[7])));
    group.bench_function("fresh", |b| b.iter(|| black_box(table()[7])));
}

fn burst(c: &mut Criterion) {
    let mut group = c.benchmark_group("pool/burst_64");
    let pool = pooled();
    let mut out = Vec::with_capacity(BURST);
    group.bench_function("ebbtide", |b| {
        b.iter(|| {
            out.extend((0..BURST).map(|_| pool.get()));
            out.iter_mut().for_each(|vector| write(vector));
            out.clear();
        });
    });
    let mut out = Vec::with_capacity(BURST);
    group.bench_function("thread_local", |b| {
        b.iter(|| {
            out.extend((0..BURST).map(|_| pop()));
            out.iter_mut().for_each(|vector| write(vector));
            out.drain(..).for_each(push);
        });
    });
    let mut out = Vec::with_capacity(BURST);
    group.bench_function("fresh", |b| {
        b.iter(|| {
            out.extend((0..BURST).map(|_| Vec::with_capacity(ROOM)));
            out.iter_mut().for_each(write);
            out.clear();
        });
    });
}

/// The time that two threads take for `rounds` each, both at once.
fn both_at_once(rounds: u64, once: &(impl Fn() + Sync)) -> Duration {
    let (ready, done) = (Barrier::new(3), Barrier::new(3));
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                ready.wait();
                (0..rounds).for_each(|_| once());
                done.wait();
            });
        }
        ready.wait();
        let start = Instant::now();
        done.wait();
        start.elapsed()
    })
}

fn bench_both(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, once: impl Fn() + Sync) {
    group.bench_function(name, |b| b.iter_custom(|rounds| both_at_once(rounds, &once)));
}

fn two_threads(c: &mut Criterion) {
    let mut group = c.benchmark_group("pool/two_threads");
    let pool = pooled();
    bench_both(&mut group, "ebbtide", || write(&mut pool.get()));
    bench_both(&mut group, "thread_local", || {
        let mut vector = pop();
        write(&mut vector);
        push(vector);
    });
    bench_both(&mut group, "fresh", || write(&mut Vec::with_capacity(ROOM)));
}

criterion_group!(benches, vector, object, costly, burst, two_threads);
criterion_main!(benches);
