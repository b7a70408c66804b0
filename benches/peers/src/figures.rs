//! Medians, and how far they can be trusted.

use std::fmt;

/// Times that the rounds are drawn anew.
const DRAWS: usize = 1000;

/// A median with its 95 % interval.
#[derive(Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Figure {
    /// The figure that `of` makes from rounds, of which there are `rounds`. The interval is the percentile bootstrap's.
    pub(crate) fn of(rounds: usize, of: impl Fn(&[usize]) -> f64) -> Self {
        let all: Vec<_> = (0..rounds).collect();
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let mut drawn: Vec<_> =
            (0..DRAWS).map(|_| of(&(0..rounds).map(|_| random.below(rounds)).collect::<Vec<_>>())).collect();
        drawn.sort_by(f64::total_cmp);
        Self { median: of(&all), low: drawn[DRAWS / 40], high: drawn[DRAWS - 1 - DRAWS / 40] }
    }

    /// The median of a series.
    pub(crate) fn of_series(series: &[f64]) -> Self {
        Self::of(series.len(), |rounds| median(rounds.iter().map(|&round| series[round])))
    }

    /// The median of the rounds' ratios of two series.
    pub(crate) fn of_ratio(above: &[f64], below: &[f64]) -> Self {
        Self::of(above.len(), |rounds| ratio(above, below, rounds))
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, low, high } = self;
        write!(f, "**{median:.2}** ({low:.2}-{high:.2})")
    }
}

/// The median of two series' ratios in these rounds.
pub(crate) fn ratio(above: &[f64], below: &[f64], rounds: &[usize]) -> f64 {
    median(rounds.iter().map(|&round| above[round] / below[round]))
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

/// Marsaglia's xorshift, the same numbers in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}
