//! The periodic rule: a value that goes up and down with the clock.
//!
//! How a period is found: a line is taken out (a leak under the load), the last whole periods of each length are folded onto one
//! another, and the length whose fold explains most of what is left wins; but if a half, a third or a quarter of it explains
//! nearly as much, that is the period.

use core::time::Duration;

/// Whole periods that must have been seen.
const PERIODS: usize = 3;
/// The shortest period that is looked for, in windows: with fewer points a fold explains too much by chance.
pub(super) const SHORTEST: usize = 4;
/// Windows that must have been seen, however short the period: few points lie on a fold by chance.
pub(super) const LEAST: usize = 60;
/// The share of the variance that the fold of a new period must explain, and that of a known one.
const FOUND: f64 = 0.6;
const LOST: f64 = 0.3;

/// Hints at a load that goes up and down with the clock: by default **an amplitude above 40 % at a period around 30 minutes**
/// (20 to 40). It is the root of many a false alarm, and no leak.
///
/// **Formula.** Of the one-minute means of the last whole periods (three at least, as many as are kept), the trend is taken out: a
/// least-squares line through the means of the periods. The rest is averaged onto one period: the fold. `amplitude = (peak - trough) /
/// mean`, peak and trough of the fold, mean of the values. A period of `L` minutes is found when its fold explains 60 % of the
/// variance (adjusted for its `L` parameters, so that noise explains nothing), more than any other; it is lost below 30 %. Raised when the
/// amplitude of a period within a third of `around` is above the limit; over when that period is lost, or its amplitude has stayed at half the
/// limit or below, for five minutes. Looked at every five minutes.
///
/// A period of any length between 4 and 40 minutes (four windows, and four thirds of `around`) serves to withdraw a
/// [slow-leak](super::SlowLeak) alarm; the hint is for those around 30.
///
/// **What it cannot see.** Less than three periods, or than an hour: of a period of 30 minutes it speaks after 95. A corner that is sharper than
/// a minute is rounded: a saw-tooth of 30 minutes loses a thirtieth of its amplitude. Noise widens the fold, on either side by some two standard
/// deviations of a one-minute mean, over the root of the number of periods.
///
/// **False alarms.** Of 2,000 series of white noise over two hours none had a period; the most that any length explained was 49 %. One step explains
/// 2 % at most, a step up and down again 20 %. A load that wanders (a random walk) had a period in 2 of 100 series: whoever has seen
/// it three times cannot know better, and this is a hint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Periodic {
    pub(super) above: f64,
    pub(super) around: Duration,
}

impl Default for Periodic {
    fn default() -> Self {
        Self { above: 40.0, around: Duration::from_secs(30 * 60) }
    }
}

impl Periodic {
    /// The amplitude that is still ordinary, in percent of the mean. Default: 40.
    #[must_use]
    pub fn above_percent(self, percent: f64) -> Self {
        Self { above: percent, ..self }
    }

    /// The period that is looked for, give or take a third. Default: 30 minutes.
    #[must_use]
    pub fn around(self, period: Duration) -> Self {
        Self { around: period, ..self }
    }

    pub(super) fn is_around(self, period: Duration) -> bool {
        // None is longer than four thirds: see `longest`.
        period >= self.around * 2 / 3
    }

    /// The longest period that is looked for, in windows.
    pub(super) fn longest(self, window: Duration) -> usize {
        (self.around.as_secs_f64() * 4.0 / 3.0 / window.as_secs_f64()).round() as usize
    }

    /// Windows that have to be kept.
    pub(super) fn history(self, window: Duration) -> usize {
        PERIODS * (self.longest(window) + 2)
    }
}

/// A period that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Found {
    /// In windows.
    pub(super) period: f64,
    /// (peak - trough) / mean of the fold, in percent.
    pub(super) percent: f64,
}

