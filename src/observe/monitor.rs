//! An alarm that can be trusted: rules over who holds memory, on the caller's clock.
//!
//! | file | what |
//! |---|---|
//! | `source` | where values come from: the ledger, or a closure |
//! | `clock`, `windows` | the monitor's own time, and the bounded history of one value |
//! | `slow`, `burst`, `periodic`, `old` | one rule each, with its formula and what it takes for what it is not |
//! | `alarm` | when an alarm is raised, held back, cleared |
//! | `watch`, `sampler` | one subject under all rules; one sample of all subjects |
//!
//! # Invariants
//!
//! - (a) User code (the source, hooks) runs under no lock but that of the sampler, or of the dump, which are only ever tried: who is
//!   second goes without.
//! - (b) The board is locked for a few copies, never while user code runs.

mod alarm;
mod builder;
mod burst;
mod clock;
mod dumps;
mod event;
#[cfg(feature = "tracing")]
mod log;
#[cfg(not(feature = "tracing"))]
#[path = "monitor/no_log.rs"]
mod log;
mod old;
mod periodic;
mod rules;
mod sampler;
mod slow;
mod source;
mod stats;
#[cfg(feature = "tokio")]
mod ticker;
mod watch;
mod windows;

pub use builder::MonitorBuilder;
pub use burst::Burst;
pub use event::{Change, Event, Finding, Rule, Severity, Subject};
pub use periodic::Periodic;
pub use rules::BadRule;
pub use slow::SlowLeak;
pub use source::Source;
pub use stats::MonitorStats;
#[cfg(feature = "tokio")]
pub use ticker::Sampling;

use crate::observe::Dump;
use core::fmt;
use core::time::Duration;
use dumps::Dumps;
use parking_lot::Mutex;
use rules::Rules;
use sampler::Sampler;
use source::Process;
use stats::Counts;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// Events that are kept for those who look later.
const RECENT: usize = 64;

/// Watches who holds memory, and raises an alarm by rule: a [slow leak](SlowLeak), a [burst](Burst), a [period](Periodic), and with a
/// detector [old leases](MonitorBuilder::leaks).
///
/// The caller's timer takes samples, by [`sample_at`](Self::sample_at) or `sample_every` (feature `tokio`): four a second are meant, at least
/// one in 15 seconds is needed. Each sample reads every tag's bytes on lease, every pool's bytes, and those of
/// all pools of the process. All times follow from the instants that the caller gives: a clock that steps back, jumps ahead or stops
/// delays an alarm, and raises none, but for old leases, which are as old as the clock says. A value that falls to nothing (a restart) begins anew.
///
/// **Events.** What changes about an alarm is handed to [`on_event`](MonitorBuilder::on_event), written as an event of `tracing` (with that
/// feature), counted in [`stats`](Self::stats), and kept: [`alarms`](Self::alarms) and [`recent`](Self::recent). An alarm is told when it is raised,
/// when it grows worse, and when it is over; it has to stay far below its limit for a while to be over, and is not told again before its
/// [cool-down](MonitorBuilder::cool_down) is over. A severity stays what it was at its worst until the alarm is over.
///
/// **Cost**: a sample reads the [`Ledger`](crate::observe::Ledger); for each subject it then takes some 40 ns, and once in five minutes some 25 us, of
/// which no sample has more than eight. No allocation, but for a subject seen for the first time (some 6 KB) and for events.
///
/// Cloning gives another handle to the same monitor.
///
/// # Examples
///
/// ```
/// use ebbtide::observe::Monitor;
/// use std::time::Instant;
///
/// let monitor = Monitor::new();
/// monitor.sample_at(Instant::now()); // from a timer
/// assert!(monitor.alarms().is_empty());
/// ```
#[derive(Clone)]
pub struct Monitor(Arc<Inner>);

struct Inner {
    rules: Rules,
    hooks: Hooks,
    sampler: Mutex<Sampler>,
    board: Mutex<Board>,
}

type Tell = Box<dyn Fn(&Event) + Send + Sync>;
type Write = Box<dyn Fn(&Event, &Dump) + Send + Sync>;

