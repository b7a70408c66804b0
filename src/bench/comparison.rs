//! What came out of taking turns: [`Comparison`], of two [`Side`]s.

use super::interval::{Interval, percentile};
use super::report::AllocReport;
use std::time::Duration;

/// One way's turn in one round.
#[derive(Clone, Debug, Default)]
pub(super) struct Round {
    /// Nanoseconds of a call, one for each batch.
    pub(super) nanos: Vec<f64>,
    pub(super) batch: usize,
    pub(super) calls: u64,
    pub(super) allocations: u64,
    pub(super) bytes: u64,
    pub(super) peak: u64,
}

impl Round {
    pub(super) fn add(&mut self, calls: usize, took: Duration, report: AllocReport) {
        self.nanos.push(took.as_nanos() as f64 / calls as f64);
        self.batch = calls;
        self.calls += calls as u64;
        self.allocations += report.calls();
        self.bytes += report.bytes;
        self.peak = self.peak.max(report.peak.max(0) as u64);
    }

    /// The value below which `share` of this round's samples lie.
    fn percentile(&self, share: f64) -> f64 {
        let mut sorted = self.nanos.clone();
        sorted.sort_by(f64::total_cmp);
        percentile(&sorted, share).unwrap_or_default()
    }
}

/// Two ways to do a thing, measured by turns. `Display` is a table for a terminal; [`markdown`](Self::markdown) and
/// [`json`](Self::json) are the same for a page and for a program.
///
/// Medians and 99th percentiles are compared round by round, so that what slows the machine slows both; a difference is one
/// only where the bootstrap interval (95 %) of these ratios does not hold 1. Where it does, the output says so.
#[derive(Clone, Debug)]
pub struct Comparison {
    pub(super) sides: [Side; 2],
    p50: Interval,
    p99: Interval,
    rounds: usize,
    pub(super) notes: Vec<String>,
}

impl Comparison {
    /// Of rounds that were measured side by side, the same number of both.
    pub(super) fn of(names: [&str; 2], rounds: [Vec<Round>; 2], counted: bool) -> Self {
        let ratio = |share: f64| {
            let [first, second] =
                rounds.each_ref().map(|way| way.iter().map(|round| round.percentile(share)).collect::<Vec<f64>>());
            Interval::of_ratios(&second, &first)
        };
        let sides = [Side::of(names[0], &rounds[0], counted), Side::of(names[1], &rounds[1], counted)];
        let mut comparison =
            Self { sides, p50: ratio(0.50), p99: ratio(0.99), rounds: rounds[0].len(), notes: Vec::new() };
        comparison.notes = comparison.own_notes();
        comparison
    }

    /// The way that was named first: the base of the ratios.
    #[must_use]
    pub fn first(&self) -> &Side {
        &self.sides[0]
    }

    /// The way that was named second.
    #[must_use]
    pub fn second(&self) -> &Side {
        &self.sides[1]
    }

    /// The second's median time by the first's, round by round: below 1 the second is quicker.
    #[must_use]
    pub fn ratio(&self) -> Interval {
        self.p50
    }

    /// The second's 99th percentile by the first's, round by round.
    #[must_use]
    pub fn p99_ratio(&self) -> Interval {
        self.p99
    }

    /// Whether the rounds cannot tell the two ways' times apart.
    #[must_use]
    pub fn is_within_noise(&self) -> bool {
        self.p50.holds(1.0)
    }

    /// In how many rounds both ways had their turn.
    #[must_use]
    pub fn rounds(&self) -> usize {
        self.rounds
    }

    /// What a reader must know beside the figures, one sentence each.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    fn own_notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for (what, ratio) in [("p50", self.p50), ("p99", self.p99)] {
            if ratio.holds(1.0) {
                notes.push(format!("{what}: within noise, the interval of the ratio holds 1"));
            }
        }
        let together = self.sides.each_ref().map(|side| side.batch);
        if together != [1, 1] {
            let [first, second] = together;
            notes.push(format!("p50 and p99 are of the mean of {first} and {second} calls, which are too short alone"));
        }
        if self.first().allocations.is_none() {
            notes.push("no CountingAllocator is the global allocator: allocations were not counted".to_owned());
        }
        notes
    }
}

/// One of the two ways of a [`Comparison`]: figures of one call.
#[derive(Clone, Debug)]
pub struct Side {
    name: String,
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) allocations: Option<f64>,
    pub(super) bytes: Option<f64>,
    pub(super) peak: Option<u64>,
    pub(super) batch: usize,
}

