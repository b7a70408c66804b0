//! The numbers of all rules, and of the monitor around them.

use super::alarm::Patience;
use super::burst::Burst;
use super::periodic::Periodic;
use super::slow::SlowLeak;
use core::fmt;
use core::time::Duration;

/// Windows that are kept at most: what a period may take, three times.
const MOST_WINDOWS: usize = 1024;

/// See the head of this file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rules {
    pub(super) slow: SlowLeak,
    pub(super) burst: Burst,
    pub(super) periodic: Periodic,
    pub(super) limits: Limits,
}

/// What the monitor does at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) cool_down: Duration,
    pub(super) subjects: usize,
    pub(super) dump_gap: Duration,
    pub(super) dumps_a_day: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cool_down: Duration::from_secs(30 * 60),
            subjects: 1024,
            dump_gap: Duration::from_secs(60),
            dumps_a_day: 24,
        }
    }
}

impl Rules {
    /// Quiet time after which a burst is over.
    pub(super) const BURST_SETTLES: Duration = Duration::from_secs(60);

    pub(super) fn window(&self) -> Duration {
        self.slow.window()
    }

    /// Windows that have to be kept.
    pub(super) fn history(&self) -> usize {
        self.periodic.history(self.window())
    }

    /// The interval between samples above which samples are missing.
    pub(super) fn gap(&self) -> Duration {
        self.window() / 4
    }

    pub(super) fn patience(&self, settle: Duration) -> Patience {
        Patience { settle, cool_down: self.limits.cool_down }
    }

    pub(super) fn check(self) -> Result<Self, BadRule> {
        if self.window() < Duration::from_millis(1) || self.burst.within.is_zero() {
            return Err(BadRule::TooShort);
        }
        if self.slow.critical < self.slow.above {
            return Err(BadRule::CriticalBelowWarning);
        }
        let longest = self.periodic.longest(self.window());
        if longest < super::periodic::SHORTEST || self.history() > MOST_WINDOWS {
            return Err(BadRule::PeriodOutOfReach);
        }
        Ok(self)
    }
}

/// Why a monitor cannot work with its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadRule {
    /// [`SlowLeak::over`] is below 5 ms, or [`Burst::within`] is zero.
    TooShort,
    /// [`SlowLeak::critical_above`] is below [`SlowLeak::above`].
    CriticalBelowWarning,
    /// [`Periodic::around`] is shorter than three windows (a window is a fifth of [`SlowLeak::over`]), or longer than some 250.
    PeriodOutOfReach,
}

impl fmt::Display for BadRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooShort => "the time of the slow-leak or of the burst rule is too short",
            Self::CriticalBelowWarning => "a slow leak would be critical below its warning",
            Self::PeriodOutOfReach => "the period is too short or too long for the window of the slow-leak rule",
        })
    }
}

impl core::error::Error for BadRule {}
