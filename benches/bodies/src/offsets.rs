//! What a copy costs by where its ends lie in their pages: the reason why blocks of a few KiB differ between allocators.

use crate::cli::Wish;
use crate::figures::{Figure, median};
use std::hint::black_box;
use std::time::Instant;

const PAGE: usize = 4096;
const ROUNDS: usize = 31;
const SIZES: [usize; 4] = [512, 4 << 10, 8 << 10, 16 << 10];
/// Where a block begins, in its page: glibc's are 16 bytes behind a multiple of 16, and the others' at multiples of their size.
const TO: [usize; 9] = [0, 8, 16, 32, 64, 192, 208, 1024, 2064];
const FROM: [usize; 3] = [0, 16, 192];
const COPIES: usize = 1000;
/// A large block, and a huge page of the system.
const LARGE: usize = 4 << 20;
const HUGE: usize = 2 << 20;

/// Room for a block at any offset.
struct Room(Vec<u8>);

impl Room {
    fn at(&mut self, offset: usize, size: usize) -> &mut [u8] {
        let from = (offset + PAGE - self.0.as_ptr().addr() % PAGE) % PAGE;
        &mut self.0[from..][..size]
    }
}

pub(crate) fn table(wish: &Wish) {
    small(wish);
    huge(wish);
}

fn small(wish: &Wish) {
    println!("\n### A bare copy by the page offsets of its ends\n");
    println!("Nanoseconds, median of {} rounds, and in brackets the 95 % interval.\n", wish.rounds(ROUNDS));
    println!("| bytes | from | {} |", TO.map(|to| format!("to {to}")).join(" | "));
    println!("|---:|---:|{}", "---:|".repeat(TO.len()));
    let (mut source, mut target) = (Room(vec![7; 2 * PAGE + SIZES[3]]), Room(vec![0; 2 * PAGE + SIZES[3]]));
    for size in SIZES {
        for from in FROM {
            let mut series = TO.map(|_| Vec::new());
            for round in 0..wish.rounds(ROUNDS) {
                for turn in 0..TO.len() {
                    let index = (turn + round) % TO.len();
                    let bytes = source.at(from, size);
                    series[index].push(copied(bytes, target.at(TO[index], size), COPIES));
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

/// Large blocks: where the allocator lays them, and at a multiple of a huge page.
fn huge(wish: &Wish) {
    println!("\n### A bare copy of {} MiB by where the block begins\n", LARGE >> 20);
    println!(
        "Microseconds; each round in new blocks.\n\n| 16 bytes behind a page | at a huge page | ratio |\n|---:|---:|---:|"
    );
    let source = vec![7; LARGE];
    let mut series = [Vec::new(), Vec::new()];
    for round in 0..wish.rounds(ROUNDS) {
        for turn in 0..2 {
            let index = (turn + round) % 2;
            // The offset of one that glibc maps, and what a block would have that asked for the alignment.
            let (align, offset) = [(PAGE, 16), (HUGE, 0)][index];
            let mut room = vec![0; LARGE + HUGE + PAGE];
            let from = (offset + align - room.as_ptr().addr() % align) % align;
            let target = &mut room[from..][..LARGE];
            target.fill(1);
            series[index].push(copied(&source, target, COPIES / 50));
        }
    }
    let [behind, at] = series.each_ref().map(|nanos| median(nanos.iter().copied()) / 1000.0);
    println!("| {behind:.0} | {at:.0} | {} |", Figure::of_ratio(&series[0], &series[1]));
}

/// Nanoseconds of one copy.
fn copied(from: &[u8], to: &mut [u8], copies: usize) -> f64 {
    let began = Instant::now();
    for _ in 0..copies {
        black_box(&mut *to).copy_from_slice(black_box(from));
    }
    began.elapsed().as_nanos() as f64 / copies as f64
}
