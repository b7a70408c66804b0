//! How long memory takes to go back: each call of a pool's trim, and one in some hundred requests' reclaims.
//!
//! A histogram of steps, four to a doubling, so that a percentile is at most a quarter too long. Recording is off the hot path: a
//! trim is rare, and a request is timed when its slot's notes say so.

use crate::sync::Ordering::Relaxed;
use crate::sync::count::AtomicU64;
use core::time::Duration;
use std::time::Instant;

/// The first bucket: what takes less, in nanoseconds, is not told apart.
const SHORTEST: u64 = 128;
/// One for the shortest, four for each doubling up to 68 seconds.
const BUCKETS: usize = 1 + 4 * 29;

static TRIMS: Recorder = Recorder::new();
static REQUESTS: Recorder = Recorder::new();

/// Runs a piece of a trim, and records how long it took.
pub(super) fn timed_trim<R>(trim: impl FnOnce() -> R) -> R {
    let began = Instant::now();
    let result = trim();
    TRIMS.record(began.elapsed());
    result
}

/// Records the reclaim of a request that ends now.
#[cold]
pub(crate) fn request_took(began: Instant) {
    REQUESTS.record(began.elapsed());
}

/// Counters that publish nothing, hence Relaxed throughout.
struct Recorder {
    counts: [AtomicU64; BUCKETS],
    nanoseconds: AtomicU64,
    longest: AtomicU64,
}

impl Recorder {
    const fn new() -> Self {
        Self {
            counts: [const { AtomicU64::new(0) }; BUCKETS],
            nanoseconds: AtomicU64::new(0),
            longest: AtomicU64::new(0),
        }
    }

    fn record(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanoseconds)].fetch_add(1, Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Relaxed);
        self.longest.fetch_max(nanoseconds, Relaxed);
    }

    fn snapshot(&self) -> Times {
        Times {
            counts: core::array::from_fn(|bucket| self.counts[bucket].load(Relaxed)),
            nanoseconds: self.nanoseconds.load(Relaxed),
            longest: self.longest.load(Relaxed),
        }
    }
}

/// The bucket of what took so long.
fn bucket(nanoseconds: u64) -> usize {
    if nanoseconds < SHORTEST {
        return 0;
    }
    let doublings = nanoseconds.ilog2() - SHORTEST.ilog2();
    // The two bits below the highest.
    let step = (nanoseconds >> (nanoseconds.ilog2() - 2)) & 3;
    (1 + doublings as usize * 4 + step as usize).min(BUCKETS - 1)
}

/// The end of a bucket, in nanoseconds.
fn end(bucket: usize) -> u64 {
    match bucket {
        0 => SHORTEST,
        _ => ((SHORTEST / 4) << ((bucket - 1) / 4)) * (5 + (bucket as u64 - 1) % 4),
    }
}

/// How long memory took to go back, since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reclaims {
    /// The calls of `trim` that did something, of all pools and scopes.
    pub trims: Times,
    /// The reclaims of requests that had taken something: one in 256 of a slot, which are timed.
    pub requests: Times,
}

impl Reclaims {
    /// A snapshot of this process's numbers.
    ///
    /// **Cost**: 238 loads; no allocation.
    #[must_use]
    pub fn of_process() -> Self {
        Self { trims: TRIMS.snapshot(), requests: REQUESTS.snapshot() }
    }

    /// What was recorded after `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self { trims: self.trims.since(&earlier.trims), requests: self.requests.since(&earlier.requests) }
    }
}

/// A histogram of times, in steps of at most a quarter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    counts: [u64; BUCKETS],
    nanoseconds: u64,
    longest: u64,
}

impl Default for Times {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], nanoseconds: 0, longest: 0 }
    }
}

impl Times {
    /// How many times were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The sum of all times.
    #[must_use]
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds)
    }

    /// The longest time since the process began, also in what was recorded [since](Reclaims::since) a snapshot.
    #[must_use]
    pub fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest)
    }

    /// How many times were at most so long: exact for powers of two of nanoseconds, from 128 on; for others those of whole
    /// steps below.
    #[must_use]
    pub fn at_most(&self, limit: Duration) -> u64 {
        let limit = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        self.counts.iter().enumerate().take_while(|&(bucket, _)| end(bucket) <= limit).map(|(_, count)| count).sum()
    }

    /// So many percent of the times were no longer than this; at most a quarter too long. Zero if there are none.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Duration {
        let wanted = (u128::from(self.count()) * u128::from(percent)).div_ceil(100);
        let mut below = 0;
        let reaches = |count: &u64| {
            below += u128::from(*count);
            below >= wanted
        };
        match self.counts.iter().position(reaches) {
            Some(bucket) if wanted > 0 => Duration::from_nanos(end(bucket).min(self.longest)),
            _ => Duration::ZERO,
        }
    }

    fn since(&self, earlier: &Self) -> Self {
        Self {
            counts: core::array::from_fn(|bucket| self.counts[bucket].saturating_sub(earlier.counts[bucket])),
            nanoseconds: self.nanoseconds.saturating_sub(earlier.nanoseconds),
            longest: self.longest,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_ends_at_most_a_quarter_beyond_its_times() {
        let mut last = 0;
        for nanoseconds in (0..100_000).chain((17..36).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1])) {
            let bucket = bucket(nanoseconds);
            assert!(end(bucket) > nanoseconds && bucket >= last, "{nanoseconds}");
            assert!(bucket == 0 || end(bucket) <= nanoseconds + nanoseconds / 4 + 1, "{nanoseconds}");
            last = bucket;
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_of_what_was_recorded_since() {
        let recorder = Recorder::new();
        assert_eq!(recorder.snapshot().percentile(99), Duration::ZERO);
        recorder.record(Duration::from_secs(3));
        let before = recorder.snapshot();
        (0..99).for_each(|_| recorder.record(Duration::from_micros(10)));
        recorder.record(Duration::from_millis(20));
        let recent = recorder.snapshot().since(&before);
        assert_eq!((recent.count(), recent.sum()), (100, Duration::from_micros(20_990)));
        assert_eq!(recent.longest(), Duration::from_secs(3));
        let within = |percent: u64, micros: u64| {
            let took = recent.percentile(percent);
            took >= Duration::from_micros(micros) && took <= Duration::from_micros(micros * 5 / 4)
        };
        assert!(within(50, 10) && within(99, 10) && within(100, 20_000), "{recent:?}");
    }

    #[test]
    fn times_are_counted_up_to_a_power_of_two() {
        let recorder = Recorder::new();
        [0, 127, 128, 1023, 1024, 5000].into_iter().for_each(|nanos| recorder.record(Duration::from_nanos(nanos)));
        let times = recorder.snapshot();
        let at_most = [0, 128, 255, 256, 1024, 1 << 40].map(|nanos| times.at_most(Duration::from_nanos(nanos)));
        assert_eq!(at_most, [0, 2, 3, 3, 4, 6]);
    }
}
