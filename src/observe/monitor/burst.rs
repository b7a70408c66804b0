//! The burst rule: how far a value rose within a short time.

use core::time::Duration;

/// Points that are kept of the last `within`.
const POINTS: usize = 64;

/// Warns of a value that rises by more than so many bytes within a short time: by default **more than 1 GB within 10 seconds**
/// (1 GB = 1,000,000,000 bytes). Looked at in every sample.
///
/// **Formula**: `rise = v(now) - min { v(t) : now - within <= t <= now }` over the samples. Raised when `rise > above`;
/// over when it has stayed at `above / 2` or below for a minute.
///
/// **Which bursts it sees.** A rise of `h` bytes in `d` seconds is seen whole if two samples stand at most `within` apart
/// around it. With samples every `p` seconds (`p` a divisor of `within`), at worst `(p - (within - d)) / 2` seconds of it lie outside, for a `d` near
/// `within`: with four samples a second a straight rise in 9.9 s is seen but for 0.8 %, while of one in 10.3 s at most
/// 97.1 % lie within 10 s. No more than 64 points of the last `within` are kept, the least ones: what is
/// sampled more often than that (each 156 ms) may lose 1.6 % of a rise, and never gains.
///
/// **False alarms**: none by chance. Whatever is reported did rise that far, between two samples that far apart by the
/// caller's clock. A rise during a gap in the samples is not reported, since nobody knows how long it took. A load that does
/// allocate that much that fast is a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    pub(super) above: u64,
    pub(super) within: Duration,
}

impl Default for Burst {
    fn default() -> Self {
        Self { above: 1_000_000_000, within: Duration::from_secs(10) }
    }
}

impl Burst {
    /// Bytes of a rise that is still no burst. Default: 1,000,000,000.
    #[must_use]
    pub fn above(self, bytes: u64) -> Self {
        Self { above: bytes, ..self }
    }

    /// The time in which a value has to rise that far. Default: 10 seconds.
    #[must_use]
    pub fn within(self, time: Duration) -> Self {
        Self { within: time, ..self }
    }
}

/// The least values of the last `within`, in order of time; each is less than all later ones, so the first one is the
/// least of all.
#[derive(Debug)]
pub(super) struct Lows {
    points: [(Duration, u64); POINTS],
    first: usize,
    len: usize,
}

impl Lows {
    pub(super) fn new() -> Self {
        Self { points: [(Duration::ZERO, 0); POINTS], first: 0, len: 0 }
    }

    /// Takes a sample, and says how far above the least value of the last `within` it is, in bytes.
    pub(super) fn rise(&mut self, at: Duration, value: u64, within: Duration) -> u64 {
        while self.len > 0 && self.get(0).0 + within < at {
            (self.first, self.len) = ((self.first + 1) % POINTS, self.len - 1);
        }
        while self.len > 0 && self.get(self.len - 1).1 >= value {
            self.len -= 1;
        }
        // A point too near to the one before it stands for nothing that the earlier one does not: it is greater.
        let is_near = self.len > 0 && at - self.get(self.len - 1).0 < within / (POINTS as u32);
        if !is_near && self.len < POINTS {
            self.points[(self.first + self.len) % POINTS] = (at, value);
            self.len += 1;
        }
        value.saturating_sub(self.get(0).1)
    }

    fn get(&self, at: usize) -> (Duration, u64) {
        self.points[(self.first + at) % POINTS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn points_are_spread_over_the_time() {
        let (mut lows, within) = (Lows::new(), Duration::from_secs(10));
        for sample in 0..4000 {
            let rise = lows.rise(Duration::from_millis(10 * sample), sample, within);
            let exact = sample.min(1000);
            assert!(rise <= exact && rise + 17 >= exact, "{rise} instead of {exact}");
        }
    }

    proptest! {
        /// Against a look at all samples: never more, and the same when samples are no finer than the points.
        #[test]
        fn a_rise_is_that_of_all_samples(steps in prop::collection::vec((0_u64..1500, 0_u64..1000), 1..400), fine: bool) {
            let within = Duration::from_secs(10);
            let (mut lows, mut all, mut at) = (Lows::new(), Vec::new(), Duration::ZERO);
            for (step, value) in steps {
                at += Duration::from_millis(if fine { step / 20 } else { step.max(157) });
                all.push((at, value));
                let least = all.iter().filter(|(then, _)| *then + within >= at).map(|(_, value)| *value).min();
                let expected = value - least.unwrap_or(value);
                let rise = lows.rise(at, value, within);
                prop_assert!(rise <= expected);
                prop_assert!(fine || rise == expected, "{} instead of {}", rise, expected);
            }
        }
    }
}