/// Looks for a period of at most `longest` windows in `values`, the oldest first. `known` is the one found before.
pub(super) fn find(values: &[f64], longest: usize, known: Option<Found>) -> Option<Found> {
    if values.len() < LEAST {
        return None;
    }
    let lengths = SHORTEST..=(longest + 1).min(values.len() / PERIODS);
    let explained = |length: usize| Fold::of(values, length).map_or(0.0, |fold| fold.explained);
    let better = |best: (usize, f64), next: (usize, f64)| if next.1 > best.1 { next } else { best };
    let (best, most) = lengths.clone().map(|length| (length, explained(length))).fold((0, 0.0), better);
    // The longest may only be on the way to one that is longer still.
    if best == *lengths.end() || most < known.map_or(FOUND, |_| LOST) {
        return None;
    }
    let parts = [4, 3, 2].into_iter().flat_map(|parts| [0, 1].map(|more| best / parts + more));
    let length = parts.filter(|part| lengths.contains(part)).find(|&part| explained(part) > 0.9 * most).unwrap_or(best);
    let fold = Fold::of(values, length)?;
    let period = length as f64 + vertex([length - 1, length, length + 1].map(explained));
    Some(Found { period, percent: 100.0 * (fold.peak - fold.trough) / fold.mean })
}

/// Where the parabola through three points at -1, 0 and 1 is highest; at most half a step away.
fn vertex([before, here, after]: [f64; 3]) -> f64 {
    let bend = before - 2.0 * here + after;
    if bend < 0.0 { ((before - after) / (2.0 * bend)).clamp(-0.5, 0.5) } else { 0.0 }
}

/// Whole periods folded onto one another.
struct Fold {
    /// The share of the variance that the fold explains, adjusted for the number of its points.
    explained: f64,
    peak: f64,
    trough: f64,
    mean: f64,
}

impl Fold {
    fn of(values: &[f64], length: usize) -> Option<Self> {
        let periods = values.len().checked_div(length).filter(|&periods| periods >= PERIODS)?;
        let values = &values[values.len() - periods * length..];
        let line = Line::through(values, length);
        let at = |index: usize| values[index] - line.at(index);
        let (mut left, mut peak, mut trough) = (0.0, f64::NEG_INFINITY, f64::INFINITY);
        for phase in 0..length {
            let same = || (phase..values.len()).step_by(length).map(at);
            let mean = same().sum::<f64>() / periods as f64;
            left += same().map(|value| (value - mean).powi(2)).sum::<f64>();
            (peak, trough) = (peak.max(mean), trough.min(mean));
        }
        let whole: f64 = (0..values.len()).map(|index| at(index).powi(2)).sum();
        let freedom = (values.len() - 2) as f64 / (values.len() - length) as f64;
        // Rounding in the line is no variance.
        let is_level = whole <= line.mean.powi(2) * 1e-18 * values.len() as f64;
        let explained = if is_level { 0.0 } else { 1.0 - left / whole * freedom };
        Some(Self { explained, peak, trough, mean: line.mean })
    }
}

/// The trend of a value with a period: a least-squares line through the means of whole periods, since one through the values
/// themselves would lean with the phase in which they begin.
struct Line {
    mean: f64,
    /// Each value.
    slope: f64,
    middle: f64,
}

impl Line {
    fn through(values: &[f64], length: usize) -> Self {
        let periods = (values.len() / length) as f64;
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let means = values.chunks_exact(length).map(|period| period.iter().sum::<f64>() / length as f64);
        let leaning: f64 =
            means.enumerate().map(|(index, value)| (index as f64 - (periods - 1.0) / 2.0) * (value - mean)).sum();
        let spread = periods * (periods * periods - 1.0) / 12.0;
        Self { mean, slope: leaning / spread / length as f64, middle: (values.len() - 1) as f64 / 2.0 }
    }

    fn at(&self, index: usize) -> f64 {
        self.mean + self.slope * (index as f64 - self.middle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_period_is_kept_where_none_would_be_found() {
        let mut state = 1_u64;
        let mut noise = move || {
            // xorshift64
            for (left, by) in [(true, 13), (false, 7), (true, 17)] {
                state ^= if left { state << by } else { state >> by };
            }
            state as f64 / u64::MAX as f64 - 0.5
        };
        let swing = |minute: u32| 10.0 * (f64::from(minute) / 30.0 * core::f64::consts::TAU).sin();
        let values: Vec<_> = (0..120).map(|minute| 100.0 + swing(minute) + 27.0 * noise()).collect();
        let known = Found { period: 30.0, percent: 20.0 };
        assert_eq!(find(&values, 40, None), None);
        let kept = find(&values, 40, Some(known)).expect("a known period");
        assert!((kept.period - 30.0).abs() < 1.0, "{kept:?}");
    }
}
