//! The rounds: in each one, every pool takes its turn in every pattern.

use crate::book::Entry;
use crate::patterns::Pattern;
use crate::workers::{Sample, Workers};
use std::time::Duration;

/// A pattern on a number of threads.
pub(crate) type Column = (Pattern, usize);

/// Nanoseconds by value that one pool took in one column, a figure each round.
pub(crate) struct Series {
    pub(crate) pool: &'static str,
    pub(crate) column: Column,
    pub(crate) nanos: Vec<f64>,
    /// Rounds whose sample other programs disturbed, as often as it was tried.
    pub(crate) disturbed: usize,
}

/// Times of one sample: short enough to fall between two preemptions more often than not. A channel's are longer, as
/// its threads wake each other.
const SAMPLE: Duration = Duration::from_millis(1);
const CROSS_SAMPLE: Duration = Duration::from_millis(3);

/// Samples that are taken before a disturbed one counts.
const TRIES: usize = 10;

/// Runs `rounds` rounds, after one that nobody counts.
pub(crate) fn run(book: &'static [Entry], rounds: usize) -> Vec<Series> {
    let workers = Workers::start();
    let iterations: Vec<_> = book.iter().map(|entry| calibrate(&workers, entry)).collect();
    let series = |entry: &Entry| Series {
        pool: entry.pool,
        column: (entry.pattern, entry.threads),
        nanos: vec![],
        disturbed: 0,
    };
    let mut all: Vec<_> = book.iter().map(series).collect();
    for round in 0..=rounds {
        for index in turns(book, round) {
            let (entry, iterations) = (&book[index], iterations[index]);
            let sample = sample(&workers, entry, iterations);
            if round > 0 {
                let values = iterations * entry.pattern.values();
                all[index].nanos.push(sample.time().as_nanos() as f64 / values as f64);
                all[index].disturbed += usize::from(sample.is_disturbed());
            }
        }
        eprint!("\rround {round} of {rounds}");
    }
    eprintln!();
    all
}

/// A sample that other programs disturbed little, or the last of some tries.
fn sample(workers: &Workers, entry: &'static Entry, iterations: usize) -> Sample {
    let mut sample = workers.run(entry, iterations);
    for _ in 1..TRIES {
        if !sample.is_disturbed() {
            break;
        }
        sample = workers.run(entry, iterations);
    }
    sample
}

/// Column after column, so that what is compared runs side by side; in each, another pool begins each round.
fn turns(book: &[Entry], round: usize) -> Vec<usize> {
    let mut turns = Vec::with_capacity(book.len());
    for pattern in Pattern::ALL {
        for &threads in pattern.threads() {
            let in_column = |&index: &usize| (book[index].pattern, book[index].threads) == (pattern, threads);
            let mut column: Vec<_> = (0..book.len()).filter(in_column).collect();
            let len = column.len();
            column.rotate_left(round % len);
            turns.extend(column);
        }
    }
    turns
}

/// Iterations that take about as long as a sample is to be. The quickest of some runs counts: the first fills the pool,
/// and another program may come between.
fn calibrate(workers: &Workers, entry: &'static Entry) -> usize {
    let wanted = if entry.pattern.crosses() { CROSS_SAMPLE } else { SAMPLE };
    let mut iterations = 1;
    loop {
        let time = (0..5).map(|_| workers.run(entry, iterations).time()).min().unwrap_or_default();
        if time > wanted / 4 {
            let scale = wanted.as_secs_f64() / time.as_secs_f64();
            return ((iterations as f64 * scale) as usize).max(1);
        }
        iterations *= 2;
    }
}
