//! How a monitor is made.

use super::burst::Burst;
use super::event::Event;
use super::old::OldLeases;
use super::periodic::Periodic;
use super::rules::{BadRule, Rules};
use super::sampler::Sampler;
use super::slow::SlowLeak;
use super::source::{Process, Source};
use super::{Dumper, Hooks, Monitor};
use crate::observe::{Dump, LeakDetector};
use core::fmt;
use core::time::Duration;
use parking_lot::Mutex;
use std::sync::Arc;

/// Settings of a [`Monitor`].
///
/// # Examples
///
/// ```
/// use ebbtide::observe::{Burst, Monitor, SlowLeak};
/// use std::time::Duration;
///
/// let monitor = Monitor::builder()
///     .slow_leak(SlowLeak::default().above(100_000).over(Duration::from_secs(600)))
///     .burst(Burst::default().above(200_000_000))
///     .on_event(|event| eprintln!("{event}"))
///     .build()?;
/// # drop(monitor);
/// # Ok::<(), ebbtide::observe::BadRule>(())
/// ```
#[derive(Default)]
#[must_use = "a builder does nothing until it builds"]
pub struct MonitorBuilder {
    rules: Rules,
    hooks: Hooks,
    leaks: Option<Arc<LeakDetector>>,
}

impl MonitorBuilder {
    /// The slow-leak rule. Its time gives the window of all rules.
    pub fn slow_leak(mut self, rule: SlowLeak) -> Self {
        self.rules.slow = rule;
        self
    }

    /// The burst rule.
    pub fn burst(mut self, rule: Burst) -> Self {
        self.rules.burst = rule;
        self
    }

    /// The periodic rule.
    pub fn periodic(mut self, rule: Periodic) -> Self {
        self.rules.periodic = rule;
        self
    }

    /// Polls this detector in each sample, by the monitor's clock, and warns of **leases that are out for longer than the detector's
    /// [age](LeakDetector::with_age), by default more than 60 seconds**. It samples as long as the monitor lives.
    ///
    /// **Formula**: raised for a tag (without one, for a pool) and a place in the program when a sampled lease that was taken there has
    /// `age > T`; over when none has been so old for the time of [`SlowLeak::over`], five minutes. The event tells the place, how many
    /// sampled leases are so old, the age of the oldest, and their bytes. Each place has an alarm, and a
    /// [cool-down](Self::cool_down), of its own. Where one lease in 1,024 is sampled, a place that keeps a few is told late, or
    /// never: after 1,024 leases it has been looked at once, on the average.
    ///
    /// An age counts from the first sample of the monitor that sees the lease: it is never told too early, and at most one sample too
    /// late. That is by the clock that the monitor is given: one that jumps ahead makes leases older; one that steps back makes none younger.
    /// Whoever asks the detector by another clock as well, such as a console, makes leases as old as the clock that is ahead.
    ///
    /// **False alarms**: whatever is reported has been out for so long. What is meant to be, such as the buffer of a websocket or of a stream
    /// that is open for hours, is reported too, once for each place and cool-down. Take it within
    /// [`leaked_on_purpose`](crate::observe::leaked_on_purpose), which leaves it out; or give the detector an age beyond the longest request.
    ///
    /// **Cost**: a lock, and a look at each lease on record, at most 1,024. It allocates for a place that is new, and no more.
    ///
    /// # Examples
    ///
    /// ```
    /// use ebbtide::observe::{LeakDetector, Monitor, Rule};
    /// use ebbtide::{Pool, observe::tagged};
    /// use std::sync::Arc;
    /// use std::time::{Duration, Instant};
    ///
    /// let monitor = Monitor::builder().leaks(Arc::new(LeakDetector::new())).build()?;
    /// let pool = Pool::new(Vec::<u8>::new);
    /// let kept: Vec<_> = (0..5000).map(|_| tagged("importer", || pool.get())).collect();
    /// let line = line!() - 1;
    ///
    /// let begin = Instant::now();
    /// (0..=61).for_each(|second| monitor.sample_at(begin + Duration::from_secs(second)));
    /// let alarms = monitor.alarms();
    /// assert_eq!((alarms.len(), alarms[0].rule()), (1, Rule::OldLeases));
    /// assert_eq!(alarms[0].finding.site().map(|site| site.line()), Some(line));
    /// # drop(kept);
    /// # Ok::<(), ebbtide::observe::BadRule>(())
    /// ```
    pub fn leaks(mut self, detector: Arc<LeakDetector>) -> Self {
        self.leaks = Some(detector);
        self
    }

    /// Time after an alarm was told in which the same alarm (rule and subject) is told again only if it is worse. If it is
    /// on when the time is over, it is told then. Default: 30 minutes.
    pub fn cool_down(mut self, time: Duration) -> Self {
        self.rules.limits.cool_down = time;
        self
    }

    /// Tags and pools that have a history, of some 6 KB each with the default rules; and places of old leases. Of more, those are left out
    /// that come last, and counted. Default: 1,024.
    pub fn max_subjects(mut self, subjects: usize) -> Self {
        self.rules.limits.subjects = subjects;
        self
    }

    /// Calls `tell` with each event, on the thread that takes the sample, which holds no lock meanwhile. May be given several times.
    pub fn on_event(mut self, tell: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.hooks.tell.push(Box::new(tell));
        self
    }

    /// Dumps who holds memory when a warning or worse is raised, in the same sample, and hands it to `write`: within the limits of
    /// [`dump_gap`](Self::dump_gap) and [`max_dumps_a_day`](Self::max_dumps_a_day). The room for the dump is allocated here.
    ///
    /// # Examples
    ///
    /// ```
    /// use ebbtide::observe::Monitor;
    ///
    /// let monitor = Monitor::builder().on_dump(|event, dump| eprintln!("{event}\n{dump}")).build()?;
    /// # drop(monitor);
    /// # Ok::<(), ebbtide::observe::BadRule>(())
    /// ```
    pub fn on_dump(mut self, write: impl Fn(&Event, &Dump) + Send + Sync + 'static) -> Self {
        self.hooks.dump = Some(Dumper { write: Box::new(write), dump: Mutex::new(Dump::new()) });
        self
    }

    /// Time between two automatic dumps. Default: one minute.
    pub fn dump_gap(mut self, time: Duration) -> Self {
        self.rules.limits.dump_gap = time;
        self
    }

    /// Automatic dumps in 24 hours. Default: 24.
    pub fn max_dumps_a_day(mut self, dumps: u32) -> Self {
        self.rules.limits.dumps_a_day = dumps;
        self
    }

    /// A monitor of this process.
    ///
    /// # Errors
    ///
    /// [`BadRule`] says which numbers do not go together.
    pub fn build(self) -> Result<Monitor, BadRule> {
        self.build_on(Process::new())
    }

    /// A monitor of what `source` says.
    ///
    /// # Errors
    ///
    /// [`BadRule`] says which numbers do not go together.
    pub fn build_on(self, source: impl Source + 'static) -> Result<Monitor, BadRule> {
        let rules = self.rules.check()?;
        let sampler = Sampler::new(Box::new(source), self.leaks.map(OldLeases::new), &rules);
        Ok(Monitor::of(rules, self.hooks, sampler))
    }
}

impl fmt::Debug for MonitorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MonitorBuilder").field("rules", &self.rules).finish_non_exhaustive()
    }
}
