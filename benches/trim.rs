//! How long trimming holds anybody up: the longest single call with a million idle values, and the longest `get` and drop
//! beside it, of another thread, or of the one that has them all at its hand. Printed, not compared: one thread put off its processor in the midst of a call shows here too.

mod allocator;

use ebbtide::Pool;
use std::fmt;
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Idle values; under `cargo test --benches`, which only looks whether it runs, fewer.
const VALUES: usize = if cfg!(debug_assertions) { 10_000 } else { 1_000_000 };
/// Bytes on the heap of each value.
const ROOM: usize = 64;

/// How long calls took.
struct Times {
    /// The number of calls of up to 1, 2, 4, 8.. nanoseconds.
    upto: [u64; 64],
    longest: Duration,
}

impl Times {
    /// Calls `once` until `stop` holds.
    fn of(stop: impl Fn() -> bool, mut once: impl FnMut()) -> Self {
        let mut times = Self { upto: [0; 64], longest: Duration::ZERO };
        while !stop() {
            let begin = Instant::now();
            once();
            let time = begin.elapsed();
            let class = u128::BITS - time.as_nanos().leading_zeros();
            times.upto[class as usize] += 1;
            times.longest = times.longest.max(time);
        }
        times
    }

    fn calls(&self) -> u64 {
        self.upto.iter().sum()
    }

    /// What nine of ten calls, or more of more, stayed below; at most twice too high.
    fn below(&self, of_thousand: u64) -> Duration {
        let mut calls = 0;
        let class = self.upto.iter().position(|more| {
            calls += more;
            calls * 1000 >= self.calls() * of_thousand
        });
        Duration::from_nanos(1 << class.unwrap_or_default())
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [half, most] = [500, 999].map(|share| self.below(share));
        write!(f, "{:?}; half of {} below {half:?}, 99.9 % below {most:?}", self.longest, self.calls())
    }
}

/// Has all values idle, in chains of what this thread may have at hand.
fn fill(pool: &Pool<Vec<u8>>) {
    let values: Vec<_> = (0..VALUES).map(|_| pool.get()).collect();
    drop(values);
    assert_eq!(pool.stats().idle, VALUES as u64);
}

/// Trims until nothing is left, beside a thread that takes one value again and again. With `at_hand` the values are that thread's.
fn trimmed(thread_values: usize, at_hand: bool) {
    let pool = Pool::builder().max_idle(VALUES).max_idle_bytes(1 << 30).max_thread_idle(thread_values);
    let pool = pool.build(|| Vec::with_capacity(ROOM));
    let is_filled = Barrier::new(2);
    let stop = AtomicBool::new(false);
    let pair = || drop(black_box(pool.get()));
    // Beside nothing, for comparison: what the machine itself holds up.
    let ends = Instant::now() + Duration::from_millis(200);
    let alone = Times::of(|| Instant::now() >= ends, pair);
    let (trim, beside) = std::thread::scope(|threads| {
        let other = threads.spawn(|| {
            if at_hand {
                fill(&pool);
            }
            is_filled.wait();
            Times::of(|| stop.load(Relaxed), pair)
        });
        if !at_hand {
            fill(&pool);
        }
        is_filled.wait();
        // The other thread's own value stays, since it is in use.
        let trim = Times::of(
            || pool.stats().live <= 1,
            || {
                black_box(pool.trim());
            },
        );
        stop.store(true, Relaxed);
        (trim, other.join().expect("it only takes and drops"))
    });
    let whose = if at_hand { "the working thread's" } else { "a thread's" };
    println!("{VALUES} idle values, {thread_values} at {whose} hand; the longest");
    println!("  trim until all are freed: {trim}");
    println!("  get and drop beside it:   {beside}");
    println!("  get and drop alone:       {alone}");
}

fn main() {
    trimmed(32, false);
    trimmed(1024, false);
    trimmed(VALUES, true);
}
