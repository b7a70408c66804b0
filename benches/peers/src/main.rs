//! ebbtide's pool beside the published ones: `cargo run --release [-- ROUNDS]` prints Markdown tables.
//!
//! All pools take turns in each of at least 15 rounds, in samples of milliseconds. A figure is the median over the
//! rounds, a ratio the median of the rounds' ratios, with a bootstrap interval of 95 %.

mod bars;
mod book;
mod figures;
mod patterns;
mod peer;
mod pools;
mod results;
mod rounds;
mod tables;
mod values;
mod workers;

use book::Book;
use patterns::Pattern;
use results::Results;
use std::fs::read_to_string;

const ROUNDS: usize = 41;
/// Fewer say nothing.
const FEWEST: usize = 15;

/// The machine's load, where it tells.
fn load() -> String {
    let load = read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("unknown").to_owned()
}

fn main() {
    let rounds = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS).max(FEWEST);
    let mut book = Book::default();
    pools::enter_all(&mut book);
    let before = load();
    let results = Results(rounds::run(book.0.leak(), rounds));
    println!("{rounds} rounds; load {before} at the begin, {} at the end (its own threads count up to 2).", load());
    Pattern::ALL.into_iter().for_each(|pattern| tables::pattern(&results, pattern));
    tables::ranks(&results);
    tables::means(&results);
    bars::print(&results);
}
