//! The life of one body, over and over, for counting instructions: a buffer is taken, filled, frozen, cloned once, and both
//! are dropped; beside `Vec` to `Bytes`, and `BytesMut` frozen.
//!
//! Two runs of different length under callgrind; their difference, by the difference of the lengths, is what a life takes:
//!
//! ```sh
//! cargo build --release --example freeze
//! for way in ebbtide vec bytes_mut; do for size in 512 4096; do for lives in 1000 2000; do
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/freeze $way $size $lives 2>&1 | grep Collected
//! done; done; done
//! ```
//!
//! `freeze time 512 1000000` runs the three by turns and prints the nanoseconds of each.

use bytes::{Bytes, BytesMut};
use ebbtide::BufferPool;
use std::hint::black_box;
use std::time::Instant;

/// Turns that `time` takes.
const TURNS: usize = 25;

fn ebbtide(pool: &BufferPool, body: &[u8]) {
    let mut buffer = pool.get(body.len());
    buffer.extend_from_slice(body);
    black_box(buffer.freeze().clone());
}

fn vec(body: &[u8]) {
    let mut buffer = Vec::with_capacity(body.len());
    buffer.extend_from_slice(body);
    black_box(Bytes::from(buffer).clone());
}

fn bytes_mut(body: &[u8]) {
    let mut buffer = BytesMut::with_capacity(body.len());
    buffer.extend_from_slice(body);
    black_box(buffer.freeze().clone());
}

/// The least and the median nanoseconds a life, of each way.
fn time(pool: &BufferPool, body: &[u8], lives: usize) {
    let lives = (lives / TURNS).max(1);
    let ways: [(&str, &dyn Fn()); 3] =
        [("ebbtide", &|| ebbtide(pool, body)), ("vec", &|| vec(body)), ("bytes_mut", &|| bytes_mut(body))];
    let mut taken = [const { Vec::new() }; 3];
    for _ in 0..TURNS {
        for (way, taken) in ways.iter().zip(&mut taken) {
            let begin = Instant::now();
            (0..lives).for_each(|_| way.1());
            taken.push(begin.elapsed().as_nanos() as f64 / lives as f64);
        }
    }
    for ((name, _), mut taken) in ways.into_iter().zip(taken) {
        taken.sort_by(f64::total_cmp);
        println!("{name:>10}: {:6.1} ns at best, {:6.1} in the middle", taken[0], taken[TURNS / 2]);
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let way = arguments.next().unwrap_or_default();
    let mut number = || arguments.next().and_then(|number| number.parse().ok()).expect("a size and a number of lives");
    let (size, lives): (usize, usize) = (number(), number());
    let (pool, body) = (BufferPool::new(), black_box(vec![7; size]));
    match &*way {
        "ebbtide" => (0..lives).for_each(|_| ebbtide(&pool, &body)),
        "vec" => (0..lives).for_each(|_| vec(&body)),
        "bytes_mut" => (0..lives).for_each(|_| bytes_mut(&body)),
        "time" => time(&pool, &body, lives),
        _ => panic!("ebbtide, vec, bytes_mut or time"),
    }
}
