//! What the monitor counts of itself.

use super::event::{Change, Event, Rule};

/// A snapshot of the numbers of a [`Monitor`](super::Monitor), since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MonitorStats {
    /// Samples taken.
    pub samples: u64,
    /// Samples that were not taken, because another one was being taken.
    pub skipped: u64,
    /// Samples that came later after the one before than a quarter of a window: some are missing, or the clock jumped ahead.
    pub gaps: u64,
    /// Samples whose clock stood before that of the sample before.
    pub clock_steps: u64,
    /// Subjects that have a history.
    pub subjects: u64,
    /// Values of subjects for which there was no room: see [`MonitorBuilder::max_subjects`](super::MonitorBuilder::max_subjects).
    pub overlooked: u64,
    /// Alarms that were not told because of the cool-down; those that were told when it was over are in [`raised`](Self::raised) too.
    pub held_back: u64,
    /// Alarms that a period explained.
    pub withdrawn: u64,
    /// Automatic dumps.
    pub dumps: u64,
    /// Automatic dumps that were left out because of the limits.
    pub dumps_held_back: u64,
    raised: [u64; Rule::ALL.len()],
}

impl MonitorStats {
    /// Alarms that a rule raised and the monitor told.
    #[must_use]
    pub fn raised(&self, rule: Rule) -> u64 {
        self.raised[rule as usize]
    }

    pub(super) fn note(&mut self, event: &Event) {
        match event.change {
            Change::Raised => self.raised[event.rule() as usize] += 1,
            Change::Withdrawn => self.withdrawn += 1,
            Change::Escalated | Change::Cleared => {}
        }
    }
}

/// What one sample counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) gaps: u64,
    pub(super) clock_steps: u64,
    pub(super) subjects: u64,
    pub(super) overlooked: u64,
    pub(super) held_back: u64,
}

impl Counts {
    pub(super) fn add_to(self, stats: &mut MonitorStats) {
        stats.samples += 1;
        stats.gaps += self.gaps;
        stats.clock_steps += self.clock_steps;
        stats.subjects = self.subjects;
        stats.overlooked += self.overlooked;
        stats.held_back += self.held_back;
    }
}