/// Whom events are told.
#[derive(Default)]
struct Hooks {
    tell: Vec<Tell>,
    dump: Option<Dumper>,
}

/// Who writes dumps, and the room for one.
struct Dumper {
    write: Write,
    dump: Mutex<Dump>,
}

/// What others may look at.
#[derive(Default)]
struct Board {
    /// Alarms that are on and were told: the last event of each.
    alarms: Vec<Event>,
    recent: VecDeque<Event>,
    stats: MonitorStats,
    dumps: Dumps,
}

impl Monitor {
    /// The time between two samples that the rules are made for: a quarter of a second.
    pub const PERIOD: Duration = Duration::from_millis(250);

    /// A monitor of this process with default rules.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Rules::default(), Hooks::default(), Sampler::new(Box::new(Process::new()), None, &Rules::default()))
    }

    /// Settings for a monitor.
    pub fn builder() -> MonitorBuilder {
        MonitorBuilder::default()
    }

    fn of(rules: Rules, hooks: Hooks, sampler: Sampler) -> Self {
        Self(Arc::new(Inner { rules, hooks, sampler: Mutex::new(sampler), board: Mutex::default() }))
    }

    /// Takes a sample, and tells what changed. The clock is the caller's. If another sample is being taken, this one is
    /// skipped.
    pub fn sample_at(&self, now: Instant) {
        let Inner { rules, hooks, sampler, board } = &*self.0;
        let (mut counts, mut events) = (Counts::default(), Vec::new());
        match sampler.try_lock() {
            Some(mut sampler) => sampler.sample(now, rules, &mut counts, &mut events),
            None => {
                board.lock().stats.skipped += 1;
                return;
            }
        }
        board.lock().note(counts, &events);
        for event in &events {
            log::write(event);
            hooks.tell.iter().for_each(|tell| tell(event));
            if let Some(dumper) = hooks.dump.as_ref().filter(|_| is_worth_a_dump(event)) {
                self.dump(now, event, dumper);
            }
        }
    }

    /// Takes a dump, unless another one is being written, or the limits are reached.
    fn dump(&self, now: Instant, event: &Event, dumper: &Dumper) {
        let Inner { rules, board, .. } = &*self.0;
        let dump = dumper.dump.try_lock().filter(|_| board.lock().dumps.may(now, &rules.limits));
        match dump {
            Some(mut dump) => {
                board.lock().stats.dumps += 1;
                dump.take();
                (dumper.write)(event, &dump);
            }
            None => board.lock().stats.dumps_held_back += 1,
        }
    }

    /// The alarms that are on and were told: the last event of each, in the order in which they were raised.
    #[must_use]
    pub fn alarms(&self) -> Vec<Event> {
        self.0.board.lock().alarms.clone()
    }

    /// The last events, at most 64, the oldest first.
    #[must_use]
    pub fn recent(&self) -> Vec<Event> {
        self.0.board.lock().recent.iter().copied().collect()
    }

    /// A snapshot of the numbers.
    #[must_use]
    pub fn stats(&self) -> MonitorStats {
        self.0.board.lock().stats
    }
}

fn is_worth_a_dump(event: &Event) -> bool {
    event.severity >= Severity::Warning && matches!(event.change, Change::Raised | Change::Escalated)
}

impl Board {
    fn note(&mut self, counts: Counts, events: &[Event]) {
        counts.add_to(&mut self.stats);
        for &event in events {
            self.stats.note(&event);
            let place = self.alarms.iter().position(|other| other.is_of(&event));
            match (event.change, place) {
                (Change::Cleared | Change::Withdrawn, Some(place)) => drop(self.alarms.remove(place)),
                (Change::Cleared | Change::Withdrawn, None) => {}
                (_, Some(place)) => self.alarms[place] = event,
                (_, None) => self.alarms.push(event),
            }
            if self.recent.len() == RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back(event);
        }
    }
}

/// The examples of the page that tells the whole story.
#[cfg(doctest)]
#[doc = include_str!("../../docs/finding-a-leak.md")]
mod story {}

impl Default for Monitor {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("alarms", &self.alarms()).field("stats", &self.stats()).finish_non_exhaustive()
    }
}
