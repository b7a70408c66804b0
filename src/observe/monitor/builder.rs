//! How a monitor is made.

use super::burst::Burst;
use super::event::Event;
use super::periodic::Periodic;
use super::rules::{BadRule, Rules};
use super::slow::SlowLeak;
use super::source::{Process, Source};
use super::{Dumper, Hooks, Monitor};
use crate::observe::Dump;
use core::fmt;
use core::time::Duration;
use parking_lot::Mutex;

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

    /// Time after an alarm was told in which the same alarm (rule and subject) is told again only if it is worse. If it is
    /// on when the time is over, it is told then. Default: 30 minutes.
    pub fn cool_down(mut self, time: Duration) -> Self {
        self.rules.limits.cool_down = time;
        self
    }

    /// Tags and pools that have a history, of some 6 KB each with the default rules. Of more, those are left out that come last,
    /// and counted. Default: 1,024.
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
        Ok(Monitor::of(self.rules.check()?, self.hooks, Box::new(source)))
    }
}

impl fmt::Debug for MonitorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MonitorBuilder").field("rules", &self.rules).finish_non_exhaustive()
    }
}
