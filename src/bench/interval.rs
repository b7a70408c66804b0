//! Medians, percentiles, and how sure one can be of a median: a bootstrap interval.

use std::fmt;

/// The middle of `values`; the mean of the two middle ones where their number is even. Zero of none.
#[must_use]
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

/// The value below which `share` (0 to 1) of the `sorted` ones lie. None of none.
#[must_use]
pub fn percentile<T: Copy>(sorted: &[T], share: f64) -> Option<T> {
    let index = (sorted.len() as f64 * share) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied()
}

/// A median, and between what bounds 95 % of the medians of resampled rounds lie.
///
/// # Examples
///
/// ```
/// use ebbtide::bench::Interval;
///
/// let ratios = Interval::of(&[0.98, 1.03, 1.00, 0.97, 1.02]);
/// assert_eq!(ratios.median, 1.0);
/// assert!(ratios.holds(1.0), "no difference that these rounds could tell");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Of the rounds as they were.
    pub median: f64,
    /// 2.5 % of the resampled medians lie below.
    pub low: f64,
    /// 2.5 % of the resampled medians lie above.
    pub high: f64,
}

impl Interval {
    const RESAMPLES: usize = 4000;

    /// Resamples `rounds` with a fixed seed: the same rounds give the same interval. All zeros where there are no rounds.
    #[must_use]
    pub fn of(rounds: &[f64]) -> Self {
        if rounds.is_empty() {
            return Self { median: 0.0, low: 0.0, high: 0.0 };
        }
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

    /// The interval of the rounds' ratios: each value of `above` by its neighbour in `below`.
    #[must_use]
    pub fn of_ratios(above: &[f64], below: &[f64]) -> Self {
        let ratios: Vec<f64> = above.iter().zip(below).map(|(above, below)| above / below).collect();
        Self::of(&ratios)
    }

    /// Whether `value` lies within: the rounds do not tell it from the median.
    #[must_use]
    pub fn holds(self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// As `0.66 [0.65, 0.68]`.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} [{:.2}, {:.2}]", self.median, self.low, self.high)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_percentiles_of_none_one_and_many() {
        assert_eq!([median(&[]), median(&[3.0]), median(&[4.0, 1.0, 2.0, 3.0])], [0.0, 3.0, 2.5]);
        let hundred: Vec<u32> = (1..=100).collect();
        assert_eq!(percentile(&hundred, 0.99), Some(100));
        assert_eq!([percentile(&hundred, 0.5), percentile(&[], 0.5)], [Some(51), None]);
    }

    #[test]
    fn an_interval_is_as_wide_as_its_rounds_differ() {
        let same = Interval::of(&[2.0; 20]);
        assert_eq!(same, Interval { median: 2.0, low: 2.0, high: 2.0 });
        let spread: Vec<f64> = (0..20).map(f64::from).collect();
        let spread = Interval::of(&spread);
        assert!(spread.low < 9.0 && 10.0 < spread.high && spread.holds(9.5) && !spread.holds(19.0), "{spread}");
        assert_eq!(Interval::of(&[]).median, 0.0);
    }

    #[test]
    fn each_round_is_compared_with_its_own_neighbour() {
        // The machine became ten times slower; the ratio did not move.
        let ratios = Interval::of_ratios(&[2.0, 20.0, 200.0], &[1.0, 10.0, 100.0]);
        assert_eq!(ratios, Interval { median: 2.0, low: 2.0, high: 2.0 });
    }
}
