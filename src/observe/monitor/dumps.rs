//! How many automatic dumps there may be.

use super::rules::Limits;
use core::time::Duration;
use std::time::Instant;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The dumps of the last day, as far as the limits need them.
#[derive(Debug, Default)]
pub(super) struct Dumps {
    last: Option<Instant>,
    day: Option<Instant>,
    today: u32,
}

impl Dumps {
    /// Whether a dump may be made now; if so, it counts as made. A clock that went back begins a new day.
    pub(super) fn may(&mut self, now: Instant, limits: &Limits) -> bool {
        let since = |then: Instant| now.checked_duration_since(then);
        if self.last.and_then(since).is_some_and(|passed| passed < limits.dump_gap) {
            return false;
        }
        if self.day.and_then(since).is_none_or(|passed| passed >= DAY) {
            (self.day, self.today) = (Some(now), 0);
        }
        if self.today >= limits.dumps_a_day {
            return false;
        }
        (self.last, self.today) = (Some(now), self.today + 1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dumps_stay_within_their_limits() {
        let limits = Limits { dump_gap: Duration::from_secs(60), dumps_a_day: 3, ..Limits::default() };
        let (mut dumps, begin) = (Dumps::default(), Instant::now());
        let mut made = |seconds: u64| dumps.may(begin + Duration::from_secs(seconds), &limits);
        assert_eq!(
            [0, 1, 59, 60, 61, 200, 300, 86_399].map(&mut made),
            [true, false, false, true, false, true, false, false]
        );
        assert!(made(86_400), "a new day");
    }
}