impl Side {
    fn of(name: &str, rounds: &[Round], counted: bool) -> Self {
        let mut nanos: Vec<f64> = rounds.iter().flat_map(|round| &round.nanos).copied().collect();
        nanos.sort_by(f64::total_cmp);
        let calls = rounds.iter().map(|round| round.calls).sum::<u64>().max(1) as f64;
        let a_call = |of: fn(&Round) -> u64| counted.then(|| rounds.iter().map(of).sum::<u64>() as f64 / calls);
        Self {
            name: name.to_owned(),
            p50: percentile(&nanos, 0.50).unwrap_or_default(),
            p99: percentile(&nanos, 0.99).unwrap_or_default(),
            allocations: a_call(|round| round.allocations),
            bytes: a_call(|round| round.bytes),
            peak: counted.then(|| rounds.iter().map(|round| round.peak).max().unwrap_or_default()),
            batch: rounds.first().map_or(1, |round| round.batch),
        }
    }

    /// As it was named.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Nanoseconds: the median of all samples.
    #[must_use]
    pub fn p50(&self) -> f64 {
        self.p50
    }

    /// Nanoseconds: the 99th percentile of all samples.
    #[must_use]
    pub fn p99(&self) -> f64 {
        self.p99
    }

    /// Allocations and reallocations a call. None where no [`CountingAllocator`](super::CountingAllocator) is installed.
    #[must_use]
    pub fn allocations(&self) -> Option<f64> {
        self.allocations
    }

    /// Bytes a call of allocated blocks, and by which reallocated ones grew.
    #[must_use]
    pub fn bytes(&self) -> Option<f64> {
        self.bytes
    }

    /// Bytes of the most that was live at once during a sample, above what was live when it began.
    #[must_use]
    pub fn peak(&self) -> Option<u64> {
        self.peak
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Rounds of one sample each that took so many nanoseconds, with two allocations of 100 bytes a call.
    pub(in crate::bench) fn rounds(nanos: &[f64]) -> Vec<Round> {
        let one = |&nanos: &f64| Round { nanos: vec![nanos], batch: 1, calls: 1, allocations: 2, bytes: 100, peak: 64 };
        nanos.iter().map(one).collect()
    }

    pub(in crate::bench) fn compared(first: &[f64], second: &[f64]) -> Comparison {
        Comparison::of(["plain", "ebbtide"], [rounds(first), rounds(second)], true)
    }

    #[test]
    fn a_difference_within_noise_is_noted() {
        let noise = compared(&[100.0, 101.0, 99.0, 100.0, 102.0], &[101.0, 99.0, 100.0, 98.0, 104.0]);
        assert!(noise.is_within_noise());
        assert_eq!(noise.notes()[0], "p50: within noise, the interval of the ratio holds 1");
        let clear = compared(&[100.0, 110.0, 90.0], &[50.0, 56.0, 44.0]);
        assert!(!clear.is_within_noise() && clear.notes().is_empty(), "{:?}", clear.notes());
        assert_eq!(clear.ratio().median, 0.5);
    }

    #[test]
    fn figures_are_of_one_call() {
        let mut way = Round::default();
        let report =
            AllocReport { allocations: 20, reallocations: 10, bytes: 1000, peak: 640, ..AllocReport::default() };
        way.add(10, Duration::from_nanos(500), report);
        way.add(10, Duration::from_nanos(700), AllocReport { peak: -8, ..report });
        let comparison = Comparison::of(["a", "b"], [vec![way.clone()], vec![way]], true);
        let side = comparison.first();
        assert_eq!([side.p50(), side.p99()], [70.0, 70.0]);
        assert_eq!((side.allocations(), side.bytes(), side.peak()), (Some(3.0), Some(100.0), Some(640)));
        assert!(comparison.notes().iter().any(|note| note.contains("10 and 10 calls")));
    }

    #[test]
    fn nothing_is_claimed_about_allocations_that_were_not_counted() {
        let comparison = Comparison::of(["a", "b"], [rounds(&[1.0]), rounds(&[2.0])], false);
        assert_eq!((comparison.first().allocations(), comparison.second().peak()), (None, None));
        assert!(comparison.notes().iter().any(|note| note.contains("not counted")));
    }
}
