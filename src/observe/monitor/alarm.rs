//! One rule's alarm about one value: when it is raised, held back, cleared.
//!
//! | state | what the rule says | then |
//! |---|---|---|
//! | off | raise | on; told at once, or when the cool-down since it was last told is over |
//! | on | raise, with a higher severity | told |
//! | on | raise, hold | on |
//! | on | quiet for as long as it takes to settle | off; told if its beginning was |
//! | on | explained | off; told if its beginning was |

use super::event::{Change, Severity};
use core::time::Duration;

/// What a rule says of a value now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Above the limit.
    Raise(Severity),
    /// Below the limit, but not by so much that an alarm is over.
    Hold,
    /// Far below the limit.
    Quiet,
    /// Above the limit for a reason that is known, and harmless.
    Explained,
}

/// How long alarms wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Quiet time after which an alarm is over.
    pub(super) settle: Duration,
    /// Time after an alarm was told in which it is not told again.
    pub(super) cool_down: Duration,
}

/// See the head of this file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Alarm {
    on: Option<Severity>,
    is_told: bool,
    quiet_since: Option<Duration>,
    told_at: Option<Duration>,
    /// The severity that was told last.
    told: Option<Severity>,
}

impl Alarm {
    /// Takes a verdict; says what is to be told.
    pub(super) fn judge(&mut self, at: Duration, verdict: Verdict, patience: Patience) -> Option<Change> {
        match verdict {
            Verdict::Raise(severity) => self.raise(at, severity, patience.cool_down),
            Verdict::Hold => {
                self.quiet_since = None;
                self.tell_late(at, patience.cool_down)
            }
            Verdict::Quiet => {
                self.on?;
                let since = *self.quiet_since.get_or_insert(at);
                if at.saturating_sub(since) >= patience.settle { self.end(Change::Cleared) } else { None }
            }
            Verdict::Explained => self.end(Change::Withdrawn),
        }
    }

    /// Ends the alarm, and says what is to be told of it.
    pub(super) fn end(&mut self, change: Change) -> Option<Change> {
        let was_told = self.on.is_some() && self.is_told;
        (self.on, self.is_told, self.quiet_since) = (None, false, None);
        was_told.then_some(change)
    }

    /// How bad it is, if it is on.
    pub(super) fn severity(&self) -> Option<Severity> {
        self.on
    }

    pub(super) fn is_on(&self) -> bool {
        self.on.is_some()
    }

    /// Whether it is on, or was told so lately that it would not be told again.
    pub(super) fn is_remembered(&self, at: Duration, cool_down: Duration) -> bool {
        self.is_on() || !self.is_cool(at, cool_down)
    }

    fn is_cool(&self, at: Duration, cool_down: Duration) -> bool {
        self.told_at.is_none_or(|told| at.saturating_sub(told) >= cool_down)
    }

    fn raise(&mut self, at: Duration, severity: Severity, cool_down: Duration) -> Option<Change> {
        self.quiet_since = None;
        let before = self.on;
        self.on = before.max(Some(severity));
        if !self.is_told {
            return self.tell_late(at, cool_down);
        }
        (self.on > before).then(|| {
            (self.told, self.told_at) = (self.on, Some(at));
            Change::Escalated
        })
    }

    /// Tells of an alarm that is on, unless it was told not long ago with the same severity.
    fn tell_late(&mut self, at: Duration, cool_down: Duration) -> Option<Change> {
        let is_due = self.on.is_some() && !self.is_told && (self.is_cool(at, cool_down) || self.on > self.told);
        is_due.then(|| {
            (self.is_told, self.told, self.told_at) = (true, self.on, Some(at));
            Change::Raised
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Severity::{Critical, Warning};
    use super::Verdict::{Explained, Hold, Quiet, Raise};
    use super::*;

    /// What is told of verdicts at some minutes; an alarm settles in 5 minutes and cools down in 30.
    fn told(verdicts: &[(u64, Verdict)]) -> Vec<(u64, Change)> {
        let mut alarm = Alarm::default();
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let patience = Patience { settle: minutes(5), cool_down: minutes(30) };
        let judge = |&(at, verdict): &(u64, Verdict)| Some((at, alarm.judge(minutes(at), verdict, patience)?));
        verdicts.iter().filter_map(judge).collect()
    }

    #[test]
    fn an_alarm_is_told_once_and_cleared_when_it_was_quiet_for_long() {
        let verdicts =
            [(0, Quiet), (1, Raise(Warning)), (2, Raise(Warning)), (3, Quiet), (7, Quiet), (8, Quiet), (9, Quiet)];
        assert_eq!(told(&verdicts), [(1, Change::Raised), (8, Change::Cleared)]);
    }

    #[test]
    fn what_holds_an_alarm_up_raises_none() {
        assert_eq!(told(&[(0, Hold)]), []);
        let verdicts = [(1, Raise(Warning)), (3, Quiet), (7, Hold), (8, Quiet), (12, Quiet), (13, Quiet)];
        assert_eq!(told(&verdicts), [(1, Change::Raised), (13, Change::Cleared)]);
    }

    #[test]
    fn an_alarm_that_comes_again_waits_for_the_cool_down() {
        let again =
            [(1, Raise(Warning)), (2, Quiet), (7, Quiet), (8, Raise(Warning)), (30, Raise(Warning)), (31, Hold)];
        assert_eq!(told(&again), [(1, Change::Raised), (7, Change::Cleared), (31, Change::Raised)]);
        let gone =
            [(1, Raise(Warning)), (2, Quiet), (7, Quiet), (8, Raise(Warning)), (9, Quiet), (14, Quiet), (40, Quiet)];
        assert_eq!(told(&gone), [(1, Change::Raised), (7, Change::Cleared)], "nobody heard of the second");
    }

    #[test]
    fn a_higher_severity_is_told_at_once_and_stays() {
        let verdicts = [(1, Raise(Warning)), (2, Raise(Critical)), (3, Raise(Warning)), (4, Raise(Critical))];
        assert_eq!(told(&verdicts), [(1, Change::Raised), (2, Change::Escalated)]);
        let after = [(1, Raise(Warning)), (2, Quiet), (7, Quiet), (8, Raise(Critical))];
        assert_eq!(told(&after), [(1, Change::Raised), (7, Change::Cleared), (8, Change::Raised)]);
    }

    #[test]
    fn what_is_explained_is_withdrawn() {
        let verdicts = [(1, Raise(Warning)), (2, Explained), (3, Explained), (50, Raise(Warning))];
        assert_eq!(told(&verdicts), [(1, Change::Raised), (2, Change::Withdrawn), (50, Change::Raised)]);
    }
}
