//! What a copy costs by where its ends lie in their pages: the reason why blocks of a few KiB differ between allocators.

use crate::cli::Wish;
use crate::figures::{Figure, median};
use std::hint::black_box;
use std::time::Instant;

const PAGE: usize = 4096;
const ROUNDS: usize = 31;
const SIZES: [usize; 4] = [512, 4 << 10, 8 << 10, 16 << 10];
/// Where the source begins in its page, and how far the target begins behind that place in its own.
const FROM: [usize; 2] = [0, 192];
const AHEAD: [usize; 9] = [0, 8, 16, 32, 64, 192, 1024, 2048, 4080];
const COPIES: usize = 1000;

/// Room for a block at any offset.
struct Room(Vec<u8>);

impl Room {
    fn at(&mut self, offset: usize, size: usize) -> &mut [u8] {
        let from = (offset + PAGE - self.0.as_ptr().addr() % PAGE) % PAGE;
        &mut self.0[from..][..size]
    }
}

pub(crate) fn table(wish: &Wish) {
    println!("\n### A bare copy by how far the target's page offset lies beyond the source's\n");
    println!("Nanoseconds, median of {} rounds, and in brackets the 95 % interval.\n", wish.rounds(ROUNDS));
    println!("| bytes | source at | {} |", AHEAD.map(|bytes| format!("+{bytes}")).join(" | "));
    println!("|---:|---:|{}", "---:|".repeat(AHEAD.len()));
    let (mut source, mut target) = (Room(vec![7; 2 * PAGE + SIZES[3]]), Room(vec![0; 2 * PAGE + SIZES[3]]));
    for size in SIZES {
        for from in FROM {
            let mut series = AHEAD.map(|_| Vec::new());
            for round in 0..wish.rounds(ROUNDS) {
                for turn in 0..AHEAD.len() {
                    let index = (turn + round) % AHEAD.len();
                    let bytes = source.at(from, size);
                    series[index].push(copied(bytes, target.at((from + AHEAD[index]) % PAGE, size)));
                }
            }
            let cell = |nanos: &Vec<f64>| {
                let Figure { low, high, .. } = Figure::of_series(nanos);
                format!("{:.1} ({low:.1}-{high:.1})", median(nanos.iter().copied()))
            };
            println!("| {size} | {from} | {} |", series.each_ref().map(cell).join(" | "));
        }
    }
}

/// Nanoseconds of one copy.
fn copied(from: &[u8], to: &mut [u8]) -> f64 {
    let began = Instant::now();
    for _ in 0..COPIES {
        black_box(&mut *to).copy_from_slice(black_box(from));
    }
    began.elapsed().as_nanos() as f64 / COPIES as f64
}
