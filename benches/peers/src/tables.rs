//! The tables, in Markdown.

use crate::figures::Figure;
use crate::patterns::Pattern;
use crate::pools::{EBBTIDE, FLOORS, why_absent};
use crate::results::Results;
use crate::rounds::Column;

/// One pattern: nanoseconds by value, and the ratio to the floor.
pub(crate) fn pattern(results: &Results, pattern: Pattern) {
    println!("\n### {}\n", pattern.title());
    let heads = pattern.threads().iter().map(|threads| match threads {
        1 => " one thread, ns | by the floor's |",
        _ => " two threads, ns | by the floor's |",
    });
    println!("| pool |{}", heads.collect::<String>());
    println!("|---|{}", "---:|---:|".repeat(pattern.threads().len()));
    for pool in results.pools() {
        row(results, pool, pattern);
    }
    println!("\nSamples that other programs disturbed all the same: {:.0} %.", 100.0 * results.disturbed(pattern));
}

fn row(results: &Results, pool: &str, pattern: Pattern) {
    let cells: Option<String> =
        pattern.threads().iter().map(|&threads| cells(results, pool, (pattern, threads))).collect();
    match cells {
        Some(cells) => println!("| {pool} |{cells}"),
        None if FLOORS.contains(&pool) => {}
        None => {
            println!("| {pool} | - {} |{}", why_absent(pool, pattern), " |".repeat(2 * pattern.threads().len() - 1))
        }
    }
}

fn cells(results: &Results, pool: &str, column: Column) -> Option<String> {
    let nanos = Figure::of_series(results.nanos(pool, column)?);
    let floor = Results::floor(column.0);
    if pool == floor {
        return Some(format!(" {:.1} | 1 |", nanos.median));
    }
    Some(format!(" {:.1} | {} |", nanos.median, results.ratio(pool, floor, column)?))
}

/// The patterns of one group that counts for the mean.
fn columns(of: &[Pattern]) -> Vec<Column> {
    Results::columns().filter(|(pattern, _)| of.contains(pattern)).collect()
}

/// Geometric means of the ratios to ebbtide. Of the channels the polled one counts: what the blocking one measures is how
/// soon a thread wakes, and much of what tokio's measures is the channel.
pub(crate) fn means(results: &Results) {
    use Pattern::{Burst, Costly, Hundred, Pair, Polled, Starved};
    let all = columns(&[Pair, Burst, Hundred, Starved, Costly, Polled]);
    let common = columns(&[Pair, Burst, Hundred, Polled]);
    println!("\n### All patterns\n");
    println!("| pool | all {} | the {} with plain vectors |\n|---|---:|---:|", all.len(), common.len());
    for pool in results.pools() {
        let cell = |columns: &[Column]| results.mean(pool, columns).map_or("-".into(), |mean| mean.to_string());
        if pool == EBBTIDE {
            println!("| {pool} | 1 | 1 |");
        } else if !FLOORS.contains(&pool) {
            println!("| {pool} | {} | {} |", cell(&all), cell(&common));
        }
    }
}

/// Where ebbtide stands in each column, and beside whom.
pub(crate) fn ranks(results: &Results) {
    println!("\n### ebbtide's rank\n");
    println!(
        "By medians; the last column has those whose whole interval is ahead: where it names one at most, ebbtide is no worse than second.\n"
    );
    println!(
        "| pattern | threads | rank | the best other pool | ebbtide's time by its | wholly ahead |\n|---|---:|---:|---|---:|---|"
    );
    for column in Results::columns() {
        let ranking = results.ranking(column);
        let rank = ranking.iter().position(|&pool| pool == EBBTIDE).map_or(0, |place| place + 1);
        let Some(other) = ranking.iter().find(|&&pool| pool != EBBTIDE) else { continue };
        let Some(ratio) = results.ratio(EBBTIDE, other, column) else { continue };
        let is_ahead = |pool: &&str| results.ratio(EBBTIDE, pool, column).is_some_and(|ratio| ratio.low > 1.0);
        let ahead: Vec<_> = ranking.iter().copied().filter(is_ahead).collect();
        let ahead = if ahead.is_empty() { "none".to_owned() } else { ahead.join(", ") };
        println!("| {} | {} | {rank} of {} | {other} | {ratio} | {ahead} |", column.0.title(), column.1, ranking.len());
    }
}
