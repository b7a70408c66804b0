//! Buffers that grow, pooled and not: `cargo run --release --bin growing [-- ROUNDS]`. Beside it `go/growing` does the same
//! work with Go's `sync.Pool`, whose gain is mostly that of fewer collections.

use ebbtide::Pool;
use ebbtide::bench::{CountingAllocator, Interval, median, totals};
use std::hint::black_box;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

const REQUESTS: usize = 10_000;
const PIECE: [u8; 512] = [7; 512];
/// The largest body, in pieces: 64 KiB.
const LARGEST: usize = 128;

/// Appends so many pieces, as a handler that renders its response.
#[inline(never)]
fn grow(buffer: &mut Vec<u8>, pieces: usize) {
    (0..pieces).for_each(|_| buffer.extend_from_slice(black_box(&PIECE)));
    black_box(buffer);
}

/// Megabytes allocated in all, and nanoseconds a request.
fn measure(mut way: impl FnMut(usize)) -> (f64, f64) {
    let (before, began) = (totals(), Instant::now());
    (0..REQUESTS).for_each(|i| way(1 + i * 37 % LARGEST));
    let took = began.elapsed();
    (totals().since(before).bytes as f64 / 1e6, took.as_nanos() as f64 / REQUESTS as f64)
}

fn main() {
    let rounds = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(15).max(1);
    let pool = Pool::new(Vec::<u8>::new);
    let fresh = || measure(|pieces| grow(&mut Vec::new(), pieces));
    let pooled = || measure(|pieces| grow(&mut pool.get(), pieces));
    // The first round warms up.
    let measured: Vec<_> = (0..=rounds).map(|_| [fresh(), pooled()]).skip(1).collect();
    println!("Rust, {rounds} rounds of {REQUESTS} requests\n");
    println!("| | allocated in all, MB | ns a request |\n|---|---:|---:|");
    let column =
        |way: usize, of: fn((f64, f64)) -> f64| measured.iter().map(|both| of(both[way])).collect::<Vec<f64>>();
    for (way, name) in ["fresh", "pooled"].into_iter().enumerate() {
        println!("| Rust, {name} | {:.1} | {:.0} |", median(&column(way, |of| of.0)), median(&column(way, |of| of.1)));
    }
    let ahead = Interval::of_ratios(&column(0, |of| of.1), &column(1, |of| of.1));
    println!("\nThe pool is {ahead} times ahead.");
}
