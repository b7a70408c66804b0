//! The monitor's own time, which only goes forwards.
//!
//! The caller's clock may stop (no samples), jump ahead or step back. A step back counts as one usual interval, so that a
//! value does not seem to grow in no time. A jump ahead cannot be told from samples that are missing, and counts as such.

use core::time::Duration;
use std::time::Instant;

/// Time since the first sample, from instants that may step.
#[derive(Debug, Default)]
pub(super) struct Clock {
    last: Option<Instant>,
    at: Duration,
    /// The last interval that was no gap.
    usual: Duration,
}

/// What one instant meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tick {
    /// Time since the first sample.
    pub(super) at: Duration,
    /// The clock went back.
    pub(super) is_step: bool,
    /// Samples are missing before this one.
    pub(super) is_gap: bool,
}

impl Clock {
    /// Takes the instant of a sample. More than `gap` since the last one means that samples are missing.
    pub(super) fn advance(&mut self, now: Instant, gap: Duration) -> Tick {
        let since = self.last.map_or(Some(Duration::ZERO), |last| now.checked_duration_since(last));
        self.last = Some(now);
        let elapsed = since.unwrap_or(self.usual);
        let is_gap = elapsed > gap;
        if since.is_some() && !is_gap && !elapsed.is_zero() {
            self.usual = elapsed;
        }
        self.at = self.at.saturating_add(elapsed);
        Tick { at: self.at, is_step: since.is_none(), is_gap }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_forwards_whatever_the_clock_does() {
        let (mut clock, gap) = (Clock::default(), Duration::from_secs(15));
        let begin = Instant::now() + Duration::from_secs(10_000);
        let mut at = |seconds: i64| {
            let step = Duration::from_secs(seconds.unsigned_abs());
            let tick = clock.advance(if seconds < 0 { begin - step } else { begin + step }, gap);
            (tick.at.as_secs(), tick.is_step, tick.is_gap)
        };
        assert_eq!(at(0), (0, false, false));
        assert_eq!(at(2), (2, false, false));
        assert_eq!(at(2), (2, false, false));
        assert_eq!(at(-3600), (4, true, false), "as long as the interval before");
        assert_eq!(at(-3599), (5, false, false));
        assert_eq!(at(3600), (5 + 7199, false, true));
        assert_eq!(at(0), (5 + 7199 + 1, true, false), "a gap is no usual interval");
    }
}
