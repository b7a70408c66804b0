//! When a pool pays: one beside the allocator alone, by a value's size and by what it costs to make.
//!
//! `cargo run --release --bin sizes [-- ROUNDS]` prints two Markdown tables: one value at a time, and 32 at once. The
//! allocator is the system's, or with `--features mimalloc` or `--features jemalloc` that one. A figure is the median over the
//! rounds, a ratio the median of the rounds' ratios, with a bootstrap interval of 95 %.

#[allow(dead_code)] // The other program uses the rest.
#[path = "../figures.rs"]
mod figures;

use ebbtide::{Pool, Pooled, Verdict};
use figures::{Figure, median};
use std::hint::black_box;
use std::time::{Duration, Instant};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
#[cfg(all(feature = "jemalloc", not(feature = "mimalloc")))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const ROUNDS: usize = 41;
const FEWEST: usize = 15;
const SAMPLE: Duration = Duration::from_millis(1);
const SIZES: [usize; 6] = [64, 1 << 10, 4 << 10, 16 << 10, 256 << 10, 1 << 20];
/// Values that are out at once.
const AT_ONCE: [usize; 2] = [1, 32];
/// What a use writes.
const WRITTEN: [u8; 64] = [7; 64];

/// What a value costs to make, beside its memory.
#[derive(Clone, Copy)]
enum Cost {
    /// Nothing.
    Room,
    /// Every byte is set to zero.
    Zeroed,
    /// So many steps of a computation, each of about a nanosecond.
    Steps(u64),
}

const COSTS: [(&str, Cost); 4] = [
    ("room only", Cost::Room),
    ("zeroed", Cost::Zeroed),
    ("100 steps", Cost::Steps(100)),
    ("1,000 steps", Cost::Steps(1000)),
];

fn make(size: usize, cost: Cost) -> Vec<u8> {
    match cost {
        Cost::Room => Vec::with_capacity(size),
        Cost::Zeroed => vec![0; size],
        Cost::Steps(steps) => {
            let computed = (0..steps).fold(1_u64, |x, step| black_box(x.rotate_left(5) ^ step));
            let mut made = Vec::with_capacity(size);
            made.extend_from_slice(&computed.to_ne_bytes());
            made
        }
    }
}

/// The use: some bytes are written, behind a `&mut` that the compiler cannot see through.
fn write(value: &mut Vec<u8>) {
    let value = black_box(value);
    if value.len() >= WRITTEN.len() {
        value[..WRITTEN.len()].copy_from_slice(&WRITTEN);
    } else {
        value.clear();
        value.extend_from_slice(&WRITTEN);
    }
    black_box(value);
}

/// Takes, uses and gives back `at_once` values, `iterations` times.
fn work<L>(iterations: usize, at_once: usize, take: impl Fn() -> L, get: impl Fn(&mut L) -> &mut Vec<u8>) {
    let mut out = Vec::with_capacity(at_once);
    for _ in 0..iterations {
        out.extend((0..at_once).map(|_| take()));
        out.iter_mut().for_each(|lease| write(get(lease)));
        out.clear();
    }
}

/// One cell of the table: a pool, and the allocator alone.
struct Cell {
    size: usize,
    cost: Cost,
    at_once: usize,
    pool: Pool<Vec<u8>>,
    /// Keeps the allocator's page from being empty after each value, which is a server's case, and the quicker one.
    _neighbour: Vec<u8>,
    /// Iterations of a sample, of the pool and of the allocator.
    iterations: [usize; 2],
    nanos: [Vec<f64>; 2],
}

impl Cell {
    fn new(size: usize, cost: Cost, at_once: usize) -> Self {
        let pool = Pool::with_reset(move || make(size, cost), |_| Verdict::Keep);
        let (iterations, nanos) = ([1; 2], [vec![], vec![]]);
        let mut cell = Self { size, cost, at_once, pool, _neighbour: make(size, cost), iterations, nanos };
        for side in 0..2 {
            // Twice, so that a first use or a pause is not taken for work.
            while cell.time(side).min(cell.time(side)) < SAMPLE {
                cell.iterations[side] *= 2;
            }
        }
        cell
    }

    fn time(&self, side: usize) -> Duration {
        let Self { size, cost, at_once, ref pool, .. } = *self;
        let begun = Instant::now();
        if side == 0 {
            work(self.iterations[0], at_once, || pool.get(), |lease: &mut Pooled<Vec<u8>>| lease);
        } else {
            work(self.iterations[1], at_once, || make(size, cost), |value| value);
        }
        begun.elapsed()
    }

    fn sample(&mut self, side: usize) {
        let values = (self.iterations[side] * self.at_once) as f64;
        let nanos = self.time(side).as_nanos() as f64 / values;
        self.nanos[side].push(nanos);
    }

    fn print(&self) {
        let [pool, fresh] = &self.nanos;
        let ratio = Figure::of_ratio(pool, fresh);
        print!(" {:.1} / {:.1} {ratio} |", median(pool.iter().copied()), median(fresh.iter().copied()));
    }
}

fn main() {
    let rounds = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS).max(FEWEST);
    let mut cells = Vec::new();
    for at_once in AT_ONCE {
        for size in SIZES {
            cells.extend(COSTS.map(|(_, cost)| Cell::new(size, cost, at_once)));
        }
    }
    for round in 0..rounds {
        for cell in &mut cells {
            // Another side begins each round.
            [round % 2, 1 - round % 2].into_iter().for_each(|side| cell.sample(side));
        }
    }
    for (at_once, cells) in AT_ONCE.iter().zip(cells.chunks(SIZES.len() * COSTS.len())) {
        println!("\n{at_once} at once: ns a value, pool / allocator, and their ratio\n");
        println!("| bytes |{} |", COSTS.map(|(name, _)| format!(" {name} |")).concat().trim_end_matches(" |"));
        println!("|---:|{}", "---:|".repeat(COSTS.len()));
        for row in cells.chunks(COSTS.len()) {
            print!("| {} |", row[0].size);
            row.iter().for_each(Cell::print);
            println!();
        }
    }
}
