//! The bars that the pool core is to reach, and whether it does.

use crate::figures::Figure;
use crate::patterns::Pattern::{self, Burst, Cross, Object, Pair, Polled, Tasks};
use crate::pools::{ARRAY_QUEUE, CHANNEL, EBBTIDE, RING, STACK};
use crate::results::Results;

/// "About what it costs" alone, in a ratio: what this kind of machine can tell.
const ABOUT: f64 = 1.25;

/// Prints each bar. One is missed only when the whole interval lies beyond it.
pub(crate) fn print(results: &Results) {
    println!("\n### Bars\n");
    println!("| bar | at most | measured | |\n|---|---:|---:|---|");
    bar("pair, one thread, by a stack of vectors by value", 0.6, results.by_value((Pair, 1)));
    bar("object of 1 KiB, one thread, by a stack of boxes", 1.25, results.ratio(EBBTIDE, STACK, (Object, 1)));
    bar("pair, two threads by one", ABOUT, company(results, EBBTIDE, Pair));
    bar("(the same of the stack of boxes: the machine's part)", ABOUT, company(results, STACK, Pair));
    bar("burst of 64, one thread, ns", 17.0, nanos(results, (Burst, 1)));
    bar("burst of 64, one thread, by a stack of vectors (17 to 9.5)", 17.0 / 9.5, results.by_value((Burst, 1)));
    bar("burst of 64, two threads, ns", 25.0, nanos(results, (Burst, 2)));
    bar("polled channel, by the channel alone", ABOUT, results.ratio(EBBTIDE, CHANNEL, (Polled, 2)));
    bar("polled channel, by the channel and vectors in turn", ABOUT, results.ratio(EBBTIDE, RING, (Polled, 2)));
    bar("tokio's channel, by the channel alone", ABOUT, results.ratio(EBBTIDE, CHANNEL, (Tasks, 2)));
    bar("(the same of `ArrayQueue`, which was to be about 1)", ABOUT, results.ratio(ARRAY_QUEUE, CHANNEL, (Tasks, 2)));
    bar("blocking channel, by the channel alone", ABOUT, results.ratio(EBBTIDE, CHANNEL, (Cross, 2)));
    bar("blocking channel, by the channel and vectors in turn", ABOUT, results.ratio(EBBTIDE, RING, (Cross, 2)));
}

fn nanos(results: &Results, column: (Pattern, usize)) -> Option<Figure> {
    results.nanos(EBBTIDE, column).map(Figure::of_series)
}

/// Two threads' time by one thread's.
fn company(results: &Results, pool: &str, pattern: Pattern) -> Option<Figure> {
    Some(Figure::of_ratio(results.nanos(pool, (pattern, 2))?, results.nanos(pool, (pattern, 1))?))
}

fn bar(what: &str, at_most: f64, measured: Option<Figure>) {
    let Some(figure) = measured else { return };
    let verdict = match figure {
        Figure { low, .. } if low > at_most => "missed",
        Figure { high, .. } if high <= at_most => "met",
        _ => "open: the interval holds the bar",
    };
    println!("| {what} | {at_most:.2} | {figure} | {verdict} |");
}
