//! Medians, percentiles, and how sure one can be of a median: a bootstrap interval.

use std::time::Duration;

/// The middle of `values`; the mean of the two middle ones where their number is even. Zero of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// The value below which `share` (0 to 1) of the sorted `values` lie.
pub fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let index = (sorted.len() as f64 * share) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// A median, and between what bounds 95 % of the medians of resampled rounds lie.
#[derive(Clone, Copy, Debug)]
pub struct Interval {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Interval {
    const RESAMPLES: usize = 4000;

    /// Resamples `rounds` with a fixed seed: the same rounds give the same interval.
    pub fn of(rounds: &[f64]) -> Self {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let mut resample = vec![0.0; rounds.len()];
        let mut medians: Vec<f64> = (0..Self::RESAMPLES)
            .map(|_| {
                resample.fill_with(|| rounds[random.below(rounds.len())]);
                median(&resample)
            })
            .collect();
        medians.sort_by(f64::total_cmp);
        let at = |share: f64| medians[(medians.len() as f64 * share) as usize];
        Self { median: median(rounds), low: at(0.025), high: at(0.975) }
    }
}

/// Xorshift64*: good enough to choose rounds.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        high as usize % bound
    }
}
