//! Taking a value from a pool and giving it back, beside the plain ways to have one.

mod allocator;

use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime};
use crossbeam_queue::ArrayQueue;
use ebbtide::{Pool, Pooled, Reset, Verdict};
use std::cell::RefCell;
use std::hint::{black_box, spin_loop};
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// Bytes of room in a vector.
const ROOM: usize = 4096;
/// Values under way between two threads.
const CHANNEL: usize = 64;

/// Boxed, as in the pool: a stack of bare vectors moves three words each way, and takes more than twice as long here.
type Boxed = Box<Vec<u8>>;

thread_local! {
    static VECTORS: RefCell<Vec<Boxed>> = const { RefCell::new(Vec::new()) };
    #[allow(clippy::vec_box)] // the box is what moves
    static OBJECTS: RefCell<Vec<Box<Object>>> = const { RefCell::new(Vec::new()) };
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

/// An object of 1 KiB that remembers how much of it is in use.
struct Object {
    used: usize,
    bytes: [u8; 1016],
}

impl Object {
    fn new() -> Self {
        Self { used: 0, bytes: [0; 1016] }
    }
}

impl Reset for Object {
    fn reset(&mut self) -> Verdict {
        self.used = 0;
        Verdict::Keep
    }
}

/// As `write`.
fn mark(object: &mut Object) {
    object.bytes[..64].copy_from_slice(black_box(&[7; 64]));
    object.used = 64;
    black_box(object);
}

fn object(c: &mut Criterion) {
    let mut group = c.benchmark_group("pool/object_1k");
    let pool = Pool::new(Object::new);
    group.bench_function("ebbtide", |b| b.iter(|| mark(&mut pool.get())));
    group.bench_function("thread_local", |b| {
        b.iter(|| {
            let mut object = OBJECTS.with_borrow_mut(Vec::pop).unwrap_or_else(|| Box::new(Object::new()));
            mark(&mut object);
            object.reset();
            OBJECTS.with_borrow_mut(|objects| objects.push(object));
        });
    });
    group.bench_function("fresh", |b| b.iter(|| mark(&mut Box::new(Object::new()))));
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

/// So many vectors at once, of which the last `lost` do not come back.
fn many(c: &mut Criterion, name: &str, at_once: usize, lost: usize) {
    let mut group = c.benchmark_group(name);
    let kept = at_once - lost;
    let pool = pooled();
    let mut out = Vec::with_capacity(at_once);
    group.bench_function("ebbtide", |b| {
        b.iter(|| {
            out.extend((0..at_once).map(|_| pool.get()));
            out.iter_mut().for_each(|vector| write(vector));
            out.drain(kept..).for_each(|vector| drop(Pooled::detach(vector)));
            out.clear();
        });
    });
    let mut out = Vec::with_capacity(at_once);
    group.bench_function("thread_local", |b| {
        b.iter(|| {
            out.extend((0..at_once).map(|_| pop()));
            out.iter_mut().for_each(|vector| write(vector));
            out.truncate(kept);
            out.drain(..).for_each(push);
        });
    });
    let mut out = Vec::with_capacity(at_once);
    group.bench_function("fresh", |b| {
        b.iter(|| {
            out.extend((0..at_once).map(|_| Vec::with_capacity(ROOM)));
            out.iter_mut().for_each(write);
            out.clear();
        });
    });
}

fn bursts(c: &mut Criterion) {
    many(c, "pool/burst_64", 64, 0);
    many(c, "pool/put_100_take_100", 100, 0);
    many(c, "pool/put_67_take_100", 100, 33);
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

/// The time of `rounds` values that one thread makes and another drops, through a queue that both poll.
fn crossing<V: Send>(rounds: u64, make: &(impl Fn() -> V + Sync)) -> Duration {
    let queue = ArrayQueue::new(CHANNEL);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for _ in 0..rounds {
                let mut value = make();
                while let Err(refused) = queue.push(value) {
                    value = refused;
                    spin_loop();
                }
            }
        });
        let start = Instant::now();
        for _ in 0..rounds {
            while queue.pop().is_none() {
                spin_loop();
            }
        }
        start.elapsed()
    })
}

fn bench_crossing<V: Send>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, make: impl Fn() -> V + Sync) {
    group.bench_function(name, |b| b.iter_custom(|rounds| crossing(rounds, &make)));
}

/// Beside other pools: `benches/peers`, where the threads stay.
fn taken_here_dropped_there(c: &mut Criterion) {
    let mut group = c.benchmark_group("pool/taken_here_dropped_there");
    let pool = pooled();
    bench_crossing(&mut group, "ebbtide", || {
        let mut vector = pool.get();
        write(&mut vector);
        vector
    });
    bench_crossing(&mut group, "fresh", || {
        let mut vector = Vec::with_capacity(ROOM);
        write(&mut vector);
        vector
    });
    bench_crossing(&mut group, "a_number", || black_box(7_usize));
}

criterion_group!(benches, vector, object, costly, bursts, two_threads, taken_here_dropped_there);
criterion_main!(benches);
