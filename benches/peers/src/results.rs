//! The series of a run, and what is asked of them.

use crate::figures::{Figure, median, ratio};
use crate::patterns::Pattern;
use crate::pools::{self, BY_VALUE, CHANNEL, FLOORS, STACK};
use crate::rounds::{Column, Series};

pub(crate) struct Results(pub(crate) Vec<Series>);

impl Results {
    pub(crate) fn columns() -> impl Iterator<Item = Column> {
        Pattern::ALL.into_iter().flat_map(|pattern| pattern.threads().iter().map(move |&threads| (pattern, threads)))
    }

    /// All pools and floors, in the order of the book.
    pub(crate) fn pools(&self) -> Vec<&'static str> {
        let mut pools = Vec::new();
        for series in &self.0 {
            if !pools.contains(&series.pool) {
                pools.push(series.pool);
            }
        }
        pools
    }

    pub(crate) fn nanos(&self, pool: &str, column: Column) -> Option<&[f64]> {
        let found = self.0.iter().find(|series| series.pool == pool && series.column == column);
        found.map(|series| &series.nanos[..])
    }

    /// The share of a pattern's samples that other programs disturbed.
    pub(crate) fn disturbed(&self, pattern: Pattern) -> f64 {
        let series = || self.0.iter().filter(|series| series.column.0 == pattern);
        let samples: usize = series().map(|series| series.nanos.len()).sum();
        series().map(|series| series.disturbed).sum::<usize>() as f64 / samples as f64
    }

    /// What the pools of a pattern are measured against.
    pub(crate) fn floor(pattern: Pattern) -> &'static str {
        if pattern.crosses() { CHANNEL } else { STACK }
    }

    pub(crate) fn ratio(&self, above: &str, below: &str, column: Column) -> Option<Figure> {
        Some(Figure::of_ratio(self.nanos(above, column)?, self.nanos(below, column)?))
    }

    /// The pools of a column, without the floors, the quickest first.
    pub(crate) fn ranking(&self, column: Column) -> Vec<&'static str> {
        let mut ranking: Vec<_> = self
            .pools()
            .into_iter()
            .filter(|pool| !FLOORS.contains(pool))
            .filter_map(|pool| Some((pool, median(self.nanos(pool, column)?.iter().copied()))))
            .collect();
        ranking.sort_by(|left, right| left.1.total_cmp(&right.1));
        ranking.into_iter().map(|(pool, _)| pool).collect()
    }

    /// The geometric mean over `columns` of a pool's ratios to ebbtide; nothing for one that is missing in one.
    pub(crate) fn mean(&self, pool: &str, columns: &[Column]) -> Option<Figure> {
        let pairs: Option<Vec<_>> = columns
            .iter()
            .map(|&column| Some((self.nanos(pool, column)?, self.nanos(pools::EBBTIDE, column)?)))
            .collect();
        let pairs = pairs?;
        let rounds = pairs.first()?.0.len();
        Some(Figure::of(rounds, |rounds| {
            let logs = pairs.iter().map(|(pool, ebbtide)| ratio(pool, ebbtide, rounds).ln());
            (logs.sum::<f64>() / columns.len() as f64).exp()
        }))
    }

    /// The floor of the vectors' table that an issue of the project names.
    pub(crate) fn by_value(&self, column: Column) -> Option<Figure> {
        self.ratio(pools::EBBTIDE, BY_VALUE, column)
    }
}
