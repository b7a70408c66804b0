//! One subject under all rules: its history, and its alarms.

use super::alarm::{Alarm, Verdict};
use super::burst::Lows;
use super::event::{Change, Finding, Severity, Subject};
use super::periodic::{Found, LEAST, find};
use super::rules::Rules;
use super::slow::{Growth, growth};
use super::windows::Windows;
use core::time::Duration;

/// Windows of which one ends with a search for a period.
const SEARCH_EVERY: u64 = 5;

/// What is to be told: a change of an alarm, or (without a change) one that is held back.
pub(super) type Told<'a> = &'a mut dyn FnMut(Option<Change>, Severity, Finding);

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) subject: Subject,
    /// What the source has handed out in this sample so far.
    pub(super) fresh: Option<u64>,
    /// The last value, and when it came.
    pub(super) bytes: u64,
    pub(super) seen: Duration,
    /// It is time to look for a period.
    pub(super) is_due: bool,
    windows: Windows,
    lows: Lows,
    period: Option<Found>,
    /// The period that was found last, also when it is lost: what a hint is about.
    shown: Option<Found>,
    /// The period by which growth is judged, in windows: the one found last, also when it is lost. A step or a leak bends the
    /// trend, and so hides the load, which goes on all the same. And where it does not, a difference to an earlier time
    /// shows growth as well as the value itself.
    load: Option<f64>,
    slow: Alarm,
    /// The slow-leak alarm began when no period was known.
    is_plain: bool,
    burst: Alarm,
    periodic: Alarm,
}

impl Watch {
    pub(super) fn new(subject: Subject, at: Duration, rules: &Rules) -> Self {
        Self {
            subject,
            fresh: None,
            bytes: 0,
            seen: at,
            is_due: false,
            windows: Windows::new(rules.window(), rules.history(), at),
            lows: Lows::new(),
            period: None,
            shown: None,
            load: None,
            slow: Alarm::default(),
            is_plain: false,
            burst: Alarm::default(),
            periodic: Alarm::default(),
        }
    }

    /// Takes the value that the source handed out, and judges it.
    pub(super) fn sample(&mut self, at: Duration, bytes: u64, rules: &Rules, pause: Duration, told: Told<'_>) {
        (self.bytes, self.seen) = (bytes, at);
        self.judge_burst(at, rules, told);
        if self.windows.note(at, bytes as f64) {
            self.is_due |= self.windows.number() % SEARCH_EVERY == 0;
            self.judge_slow(at, rules, pause, told);
        }
    }

    /// The clock went back: nobody knows how long it is since the last sample.
    pub(super) fn clock_stepped(&mut self) {
        self.lows = Lows::new();
    }

    fn judge_burst(&mut self, at: Duration, rules: &Rules, told: Told<'_>) {
        let rise = self.lows.rise(at, self.bytes, rules.burst.within);
        let verdict = match rise {
            rise if rise > rules.burst.above => Verdict::Raise(Severity::Critical),
            rise if rise > rules.burst.above / 2 => Verdict::Hold,
            _ => Verdict::Quiet,
        };
        let patience = rules.patience(Rules::BURST_SETTLES);
        settle(&mut self.burst, told, Finding::Burst { bytes: rise }, |alarm| alarm.judge(at, verdict, patience));
    }

    fn judge_slow(&mut self, at: Duration, rules: &Rules, pause: Duration, told: Told<'_>) {
        // Unknown growth is not quiet.
        let unknown = Growth { rate: 0.0, hold: f64::INFINITY };
        let Growth { rate, hold } = growth(&self.windows, rules.window(), self.load).unwrap_or(unknown);
        let above = rules.slow.above as f64;
        let verdict = if rate > above {
            self.is_plain = self.load.is_none();
            let is_critical = rate > rules.slow.critical as f64 && pause > rules.slow.pause;
            Verdict::Raise(if is_critical { Severity::Critical } else { Severity::Warning })
        } else if hold > above / 2.0 {
            Verdict::Hold
        } else if self.is_plain && self.load.is_some() {
            Verdict::Explained
        } else {
            Verdict::Quiet
        };
        let finding = Finding::SlowLeak { bytes_per_second: rate, pause };
        let patience = rules.patience(rules.slow.over);
        settle(&mut self.slow, told, finding, |alarm| alarm.judge(at, verdict, patience));
    }

    /// Looks for a period in the windows that have closed. `means` is room for them.
    pub(super) fn search(&mut self, at: Duration, rules: &Rules, means: &mut Vec<f64>, told: Told<'_>) {
        self.is_due = false;
        self.windows.means(means);
        if means.len() < LEAST {
            // There is nothing to compare with.
            self.load = None;
        }
        self.period = find(means, rules.periodic.longest(rules.window()), self.period);
        self.load = self.period.map(|found| found.period).or(self.load);
        self.shown = self.period.or(self.shown);
        let Some(found) = self.shown else { return };
        let period = rules.window().mul_f64(found.period);
        let percent = if self.period.is_some() && rules.periodic.is_around(period) { found.percent } else { 0.0 };
        let verdict = match percent {
            percent if percent > rules.periodic.above => Verdict::Raise(Severity::Hint),
            percent if percent > rules.periodic.above / 2.0 => Verdict::Hold,
            _ => Verdict::Quiet,
        };
        let patience = rules.patience(rules.slow.over);
        let finding = Finding::Periodic { period, percent: found.percent };
        settle(&mut self.periodic, told, finding, |alarm| alarm.judge(at, verdict, patience));
    }

    /// Ends all alarms of a subject that is gone.
    pub(super) fn end(&mut self, told: Told<'_>) {
        let slow = Finding::SlowLeak { bytes_per_second: 0.0, pause: Duration::ZERO };
        settle(&mut self.slow, told, slow, |alarm| alarm.end(Change::Cleared));
        settle(&mut self.burst, told, Finding::Burst { bytes: 0 }, |alarm| alarm.end(Change::Cleared));
        let periodic = Finding::Periodic { period: Duration::ZERO, percent: 0.0 };
        settle(&mut self.periodic, told, periodic, |alarm| alarm.end(Change::Cleared));
    }

    pub(super) fn has_alarm(&self) -> bool {
        self.slow.is_on() || self.burst.is_on() || self.periodic.is_on()
    }
}

/// Puts a verdict to an alarm, and tells what comes of it.
pub(super) fn settle(
    alarm: &mut Alarm,
    told: Told<'_>,
    finding: Finding,
    judge: impl FnOnce(&mut Alarm) -> Option<Change>,
) {
    let before = *alarm;
    let change = judge(alarm);
    let severity = alarm.severity().or(before.severity());
    if let (Some(severity), true) = (severity, change.is_some() || (alarm.is_on() && !before.is_on())) {
        told(change, severity, finding);
    }
}
